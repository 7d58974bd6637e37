# SPDX-License-Identifier: GPL-3.0-or-later
"""Places instances anywhere in the air in any orientation: the naive baseline."""

from __future__ import annotations

import numpy as np

from ...engine.geometry.rotations import uniform_rotation
from ...engine.goals import Goals
from ...engine.plugin import Rejected, param, plugin
from ...engine.plugin.placed_assets import (
    check_count,
    classes_param,
    count_param,
    distractor_names_param,
    distractors_param,
    draw_instances,
    gap_param,
    placed_assets,
)
from ...engine.stage import Asset, Stage

Vector = tuple[float, float, float]


@plugin("placement")
class InAir:
    """Place instances anywhere in a region in any orientation, without support: the naive baseline [Zhang2023, §4].

    The centre of an instance is uniform in the region, and its rotation uniform among all rotations. Use it as the
    baseline that a better placement has to beat, or for things that fly.
    """

    classes: list[str] = classes_param()
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    count: tuple[int, int] = count_param()
    low: Vector | None = param(
        None, unit="m", doc="Lowest x, y and z of the centres of instances; default is the scene's bounding box"
    )
    high: Vector | None = param(
        None, unit="m", doc="Highest x, y and z of the centres of instances; default is the scene's bounding box"
    )
    cluster_radius: float = param(
        0.0,
        min=0.0,
        soft_max=5.0,
        unit="m",
        doc="Maximum distance of further instances to the first one; 0 for no limit",
        moves={"sqrt_area": "-", "boxes_per_image": "-", "touches_border": "+"},
    )
    upright: bool = param(False, doc="Rotate instances about the vertical axis only", moves={"log_aspect": "?"})
    allow_intersections: bool = param(False, doc="Let instances intersect each other and the scene")
    gap: float = gap_param(0.0)
    tries: int = param(50, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = "count = [2, 5]"

    def __attrs_post_init__(self) -> None:
        check_count("count", self.count)
        if self.low is not None and self.high is not None and any(np.greater(self.low, self.high)):
            raise ValueError(f"'low' must not be above 'high'. Got {list(self.low)} and {list(self.high)}.")

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first.

        Raises
        ------
        Rejected
            The main instance, or in a frame without a goal the first one, could not be placed. Others are
            omitted silently.
        StageError
            There are no assets.
        """
        assets = placed_assets(stage, self.classes, self.distractors, self.distractor_names, "Placement 'in_air'")
        center: np.ndarray | None = None
        for asset, is_required in draw_instances(assets, self.count, goals, rng):
            position = self._place_one(stage, asset, center, rng)
            if position is None and is_required:
                raise Rejected("placement: no room in the air")
            center = position if center is None else center

    def _place_one(
        self, stage: Stage, asset: Asset, cluster_center: np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The centre of an instance that was placed; None where none of the tries is free."""
        scale = rng.uniform(*asset.scale_range)
        low, high = self._region(stage)
        middle = (asset.bounds[0] + asset.bounds[1]) / 2
        draw = _vertical_rotation if self.upright else uniform_rotation
        rotations = [draw(rng) for _ in range(self.tries)]
        positions = self._positions(low, high, cluster_center, rng)
        for position, rotation in zip(positions, rotations, strict=True):
            matrix = np.eye(4)
            matrix[:3, :3] = scale * rotation
            matrix[:3, 3] = position - matrix[:3, :3] @ middle
            if self.allow_intersections or not stage.collides(asset, matrix, gap=self.gap):
                stage.place(asset, matrix)
                return np.asarray(position)
        return None

    def _region(self, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
        low, high = (np.asarray(end, dtype=float) for end in stage.bounds)
        low = low if self.low is None else np.asarray(self.low)
        high = high if self.high is None else np.asarray(self.high)
        return low, np.maximum(low, high)

    def _positions(
        self, low: np.ndarray, high: np.ndarray, cluster_center: np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Points (tries, 3), uniform in the region; near the first instance, in the part of it within the radius."""
        n = self.tries
        if cluster_center is None or self.cluster_radius == 0:
            return rng.uniform(low, high, (n, 3))
        low = np.maximum(low, cluster_center - self.cluster_radius)
        high = np.minimum(high, cluster_center + self.cluster_radius)
        points = rng.uniform(low, np.maximum(low, high), (8 * n, 3))  # of a whole cube, half is in its ball
        points = points[np.linalg.norm(points - cluster_center, axis=1) <= self.cluster_radius][:n]
        return np.concatenate([points, np.repeat(cluster_center[None], n - len(points), 0)])


def _vertical_rotation(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
