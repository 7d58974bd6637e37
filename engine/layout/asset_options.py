# SPDX-License-Identifier: GPL-3.0-or-later
"""Options for a goal: assets of its class, each rotated and scaled, on one of the levels of its sites."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.support import Site
from ..goals import Goal
from ..stage import Asset, Stage, draw_asset, extreme_points
from .height_maps import site_map

_DISTANCE_FACTORS = (1.0, 0.5, 0.25)
OUTLINE_POINTS = 24
"""Points that represent an asset while cameras are searched."""


@attrs.frozen(eq=False)
class Option:
    """One asset with a ``rotation`` (3, 3) in the world and a scale, on a level ``level`` metres high."""

    asset: Asset
    site: Site
    rotation: np.ndarray
    tilted: bool
    scale: float
    level: float
    distance_factor: float = 1.0
    """Share of the distance of an uncut box at which the search for a position starts."""

    @property
    def points(self) -> np.ndarray:
        """Some of its outermost points (OUTLINE_POINTS, 3), around its origin and above the ground."""
        points = sparse_outline(self.asset) @ (self.scale * self.rotation).T
        return points - (0.0, 0.0, points[:, 2].min())


def draw_options(stage: Stage, sites: Sequence[Site], goal: Goal, count: int, rng: np.random.Generator) -> list[Option]:
    """``count`` random options for a goal, as its placements would draw them; none where no site serves it."""
    usable = [site for site in sites if goal.class_name in site.classes]
    assets = stage.assets.get(goal.class_name, ())
    if not usable or not assets:
        return []
    expected_count = np.array([max(site.expected_count, 1e-3) for site in usable])
    chosen = rng.choice(len(usable), size=count, p=expected_count / expected_count.sum())
    out = []
    for site_index in chosen:
        asset, site = draw_asset(assets, rng), usable[int(site_index)]
        draw_rotations, tilted = site.draw_rotations(rng, 1)
        level = site_map(stage, site).draw_level(rng)
        # A box cut by a border may be seen from afar, or from so near that most of the asset lies outside.
        distance_factor = float(rng.choice(_DISTANCE_FACTORS)) if goal.cut else 1.0
        scale = float(rng.uniform(*asset.scale_range))
        out.append(Option(asset, site, draw_rotations[0], bool(tilted[0]), scale, level, distance_factor))
    return out


_outline_cache: weakref.WeakKeyDictionary[Asset, np.ndarray] = weakref.WeakKeyDictionary()


def sparse_outline(asset: Asset) -> np.ndarray:
    """At most :data:`OUTLINE_POINTS` outermost points of an asset, repeated to that number: (OUTLINE_POINTS, 3)."""
    if asset not in _outline_cache:
        points = extreme_points(asset.points, OUTLINE_POINTS)
        _outline_cache[asset] = points[np.arange(OUTLINE_POINTS) % len(points)]
    return _outline_cache[asset]
