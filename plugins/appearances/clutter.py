# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that lie about on tables, chairs, furniture and floor, as many as the real photos have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...dataset.analysis.thing_counts import count_things
from ...engine.geometry.support import (
    Ground,
    Site,
    SupportRules,
    can_stand,
    find_ground,
    ground_of_instance,
    points_on_ground,
    upward_normals,
)
from ...engine.plugin import Range, param, plugin
from ...engine.plugin.placed_assets import check_height_range, distractor_names_param, named_distractors
from ...engine.stage import Asset, CameraPose, Stage, draw_asset

_BATCH = 256
"""Points drawn at once for one thing."""


@plugin("appearance")
class Clutter:
    """Stand unannotated things on instances, furniture and floor where the camera sees them.

    What stands there are the recipe's distractors. Of those whose table has a `name` that is a class of the real
    photos, a frame gets as many as a random photo with the same annotated classes, on instances as often as there.
    """

    surfaces: list[str] = param(
        [], means="object", doc="Name patterns of fixed objects of the scene to stand things on, such as 'Floor'"
    )
    surface_height_range: tuple[float, float] | None = param(
        None,
        unit="m",
        doc="Lowest and highest z of the parts of the surfaces to stand things on; default is all but the roof of a "
        "room that is one mesh",
    )
    distractor_names: list[str] = distractor_names_param()
    carriers: list[str] = param(
        [], means="class", doc="Classes whose instances carry things; default is all annotated classes"
    )
    counts: str = param(
        "real",
        choices=("real", "range"),
        doc="'real' draws how many of each class from the photos of [real]; distractors that those lack, and all "
        "distractors without photos, follow count_range",
    )
    count_range: tuple[int, int] = param(
        (1, 4),
        min=0,
        max=200,
        soft_max=20,
        doc="Minimum and maximum number of things that do not follow the photos",
        moves={"entropy": "+", "sharpness": "+", "visible_share": "-", "occluded_share": "+"},
    )
    max_count: int = param(12, min=1, max=200, doc="Maximum number of things in a frame")
    carried_share: float = param(
        0.5, min=0.0, max=1.0, doc="Share of things on instances instead of surfaces where photos do not give it"
    )
    distance_range: Range = param(
        (0.5, 6.0), min=0.0, unit="m", doc="Distance of things from the camera, along its axis"
    )
    max_overhang: float = param(0.1, min=0.0, max=1.0, doc="Maximum share of a thing's base without support")
    tries: int = param(12, min=1, max=200, doc="Positions tried for one thing before it is omitted")

    recipe_example = 'surfaces = ["Floor"]'
    runs = "after_camera"

    def __attrs_post_init__(self) -> None:
        if self.count_range[0] > self.count_range[1]:
            raise ValueError(f"count_range must be [minimum, maximum]. Got {list(self.count_range)} instead.")
        check_height_range(self.surface_height_range)

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Put this frame's things on the stage. Those without a free place in view are omitted."""
        assets = named_distractors(stage, self.distractor_names, "Appearance 'clutter'")
        groups: dict[str, list[Asset]] = {}
        for asset in assets:
            groups.setdefault(asset.group, []).append(asset)
        names, shares = self._wanted(stage, groups, rng)
        if not names or stage.camera is None:
            return
        carrying = self._carrying(stage)
        floors = []
        if self.surfaces:
            label, heights = "appearance 'clutter'", self.surface_height_range
            floors = [find_ground(stage, self.surfaces, "", _MAX_SLOPE, label, heights)]
        for name in names:
            asset = draw_asset(groups[name], rng)
            on_instance = rng.random() < shares.get(name, self.carried_share)
            grounds = (carrying if on_instance else floors) or carrying or floors
            if grounds:
                self._stand(stage, asset, grounds[int(rng.integers(len(grounds)))], rng)

    def _wanted(
        self, stage: Stage, groups: Mapping[str, Sequence[Asset]], rng: np.random.Generator
    ) -> tuple[list[str], Mapping[str, float]]:
        """The group of each thing to place, in random order, and the share of each group that instances carry."""
        present = {i.asset.class_name for i in stage.instances if i.asset.class_name}
        counts: Mapping[str, int] = {}
        shares: Mapping[str, float] = {}
        known: set[str] = set()
        if self.counts == "real" and stage.real_photos is not None:
            real = count_things(stage.real_photos, self.carriers or [name for name in stage.assets if name])
            counts, shares, known = real.draw(rng, present), real.carried, set(real.carried)
        names = [name for name in groups if name in known for _ in range(counts.get(name, 0))]
        others = [name for name in groups if name not in known]
        if others:
            number = int(rng.integers(self.count_range[0], self.count_range[1], endpoint=True))
            names += [others[k] for k in rng.integers(len(others), size=number)]
        return [names[k] for k in rng.permutation(len(names))][: self.max_count], shares

    def _carrying(self, stage: Stage) -> list[Ground]:
        chosen = [i for i in stage.instances if i.asset.class_name]
        if self.carriers:
            chosen = [i for i in chosen if i.asset.class_name in self.carriers]
        grounds = (ground_of_instance(i, _MAX_SLOPE) for i in chosen)
        return [ground for ground in grounds if ground is not None]

    def _stand(self, stage: Stage, asset: Asset, ground: Ground, rng: np.random.Generator) -> None:
        scale = float(rng.uniform(*asset.scale_range))
        points, faces = points_on_ground(ground, rng, _BATCH)
        height = np.array([0.0, 0.0, scale * asset.size[2]])
        seen = _in_view(stage.camera, points + height / 2, self.distance_range) & can_stand(ground, points, faces)
        normals = upward_normals(ground, faces)
        rules = SupportRules(_MAX_SLOPE, self.max_overhang, 0.01, 0.0)
        site = Site(ground, rules, (), 0.0, 0.0, False, (0.0, 360.0), (0.0, 0.0))
        turns, _ = site.draw_rotations(rng, self.tries)
        for turn, k in zip(turns, np.flatnonzero(seen), strict=False):
            if not _is_free(stage, points[k] + height):
                continue
            matrix = site.resting_pose(stage, asset, scale, turn, points[k], normals[k], tilted=False)
            if not isinstance(matrix, str):
                stage.place(asset, matrix)
                return


_MAX_SLOPE = 15.0


def _in_view(camera: CameraPose | None, points: np.ndarray, distance: Range) -> np.ndarray:
    """Which points (N, 3) are inside the picture and at that distance along the camera's axis."""
    assert camera is not None
    pixels, depth = camera.project(points)
    inside = ((pixels > 0) & (pixels < (camera.width, camera.height))).all(-1)
    return inside & (depth >= distance[0]) & (depth <= distance[1])


def _is_free(stage: Stage, point: np.ndarray) -> bool:
    """Whether nothing is between the camera and a point (3,)."""
    assert stage.camera is not None
    away = point - stage.camera.position
    length = float(np.linalg.norm(away))
    return (
        float(stage.cast(stage.camera.position[None], away[None] / length, within=length).distance[0]) > length - 0.02
    )
