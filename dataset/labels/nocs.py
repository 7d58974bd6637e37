# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of object coordinates: where on its object each pixel lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot
from ..formats.encoders import encode_vectors, write_exr


class Nocs(LabelPass):
    """Normalised object coordinates [Wang et al., CVPR 2019]: the point of the asset that each pixel shows.

    In the asset's own frame (z up), from the centre of its bounding box, in lengths of that box's diagonal, plus 0.5;
    0 where no annotatable instance is seen. PNG files hold 16 bits of each; EXR files the channels ``X``, ``Y``, ``Z``.
    """

    key = "nocs"
    doc = "Normalised object coordinates (NOCS) of instances: 16-bit PNG, or EXR"
    formats = ("png", "exr")
    folder = "nocs"
    dtype = "float32"
    channels = 3
    bytes_per_pixel: ClassVar = {"png": 1.5, "exr": 3.0}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        out = np.zeros((*shot.labels.ids.shape, 3), np.float32)
        points = shot.points()
        for instance in shot.instances:
            mask = shot.mask(instance.id)
            to_asset = np.linalg.inv(instance.matrix) @ shot.camera.matrix
            low, high = instance.asset.bounds
            own = points[mask] @ to_asset[:3, :3].T + to_asset[:3, 3]
            out[mask] = np.nan_to_num((own - (low + high) / 2) / np.linalg.norm(high - low) + 0.5)
        return out

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        if suffix == "exr":
            write_exr(path, {name: array[..., k] for k, name in enumerate("XYZ")}, 'set nocs = "png"')
        else:
            path.write_bytes(encode_vectors(array, array.any(-1)))
