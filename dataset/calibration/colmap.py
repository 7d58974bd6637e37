# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP's cameras.txt. It counts pixels from the corner of the first one, as Twinset does."""

from __future__ import annotations

from .calibration_error import CalibrationError
from .matrices import Calibration, numbers, whole_size

_PARAMETERS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "SIMPLE_RADIAL_FISHEYE": "f cx cy k1",
    "RADIAL_FISHEYE": "f cx cy k1 k2",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
}
"""Parameters of each model, in the order of the file [COLMAP, ``src/colmap/sensor/models.h``]."""


def looks_like_colmap(text: str) -> bool:
    """Whether a text begins with COLMAP's comment, or with a line that describes a camera."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("# Camera list"):
        return True
    fields = next((line.split() for line in lines if not line.startswith("#")), [])
    return len(fields) > 4 and fields[0].isdigit() and fields[1].isupper()


def read(text: str, camera: str) -> Calibration:
    """One camera, by its id. Raises CalibrationError."""
    lines = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) < 5:
            raise CalibrationError(f"does not describe a camera in line {number}. Name COLMAP's cameras.txt")
        lines[fields[0]] = fields[1:]
    if not lines:
        raise CalibrationError("has no cameras. Name COLMAP's cameras.txt")
    ids = ", ".join(list(lines)[:20])
    if camera and camera not in lines:
        raise CalibrationError(f"has no camera {camera!r}. Name one of {ids} as 'camera' in [camera_model]")
    if not camera and len(lines) > 1:
        raise CalibrationError(f"has several cameras. Name one of {ids} as 'camera' in [camera_model]")
    model, width, height, *parameters = lines[camera or next(iter(lines))]
    names = _PARAMETERS.get(model, "").split()
    if not names:
        known = ", ".join(_PARAMETERS)
        raise CalibrationError(f"has a camera of the model {model[:40]!r}. Known ones are {known}")
    if len(names) != len(parameters):
        raise CalibrationError(f"has {len(parameters)} parameters for the model {model} instead of {len(names)}")
    values = dict(zip(names, numbers(list(parameters), "parameters"), strict=True))
    focal = (values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0)))
    size, center = whole_size(numbers([width, height], "image size")), (values["cx"], values["cy"])
    if model.endswith("FISHEYE"):
        return Calibration(size, focal, center, "fisheye", tuple(values.get(f"k{n}", 0.0) for n in range(1, 5)))
    if "k1" not in values:
        return Calibration(size, focal, center, "none", ())
    order = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")[: 8 if "k3" in values else 4]
    return Calibration(size, focal, center, "brown_conrady", tuple(values.get(name, 0.0) for name in order))
