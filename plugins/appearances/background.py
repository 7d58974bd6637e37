# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures behind the scene."""

from __future__ import annotations

import numpy as np

from ...engine.plugin import param, plugin
from ...engine.recipe.input_files import listed_files
from ...engine.stage import Stage

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


@plugin("appearance")
class Background:
    """Show a random picture behind the scene, seen only where no geometry is; it neither lights nor mirrors."""

    image_folder: str = param(
        "",
        path=True,
        means="folder",
        doc="Folder of pictures: " + " ".join(SUFFIXES),
        moves={"entropy": "?", "sharpness": "?", "background_similarity": "?"},
    )
    image_files: list[str] = param([], path=True, doc="More pictures, by name or pattern")
    probability: float = param(
        1.0,
        min=0.0,
        max=1.0,
        doc="Share of frames with a picture; the rest show the world",
        moves={"entropy": "?", "sharpness": "?", "background_similarity": "?", "blur": "?"},
    )

    recipe_example = 'image_folder = "backgrounds"'

    def __attrs_post_init__(self) -> None:
        if not self.image_folder and not self.image_files:
            raise ValueError("name an image_folder or image_files to take pictures from.")

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the background of this frame."""
        files = listed_files(
            stage.folder, self.image_folder, self.image_files, suffixes=SUFFIXES, owner="appearance 'background'"
        )
        chosen, choice = rng.random(2)
        stage.set_background(files[int(choice * len(files))] if chosen < self.probability else None)
