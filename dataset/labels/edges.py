# SPDX-License-Identifier: GPL-3.0-or-later
"""Edge maps: the contours of instances, and edges between near and far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

from ...engine.output.label_pass import LabelPass
from ...engine.plugin.params import param
from ...engine.stage import Shot
from ..formats.encoders import encode

CONTOUR = 255
DEPTH_EDGE = 128


@attrs.frozen
class Edges(LabelPass):
    """255 on the contours of instances, 128 where the surface ends in front of a farther one, 0 elsewhere.

    Contours and edges are one pixel wide, on the nearer side.
    """

    edge_gap: float = param(
        0.05, min=0.001, max=1.0, doc="Least gap in depth at an edge of edge maps, as a share of the depth"
    )

    key = "edges"
    doc = "Edge maps as PNG: 255 on contours of instances, 128 on other edges between near and far"
    formats = ("png",)
    folder = "edges"
    dtype = "uint8"
    bytes_per_pixel: ClassVar = {"png": 0.05}

    def array(self, shot: Shot, categories: Mapping[str, int]) -> np.ndarray:
        ids, out = shot.labels.ids, np.zeros(shot.labels.ids.shape, np.uint8)
        with np.errstate(divide="ignore"):
            # In a picture, the inverse of the depth is linear on each plane, however steep.
            inverse = np.where(np.isfinite(shot.labels.depth), 1.0 / shot.labels.depth.astype(float), 0.0)
        for axis in range(2):
            before, after = _pair(ids.shape, axis)
            is_nearer = inverse[before] >= inverse[after]
            for kind, found in (
                (DEPTH_EDGE, _jumps(inverse, axis, self.edge_gap)),
                (CONTOUR, ids[before] != ids[after]),
            ):
                for side, chosen in ((before, found & is_nearer), (after, found & ~is_nearer)):
                    out[side] = np.maximum(out[side], np.where(chosen, np.uint8(kind), np.uint8(0)))
        return out

    def save(self, array: np.ndarray, suffix: str, path: Path) -> None:
        path.write_bytes(encode(".png", array, []))


def _pair(shape: tuple[int, ...], axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of all pixels but the last along an axis, and of all but the first."""
    first, last = [slice(None), slice(None)], [slice(None), slice(None)]
    first[axis], last[axis] = slice(None, shape[axis] - 1), slice(1, None)
    return (first[0], first[1]), (last[0], last[1])


def _jumps(inverse: np.ndarray, axis: int, gap: float) -> np.ndarray:
    """Whether the surface ends between two neighbours: neither side reaches the other one, level or as it slopes."""
    values = np.moveaxis(inverse, axis, 0)
    step = values[1:] - values[:-1]
    along = np.zeros_like(values)
    along[1:] = step  # as the side before continues
    back = np.zeros_like(values)
    back[:-1] = step  # as the side after does
    forward = np.abs(step - along[:-1])
    backward = np.abs(step - back[1:])
    jumps = np.minimum(np.minimum(forward, backward), np.abs(step)) > gap * np.maximum(values[1:], values[:-1])
    return np.asarray(np.moveaxis(jumps, 0, axis))
