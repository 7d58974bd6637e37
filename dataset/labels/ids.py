# SPDX-License-Identifier: GPL-3.0-or-later
"""Id maps: which instance each pixel shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...engine.errors import OutputError
from ...engine.output.label_pass import LabelPass
from ...engine.stage import Shot
from ..formats.encoders import encode


class Ids(LabelPass):
    """The id that each pixel's instance has in the record; 0 where there is none."""

    key = "masks"
    doc = "Id maps as 16-bit PNG"
    formats = ("png",)
    folder = "masks"
    dtype = "int32"
    unit = "instance id"
    bytes_per_pixel: ClassVar = {"png": 0.05}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        return shot.labels.ids

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        path.write_bytes(encode_ids(array))


def encode_ids(ids: np.ndarray) -> bytes:
    """An id map (H, W) as the bytes of a 16-bit PNG."""
    ids = np.asarray(ids)
    if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
        raise OutputError(f"An id map holds the id {ids.max()}; a 16-bit PNG holds 0 to 65535. Set masks = false.")
    return encode(".png", ids.astype(np.uint16), [])
