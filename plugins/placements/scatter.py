# SPDX-License-Identifier: GPL-3.0-or-later
"""Scatters many small things over surfaces by density, evenly or at random: leaves, gravel, litter, screws."""

from __future__ import annotations

import numpy as np

from ...engine.geometry.support import Site, SupportRules, can_stand, find_ground, points_on_ground, upward_normals
from ...engine.goals import Goals
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.plugin.placed_assets import (
    check_surfaces,
    classes_param,
    distractor_names_param,
    distractors_param,
    draw_assets,
    gap_param,
    mask_param,
    max_overhang_param,
    max_slope_param,
    max_support_gap_param,
    placed_assets,
    surfaces_param,
    yaw_param,
)
from ...engine.stage import Stage

_CANDIDATES = 12
"""Points drawn per thing, from which evenly distributed ones are chosen."""
_PACKED = (2 / 3**0.5) ** 0.5
"""Distance of the points of a triangular lattice with one point per square metre."""


@plugin("placement")
class Scatter:
    """Scatter many small things over surfaces, so many per square metre, with blue noise: random, but evenly apart.

    Points are drawn uniformly by area and kept if they are far enough from those before, as by throwing darts [Cook,
    "Stochastic sampling in computer graphics", 1986]. Contact, support and collisions are checked as by on_surface.
    """

    surfaces: list[str] = surfaces_param()
    classes: list[str] = classes_param()
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    mask: str = mask_param()
    density: Range = param(
        (5.0, 20.0),
        min=0.0,
        soft_max=1000.0,
        doc="Instances per square metre of the surfaces, drawn for each frame",
        moves={"boxes_per_image": "+", "touches_border": "+", "visible_share": "-", "occluded_share": "+"},
    )
    max_count: int = param(300, min=1, max=10_000, soft_max=1000, doc="Maximum number of instances per frame")
    evenness: float = param(
        0.7,
        min=0.0,
        max=0.9,
        doc="Distance between instances as a share of the largest one possible: 0 is uniform, 0.7 blue noise",
    )
    max_slope: float = max_slope_param()
    max_overhang: float = max_overhang_param()
    max_support_gap: float = max_support_gap_param()
    gap: float = gap_param(0.0)
    yaw: Range = yaw_param()
    align_to_normal: bool = param(True, doc="Align the vertical axis of instances with the normal of the surface")

    recipe_example = 'surfaces = ["Floor*"]\ndensity = [0.2, 0.5]\nmax_count = 40'

    def __attrs_post_init__(self) -> None:
        check_surfaces(self.surfaces)

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first; points where one has no room stay empty.

        Raises
        ------
        Rejected
            Nothing could be placed, or nothing of the main class.
        StageError
            There are no assets, or no surface is flat enough.
        """
        assets = placed_assets(stage, self.classes, self.distractors, self.distractor_names, "Placement 'scatter'")
        ground = find_ground(stage, self.surfaces, self.mask, self.max_slope, "placement 'scatter'")
        support = SupportRules(self.max_slope, self.max_overhang, self.max_support_gap, 0.0)
        site = Site(ground, support, (), 0.0, self.gap, self.align_to_normal, self.yaw, (0.0, 0.0))
        area = sum(float(s.areas[s.normals[:, 2] > 0].sum()) for s in stage.surfaces(self.surfaces, self.mask))
        main = goals.main.class_name if goals.main else None
        number = min(int(rng.poisson(rng.uniform(*self.density) * area)), self.max_count)
        number = max(number, 1) if main in assets else number
        if number == 0:
            return
        points, faces = points_on_ground(ground, rng, _CANDIDATES * number)
        free = can_stand(ground, points, faces)
        points, faces = points[free], faces[free]
        chosen = spaced(points, number, self.evenness * _PACKED * (area / number) ** 0.5)
        normals = upward_normals(ground, faces[chosen])
        turns, _ = site.draw_rotations(rng, len(chosen))
        asset_draws = draw_assets(assets, len(chosen), main, rng)
        count, wanted = 0, main if main in assets else None
        for (asset, is_required), point, normal, turn in zip(asset_draws, points[chosen], normals, turns, strict=True):
            scale = rng.uniform(*asset.scale_range)
            matrix = site.resting_pose(stage, asset, scale, turn, point, normal, tilted=False)
            if not isinstance(matrix, str):
                stage.place(asset, matrix)
                count += 1
            elif is_required and wanted is not None:
                raise Rejected("placement: no room")
        if count == 0:
            raise Rejected("placement: no room")


def spaced(points: np.ndarray, count: int, distance: float) -> np.ndarray:
    """Indices of at most ``count`` of points (N, 3), in their order, each ``distance`` metres from those before."""
    kept: list[int] = []
    cells: dict[tuple[int, ...], list[int]] = {}
    size = max(distance, 1e-9)
    around = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
    for k, point in enumerate(points):
        if len(kept) == count:
            break
        cell = tuple(int(c) for c in np.floor(point / size)) if distance > 0 else (k, 0, 0)
        near = [i for step in around for i in cells.get(tuple(np.add(cell, step).tolist()), ())] if distance > 0 else []
        if near and float(np.linalg.norm(points[near] - point, axis=1).min()) < distance:
            continue
        kept.append(k)
        cells.setdefault(cell, []).append(k)
    return np.array(kept, dtype=int)
