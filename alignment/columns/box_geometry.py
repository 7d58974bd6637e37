# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns that boxes alone give: size, position, aspect, and what derives from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engine.plugin.columns import METHOD, Column
from .box_data import BoxData

Measured = Mapping[str, np.ndarray]

_COUNT_BINS = (0.5, 20.5)
"""One histogram bin for each count from 1 to 20; larger counts are in the last one."""


def _relative_area(data: BoxData) -> np.ndarray:
    return np.asarray(data.bboxes[:, 2] * data.bboxes[:, 3] / (data.width * data.height))


def _center(data: BoxData, axis: int) -> np.ndarray:
    size = (data.width, data.height)[axis]
    return np.asarray((data.bboxes[:, axis] + data.bboxes[:, axis + 2] / 2) / size)


def _touches_border(data: BoxData) -> np.ndarray:
    x, y, w, h = data.bboxes.T
    return np.asarray((x < 1) | (y < 1) | (x + w > data.width - 1) | (y + h > data.height - 1))


BORDER = 0.01
"""Boxes that end within this share of the image's side from a border count as cut by it: labels are not exact."""


def _near_border(measured: Measured) -> np.ndarray | None:
    """Whether boxes end near a border; places in pixels and in image units together say the size of the image."""
    names = ("center_x", "center_y", *(f"bbox_{axis}" for axis in "xywh"))
    if not all(name in measured for name in names):
        return None
    center_x, center_y, x, y, w, h = (np.asarray(measured[name], dtype=float) for name in names)
    near = np.zeros(len(x), dtype=bool)
    for center, start, length in ((center_x, x, w), (center_y, y, h)):
        size = np.divide(start + length / 2, center, out=np.full(len(center), np.nan), where=center > 0)
        margin = np.maximum(1.0, BORDER * size)
        near |= (start < margin) | (start + length > size - margin)
    known = np.isfinite(center_x + center_y + x + y + w + h)
    return np.where(known, near.astype(float), np.nan)


def _area(measured: Measured) -> np.ndarray | None:
    area = measured.get("bbox_area")
    return None if area is None else np.minimum(area, 1.0)


def _sqrt_area(measured: Measured) -> np.ndarray | None:
    area = _area(measured)
    return None if area is None else np.asarray(np.sqrt(np.where(area >= 0, area, np.nan)))


def _log_aspect(measured: Measured) -> np.ndarray | None:
    if "log_aspect" in measured:
        return measured["log_aspect"]
    aspect = measured.get("aspect")
    return None if aspect is None else np.asarray(np.log(np.where(aspect > 0, aspect, np.nan)))


def _in_image(name: str, measured: Measured) -> np.ndarray | None:
    center = measured.get(name)
    return None if center is None else np.clip(center, 0.0, 1.0)


COLUMNS = (
    Column(
        "bbox_area",
        definition="Area of the box relative to its image.",
        source=METHOD,
        kind="share",
        domain=(0.0, 1.0),
        measure=_relative_area,
        synonym_of="sqrt_area",
        reported=False,
    ),
    Column(
        "aspect",
        definition="Width of the box over its height, both in pixels.",
        source=METHOD,
        domain=(0.0, np.inf),
        measure=lambda data: data.bboxes[:, 2] / data.bboxes[:, 3],
        synonym_of="log_aspect",
        reported=False,
    ),
    Column(
        "sqrt_area",
        label="Box size",
        definition="Square root of the area of the box relative to its image.",
        source=METHOD,
        axis="√(box area / image area)",
        phrase="box size (square root of relative area)",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        log=True,
        derive=_sqrt_area,
        composite=True,
        priority=0,
    ),
    Column(
        "area",
        label="Box area",
        definition="Area of the box relative to its image.",
        source=METHOD,
        kind="share",
        axis="box area / image area",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        log=True,
        derive=_area,
        synonym_of="sqrt_area",
        priority=0,
    ),
    Column(
        "center_x",
        label="Horizontal position",
        definition="Centre of the box from the left, in image widths.",
        source=METHOD,
        axis="box centre / image width",
        larger="further right",
        smaller="further left",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        measure=lambda data: _center(data, 0),
        derive=lambda measured: _in_image("center_x", measured),
        priority=0,
    ),
    Column(
        "center_y",
        label="Vertical position",
        definition="Centre of the box from the top, in image heights.",
        source=METHOD,
        axis="box centre / image height, down",
        larger="lower in the picture",
        smaller="higher in the picture",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        measure=lambda data: _center(data, 1),
        derive=lambda measured: _in_image("center_y", measured),
        composite=True,
        priority=0,
    ),
    Column(
        "log_aspect",
        label="Aspect",
        definition="Natural logarithm of the width of the box over its height.",
        source=METHOD,
        axis="ln(width / height)",
        larger="broader for their height",
        smaller="narrower for their height",
        derive=_log_aspect,
        priority=0,
    ),
    Column(
        "boxes_per_image",
        label="Boxes per image",
        definition="Boxes of the class in each image that has any.",
        levels=("image",),
        kind="count",
        axis="count",
        larger="more numerous",
        smaller="fewer",
        domain=(1.0, np.inf),
        bin_range=_COUNT_BINS,
    ),
    Column(
        "touches_border",
        label="At the border",
        definition="Whether the box reaches within a pixel of the image border, as boxes of cut objects do; when "
        "datasets are compared, within 1 % of the image's side on both, as labels of photos are not exact.",
        kind="flag",
        axis="no or yes",
        phrase="boxes at the border",
        larger="more often at the border",
        smaller="less often at the border",
        domain=(0.0, 1.0),
        measure=_touches_border,
        derive=_near_border,
    ),
)
