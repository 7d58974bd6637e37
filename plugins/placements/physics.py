# SPDX-License-Identifier: GPL-3.0-or-later
"""Drops, pours or stacks things, and lets Blender's rigid bodies bring them to rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...engine.errors import StageError
from ...engine.geometry.rotations import uniform_rotation
from ...engine.geometry.support import rotation_about
from ...engine.goals import Goals
from ...engine.physics.rest import come_to_rest, mass_of
from ...engine.physics.start import Target, instance_target, stacked_pose, start_pose, surface_target
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.plugin.params import unknown
from ...engine.plugin.placed_assets import (
    check_count,
    distractor_names_param,
    distractors_param,
    draw_assets,
    draw_count,
    mask_param,
    placed_assets,
)
from ...engine.scene.bodies import BODY_SHAPES, RigidBody
from ...engine.stage import Asset, Instance, Stage

Vector = tuple[float, float, float]

_POINTS = 4096
_POURED_TOGETHER = 4
_POUR_SECONDS = 0.6
_STACK_OFFSET = 0.1
"""Share of the size of what is below by which a stacked thing is beside its middle at most."""


@plugin("placement")
class Physics:
    """Drop, pour or stack instances, and let Blender's rigid bodies bring them to rest: piles, filled bins and shelves.

    Things start in free positions above surfaces, or above instances that were placed before, such as crates, and fall
    until nothing moves any more. Then they are simulated once more for half a second from a standstill, in which
    nothing may move by more than a millimetre or 1 % of its size. What ends outside is removed. An attempt in which
    things do not come to rest or intersect is rejected. The result depends on nothing but recipe and seed.
    """

    surfaces: list[str] = param(
        [], means="object", doc="Name patterns of the objects to drop things onto or into, such as 'Bin*'"
    )
    containers: list[str] = param(
        [],
        means="class",
        doc="Classes, or names of [[distractor]] tables, of instances placed before to drop things onto or into; one "
        "is drawn for each frame",
    )
    classes: list[str] = param(
        [], means="class", doc="Classes to place; default is all annotated classes that are no containers"
    )
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    count: tuple[int, int] = param(
        (5, 15),
        min=0,
        max=1_000,
        soft_max=50,
        doc="Minimum and maximum number of instances per frame",
        moves={"boxes_per_image": "+", "touches_border": "+", "visible_share": "-", "occluded_share": "+"},
    )
    start: str = param(
        "drop",
        choices=("drop", "pour", "stack"),
        doc="How things start: all at once spread over the surfaces, a few at a time above one point, or upright on "
        "top of each other",
    )
    mask: str = mask_param()
    low: Vector | None = param(None, unit="m", doc="Lowest x, y and z where things may end; default is the surfaces")
    high: Vector | None = param(None, unit="m", doc="Highest x, y and z where things may end; default is the surfaces")
    height: Range = param(
        (0.02, 0.2), min=0.0, soft_max=2.0, unit="m", doc="Height above what is below from which things fall"
    )
    cluster_radius: float = param(
        0.0,
        min=0.0,
        soft_max=5.0,
        unit="m",
        doc="Maximum distance of further instances to the first one before they fall; 0 for no limit",
        moves={"sqrt_area": "-", "boxes_per_image": "-", "touches_border": "+"},
    )
    upright: bool = param(
        False, doc="Rotate instances about the vertical axis only before they fall", moves={"log_aspect": "?"}
    )
    shape: str = param(
        "compound",
        choices=BODY_SHAPES,
        doc="What collides: the convex hull, convex pieces that together follow the mesh, or the mesh itself, which "
        "is slow",
    )
    density: float = param(
        300.0, min=0.0, min_exclusive=True, soft_max=8000.0, doc="Mass in kilograms per cubic metre of the convex hull"
    )
    masses: dict[str, float] = param({}, doc="Mass in kilograms by class, instead of the density")
    friction: float = param(0.5, min=0.0, max=1.0, doc="Coefficient of friction")
    frictions: dict[str, float] = param({}, doc="Coefficient of friction by class")
    bounce: float = param(0.1, min=0.0, max=1.0, doc="Share of the speed that remains after an impact")
    seconds: float = param(
        6.0, min=0.1, max=60.0, soft_max=20.0, doc="Maximum simulated time of the fall; two thirds of it are usual"
    )
    tries: int = param(20, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = 'surfaces = ["Dais"]\ncount = [2, 5]\ncluster_radius = 1.0'

    def __attrs_post_init__(self) -> None:
        check_count("count", self.count)
        if bool(self.surfaces) == bool(self.containers):
            raise ValueError("Name either 'surfaces' or 'containers'.")
        if self.low is not None and self.high is not None and any(np.greater(self.low, self.high)):
            raise ValueError(f"'low' must not be above 'high'. Got {list(self.low)} and {list(self.high)}.")
        for name, least in (("masses", 1e-6), ("frictions", 0.0)):
            for key, value in getattr(self, name).items():
                if value < least:
                    raise ValueError(f"'{name}' of '{key}' must not be below {least:g}. Got {value:g}.")

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first.

        Raises
        ------
        Rejected
            The main instance, or in a frame without a goal the first one, finds no place or ends outside; things do
            not come to rest, or intersect; there is no container.
        StageError
            There are no assets, or no surface is flat enough.
        """
        assets = self._assets(stage)
        main = goals.main.class_name if goals.main else None
        number = draw_count(self.count, main, list(assets), rng)
        if number == 0:
            return
        target = self._target(stage, rng)
        bodies: list[RigidBody] = []
        first: Asset | None = None
        center: np.ndarray | None = None
        for k, (asset, is_required) in enumerate(draw_assets(assets, number, main, rng)):
            matrix = self._start(stage, asset, target, bodies, center, rng)
            if matrix is None:
                if is_required:
                    raise Rejected("placement: no room to fall")
                continue
            first = asset if is_required else first
            bodies.append(self._body(stage.place(asset, matrix)))
            center = matrix[:2, 3] if center is None else center
            if self.start == "pour" and (k + 1) % _POURED_TOGETHER == 0 and k + 1 < number:
                bodies = self._fall_a_little(stage, bodies, target)
        ended = come_to_rest(stage, bodies, target.region, seconds=self.seconds)
        if first is not None and not any(body.instance.asset is first for body in ended):
            raise Rejected("placement: fell outside")

    def _assets(self, stage: Stage) -> dict[str, Sequence[Asset]]:
        classes = self.classes
        if not classes and not self.distractors:
            classes = [name for name in stage.assets if name and name not in self.containers and stage.assets[name]]
            if not classes and any(stage.assets.get(name) for name in self.containers):
                raise StageError("Placement 'physics' has only containers to place. Name other 'classes'.")
        return placed_assets(stage, classes, self.distractors, self.distractor_names, "Placement 'physics'")

    def _target(self, stage: Stage, rng: np.random.Generator) -> Target:
        if self.surfaces:
            return surface_target(stage, self.surfaces, self.mask, "placement 'physics'", self.low, self.high)
        known = {name for name in stage.assets if name} | {a.group for a in stage.assets.get("", ()) if a.group}
        for name in self.containers:
            if name not in known:
                raise StageError(unknown("Placement 'physics' names the container", name, sorted(known)))
        found = [i for i in stage.instances if (i.asset.class_name or i.asset.group) in self.containers]
        target = instance_target(found[int(rng.integers(len(found)))]) if found else None
        if target is None:
            raise Rejected("placement: no container")
        return target

    def _start(
        self,
        stage: Stage,
        asset: Asset,
        target: Target,
        bodies: Sequence[RigidBody],
        center: np.ndarray | None,
        rng: np.random.Generator,
    ) -> np.ndarray | None:
        scale, height = rng.uniform(*asset.scale_range), rng.uniform(*self.height)
        upright = self.upright or self.start == "stack"

        def rotation() -> np.ndarray:
            return rotation_about((0.0, 0.0, 1.0), rng.uniform(0.0, 2 * np.pi)) if upright else uniform_rotation(rng)

        if self.start == "stack" and bodies:
            below = bodies[-1].instance
            offset = rng.uniform(-1.0, 1.0, 2) * _STACK_OFFSET * float(below.asset.size[:2].min())
            return stacked_pose(stage, asset, scale, below, offset.tolist(), rotation())
        points = target.points(rng, self.tries)
        if center is not None and self.start == "pour":
            points[:, :2] = center + rng.uniform(-0.5, 0.5, (len(points), 2)) * float(asset.size.min())
        elif center is not None and self.cluster_radius > 0:
            points = target.points(rng, _POINTS)
            points = points[np.linalg.norm(points[:, :2] - center, axis=1) <= self.cluster_radius][: self.tries]
        return start_pose(stage, asset, scale, target, points, rotation, 0.0 if self.start == "stack" else height)

    def _body(self, instance: Instance) -> RigidBody:
        name = instance.asset.class_name or instance.asset.group
        mass = self.masses.get(name)
        if mass is None:
            mass = mass_of(instance, self.density)
        return RigidBody(instance, mass, self.frictions.get(name, self.friction), self.bounce, self.shape)  # type: ignore[arg-type]  # one of its choices

    def _fall_a_little(self, stage: Stage, bodies: list[RigidBody], target: Target) -> list[RigidBody]:
        walls = target.region.walls
        ended = stage.simulate(bodies, seconds=_POUR_SECONDS, walls=walls)
        return [self._body(stage.move(b.instance, m)) for b, m in zip(bodies, ended.matrices, strict=True)]
