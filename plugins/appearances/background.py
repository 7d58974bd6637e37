# SPDX-License-Identifier: GPL-3.0-or-later
"""Background images."""

from __future__ import annotations

import numpy as np

from ...engine.plugin import param, plugin
from ...engine.recipe.input_files import listed_files
from ...engine.stage import Stage

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


@plugin("appearance")
class Background:
    """Show a random image behind the scene. It is visible only where there is no geometry, and emits no light."""

    image_folder: str = param(
        "",
        path=True,
        means="folder",
        doc="Folder of images: " + " ".join(SUFFIXES),
        moves={"entropy": "?", "sharpness": "?", "background_similarity": "?"},
    )
    image_files: list[str] = param([], path=True, doc="More images, by name or pattern")
    probability: float = param(
        1.0,
        min=0.0,
        max=1.0,
        doc="Share of frames with an image; the others show the world",
        moves={"entropy": "?", "sharpness": "?", "background_similarity": "?", "blur": "?"},
    )

    recipe_example = 'image_folder = "backgrounds"'

    def __attrs_post_init__(self) -> None:
        if not self.image_folder and not self.image_files:
            raise ValueError("give image_folder or image_files.")

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the background of this frame."""
        files = listed_files(
            stage.folder, self.image_folder, self.image_files, suffixes=SUFFIXES, owner="appearance 'background'"
        )
        chosen, choice = rng.random(2)
        stage.set_background(files[int(choice * len(files))] if chosen < self.probability else None)
