# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand for a goal: assets of its class, each turned and scaled, on one of the levels that it can stand on."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.support import Site
from ..goals import Goal
from ..stage import Asset, Stage, draw_asset, extremes
from .terrain import terrain_of

_NEARER = (1.0, 0.5, 0.25)
FEW = 24
"""Points that stand for an asset while cameras are searched."""


@attrs.frozen(eq=False)
class Option:
    """One asset as it might stand: ``turn`` (3, 3) in the world, on a level ``level`` metres high."""

    asset: Asset
    site: Site
    turn: np.ndarray
    tilted: bool
    scale: float
    level: float
    nearer: float = 1.0
    """Share of the distance of a whole box at which its place is looked for first."""

    @property
    def points(self) -> np.ndarray:
        """Few of its outermost points (FEW, 3), around its origin and above what it stands on."""
        points = few_points(self.asset) @ (self.scale * self.turn).T
        return points - (0.0, 0.0, points[:, 2].min())


def draw_options(stage: Stage, sites: Sequence[Site], goal: Goal, count: int, rng: np.random.Generator) -> list[Option]:
    """``count`` random options for a goal, as its placements would draw them; none where no site serves it."""
    serving = [site for site in sites if goal.class_name in site.classes]
    assets = stage.assets.get(goal.class_name, ())
    if not serving or not assets:
        return []
    share = np.array([max(site.share, 1e-3) for site in serving])
    chosen = rng.choice(len(serving), size=count, p=share / share.sum())
    out = []
    for which in chosen:
        asset, site = draw_asset(assets, rng), serving[int(which)]
        turns, tilted = site.turns(rng, 1)
        level = terrain_of(stage, site).draw_level(rng)
        # A box that borders cut may be had from far off, or from so near that most of the thing lies outside.
        nearer = float(rng.choice(_NEARER)) if goal.cut else 1.0
        scale = float(rng.uniform(*asset.scale_range))
        out.append(Option(asset, site, turns[0], bool(tilted[0]), scale, level, nearer))
    return out


_few: weakref.WeakKeyDictionary[Asset, np.ndarray] = weakref.WeakKeyDictionary()


def few_points(asset: Asset) -> np.ndarray:
    """At most :data:`FEW` outermost points of an asset, repeated to be as many as that; (FEW, 3)."""
    if asset not in _few:
        points = extremes(asset.points, FEW)
        _few[asset] = points[np.arange(FEW) % len(points)]
    return _few[asset]
