# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment light: HDRI images, or one colour."""

from __future__ import annotations

import math

import numpy as np

from ...engine.plugin import Range, param, plugin
from ...engine.recipe.input_files import listed_files
from ...engine.stage import Stage

SUFFIXES = (".hdr", ".exr", ".jpg", ".jpeg", ".png", ".tif", ".tiff")

Color = tuple[float, float, float]


@plugin("appearance")
class World:
    """Light the scene by a randomly rotated random HDRI, or by a random uniform colour."""

    hdri_folder: str = param(
        "",
        path=True,
        means="folder",
        doc="Folder of HDRI files: " + " ".join(SUFFIXES),
        moves={"entropy": "?", "sharpness": "?"},
    )
    hdri_files: list[str] = param([], path=True, doc="More HDRI files, by name or pattern")
    hdri_probability: float = param(
        1.0, min=0.0, max=1.0, doc="Share of frames lit by an HDRI; the others are lit by a colour"
    )
    strength_range: Range = param(
        (0.7, 1.3),
        min=0.0,
        soft_max=5.0,
        doc="Factor for the strength of the light; drawn log-uniformly",
        moves={"brightness": "+", "contrast": "-", "background_similarity": "?"},
    )
    rotation_range: Range = param((0.0, 360.0), unit="deg", doc="Rotation of the HDRI about the vertical axis")
    max_radiance: float | None = param(
        None,
        min=0.0,
        min_exclusive=True,
        doc="Upper limit of each channel of the HDRI before the strength; avoids fireflies from a bright sun",
    )
    color_low: Color = param(
        (0.5, 0.5, 0.5), means="color", min=0.0, soft_max=1.0, doc="Minimum linear RGB of the uniform colour"
    )
    color_high: Color = param(
        (1.0, 1.0, 1.0), means="color", min=0.0, soft_max=1.0, doc="Maximum linear RGB of the uniform colour"
    )

    recipe_example = 'hdri_folder = "skies"'

    lights_scene = True

    def __attrs_post_init__(self) -> None:
        if any(low > high for low, high in zip(self.color_low, self.color_high, strict=True)):
            raise ValueError(f"no channel of color_low may exceed that of color_high. Got {self.color_low} and more.")
        if self.strength_range[0] == 0.0 < self.strength_range[1]:
            raise ValueError("strength_range must start above 0, or be [0, 0]: it is drawn log-uniformly.")

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Set the world of this frame."""
        files = listed_files(
            stage.folder, self.hdri_folder, self.hdri_files, suffixes=SUFFIXES, owner="appearance 'world'"
        )
        # All draws are made whatever their use, so that one parameter does not change what another one draws.
        chosen, choice, level, turn = rng.random(4)
        color = rng.uniform(self.color_low, self.color_high)
        low, high = self.strength_range
        use_hdri = bool(files) and chosen < self.hdri_probability
        stage.set_world(
            hdri=files[int(choice * len(files))] if use_hdri else None,
            color=tuple(color.tolist()),
            strength=low * math.exp(level * math.log(high / low)) if low > 0.0 else 0.0,
            rotation=self.rotation_range[0] + turn * (self.rotation_range[1] - self.rotation_range[0]),
            max_radiance=self.max_radiance,
        )
