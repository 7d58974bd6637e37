# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates which aspect ratios boxes of a class can have in front of the cameras that a recipe allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..geometry.framing import uncut_aspects
from ..geometry.support import Site
from ..goals import Goal
from ..rng import log_uniform
from ..stage import Stage
from .asset_options import draw_options
from .camera_placement import VisibilityLimits
from .cameras import CameraLimits, draw_cameras
from .fit import INFEASIBLE_COST, GoalArrays, fit
from .height_maps import camera_map


def draw_aspects(
    stage: Stage,
    sites: Sequence[Site],
    class_name: str,
    areas: np.ndarray,
    limits: CameraLimits,
    visibility: VisibilityLimits,
    rng: np.random.Generator,
    *,
    options: int = 96,
    cameras: int = 16,
) -> np.ndarray:
    """Width over height in pixels (N,) of random boxes of a class that no border of the image cuts.

    Assets, drawn, rotated and scaled as their placements do, are put in front of random cameras so that their boxes
    have random areas and positions in the image. Occlusion is ignored.

    Parameters
    ----------
    stage : Stage
    sites : sequence of Site
        Where assets may be placed; at least one of them serves the class.
    areas : (A,) float
        Relative areas that boxes of the class can have; those between the least and the largest are drawn.
    limits, sights
        What the cameras may do and must see.
    options, cameras : int
        Number of assets, and of cameras.
    """
    goals = []
    for area in log_uniform(rng, (float(areas.min()), float(areas.max())), options):
        margin = min(float(np.sqrt(area)) / 2, 0.5)
        goals.append(Goal(class_name, float(area), tuple(rng.uniform(margin, 1 - margin, 2))))
    drawn = [option for goal in goals for option in draw_options(stage, sites, goal, 1, rng)]
    eye = float(np.median([t.level for t in drawn])) + sum(limits.height) / 2
    height_map = camera_map(stage, eye, visibility.clearance, visibility.above_surfaces)
    if not len(height_map.levels):
        return np.empty(0)
    owner = np.arange(len(drawn))
    trial_cameras = draw_cameras(limits, height_map, goals, drawn, owner, cameras, stage.resolution, rng)
    fits = fit(drawn, GoalArrays.of(goals, stage.resolution), trial_cameras, stage.resolution)
    # In a small room nothing is far away.
    length = float(np.linalg.norm(np.subtract(*stage.bounds)[:2]))
    return uncut_aspects(fits.box[(fits.cost < INFEASIBLE_COST) & (fits.distance <= length)], stage.resolution)
