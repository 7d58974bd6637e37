# SPDX-License-Identifier: GPL-3.0-or-later
"""Semantic maps: which class each pixel shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot
from ..formats.encoders import encode


class Semantic(LabelPass):
    """The id of the COCO category of each pixel, 0 for everything else; 16 bits only where an id is above 255."""

    key = "semantic"
    doc = "Semantic maps as PNG: the id of each pixel's COCO category, 0 for everything else"
    formats = ("png",)
    folder = "semantic"
    dtype = "uint16"
    unit = "category id"
    bytes_per_pixel: ClassVar = {"png": 0.03}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        ids = shot.labels.ids
        category_of = np.zeros(1 + int(ids.max(initial=0)), np.uint16)
        for instance in shot.instances:
            if instance.id < len(category_of):  # otherwise it is not in the picture
                category_of[instance.id] = categories[instance.asset.class_name]
        return category_of[ids]

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        small = int(array.max(initial=0)) < 256
        path.write_bytes(encode(".png", array.astype(np.uint8) if small else array, []))
