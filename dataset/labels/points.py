# SPDX-License-Identifier: GPL-3.0-or-later
"""Point clouds: what the pixels of a frame show, in space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot

_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3), ("id", "<i4")])
_HEADER = """ply
format binary_little_endian 1.0
comment camera frame in metres: x right, y down, z forward
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property int id
end_header
"""


class Points(LabelPass):
    """A point per pixel that shows something, in row order: position, colour of the picture, instance id (0 for none).

    Positions are metres in the camera's frame as OpenCV has it: x right, y down, z forward. Files are binary PLY.
    """

    key = "point_clouds"
    doc = "Point clouds in the camera's frame (x right, y down, z forward) with colour and instance id, as PLY"
    formats = ("ply",)
    folder = "point_clouds"
    dtype = "float32"
    channels = 7
    unit = "m"
    bytes_per_pixel: ClassVar = {"ply": 19.0}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        points = shot.points() * (1.0, -1.0, -1.0)
        return np.concatenate([points, shot.image, shot.labels.ids[..., None]], -1).astype(np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        seen = array[np.isfinite(array[..., 2])]
        vertices = np.empty(len(seen), _VERTEX)
        vertices["xyz"], vertices["rgb"], vertices["id"] = seen[:, :3], seen[:, 3:6], seen[:, 6]
        path.write_bytes(_HEADER.format(count=len(seen)).encode() + vertices.tobytes())
