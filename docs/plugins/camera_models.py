# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the picture of docs/recipes/cameras.md: ``python docs/plugins/camera_models.py``."""

from __future__ import annotations

from pathlib import Path

from pictures import FRONT, labelled, placed, recipe, shoot
from sheet import Panel, save
from twinset.blender.stage import open_stage

OUT = Path(__file__).resolve().parents[1] / "images" / "camera_models.jpg"

MODELS = {
    "pinhole, off-centre": "focal_length = [230]\nprincipal_point = [90, 120]\n",
    "barrel distortion": "focal_length = [190]\ndistortion = 'brown_conrady'\ncoefficients = [-0.35, 0.1]\n",
    "fisheye, 160 degrees": "focal_length = [92]\ndistortion = 'fisheye'\ncoefficients = [0.02, -0.01, 0.0, 0.0]\n",
}


def main() -> None:
    """Show the same things on the dais of the hall through each camera."""
    panels: list[Panel] = []
    for title, model in MODELS.items():
        stage = open_stage(recipe(f"[camera_model]\n{model}"))
        panels.append((title, labelled(shoot(placed(stage), FRONT))))
    save(OUT, panels)


if __name__ == "__main__":
    main()
