# SPDX-License-Identifier: GPL-3.0-or-later
"""Kalibr's camchain files. They count pixels from the centre of the first one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .calibration_error import CalibrationError
from .matrices import Calibration, meant_coefficients, numbers, whole_size

_DISTORTIONS = {"radtan": "brown_conrady", "equidistant": "fisheye", "none": "none"}


def looks_like_kalibr(values: Mapping[str, Any]) -> bool:
    """Whether some of the values are cameras as Kalibr describes them."""
    return bool(_cameras(values))


def read(values: Mapping[str, Any], camera: str) -> Calibration:
    """One camera, by its name such as ``cam0``, or its number. Raises CalibrationError."""
    cameras = _cameras(values)
    entry = cameras.get(camera) or cameras.get(f"cam{camera}")
    if entry is None:
        names = ", ".join(cameras)
        if camera:
            raise CalibrationError(f"has no camera {camera!r}. Name one of {names} as 'camera' in [camera_model]")
        if len(cameras) > 1:
            raise CalibrationError(f"has several cameras. Name one of {names} as 'camera' in [camera_model]")
        entry = next(iter(cameras.values()))
    model, distortion = entry.get("camera_model", "pinhole"), entry.get("distortion_model", "none")
    if model != "pinhole":
        raise CalibrationError(f"has the camera model {str(model)[:40]!r}. Calibrate with Kalibr's model 'pinhole'")
    if not isinstance(distortion, str) or distortion not in _DISTORTIONS:
        known = ", ".join(_DISTORTIONS)
        raise CalibrationError(f"has the distortion model {str(distortion)[:40]!r}. Known ones are {known}")
    intrinsics = numbers(entry.get("intrinsics"), "intrinsics")
    if len(intrinsics) != 4:
        raise CalibrationError(f"has {len(intrinsics)} intrinsics instead of fx, fy, cx and cy. Correct them")
    fx, fy, cx, cy = intrinsics
    coefficients = numbers(entry.get("distortion_coeffs"), "distortion coefficients")
    size = whole_size(numbers(entry.get("resolution"), "resolution"))
    meant = meant_coefficients(_DISTORTIONS[distortion], coefficients)  # type: ignore[arg-type]
    return Calibration(size, (fx, fy), (cx + 0.5, cy + 0.5), *meant)


def _cameras(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(k): v for k, v in values.items() if isinstance(v, Mapping) and "intrinsics" in v}
