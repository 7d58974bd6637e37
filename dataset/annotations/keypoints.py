# SPDX-License-Identifier: GPL-3.0-or-later
"""Keypoints as COCO has them: named points of assets, each seen, hidden or outside the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...engine.geometry.point_visibility import point_states
from ...engine.output.annotation_source import AnnotationSource, Entry, are_numbers, is_count
from ...engine.recipe.tables.classes import ClassSettings
from ...engine.scene.keypoint import keypoint_name, skeleton_pairs
from ...engine.scene.rigid import rigid_parts
from ...engine.stage import Instance, Shot
from .poses import FLAGS

MISSING = "missing"
"""State of a point that the asset does not have, though others of its class do."""


def _are_states(value: Any) -> bool:
    return isinstance(value, list) and all(state in (*FLAGS, MISSING) for state in value)


class Keypoints(AnnotationSource):
    """Keypoints of classes that declare ``keypoints``: x, y, v of each, in the order of the class."""

    entries: ClassVar = {
        "keypoints": Entry(
            "x, y in pixels and COCO's visibility v of each keypoint: 2 seen, 1 hidden, 0 outside (x = y = 0)",
            are_numbers(),
            at="annotation",
        ),
        "num_keypoints": Entry("Keypoints with v above 0", is_count, at="annotation"),
        "keypoint_states": Entry(
            "For each keypoint visible, hidden by itself, hidden by others, outside or missing",
            _are_states,
            at="annotation",
        ),
    }

    def annotate(self, instance: Instance, row: Mapping[str, Any], shot: Shot) -> Mapping[str, Any]:
        points = instance.asset.keypoints
        if not points:
            return {}
        known = {name: point for name, point in points.items() if point is not None}
        _, _, scale = rigid_parts(instance.matrix)
        positions = np.array([point.position for point in known.values()]).reshape(-1, 3)
        world = positions @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
        slack = np.array([2 * scale * point.depth for point in known.values()])
        pixels, states = point_states(shot, world, instance.id, slack)
        found = dict(zip(known, zip(pixels.tolist(), states, strict=True), strict=True))
        values: list[float] = []
        for name in points:
            at, state = found.get(name, ((0.0, 0.0), "outside"))
            flag = FLAGS[state]
            values += [*(at if flag else (0.0, 0.0)), flag]
        return {
            "keypoints": values,
            "num_keypoints": sum(flag > 0 for flag in values[2::3]),
            "keypoint_states": [found[name][1] if name in found else MISSING for name in points],
        }

    def category_of(self, settings: ClassSettings) -> Mapping[str, Any]:
        names = [keypoint_name(text) for text in settings.keypoints]
        return {"keypoints": names, "skeleton": skeleton_pairs(settings.skeleton, names)} if names else {}
