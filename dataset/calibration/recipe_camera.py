# SPDX-License-Identifier: GPL-3.0-or-later
"""The optics of a recipe's camera, from its calibration file or its own numbers, at the size of the images."""

from __future__ import annotations

from typing import cast

from ...engine.errors import DataError
from ...engine.recipe.settings import Recipe
from ...engine.scene.intrinsics import Distortion, Intrinsics
from .calibration_file import read_calibration


def camera_intrinsics(recipe: Recipe) -> Intrinsics | None:
    """The optics of the recipe's ``[camera_model]`` at the size of its images; None where it has none.

    Raises
    ------
    DataError
        Where the calibration file cannot be used, or its image cannot become that of ``[output]``.
    """
    settings, (width, height) = recipe.camera_model, (recipe.output.width, recipe.output.height)
    if not settings.is_set:
        return None
    if settings.file:
        size = (settings.size[0], settings.size[1]) if settings.size else None
        camera = read_calibration(
            recipe.path(settings.file), settings.camera, size, cast(Distortion, settings.distortion)
        )
    else:
        # By default the numbers are those of the image before it is rotated.
        turned = (height, width) if settings.rotation % 180 else (width, height)
        camera = settings.stated(*turned)
    if settings.crop:
        x, y, w, h = settings.crop
        if x < 0 or y < 0 or x + w > camera.width or y + h > camera.height:
            raise DataError(
                f"The 'crop' of [camera_model] reaches beyond the calibrated image of {camera.width} x {camera.height} "
                "pixels. Correct 'crop' or 'size'."
            )
        camera = camera.cropped(x, y, w, h)
    camera = camera.rotated(settings.rotation)
    # Within the rounding of either size, the proportions are the same.
    if abs(width * camera.height - height * camera.width) > max(camera.width, camera.height, width, height):
        fitting = round(width * camera.height / camera.width)
        raise DataError(
            f"The camera of [camera_model] has an image of {camera.width} x {camera.height} pixels, which does not fit "
            f"{width} x {height}. Set height = {fitting} in [output], or cut the image with 'crop'."
        )
    return camera.resized(width, height)
