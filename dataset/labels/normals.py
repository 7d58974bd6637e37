# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of surface normals in the frame of the camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass, RenderPass
from ...engine.stage import Shot
from ..formats.encoders import encode_vectors, write_exr


class Normals(LabelPass):
    """Unit normals of surfaces in the camera's frame: x right, y up, z towards the camera; 0 where nothing is hit.

    They are those of smooth shading, without bump and normal maps, at pixel centres. PNG files hold (n + 1) / 2 in 16
    bits and 0, 0, 0 for nothing; EXR files the channels ``X``, ``Y`` and ``Z``.
    """

    key = "normals"
    doc = "Surface normals in the camera's frame (x right, y up, z to the camera): 16-bit PNG of (n + 1) / 2, or EXR"
    formats = ("png", "exr")
    folder = "normals"
    dtype = "float32"
    channels = 3
    bytes_per_pixel: ClassVar = {"png": 2.5, "exr": 6.0}
    renders = (RenderPass("normal", "use_pass_normal", (("Normal.X",), ("Normal.Y",), ("Normal.Z",))),)

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return np.asarray(world_normals(shot) @ shot.camera.matrix[:3, :3], dtype=np.float32)

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("XYZ")}, f'set {self.key} = "png"')
        else:
            path.write_bytes(encode_vectors((array + 1) / 2, array.any(-1)))


def world_normals(shot: Shot) -> np.ndarray:
    """Unit normals (H, W, 3) in the world's frame, 0 where nothing is hit."""
    normals = shot.rendered["normal"].astype(float)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1.0), 0.0).astype(np.float32)
