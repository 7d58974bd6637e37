# SPDX-License-Identifier: GPL-3.0-or-later
"""Places instances at the sides of others, facing them and partly under them: chairs at tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...engine.errors import StageError
from ...engine.geometry.facing import front_direction
from ...engine.geometry.support import Ground, Site, SupportRules, find_ground, nearest_ground_point, rotation_about
from ...engine.goals import Goals
from ...engine.plugin import Range, param, plugin
from ...engine.plugin.params import unknown
from ...engine.plugin.placed_assets import (
    check_count,
    distractor_names_param,
    distractors_param,
    gap_param,
    mask_param,
    max_overhang_param,
    max_slope_param,
    max_support_gap_param,
    placed_assets,
    surfaces_param,
)
from ...engine.stage import Asset, Instance, Stage, draw_asset

_UP = (0.0, 0.0, 1.0)
_STEP = 0.5
"""Metres that the ground beside an instance may be above or below its base."""


@plugin("placement")
class Beside:
    """Place instances at the sides of other instances, facing them and partly under them, as chairs stand at tables.

    Write it after the placement of the instances that it looks for. A side of the other's bounding box is drawn by its
    length, a position along it and a distance; the front is turned towards the other. The front is opposite of what is
    tall, such as a backrest; what has no such part, as a stool, is turned at random. Contact, support and collisions
    are checked as by on_surface.
    """

    anchors: list[str] = param(means="class", doc="Classes of the instances to place things beside")
    surfaces: list[str] = surfaces_param()
    classes: list[str] = param(
        [], means="class", doc="Classes to place; default is all annotated classes that are no anchors"
    )
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    mask: str = mask_param()
    count: tuple[int, int] = param(
        (0, 4),
        min=0,
        max=1_000,
        soft_max=10,
        doc="Minimum and maximum number of instances at each anchor",
        moves={"boxes_per_image": "+", "visible_share": "-", "occluded_share": "+"},
    )
    matching: bool = param(True, doc="Use the same asset for all instances at one anchor")
    distance: Range = param(
        (-0.3, 0.3),
        soft_min=-1.0,
        soft_max=2.0,
        unit="m",
        doc="From the side of the anchor to the front of the instance; negative is partly under the anchor",
        moves={"visible_share": "+", "occluded_share": "-"},
    )
    yaw: Range = param(
        (-15.0, 15.0),
        min=-180.0,
        max=180.0,
        unit="deg",
        doc="Rotation about the vertical axis away from facing the anchor",
        moves={"log_aspect": "?"},
    )
    max_slope: float = max_slope_param()
    max_overhang: float = max_overhang_param()
    max_support_gap: float = max_support_gap_param()
    gap: float = gap_param()
    tries: int = param(20, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = 'anchors = ["table"]\nsurfaces = ["Floor*"]'

    def __attrs_post_init__(self) -> None:
        check_count("count", self.count)
        for name in ("anchors", "surfaces"):
            if not getattr(self, name):
                raise ValueError(f"'{name}' must name at least one.")

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place instances beside the anchors of this frame; what finds no place is omitted silently.

        Raises
        ------
        StageError
            There are no assets, no surface is flat enough, or an anchor's class is unknown.
        """
        groups = self._assets(stage)
        anchors = [i for i in stage.instances if i.asset.class_name in self.anchors]
        if not anchors:
            return
        site = self._site(stage)
        for anchor in anchors:
            number = int(rng.integers(self.count[0], self.count[1] + 1))
            first = _draw(groups, rng)
            for k in range(number):
                asset = first if self.matching or k == 0 else _draw(groups, rng)
                self._place_one(stage, asset, anchor, site, rng)

    def _assets(self, stage: Stage) -> list[Sequence[Asset]]:
        known = [name for name in stage.assets if name]
        for name in self.anchors:
            if name not in known:
                raise StageError(unknown("Placement 'beside' names the anchor", name, known))
        classes = self.classes
        if not classes and not self.distractors:
            classes = [name for name in known if name not in self.anchors and stage.assets[name]]
            if not classes:
                raise StageError("Placement 'beside' has only anchors to place. Name other 'classes'.")
        found = placed_assets(stage, classes, self.distractors, self.distractor_names, "Placement 'beside'")
        return list(found.values())

    def _site(self, stage: Stage) -> Site:
        ground = find_ground(stage, self.surfaces, self.mask, self.max_slope, "placement 'beside'")
        support = SupportRules(self.max_slope, self.max_overhang, self.max_support_gap, 0.0)
        return Site(ground, support, (), 0.0, self.gap, align_to_normal=False, yaw=self.yaw, tilt=(0.0, 0.0))

    def _place_one(self, stage: Stage, asset: Asset, anchor: Instance, site: Site, rng: np.random.Generator) -> None:
        scale = rng.uniform(*asset.scale_range)
        for rotation, point, normal in self._poses(asset, scale, anchor, site.ground, rng):
            matrix = site.resting_pose(stage, asset, scale, rotation, point, normal, tilted=False)
            if not isinstance(matrix, str):
                stage.place(asset, matrix)
                return

    def _poses(
        self, asset: Asset, scale: float, anchor: Instance, ground: Ground, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Rotations (3, 3), and the points and normals (3,) of the ground under the origin of the asset."""
        corners, base = _bounding_rectangle(anchor)
        sides = np.roll(corners, -1, 0) - corners
        lengths = np.linalg.norm(sides, axis=1)
        front = front_direction(asset.mesh)
        for _ in range(self.tries):
            side = int(rng.choice(4, p=lengths / lengths.sum()))
            along = sides[side] / lengths[side]
            outward = np.array([along[1], -along[0]])
            yaw, anywhere = np.radians(rng.uniform(*self.yaw)), rng.uniform(0, 2 * np.pi)
            if front is not None:
                turn = np.arctan2(-outward[1], -outward[0]) - np.arctan2(front[1], front[0]) + yaw
            else:
                turn = anywhere
            rotation = rotation_about(_UP, float(turn))
            body = scale * (asset.mesh.vertices @ rotation[:2].T)
            width, depth = body @ along, body @ outward
            room = max(lengths[side] - np.ptp(width), 0.0) / 2
            shift = rng.uniform(-room, room) - (width.min() + width.max()) / 2
            away = rng.uniform(*self.distance) - depth.min()
            xy = (corners[side] + sides[side] / 2) + shift * along + away * outward
            hit = nearest_ground_point(ground, np.array([*xy, base]), _STEP)
            if hit is not None:
                yield rotation, *hit


def _draw(groups: Sequence[Sequence[Asset]], rng: np.random.Generator) -> Asset:
    return draw_asset(groups[int(rng.integers(len(groups)))], rng)


def _bounding_rectangle(instance: Instance) -> tuple[np.ndarray, float]:
    """Corners (4, 2) of an upright instance's box from above, counter-clockwise, and the height of its base."""
    low, high = instance.asset.bounds
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    matrix = instance.matrix
    return corners @ matrix[:2, :2].T + matrix[:2, 3] + matrix[:2, 2] * low[2], float(
        (instance.asset.mesh.vertices @ matrix[2, :3]).min() + matrix[2, 3]
    )
