# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves the camera and the positions of all assets so that every box of a frame's layout matches its goal."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ...engine.geometry.projection import lens_range
from ...engine.geometry.reachability import Reached
from ...engine.geometry.support import Site
from ...engine.geometry.viewpoints import ViewpointSearch, draw_goal
from ...engine.goals import Goals
from ...engine.layout.aspect_ratios import draw_aspects
from ...engine.layout.camera_placement import VisibilityLimits
from ...engine.layout.cameras import CameraLimits
from ...engine.layout.fixed_scene import look_at_layout
from ...engine.layout.solver import SearchBudget, Solver
from ...engine.plugin import Range, param, plugin
from ...engine.stage import CameraPose, Instance, Stage

_REFINE = 10
"""Probes of one view where nothing can be moved; cheap, for they show the main box alone."""


@plugin("camera")
class Layout:
    """Solve the camera and all positions together so that each box of the layout has the area and position of its goal.

    Placements that can be asked, such as on_surface, say where things may stand and by what rules; how many of which
    class there are is the layout's matter. Camera height, pitch and focal length, and for each box asset, turn and size
    are chosen by the least error of all boxes; then each thing's place is solved so that its visible box has the goal's
    area within the tolerance, and its centre from left to right. Probes show what things hide of each other, which is
    corrected. A box that cannot be had after all tries is left out of the frame; without the main one the attempt is
    given up. Where the main class is not placed by such a placement, because it is kept as it stands, the camera alone
    is solved for the main box, from where all boxes in view are most nearly the layout's. A target that draws one box a
    frame gives layouts of one box; without a target, its goal is drawn from ``area``.
    """

    lens: Range = param((24.0, 50.0), min=1.0, soft_max=200.0, unit="mm", doc="Focal length for a sensor 36 mm wide")
    height: Range = param((0.3, 1.8), soft_max=5.0, unit="m", doc="Camera height above the ground below it")
    above_surfaces: list[str] = param(
        [],
        means="object",
        doc="Name patterns of objects above which the camera must be; default is anywhere",
        formerly="above",
    )
    pitch: Range = param(
        (-60.0, 20.0), min=-90.0, max=90.0, unit="deg", doc="Pitch of the viewing direction; negative is down"
    )
    roll: Range = param((-2.0, 2.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the viewing direction")
    clearance: float = param(0.2, min=0.0, unit="m", doc="Minimum distance of the camera to any surface")
    min_visible_share: float = param(
        0.6, min=0.0, max=1.0, doc="Minimum share of each instance that the room does not hide", formerly="seen"
    )
    tolerance: float = param(0.05, min=0.001, max=1.0, doc="Maximum relative error of a visible box's area")
    candidates: int = param(96, min=8, max=4096, doc="Cameras solved per attempt")
    options: int = param(12, min=1, max=256, doc="Randomly rotated and scaled assets tried for each box")
    views: int = param(6, min=1, max=100, doc="Solved layouts that are placed in the scene before the best are probed")
    probes: int = param(3, min=1, max=100, doc="Layouts probed before the attempt is rejected")
    corrections: int = param(4, min=0, max=100, doc="Corrections of one layout by what its probe shows")
    area: Range = param(
        (0.01, 0.4),
        min=0.0,
        max=1.0,
        min_exclusive=True,
        doc="Relative box areas to draw goals from if there is no target",
    )

    def place_and_pose(self, stage: Stage, goals: Goals, sites: Sequence[Site], rng: np.random.Generator) -> CameraPose:
        """Put this frame's things on the stage, where ``sites`` lets them stand, and return the camera."""
        main = goals.main or draw_goal((name for site in sites for name in site.classes), self.area, rng)
        boxes = goals.boxes or (main,)
        budget = SearchBudget(self.candidates, self.options, self.views, self.probes, self.corrections)
        limits = self._limits(stage)
        return Solver(stage, sites, boxes, limits, self._visibility, budget, self.tolerance, rng).solve()

    def pose(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> CameraPose:
        """The camera whose view matches the layout best, where nothing may be moved."""
        main = goals.main or draw_goal((i.asset.class_name for i in stage.instances), self.area, rng)
        return look_at_layout(stage, goals.boxes or (main,), self._viewpoint_search, self.probes, rng)

    def reachable_boxes(
        self, stage: Stage, instance: Instance, areas: np.ndarray, sites: Sequence[Site], rng: np.random.Generator
    ) -> Reached:
        """What boxes of an instance it can show from somewhere in this scene: see :class:`.reach.Reached`."""
        reached = self._viewpoint_search.reach(stage, instance, areas, rng)
        name = instance.asset.class_name
        if not reached.areas.any() or not any(name in site.classes for site in sites):
            return reached
        limits, visibility = self._limits(stage), self._visibility
        return attrs.evolve(
            reached, aspects=draw_aspects(stage, sites, name, areas[reached.areas], limits, visibility, rng)
        )

    def _limits(self, stage: Stage) -> CameraLimits:
        lens = lens_range(stage, self.lens)
        return CameraLimits(self.height, self.pitch, self.roll, lens, stage.intrinsics)

    @property
    def _visibility(self) -> VisibilityLimits:
        return VisibilityLimits(self.clearance, self.min_visible_share, tuple(self.above_surfaces))

    @property
    def _viewpoint_search(self) -> ViewpointSearch:
        return attrs.evolve(ViewpointSearch.of(self), corrections=max(self.corrections, _REFINE))
