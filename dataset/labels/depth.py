# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth maps: the planar distance of what each pixel shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot
from ..formats.encoders import encode, write_exr

MAX_MILLIMETRES = 65535


class Depth(LabelPass):
    """Planar metres along the camera's axis, inf where nothing is hit.

    PNG files hold whole millimetres of 16 bits, 0 for nothing; EXR files one float channel ``Z`` in metres.
    """

    key = "depth"
    doc = "Depth maps: 16-bit PNG in millimetres, or EXR in metres"
    formats = ("png", "exr")
    folder = "depth"
    dtype = "float32"
    unit = "m"
    bytes_per_pixel: ClassVar = {"png": 0.7, "exr": 2.5}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return shot.labels.depth

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {"Z": array}, 'set depth = "png"')
        else:
            path.write_bytes(encode_depth(array))


def encode_depth(depth: np.ndarray) -> bytes:
    """Planar metres (H, W) as the bytes of a 16-bit PNG in millimetres: 0 = nothing, farther than 65.535 m = 65535."""
    millimetres = np.where(np.isfinite(depth), np.asarray(depth, dtype=np.float64) * 1000.0, 0.0)
    return encode(".png", np.clip(np.rint(millimetres), 0, MAX_MILLIMETRES).astype(np.uint16), [])
