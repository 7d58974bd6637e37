# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things would have to stand before a camera so that their boxes are as wanted: all cameras and things at once.

Distance along the ground and bearing of each thing are found by fixed-point iteration on its projected, clipped box;
how high in the image it then lies, and how wide it is for its height, is left over and tells which camera is right.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.framing import MIN_DEPTH, box_area, clip_box, look_rotation
from ..goals import SIDES, Goal
from .asset_options import OUTLINE_POINTS, Option

CENTER_SCALE = 0.04
"""Error of a centre, in image units, that costs as much as ...."""
ASPECT_SCALE = 0.2
""".... this one of the logarithm of width over height."""
CUT_COST = 0.7
"""What it costs where a border cuts a thing that it should not, or does not cut one that it should."""
OCCLUSION_COST = 6.0
"""What it costs where a thing is hidden behind another."""
DUPLICATE_COST = 2.0
"""What it costs where the same asset, turned the same way, stands there already."""
OVERLAP_COST = 5.0
"""What it costs where things seem to stand in each other, as seen from above."""
INFEASIBLE_COST = 30.0
"""What it costs where a box cannot be had at all."""


@attrs.frozen(eq=False)
class Cameras:
    """Cameras, C of them. Radians and metres; ``yaw`` is the azimuth of the view, ``z`` the world height of the camera,
    ``floor`` that of the ground below it, ``lens`` in millimetres."""

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    lens: np.ndarray
    floor: np.ndarray
    z: np.ndarray

    def __len__(self) -> int:
        return len(self.yaw)

    def take(self, index: np.ndarray) -> Cameras:
        return Cameras(*(getattr(self, f.name)[index] for f in attrs.fields(Cameras)))

    @staticmethod
    def join(parts: Sequence[Cameras]) -> Cameras:
        names = [f.name for f in attrs.fields(Cameras)]
        return Cameras(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def scale(self, resolution: tuple[int, int], sensor_width: float = 36.0) -> np.ndarray:
        """Focal lengths (C, 2) in image widths and heights."""
        focal = self.lens / sensor_width
        return np.stack([focal, focal * resolution[0] / resolution[1]], -1)


@attrs.frozen(eq=False)
class GoalArrays:
    """Goals as arrays, one row per option: ``area`` (T,), ``center`` (T, 2), ``aspect`` (T,) in image units or nan,
    ``cut`` (T, 4) bool in the order of SIDES."""

    area: np.ndarray
    center: np.ndarray
    aspect: np.ndarray
    cut: np.ndarray

    def take(self, index: np.ndarray) -> GoalArrays:
        return GoalArrays(*(getattr(self, f.name)[index] for f in attrs.fields(GoalArrays)))

    @staticmethod
    def of(goals: Sequence[Goal], resolution: tuple[int, int]) -> GoalArrays:
        """``resolution`` turns aspects, which are in pixels, into image units."""
        unit = resolution[1] / resolution[0]
        return GoalArrays(
            np.array([g.area for g in goals]),
            np.array([g.center for g in goals]).reshape(-1, 2),
            np.array([np.nan if g.aspect is None else g.aspect * unit for g in goals]),
            np.array([[side in g.cut for side in SIDES] for g in goals], dtype=bool).reshape(-1, 4),
        )


@attrs.frozen(eq=False)
class Fits:
    """What :func:`fit` found for C cameras and T options: ``offset_xy`` (C, T, 2) from the camera's own place on the plan,
    ``box`` (C, T, 4) clipped, ``distance`` (C, T) on the plan, ``low`` (C, T) how much lower than wanted the box's
    centre lies in image units, ``cost`` (C, T)."""

    offset_xy: np.ndarray
    box: np.ndarray
    distance: np.ndarray
    low: np.ndarray
    cost: np.ndarray

    @staticmethod
    def join(parts: Sequence[Fits]) -> Fits:
        names = [f.name for f in attrs.fields(Fits)]
        return Fits(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def fit(
    options: Sequence[Option],
    wanted: GoalArrays,
    cameras: Cameras,
    resolution: tuple[int, int],
    *,
    index: np.ndarray | None = None,
    iterations: int = 12,
) -> Fits:
    """Put every option before every camera so that its clipped box has the wanted area and centre x.

    Parameters
    ----------
    options : sequence of Option
        T of them.
    wanted : Wanted
        T rows.
    cameras : Cameras
    resolution : (width, height)
        In pixels.
    index : (C, T') int, optional
        The options that are put before each camera; default is all before all.

    Returns
    -------
    Fits
        Where a box cannot be had its cost is at least :data:`INFEASIBLE_COST`.
    """
    index = np.arange(len(options))[None] if index is None else index
    wanted = wanted.take(index)
    points = np.array([o.points for o in options]).reshape(-1, OUTLINE_POINTS, 3)[index]
    level = np.array([o.level for o in options])[index]
    distance_factor = np.array([o.distance_factor for o in options])[index]
    rotation = look_rotation(cameras.yaw, cameras.pitch, cameras.roll)
    scale = cameras.scale(resolution)
    turned = np.matmul(points.reshape(len(points), -1, 3), rotation).reshape(len(rotation), -1, OUTLINE_POINTS, 3)
    size = np.ptp(points, axis=2)
    width = (size[..., 0] + size[..., 1]) / 2 * 0.8 + 1e-6
    # The start: as if seen level, at the middle of the view.
    ratio = width / size[..., 2] * (scale[:, :1] / scale[:, 1:])
    high = np.sqrt(wanted.area / ratio)
    distance = np.maximum(distance_factor * scale[:, 1:] * size[..., 2] / high, 0.3 * width)
    offset = (wanted.center[..., 0] - 0.5) / scale[:, :1]
    theta = cameras.yaw[:, None] - np.arctan(offset)
    drop = (level - cameras.z[:, None])[..., None]
    for step in range(iterations + 1):
        away = np.stack([distance * np.cos(theta), distance * np.sin(theta)], -1)
        base = np.einsum("cti,cij->ctj", np.concatenate([away, drop], -1), rotation)
        local = turned + base[:, :, None]
        depth = np.maximum(-local[..., 2], MIN_DEPTH)
        x = 0.5 + scale[:, :1, None] * local[..., 0] / depth
        y = 0.5 - scale[:, 1:, None] * local[..., 1] / depth
        whole = np.stack([x.min(-1), y.min(-1), x.max(-1), y.max(-1)], -1)
        box = clip_box(whole)
        area = np.maximum(box_area(box), 1e-9)
        seen = area > 1e-8
        shown = np.where(seen, (box[..., 0] + box[..., 2]) / 2, (whole[..., 0] + whole[..., 2]) / 2)
        off = shown - wanted.center[..., 0]
        if step == iterations:
            break
        whole_area = np.maximum(box_area(whole), 1e-9)
        growth = np.where(seen, area, whole_area) / wanted.area
        distance = np.maximum(distance * np.clip(np.sqrt(growth), 0.5, 2.0), 0.2 * width)
        one_side = (whole[..., 0] < 0) ^ (whole[..., 2] > 1)
        both = (whole[..., 0] < 0) & (whole[..., 2] > 1)
        turn = np.where(both, 0.0, np.where(one_side & seen, 1.7, 1.0) * off)
        slope = scale[:, :1] * (1 + np.tan(np.clip(theta - cameras.yaw[:, None], -1.2, 1.2)) ** 2)
        theta = theta + np.clip(turn / slope, -0.4, 0.4)
    low = (box[..., 1] + box[..., 3]) / 2 - wanted.center[..., 1]
    return Fits(away, box, distance, low, _cost(whole, box, wanted, off, low))


def _cost(whole: np.ndarray, box: np.ndarray, wanted: GoalArrays, off: np.ndarray, low: np.ndarray) -> np.ndarray:
    size = np.maximum(box[..., 2:] - box[..., :2], 1e-6)
    area = size.prod(-1)
    shape = np.log(size[..., 0] / size[..., 1]) - np.log(wanted.aspect)
    cuts = np.stack([whole[..., 0] < 0, whole[..., 1] < 0, whole[..., 2] > 1, whole[..., 3] > 1], -1)
    cost = (
        pseudo_huber(low / CENTER_SCALE)
        + pseudo_huber(np.nan_to_num(shape) / ASPECT_SCALE)
        + CUT_COST * (cuts != wanted.cut).sum(-1)
    )
    missed = (np.abs(np.log(area / wanted.area)) > 0.1) | (np.abs(off) > 0.02)
    return cost + INFEASIBLE_COST * missed


def pseudo_huber(error: np.ndarray) -> np.ndarray:
    """A cost that is quadratic in small errors and linear in large ones: a single bad box must not decide alone."""
    return np.sqrt(1 + error**2) - 1


@attrs.frozen(eq=False)
class Assignment:
    """An option for each of G goals, for C cameras: ``option`` (C, G) indices, ``total`` (C,) cost of all."""

    option: np.ndarray
    total: np.ndarray


def assign_options(
    options: Sequence[Option], owner: np.ndarray, count: int, fits: Fits, rng: np.random.Generator, *, random: float
) -> Assignment:
    """An option for each goal: cheap ones that neither stand in each other nor hide each other.

    Parameters
    ----------
    options, owner
        T options, and the goal (T,) that each is for; goals are served in the order of their numbers.
    count : int
        Number of goals.
    fits : Fits
    rng : numpy.random.Generator
    random : float
        Scale of what is added to costs by chance (a Gumbel draw), so that good ones take turns.
    """
    cameras = fits.cost.shape[0]
    footprints = Footprints.of(options)
    alike = np.array([[similarity(a, b) for b in options] for a in options]).reshape(len(options), -1)
    noise = rng.gumbel(0.0, random, len(options))
    cost = fits.cost.copy()
    rows = np.arange(cameras)
    chosen = np.zeros((cameras, count), dtype=np.int64)
    total = np.zeros(cameras)
    for goal in range(count):
        mine = np.flatnonzero(owner == goal)
        if not len(mine):
            total += INFEASIBLE_COST
            chosen[:, goal] = -1
            continue
        best = mine[(cost[:, mine] - noise[mine]).argmin(1)]
        chosen[:, goal] = best
        total += cost[rows, best]
        later = np.flatnonzero(owner > goal)
        if not len(later):
            continue
        cost[:, later] += DUPLICATE_COST * alike[best][:, later]
        cost[:, later] += footprints.cost(
            later[None], fits.offset_xy[:, later], best[:, None], fits.offset_xy[rows, best][:, None]
        )
        cost[:, later] += OCCLUSION_COST * occlusion_of(
            fits.box[:, later],
            fits.distance[:, later],
            fits.box[rows, best][:, None],
            fits.distance[rows, best][:, None],
        )
    return Assignment(chosen, total)


@attrs.frozen(eq=False)
class Footprints:
    """Options seen from above, as rectangles: ``half`` (T, 2) their half sides, ``axes`` (T, 2, 2) their directions."""

    half: np.ndarray
    axes: np.ndarray

    @staticmethod
    def of(options: Sequence[Option]) -> Footprints:
        half = np.array([o.scale * o.asset.size[:2] / 2 for o in options]).reshape(-1, 2)
        along = np.array([o.rotation[:2, 0] for o in options]).reshape(-1, 2)
        along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        return Footprints(half, np.stack([along, along @ np.array([[0.0, 1.0], [-1.0, 0.0]])], 1))

    def cost(self, a: np.ndarray, foot_a: np.ndarray, b: np.ndarray, foot_b: np.ndarray) -> np.ndarray:
        """What it costs that options ``a`` and ``b`` (...), at places (..., 2), stand in each other: little where only
        their rectangles overlap, since a chair may reach under a table, much where their middles do."""
        way = foot_b - foot_a
        gaps = []
        for one in (a, b):
            axes = self.axes[one]
            reach = np.zeros((*np.broadcast_shapes(a.shape, b.shape), 2))
            for other in (a, b):
                shadow = np.abs(np.einsum("...id,...jd->...ij", axes, self.axes[other]))
                reach = reach + np.einsum("...ij,...j->...i", shadow, self.half[other])
            gaps.append(np.abs(np.einsum("...id,...d->...i", axes, way)) / reach)
        nearness = np.concatenate(gaps, -1).max(-1)
        inner = np.linalg.norm(way, axis=-1) < 0.9 * (self.half[a].min(-1) + self.half[b].min(-1))
        return np.where(inner, INFEASIBLE_COST / 2, np.where(nearness < 0.95, OVERLAP_COST, 0.0))


def similarity(a: Option, b: Option) -> float:
    """How much two things look the same: 1 for one asset turned alike, less than a half turned otherwise."""
    if a.asset is not b.asset:
        return 0.0
    angle = np.arccos(np.clip((np.trace(a.rotation.T @ b.rotation) - 1) / 2, -1, 1))
    return 0.4 + 0.6 * max(0.0, 1 - float(angle) / np.radians(40.0))


def occlusion_of(a: np.ndarray, near_a: np.ndarray, b: np.ndarray, near_b: np.ndarray | float) -> np.ndarray:
    """How much boxes ``a`` and ``b`` (..., 4) of things at these distances hide each other: 0 where it is little, and
    near 1 where it is the whole farther one."""
    overlap = _overlap(a, b) / np.maximum(np.where(near_a > near_b, box_area(a), box_area(b)), 1e-9)
    return 2 * np.clip(overlap - 0.35, 0.0, None) ** 2


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.maximum(high - low, 0).prod(-1)
