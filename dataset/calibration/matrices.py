# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrations as a camera matrix and distortion coefficients: OpenCV's files, and ``camera_info`` of ROS.

Both count pixels from the centre of the first one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ...engine.scene.intrinsics import Distortion
from .calibration_error import CalibrationError

_MATRIX = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "intrinsic_matrix", "mtx", "K", "k")
_COEFFICIENTS = (
    *("distortion_coefficients", "distortionCoefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs"),
    *("dist_coeff", "dist", "D", "d"),
)
_WIDTH = ("image_width", "image_Width", "imageWidth", "width")
_HEIGHT = ("image_height", "image_Height", "imageHeight", "height")
_SIZE = ("image_size", "imageSize", "img_size", "size")

_MODELS: dict[str, Distortion] = {
    "plumb_bob": "brown_conrady",
    "rational_polynomial": "brown_conrady",
    "radtan": "brown_conrady",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
    "kannala_brandt": "fisheye",
    "none": "none",
    "": "none",
}


@attrs.frozen
class Calibration:
    """What a file says of a camera, in Twinset's pixels; ``size`` is None where it does not say."""

    size: tuple[int, int] | None
    focal: tuple[float, float]
    center: tuple[float, float]
    distortion: Distortion
    coefficients: tuple[float, ...]


def read(values: Mapping[str, Any], distortion: Distortion = "none") -> Calibration:
    """The camera of a file; ``distortion`` says what its coefficients mean where it does not.

    Raises CalibrationError.
    """
    matrix = numbers(_first(values, _MATRIX), "camera matrix")
    if len(matrix) != 9:
        if not matrix:
            raise CalibrationError(f"has no camera matrix. It needs one of the keys {', '.join(_MATRIX[:3])} or K")
        raise CalibrationError(f"has a camera matrix of {len(matrix)} numbers instead of 9. Correct it")
    fx, skew, cx, zero, fy, cy, *last = matrix
    if skew or zero or last != [0.0, 0.0, 1.0]:
        raise CalibrationError(
            "has a camera matrix that is not [fx, 0, cx, 0, fy, cy, 0, 0, 1]. Calibrate without skew"
        )
    model = _model(values, distortion)
    coefficients = numbers(_first(values, _COEFFICIENTS), "distortion coefficients")
    return Calibration(_size(values), (fx, fy), (cx + 0.5, cy + 0.5), *meant_coefficients(model, coefficients))


def meant_coefficients(model: Distortion, coefficients: Sequence[float]) -> tuple[Distortion, tuple[float, ...]]:
    """The distortion of some coefficients in OpenCV's order, without those at the end that are 0."""
    if model == "none":
        return ("none", ()) if not any(coefficients) else ("brown_conrady", _brown_conrady(coefficients))
    if model == "brown_conrady":
        return model, _brown_conrady(coefficients)
    if len(coefficients) not in (0, 4):
        raise CalibrationError(f"has {len(coefficients)} coefficients for a fisheye, which takes 4. Correct them")
    return model, tuple(coefficients) or (0.0,) * 4


def _brown_conrady(coefficients: Sequence[float]) -> tuple[float, ...]:
    if any(coefficients[8:]):
        raise CalibrationError(
            "has coefficients for a thin prism or a tilted sensor, which cannot be rendered. Calibrate without them"
        )
    kept = list(coefficients[:8])
    return tuple(kept + [0.0] * (next(n for n in (4, 5, 8) if n >= len(kept)) - len(kept)))


def _model(values: Mapping[str, Any], distortion: Distortion) -> Distortion:
    """What the file says the coefficients mean, or else the recipe."""
    if values.get("fisheye_model") in (1, True, "1", "true"):
        stated: Distortion = "fisheye"
    else:
        name = values.get("distortion_model")
        if name is None:
            return distortion
        if not isinstance(name, str) or name.lower() not in _MODELS:
            raise CalibrationError(
                f"has the distortion model {str(name)[:40]!r}. Known ones are {', '.join(filter(None, _MODELS))}"
            )
        stated = _MODELS[name.lower()]
    if distortion not in ("none", stated):
        raise CalibrationError(f"says that its distortion is '{stated}'. Remove 'distortion' from [camera_model]")
    return stated


def _size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    given = _first(values, _SIZE)
    pair = numbers(given, "image size") if given is not None else []
    if not pair:
        width, height = _first(values, _WIDTH), _first(values, _HEIGHT)
        if width is None or height is None:
            return None
        pair = numbers([width, height], "image size")
    return whole_size(pair)


def whole_size(pair: Sequence[float]) -> tuple[int, int]:
    """Two numbers as a size in pixels."""
    if len(pair) != 2 or any(n < 1 or n != int(n) or n > 65536 for n in pair):
        raise CalibrationError("has an image size that is not two whole numbers above 0. Correct it")
    return int(pair[0]), int(pair[1])


def numbers(value: Any, what: str) -> list[float]:
    """The numbers of a list, of a list of lists, or of a matrix with the key ``data``; none for None."""
    if isinstance(value, Mapping):
        value = value.get("data")
    if value is None:
        return []
    flat = (
        [n for row in value for n in (row if isinstance(row, list) else [row])] if isinstance(value, list) else [value]
    )
    out = []
    for n in flat:
        # PyYAML takes 1e-3 for a text, as it has no decimal point.
        try:
            out.append(float(n) if isinstance(n, int | float | str) and not isinstance(n, bool) else math.nan)
        except (ValueError, OverflowError):
            out.append(math.nan)
    if not all(math.isfinite(n) for n in out):
        raise CalibrationError(f"has something other than numbers in its {what}. Correct it")
    return out


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)
