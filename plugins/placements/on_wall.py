# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts instances on walls: pictures, switches, clocks, shelves, upright and flat against the wall."""

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
    placed_assets,
    surfaces_param,
)
from ...engine.stage import Asset, Stage

_AXES = {
    "y": (0.0, 1.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "x": (1.0, 0.0, 0.0),
    "-x": (-1.0, 0.0, 0.0),
    "-z": (0.0, 0.0, -1.0),
}
_BEFORE = 0.02
"""Metres in front of the wall from which it is looked at."""
_BACK = 5
"""Points along each side of the back that must have wall behind them."""


@plugin("placement")
class OnWall:
    """Mount instances on walls: flat against them, upright, at a height above the floor, such as pictures and switches.

    Points are drawn uniformly by area on faces that are steep enough. The back of an instance lies on the wall, and
    there must be wall behind all of it. It intersects nothing.
    """

    surfaces: list[str] = surfaces_param()
    classes: list[str] = classes_param()
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    mask: str = mask_param()
    count: tuple[int, int] = count_param()
    back: str = param(
        "y",
        choices=tuple(_AXES),
        doc="Which side of the models is against the wall; -z for those that are modelled lying on their back, whose y "
        "axis then points up",
    )
    height: Range = param(
        (1.0, 1.8), soft_min=0.0, soft_max=4.0, unit="m", doc="Height of the instance's middle above what is below"
    )
    clearance: float = param(
        0.5, min=0.0, soft_max=3.0, unit="m", doc="Minimum free distance in front of the wall, also if it is hollow"
    )
    indoors: bool = param(False, doc="Place only where there is something above, so not on the outside of a building")
    roll: Range = param((0.0, 0.0), min=-180.0, max=180.0, unit="deg", doc="Rotation about the normal of the wall")
    min_slope: float = param(70.0, min=1.0, max=90.0, unit="deg", doc="Minimum slope of the faces to place on")
    max_support_gap: float = param(
        0.01, min=0.0, soft_max=0.1, unit="m", doc="Maximum distance of the wall behind the back"
    )
    gap: float = gap_param(0.05)
    tries: int = param(100, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = 'surfaces = ["Wall*"]\nheight = [1.2, 1.7]'

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
            There are no assets, or no surface is steep enough.
        """
        assets = placed_assets(stage, self.classes, self.distractors, self.distractor_names, "Placement 'on_wall'")
        walls = self._walls(stage)
        for asset, is_required in draw_instances(assets, self.count, goals, rng):
            scale = rng.uniform(*asset.scale_range)
            points, chosen = walls.points(rng, self.tries)
            rolls = np.radians(rng.uniform(*self.roll, size=self.tries))
            poses = zip(points, walls.normals[chosen], rolls, strict=True)
            placed = any(self._mount(stage, asset, scale, *pose) for pose in poses)
            if not placed and is_required:
                raise Rejected("placement: no room on the wall")

    def _walls(self, stage: Stage) -> Faces:
        """The faces that are steep enough."""
        most = np.cos(np.radians(self.min_slope)) + 1e-9
        found = faces_of(stage.surfaces(self.surfaces, self.mask), lambda normals: np.abs(normals[:, 2]) <= most)
        if found is None:
            raise StageError(
                f"The surfaces {', '.join(self.surfaces)} of placement 'on_wall' are nowhere steeper than min_slope "
                f"{self.min_slope:g} deg. Choose walls, or lower min_slope."
            )
        return found

    def _mount(
        self, stage: Stage, asset: Asset, scale: float, point: np.ndarray, normal: np.ndarray, roll: float
    ) -> bool:
        for side in (normal, -normal):  # the room may be on either side of a single sheet
            before = point + _BEFORE * side
            directions = np.array([(0.0, 0.0, -1.0), (0.0, 0.0, 1.0), side])
            below, above, front = stage.cast(np.stack([before] * 3), directions).distance
            if not self.height[0] <= below <= self.height[1] or front + _BEFORE < self.clearance:
                continue
            if self.indoors and not np.isfinite(above):
                continue
            matrix = self._pose(asset, scale, point, side, roll)
            if self._is_backed(stage, asset, matrix, side) and not stage.collides(asset, matrix, gap=self.gap):
                stage.place(asset, matrix)
                return True
        return False

    def _pose(self, asset: Asset, scale: float, point: np.ndarray, side: np.ndarray, roll: float) -> np.ndarray:
        """The matrix of an asset whose back is at a point, away from the wall along ``side`` (3,)."""
        back = np.array(_AXES[self.back])
        up = np.array([0.0, 1.0, 0.0]) if self.back == "-z" else np.array([0.0, 0.0, 1.0])
        across = np.cross([0.0, 0.0, 1.0], side)
        across /= np.linalg.norm(across)
        model = np.stack([np.cross(up, -back), up, -back], 1)
        world = np.stack([across, np.cross(side, across), side], 1)
        turn = rotation_about(tuple(side), roll) @ world @ model.T
        low, high = asset.bounds
        middle = (low + high) / 2 + back * float(np.abs(back) @ (high - low)) / 2
        matrix = np.eye(4)
        matrix[:3, :3] = scale * turn
        matrix[:3, 3] = point + CONTACT_GAP * side - matrix[:3, :3] @ middle
        return matrix

    def _is_backed(self, stage: Stage, asset: Asset, matrix: np.ndarray, side: np.ndarray) -> bool:
        """Whether there is wall behind the whole back."""
        back = np.array(_AXES[self.back])
        low, high = asset.bounds
        share = np.linspace(0.0, 1.0, _BACK)
        grid = np.stack(np.meshgrid(share, share, share, indexing="ij"), -1).reshape(-1, 3)
        depth = grid @ np.abs(back) if back.sum() > 0 else 1 - grid @ np.abs(back)
        points = (low + grid[depth == 1.0] * (high - low)) @ matrix[:3, :3].T + matrix[:3, 3]
        hits = stage.cast(points + _BEFORE * side, np.broadcast_to(-side, points.shape))
        away = hits.distance - _BEFORE
        return bool((np.abs(away - CONTACT_GAP) <= self.max_support_gap + 1e-6).all() and (hits.owner == 0).all())
