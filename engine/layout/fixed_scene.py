# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera whose view is nearest to a layout in a scene in which nothing may be moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..geometry.framing import box_area, clip_box, pose_box
from ..geometry.viewpoints import View, ViewpointSearch
from ..goals import Goal
from ..plugin.results import Rejected
from ..stage import CameraPose, Stage
from .matching import match

_MAX_MAIN_INSTANCES = 6
"""Instances that are tried as the main one."""
_MIN_AREA = 2e-4
"""Relative area below which a box is ignored."""


def look_at_layout(
    stage: Stage, goals: Sequence[Goal], viewpoints: ViewpointSearch, probes: int, rng: np.random.Generator
) -> CameraPose:
    """Solve the camera for the main goal, once for each instance of its class, and return the view in which the boxes
    of all instances match the layout best.

    Raises
    ------
    Rejected
        Where no camera reaches the main goal.
    """
    main = goals[0]
    mains = [i for i in stage.instances if i.asset.class_name == main.class_name]
    if not mains:
        raise Rejected(f"camera: no {main.class_name} on the stage")
    views = [
        v for m in mains[:_MAX_MAIN_INSTANCES] for v in viewpoints.find_views(stage, m, main.area, main.center, rng)
    ]
    if not views:
        raise Rejected("camera: no free viewpoint reaches the goal")
    cost = np.array([_cost(stage, view, goals) for view in views])
    reason = ""
    for k in np.argsort(cost, kind="stable")[:probes]:
        pose, reason = viewpoints.refine(stage, views[k], main)
        if pose is not None:
            return pose
    raise Rejected(reason)


def _cost(stage: Stage, view: View, goals: Sequence[Goal]) -> float:
    """Distance of the projected boxes from the layout; occlusion is left to the probe."""
    pose = view.pose
    names, boxes = [], []
    for instance in stage.instances:
        outline = instance.outline
        if not instance.asset.class_name or (pose.project(outline)[1] <= pose.near).all():
            continue
        box = clip_box(pose_box(pose, outline))
        if box_area(box) > _MIN_AREA:
            names.append(instance.asset.class_name)
            boxes.append(box)
    return match(names, np.array(boxes).reshape(-1, 4), goals)[1]
