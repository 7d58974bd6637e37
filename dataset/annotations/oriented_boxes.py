# SPDX-License-Identifier: GPL-3.0-or-later
"""Oriented boxes: the smallest turned rectangle around each visible mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...engine.output.annotation_source import AnnotationSource, Entry, are_numbers
from ...engine.stage import Instance, Shot
from ..exports.outlines import rings, turned_box


class OrientedBoxes(AnnotationSource):
    """The smallest rectangle, in any direction, that contains all pixels of the visible mask with their edges."""

    key = "oriented_boxes"
    doc = "Oriented boxes of visible masks: centre, width, height and angle"
    entries: ClassVar = {
        "oriented_bbox": Entry(
            "[x, y, w, h, a]: centre and size in pixels, and the clockwise angle in degrees, from 0 to 90, from the x "
            "axis to the side w",
            are_numbers(5),
            axes="xywha",
        )
    }

    def annotate(self, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
        if not row["bbox"]:
            return {}
        outlines = [[float(value) for value in ring] for part in rings(shot.mask(instance.id)) for ring in part[:1]]
        corners = np.reshape(turned_box(outlines, row["bbox"]), (4, 2))
        return {"oriented_bbox": _parameters(corners)}


def _parameters(corners: np.ndarray) -> list[float]:
    """Centre, size and angle of a rectangle from its corners (4, 2) in order."""
    x, y = corners.mean(0)
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    angle = float(np.degrees(np.arctan2(first[1], first[0]))) % 180.0
    w, h = float(np.hypot(*first)), float(np.hypot(*second))
    if angle > 90.0 or np.isclose(angle, 180.0):
        angle, w, h = angle - 90.0, h, w
    return [float(x), float(y), w, h, angle]
