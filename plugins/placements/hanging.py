# SPDX-License-Identifier: GPL-3.0-or-later
"""Hangs instances under surfaces: lamps from ceilings, signs, tools from rails."""

from __future__ import annotations

import numpy as np

from ...engine.errors import StageError
from ...engine.geometry.ground import Faces, faces_of
from ...engine.geometry.support import CONTACT_GAP, rotation_about
from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.plugin.placed_assets import (
    check_count,
    check_surfaces,
    classes_param,
    count_param,
    distractor_names_param,
    distractors_param,
    draw_instances,
    gap_param,
    mask_param,
    max_slope_param,
    placed_assets,
    surfaces_param,
    yaw_param,
)
from ...engine.stage import Asset, Stage

_BELOW = 1e-3


@plugin("placement")
class Hanging:
    """Hang instances under surfaces, upright, their highest point touching what is above or at the end of a cord.

    Points are drawn uniformly by area on faces that are level enough and have something below them, so that nothing
    hangs under the floor. An instance intersects nothing. The cord itself is not drawn.
    """

    surfaces: list[str] = surfaces_param()
    classes: list[str] = classes_param()
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    mask: str = mask_param()
    count: tuple[int, int] = count_param()
    cord: Range = param(
        (0.0, 0.0), min=0.0, soft_max=3.0, unit="m", doc="Distance between the surface and the highest point"
    )
    min_headroom: float = param(
        0.0, min=0.0, soft_max=3.0, unit="m", doc="Minimum height of the lowest point above what is below"
    )
    yaw: Range = yaw_param({"log_aspect": "?"})
    sway: Range = param((0.0, 0.0), min=0.0, max=90.0, unit="deg", doc="Tilt in a random direction about the top")
    max_slope: float = max_slope_param()
    gap: float = gap_param()
    tries: int = param(50, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = 'surfaces = ["Ceiling"]\ncord = [0.2, 0.8]'

    def __attrs_post_init__(self) -> None:
        check_count("count", self.count)
        check_surfaces(self.surfaces)

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first.

        Raises
        ------
        Rejected
            The main instance, or in a frame without a goal the first one, could not be placed. Others are
            omitted silently.
        StageError
            There are no assets, or no surface is level enough.
        """
        assets = placed_assets(stage, self.classes, self.distractors, self.distractor_names, "Placement 'hanging'")
        ceilings = self._ceilings(stage)
        for asset, is_required in draw_instances(assets, self.count, goals, rng):
            scale = rng.uniform(*asset.scale_range)
            points, _ = ceilings.points(rng, self.tries)
            cords, yaws = rng.uniform(*self.cord, self.tries), np.radians(rng.uniform(*self.yaw, self.tries))
            sways = np.radians(rng.uniform(*self.sway, self.tries))
            towards = rng.uniform(0.0, 2 * np.pi, self.tries)
            placed = False
            for point, cord, yaw, sway, direction in zip(points, cords, yaws, sways, towards, strict=True):
                turn = rotation_about((0.0, 0.0, 1.0), float(yaw))
                turn = rotation_about((-np.sin(direction), np.cos(direction), 0.0), float(sway)) @ turn
                if placed := self._hang(stage, asset, scale * turn, point, float(cord)):
                    break
            if not placed and is_required:
                raise Rejected("placement: no room to hang")

    def _ceilings(self, stage: Stage) -> Faces:
        """The faces that are level enough."""
        least = np.cos(np.radians(self.max_slope)) - 1e-9
        found = faces_of(stage.surfaces(self.surfaces, self.mask), lambda normals: np.abs(normals[:, 2]) >= least)
        if found is None:
            raise StageError(
                f"The surfaces {', '.join(self.surfaces)} of placement 'hanging' are steeper than max_slope "
                f"{self.max_slope:g} deg everywhere. Choose other surfaces or raise max_slope."
            )
        return found

    def _hang(self, stage: Stage, asset: Asset, linear: np.ndarray, point: np.ndarray, cord: float) -> bool:
        body = asset.mesh.vertices @ linear.T
        top = body[body[:, 2].argmax()]
        # Nothing hangs inside a slab of which the top was drawn, nor under what has nothing below.
        below = stage.cast((point - (0.0, 0.0, _BELOW))[None], np.array([[0.0, 0.0, -1.0]])).distance[0]
        length = float(top[2] - body[:, 2].min())
        if not np.isfinite(below) or below + _BELOW < length + cord + self.min_headroom:
            return False
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        matrix[:3, 3] = point - (0.0, 0.0, CONTACT_GAP + cord) - top
        if stage.collides(asset, matrix, gap=self.gap):
            return False
        stage.place(asset, matrix)
        return True
