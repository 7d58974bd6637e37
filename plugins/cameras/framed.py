# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves the camera so that the visible box of the main instance matches the goal drawn by the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...engine.geometry import framing
from ...engine.geometry.reachability import Reached
from ...engine.geometry.support import Site
from ...engine.geometry.viewpoints import View, ViewpointSearch, draw_goal
from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.stage import CameraPose, Instance, Stage


@plugin("camera")
class Framed:
    """Solve the camera so that the visible box of the main instance has the area and centre of the goal.

    Many candidates (azimuth, height, focal length) are solved at once on the projected points of the instance. Those
    with clearance, at an allowed height and with a clear line of sight are ranked by how well the boxes of the other
    instances fill gaps in the distribution of the block. The best are probed, and the measured occlusion and silhouette
    correct the solution until the visible box is within the tolerance. Without a target, goals are drawn from ``area``.
    """

    lens: Range = param(
        (24.0, 50.0),
        min=1.0,
        soft_max=200.0,
        unit="mm",
        doc="Focal length for a sensor 36 mm wide",
        moves={"sqrt_area": "+", "depth": "+", "boxes_per_image": "-"},
    )
    height: Range = param(
        (0.3, 1.8),
        soft_max=5.0,
        unit="m",
        doc="Camera height above the ground below it",
        moves={"center_y": "+", "log_aspect": "-"},
    )
    above_surfaces: list[str] = param(
        [],
        means="object",
        doc="Name patterns of objects above which the camera must be; default is anywhere",
        formerly="above",
    )
    pitch: Range = param(
        (-60.0, 20.0),
        min=-90.0,
        max=90.0,
        unit="deg",
        doc="Pitch of the viewing direction; negative is down",
        moves={"center_y": "+", "log_aspect": "?"},
    )
    roll: Range = param((-2.0, 2.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the viewing direction")
    clearance: float = param(0.2, min=0.0, unit="m", doc="Minimum distance of the camera to any surface")
    min_visible_share: float = param(
        0.6,
        min=0.0,
        max=1.0,
        doc="Minimum share of the main instance with a clear line of sight to the camera",
        formerly="seen",
        moves={"visible_share": "+", "occluded_share": "-"},
    )
    tolerance: float = param(0.05, min=0.001, max=1.0, doc="Maximum relative error of the visible box's area")
    candidates: int = param(64, min=1, max=4096, doc="Cameras solved per instance and attempt")
    probes: int = param(4, min=1, max=100, doc="Candidates probed before the attempt is rejected")
    corrections: int = param(
        10, min=1, max=100, doc="Probes of one candidate, each of which corrects the error of the one before"
    )
    area: Range = param(
        (0.01, 0.4),
        min=0.0,
        max=1.0,
        min_exclusive=True,
        doc="Relative box areas to draw goals from if there is no target",
        moves={"sqrt_area": "+"},
        unused_with="target",
    )

    used_by_default = "with target"

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        goal = goals.main or draw_goal((i.asset.class_name for i in stage.instances), self.area, rng)
        main_candidates = [i for i in stage.instances if i.asset.class_name == goal.class_name]
        if not main_candidates:
            raise Rejected(f"camera: no {goal.class_name} on the stage")
        viewpoints = self._viewpoint_search
        views = [
            v for main in main_candidates[:4] for v in viewpoints.find_views(stage, main, goal.area, goal.center, rng)
        ]
        if not views:
            raise Rejected("camera: no free viewpoint reaches the goal")
        ranked = sorted(views, key=lambda v: (-self._value(stage, v, goals), v.order))
        reason = ""
        for view in ranked[: self.probes]:
            pose, reason = viewpoints.refine(stage, view, goal)
            if pose is not None:
                return pose
        raise Rejected(reason)

    def reachable_boxes(
        self, stage: Stage, instance: Instance, areas: np.ndarray, sites: Sequence[Site], rng: np.random.Generator
    ) -> Reached:
        """What boxes of an instance it can show from somewhere in this scene: see :class:`.reach.Reached`."""
        return self._viewpoint_search.reach(stage, instance, areas, rng)

    @property
    def _viewpoint_search(self) -> ViewpointSearch:
        return ViewpointSearch.of(self)

    def _value(self, stage: Stage, view: View, goals: Goals) -> float:
        """How well the projected boxes of other instances fill the gaps of the block; occlusion is ignored."""
        others = [i for i in stage.instances if i.id != view.main.id and i.asset.class_name]
        if not others or not goals.open_area:
            return 0.0
        boxes = [framing.pose_box(view.pose, other.outline) for other in others]
        areas = framing.box_area(framing.clip_box(np.array(boxes)))
        return float(goals.gain(np.sqrt(areas[areas > 0])).sum())
