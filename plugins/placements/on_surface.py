# SPDX-License-Identifier: GPL-3.0-or-later
"""Places instances on surfaces: exact contact, support under the base, no intersections."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...engine.geometry.support import (
    Ground,
    Site,
    SupportRules,
    can_stand,
    find_ground,
    points_on_ground,
    upward_normals,
)
from ...engine.goals import Goals
from ...engine.physics.rest import come_to_rest, mass_of
from ...engine.plugin import Range, Rejected, param, plugin
from ...engine.plugin.placed_assets import (
    check_count,
    check_height_range,
    check_surfaces,
    classes_param,
    count_param,
    distractor_names_param,
    distractors_param,
    draw_assets,
    draw_count,
    gap_param,
    mask_param,
    max_overhang_param,
    max_slope_param,
    max_support_gap_param,
    placed_assets,
    surfaces_param,
    yaw_param,
)
from ...engine.scene.bodies import RigidBody
from ...engine.stage import Asset, Stage

log = logging.getLogger(__name__)

_BATCH = 4096
_SETTLE_SECONDS = 4.0


class NoPlace(Rejected):
    """An instance could not be placed. ``reason`` is the most common cause; ``details`` counts all of them."""

    def __init__(self, details: Counter[str]) -> None:
        self.details = dict(details)
        super().__init__(f"placement: {details.most_common(1)[0][0]}" if details else "placement: no room")


@plugin("placement")
class OnSurface:
    """Place instances on surfaces with exact contact and support, rotated at random, without intersections.

    Points are drawn uniformly by area on faces that are not too steep. The asset is lowered onto the point until it
    first touches, and leans a little on uneven ground until its contacts hold its centre of gravity. The position is
    rejected if too much of the base is unsupported, the centre of gravity is not above the contacts, the asset
    intersects anything in the scene, or it is too near another instance [Zhang2023, §4].
    """

    surfaces: list[str] = surfaces_param()
    classes: list[str] = classes_param()
    distractors: bool = distractors_param()
    distractor_names: list[str] = distractor_names_param()
    mask: str = mask_param()
    count: tuple[int, int] = count_param()
    count_without_main: tuple[int, int] | None = param(
        None,
        min=0,
        max=10_000,
        soft_max=20,
        doc="The same for frames whose main instance is of a class that is not placed here; default is count",
        formerly="others",
        moves={"sqrt_area": "?", "center_x": "?", "center_y": "?"},
    )
    surface_height_range: tuple[float, float] | None = param(
        None,
        unit="m",
        doc="Lowest and highest z of the parts of the surfaces to place on, such as those of a storey; default is all "
        "but the roof of a room that is one mesh",
    )
    max_slope: float = max_slope_param()
    max_overhang: float = max_overhang_param(formerly="overhang")
    max_support_gap: float = max_support_gap_param(formerly="step")
    gap: float = gap_param(moves={"visible_share": "+", "occluded_share": "-"})
    edge_margin: float = param(
        0.0,
        min=0.0,
        soft_max=1.0,
        unit="m",
        doc="Minimum distance of the base to the edge of the surface",
        formerly="border",
    )
    align_to_normal: bool = param(
        False,
        doc="Align the vertical axis of instances with the normal of the surface everywhere; default is to keep them "
        "upright, and to let them lean only where their contacts would not hold them otherwise",
        formerly="align",
    )
    yaw: Range = yaw_param({"log_aspect": "?"})
    tilt: Range = param(
        (0.0, 0.0),
        min=0.0,
        max=180.0,
        unit="deg",
        doc="Tilt in a random direction; tilted instances need not be balanced",
    )
    cluster_radius: float = param(
        0.0,
        min=0.0,
        soft_max=5.0,
        unit="m",
        doc="Maximum distance of further instances to the first one; 0 for no limit",
        formerly="cluster",
        moves={"sqrt_area": "-", "boxes_per_image": "-", "touches_border": "+"},
    )
    settle: bool = param(
        False,
        doc="Let instances fall from where they were placed, by rigid bodies, until they are at rest, so that tilted "
        "ones lie down and what balances topples; cameras that place instances then leave them to this placement",
    )
    tries: int = param(50, min=1, max=10_000, doc="Positions tried for each instance")

    recipe_example = 'surfaces = ["Floor*"]\ncount = [2, 5]'

    def __attrs_post_init__(self) -> None:
        for name in ("count", "count_without_main"):
            check_count(name, getattr(self, name))
        check_height_range(self.surface_height_range)
        check_surfaces(self.surfaces)

    def place(self, stage: Stage, goals: Goals, rng: np.random.Generator) -> None:
        """Place this frame's instances, the main one first.

        Raises
        ------
        Rejected
            The main instance, or in a frame without a goal the first one, could not be placed. Others are
            omitted silently. With ``settle``, things do not come to rest.
        StageError
            There are no assets, or no surface is flat enough.
        """
        assets = self._assets(stage)
        classes = list(assets)
        main = goals.main.class_name if goals.main else None
        count = (
            self.count
            if main is None or main in classes or self.count_without_main is None
            else self.count_without_main
        )
        number = draw_count(count, main, classes, rng)
        if number == 0:
            return
        site = self._site(stage)
        before = len(stage.instances)
        cluster_center: np.ndarray | None = None
        for asset, is_required in draw_assets(assets, number, main, rng):
            failures: Counter[str] = Counter()
            position = self._place_one(stage, asset, site, cluster_center, rng, failures)
            if position is None:
                causes = ", ".join(f"{n} {cause}" for cause, n in failures.most_common())
                log.debug("No place for %s: %s.", asset.name, causes or "no room")
                if is_required:
                    raise NoPlace(_by_kind(failures))
            elif cluster_center is None:
                cluster_center = position
        if self.settle:
            bodies = [RigidBody(i, mass_of(i), shape="compound") for i in stage.instances[before:]]
            come_to_rest(stage, bodies, None, seconds=_SETTLE_SECONDS)

    def offer_site(self, stage: Stage) -> Site | None:
        """Where its things may stand, for cameras that place them; None where all are distractors or things settle.

        Raises StageError as :meth:`place` does.
        """
        return None if self.settle or (self.distractors and not self.classes) else self._site(stage)

    def _site(self, stage: Stage) -> Site:
        classes = list(self._assets(stage))
        expected_count = (self.count[0] + self.count[1]) / 2 / len(classes)
        ground = find_ground(
            stage, self.surfaces, self.mask, self.max_slope, "placement 'on_surface'", self.surface_height_range
        )
        support = SupportRules(self.max_slope, self.max_overhang, self.max_support_gap, self.edge_margin)
        annotated_classes = tuple(name for name in classes if name)
        return Site(
            ground, support, annotated_classes, expected_count, self.gap, self.align_to_normal, self.yaw, self.tilt
        )

    def _assets(self, stage: Stage) -> dict[str, Sequence[Asset]]:
        return placed_assets(stage, self.classes, self.distractors, self.distractor_names, "Placement 'on_surface'")

    def _points(
        self, stage: Stage, ground: Ground, cluster_center: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Up to ``tries`` points (N, 3), uniform by area, and the upward normal at each."""
        low, high = stage.bounds
        points, normals, count_found = [], [], 0
        is_clustered = cluster_center is not None and self.cluster_radius > 0
        for _ in range(8):
            point, face = points_on_ground(ground, rng, _BATCH if is_clustered else 2 * self.tries)
            keep = ((point >= low - 1e-6) & (point <= high + 1e-6)).all(1)  # ignore strays far outside
            if is_clustered:
                keep &= np.linalg.norm(point - cluster_center, axis=1) <= self.cluster_radius
            point, face = point[keep], face[keep]
            keep = can_stand(ground, point, face)
            points.append(point[keep])
            normals.append(upward_normals(ground, face[keep]))
            count_found += int(keep.sum())
            if count_found >= self.tries:
                break
        return np.concatenate(points)[: self.tries], np.concatenate(normals)[: self.tries]

    def _place_one(
        self,
        stage: Stage,
        asset: Asset,
        site: Site,
        cluster_center: np.ndarray | None,
        rng: np.random.Generator,
        failures: Counter[str],
    ) -> np.ndarray | None:
        scale = rng.uniform(*asset.scale_range)
        points, normals = self._points(stage, site.ground, cluster_center, rng)
        draw_rotations, tilted = site.draw_rotations(rng, self.tries)
        for point, normal, turn, leans in zip(points, normals, draw_rotations, tilted, strict=False):
            matrix = site.resting_pose(stage, asset, scale, turn, point, normal, tilted=bool(leans))
            if isinstance(matrix, str):
                failures[matrix] += 1
                continue
            stage.place(asset, matrix)
            return point
        return None


def _by_kind(failures: Counter[str]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for cause, n in failures.items():
        kinds[cause.split(" '")[0]] += n
    return kinds
