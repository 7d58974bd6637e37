# SPDX-License-Identifier: GPL-3.0-or-later
"""Height maps of a stage, made once: of the ground that supports assets, and of the ground below possible cameras."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.ground import top_heights
from ..geometry.line_of_sight import are_above_surfaces
from ..geometry.support import Site
from ..stage import Stage

CELL = 0.1
"""Metres between the points of a map; more in scenes so large that it would have more than MAX_CELLS points."""
MAX_CELLS = 30_000
_CLEARANCE = 0.06
_LEVEL_HEIGHT = 0.1
"""Heights that differ by less belong to one level."""


@attrs.frozen(eq=False)
class HeightMap:
    """Heights (X, Y) on a grid that starts at ``low`` (2,); nan where nothing can be placed."""

    low: np.ndarray
    cell: float
    heights: np.ndarray
    levels: np.ndarray
    shares: np.ndarray
    """Share of the area on each of ``levels``."""

    def height_at(self, xy: np.ndarray) -> np.ndarray:
        """Heights (...) at points (..., 2), nan beyond the map."""
        index = np.rint((xy - self.low) / self.cell).astype(np.int64)
        size = np.array(self.heights.shape)
        inside = ((index >= 0) & (index < size)).all(-1)
        index = np.clip(index, 0, size - 1)
        return np.where(inside, self.heights[index[..., 0], index[..., 1]], np.nan)

    def draw_level(self, rng: np.random.Generator) -> float:
        """A random height, each level by its area; 0 where the map is empty."""
        return float(rng.choice(self.levels, p=self.shares)) if len(self.levels) else 0.0

    def draw(self, level: float, count: int, rng: np.random.Generator) -> np.ndarray:
        """Random points (N, 2) on a level, as many as ``count``; none where it is empty."""
        cells = np.argwhere(np.abs(self.heights - level) < _LEVEL_HEIGHT)
        if not len(cells):
            return np.zeros((0, 2))
        chosen = cells[rng.integers(len(cells), size=count)] + rng.uniform(-0.5, 0.5, (count, 2))
        return self.low + chosen * self.cell


def _height_map(low: np.ndarray, cell: float, heights: np.ndarray) -> HeightMap:
    finite = np.sort(heights[np.isfinite(heights)])
    if not len(finite):
        return HeightMap(low, cell, heights, np.zeros(0), np.zeros(0))
    groups = np.split(finite, np.flatnonzero(np.diff(finite) > _LEVEL_HEIGHT / 2) + 1)
    # A slope is one long group: it is cut into steps.
    parts = [p for g in groups for p in np.split(g, np.flatnonzero(np.diff(np.floor((g - g[0]) / _LEVEL_HEIGHT))) + 1)]
    size = np.array([len(p) for p in parts], dtype=float)
    keep = size >= 0.002 * size.sum()
    levels = np.array([np.median(p) for p in parts])[keep]
    return HeightMap(low, cell, heights, levels, size[keep] / size[keep].sum())


_site_maps: weakref.WeakKeyDictionary[Site, HeightMap] = weakref.WeakKeyDictionary()


def site_map(stage: Stage, site: Site) -> HeightMap:
    """Where assets may be placed on a site: its topmost flat ground to stand on, free of the scene itself."""
    if site not in _site_maps:
        ground = site.ground
        flat = np.flatnonzero(np.abs(ground.normals[:, 2]) >= np.cos(np.radians(site.support.max_slope)) - 1e-9)
        corners = ground.corners[flat]
        low = np.maximum(corners.min((0, 1)), stage.bounds[0])
        high = np.minimum(corners.max((0, 1)), stage.bounds[1])
        cell, grid, points = _grid(low[:2], high[:2])
        z = top_heights(ground, points, flat, float(high[2]) + 1e-6)
        z = np.where(np.isfinite(z), z, np.nan)
        index = np.flatnonzero(np.isfinite(z))
        just_above = np.column_stack([points[index], z[index] + 2 * _CLEARANCE])
        free = stage.clearance(just_above, ignore=[i.id for i in stage.instances], within=_CLEARANCE) >= _CLEARANCE
        z[index[~free]] = np.nan
        _site_maps[site] = _height_map(low[:2], cell, z.reshape(grid))
    return _site_maps[site]


_camera_maps: weakref.WeakKeyDictionary[Stage, dict[tuple[object, ...], HeightMap]] = weakref.WeakKeyDictionary()


def camera_map(stage: Stage, eye: float, clearance: float, above_surfaces: Sequence[str]) -> HeightMap:
    """The ground below cameras at the height ``eye`` that have ``clearance`` metres around them.

    ``above_surfaces`` is as in :func:`..geometry.line_of_sight.are_above_surfaces`.
    """
    cache = _camera_maps.setdefault(stage, {})
    eye = round(eye, 2)  # equal to the centimetre is the same map, whichever came first
    key = (eye, clearance, tuple(above_surfaces))
    if key not in cache:
        low, high = stage.bounds
        cell, grid, points = _grid(low[:2], high[:2])
        eye_points = np.column_stack([points, np.full(len(points), eye)])
        ignore = [i.id for i in stage.instances]
        hits = stage.cast(eye_points, np.tile([0.0, 0.0, -1.0], (len(eye_points), 1)), ignore=ignore)
        z = np.where(np.isfinite(hits.distance), eye - hits.distance, np.nan)
        index = np.flatnonzero(np.isfinite(z))
        index = index[are_above_surfaces(stage, eye_points[index], above_surfaces)]
        index = index[stage.clearance(eye_points[index], ignore=ignore, within=clearance) >= clearance]
        camera_heights = np.full(len(points), np.nan)
        camera_heights[index] = z[index]
        cache[key] = _height_map(low[:2], cell, camera_heights.reshape(grid))
    return cache[key]


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[float, tuple[int, int], np.ndarray]:
    """Spacing, counts and points (N, 2) of a grid over a rectangle."""
    size = np.maximum(high - low, CELL)
    cell = max(CELL, float(np.sqrt(size.prod() / MAX_CELLS)))
    counts = np.maximum((size / cell).astype(int) + 1, 2)
    x, y = (low[k] + cell * np.arange(counts[k]) for k in range(2))
    points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    return cell, (int(counts[0]), int(counts[1])), points
