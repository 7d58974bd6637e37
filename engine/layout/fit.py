# SPDX-License-Identifier: GPL-3.0-or-later
"""Positions at which assets have the wanted boxes in front of a camera: all cameras and assets at once.

Distance along the ground and bearing of each asset are found by fixed-point iteration on its projected, clipped box;
the remaining errors of its height in the image and of its aspect ratio rate the cameras.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.framing import MIN_DEPTH, box_area, clip_box, look_rotation
from ..geometry.projection import SENSOR_WIDTH, Projection
from ..goals import SIDES, Goal, contiguous
from ..scene.intrinsics import Intrinsics
from .asset_options import OUTLINE_POINTS, Option

CENTER_SCALE = 0.04
"""Error of a centre, in image units, that costs as much as an error of :data:`ASPECT_SCALE`."""
ASPECT_SCALE = 0.2
"""Error of the logarithm of width over height that costs as much as an error of :data:`CENTER_SCALE`."""
CUT_COST = 0.7
"""Cost of each border that cuts an asset against its goal, or fails to cut it."""
OCCLUSION_COST = 6.0
"""Cost of an asset hidden behind another."""
DUPLICATE_COST = 2.0
"""Cost of an asset that is in the layout already with the same rotation."""
OVERLAP_COST = 5.0
"""Cost of two assets whose footprints overlap."""
INFEASIBLE_COST = 30.0
"""Cost of a box that cannot be shown."""


@attrs.frozen(eq=False)
class Cameras:
    """Cameras, C of them. Radians and metres; ``yaw`` is the azimuth of the view, ``z`` the world height of the camera,
    ``floor`` that of the ground below it, ``lens`` in millimetres. ``intrinsics`` are the optics that all have, if any.
    """

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    lens: np.ndarray
    floor: np.ndarray
    z: np.ndarray
    intrinsics: Intrinsics | None = None

    def __len__(self) -> int:
        return len(self.yaw)

    def take(self, index: np.ndarray) -> Cameras:
        return attrs.evolve(self, **{name: getattr(self, name)[index] for name in _ARRAYS})

    @staticmethod
    def join(parts: Sequence[Cameras]) -> Cameras:
        return attrs.evolve(parts[0], **{name: np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS})

    def projection(self, resolution: tuple[int, int]) -> Projection:
        """How they project to an image of this size in pixels."""
        if self.intrinsics is not None:
            size = (self.intrinsics.width, self.intrinsics.height)
            return Projection(np.tile(np.divide(self.intrinsics.focal, size), (len(self), 1)), self.intrinsics)
        focal = self.lens / SENSOR_WIDTH
        return Projection(np.stack([focal, focal * resolution[0] / resolution[1]], -1))


_ARRAYS = ("yaw", "pitch", "roll", "lens", "floor", "z")
"""The fields of :class:`Cameras` that hold a value for each."""


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
    """Result of :func:`fit` for C cameras and T options: ``offset_xy`` (C, T, 2) from the camera in the ground plane,
    ``box`` (C, T, 4) clipped, ``distance`` (C, T) in the ground plane, ``low`` (C, T) how far below its goal the box's
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
    """Put every option in front of every camera so that its clipped box has the wanted area and centre x.

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
        The options in front of each camera; default is all options.

    Returns
    -------
    Fits
        The cost of boxes that cannot be shown is at least :data:`INFEASIBLE_COST`.
    """
    index = np.arange(len(options))[None] if index is None else index
    wanted = wanted.take(index)
    points = np.array([o.points for o in options]).reshape(-1, OUTLINE_POINTS, 3)[index]
    level = np.array([o.level for o in options])[index]
    distance_factor = np.array([o.distance_factor for o in options])[index]
    rotation = look_rotation(cameras.yaw, cameras.pitch, cameras.roll)
    projection = cameras.projection(resolution)
    scale = projection.scale
    turned = np.matmul(points.reshape(len(points), -1, 3), rotation).reshape(len(rotation), -1, OUTLINE_POINTS, 3)
    size = np.ptp(points, axis=2)
    width = (size[..., 0] + size[..., 1]) / 2 * 0.8 + 1e-6
    # Initial guess: as if seen horizontally, at the centre of the view.
    ratio = width / size[..., 2] * (scale[:, :1] / scale[:, 1:])
    wanted_height = np.sqrt(wanted.area / ratio)
    distance = np.maximum(distance_factor * scale[:, 1:] * size[..., 2] / wanted_height, 0.3 * width)
    offset = projection.slopes(wanted.center)[..., 0]
    bearing = cameras.yaw[:, None] - np.arctan(contiguous(offset))
    height_offset = (level - cameras.z[:, None])[..., None]
    for step in range(iterations + 1):
        ground_offset = np.stack([distance * np.cos(bearing), distance * np.sin(bearing)], -1)
        base = np.einsum("cti,cij->ctj", np.concatenate([ground_offset, height_offset], -1), rotation)
        local = turned + base[:, :, None]
        depth = np.maximum(-local[..., 2], MIN_DEPTH)
        x, y = projection.image(local[..., 0], local[..., 1], depth)
        whole = np.stack([x.min(-1), y.min(-1), x.max(-1), y.max(-1)], -1)
        box = clip_box(whole)
        area = np.maximum(box_area(box), 1e-9)
        is_visible = area > 1e-8
        center_x = np.where(is_visible, (box[..., 0] + box[..., 2]) / 2, (whole[..., 0] + whole[..., 2]) / 2)
        center_error = center_x - wanted.center[..., 0]
        if step == iterations:
            break
        whole_area = np.maximum(box_area(whole), 1e-9)
        growth = np.where(is_visible, area, whole_area) / wanted.area
        distance = np.maximum(distance * np.clip(np.sqrt(growth), 0.5, 2.0), 0.2 * width)
        one_side = (whole[..., 0] < 0) ^ (whole[..., 2] > 1)
        both = (whole[..., 0] < 0) & (whole[..., 2] > 1)
        turn = np.where(both, 0.0, np.where(one_side & is_visible, 1.7, 1.0) * center_error)
        slope = projection.speed(-np.clip(bearing - cameras.yaw[:, None], -1.2, 1.2))
        bearing = bearing + np.clip(turn / slope, -0.4, 0.4)
    low = (box[..., 1] + box[..., 3]) / 2 - wanted.center[..., 1]
    return Fits(ground_offset, box, distance, low, _cost(whole, box, wanted, center_error, low))


def _cost(
    whole: np.ndarray, box: np.ndarray, wanted: GoalArrays, center_error: np.ndarray, low: np.ndarray
) -> np.ndarray:
    size = np.maximum(box[..., 2:] - box[..., :2], 1e-6)
    area = size.prod(-1)
    shape = np.log(size[..., 0] / size[..., 1]) - np.log(wanted.aspect)
    cuts = np.stack([whole[..., 0] < 0, whole[..., 1] < 0, whole[..., 2] > 1, whole[..., 3] > 1], -1)
    cost = (
        pseudo_huber(low / CENTER_SCALE)
        + pseudo_huber(np.nan_to_num(shape) / ASPECT_SCALE)
        + CUT_COST * (cuts != wanted.cut).sum(-1)
    )
    missed = (np.abs(np.log(area / wanted.area)) > 0.1) | (np.abs(center_error) > 0.02)
    return cost + INFEASIBLE_COST * missed


def pseudo_huber(error: np.ndarray) -> np.ndarray:
    """Pseudo-Huber loss: quadratic in small errors and linear in large ones, so that one bad box does not dominate."""
    return np.sqrt(1 + error**2) - 1


@attrs.frozen(eq=False)
class Assignment:
    """An option for each of G goals, for C cameras: ``option`` (C, G) indices, ``total`` (C,) cost of all."""

    option: np.ndarray
    total: np.ndarray


def assign_options(
    options: Sequence[Option], owner: np.ndarray, count: int, fits: Fits, rng: np.random.Generator, *, random: float
) -> Assignment:
    """Assign an option to each goal greedily: at low cost, and neither intersecting nor hiding each other.

    Parameters
    ----------
    options, owner
        T options, and the index (T,) of the goal of each; goals are assigned in order of index.
    count : int
        Number of goals.
    fits : Fits
    rng : numpy.random.Generator
    random : float
        Scale of the Gumbel noise on costs, so that good options alternate.
    """
    cameras = fits.cost.shape[0]
    footprints = Footprints.of(options)
    similarities = np.array([[similarity(a, b) for b in options] for a in options]).reshape(len(options), -1)
    noise = rng.gumbel(0.0, random, len(options))
    cost = fits.cost.copy()
    rows = np.arange(cameras)
    chosen = np.zeros((cameras, count), dtype=np.int64)
    total = np.zeros(cameras)
    for goal in range(count):
        own_options = np.flatnonzero(owner == goal)
        if not len(own_options):
            total += INFEASIBLE_COST
            chosen[:, goal] = -1
            continue
        best = own_options[(cost[:, own_options] - noise[own_options]).argmin(1)]
        chosen[:, goal] = best
        total += cost[rows, best]
        later = np.flatnonzero(owner > goal)
        if not len(later):
            continue
        cost[:, later] += DUPLICATE_COST * similarities[best][:, later]
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
    """Rectangles around options seen from above: ``half`` (T, 2) their half sides, ``axes`` (T, 2, 2) their axes."""

    half: np.ndarray
    axes: np.ndarray

    @staticmethod
    def of(options: Sequence[Option]) -> Footprints:
        half = np.array([o.scale * o.asset.size[:2] / 2 for o in options]).reshape(-1, 2)
        along = np.array([o.rotation[:2, 0] for o in options]).reshape(-1, 2)
        along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        return Footprints(half, np.stack([along, along @ np.array([[0.0, 1.0], [-1.0, 0.0]])], 1))

    def cost(self, a: np.ndarray, position_a: np.ndarray, b: np.ndarray, position_b: np.ndarray) -> np.ndarray:
        """Cost of overlap of options ``a`` and ``b`` (...) at positions (..., 2): small where only their rectangles
        overlap, since a chair may reach under a table, large where their centres do."""
        offset = position_b - position_a
        gaps = []
        for one in (a, b):
            axes = self.axes[one]
            reach = np.zeros((*np.broadcast_shapes(a.shape, b.shape), 2))
            for other in (a, b):
                projected = np.abs(np.einsum("...id,...jd->...ij", axes, self.axes[other]))
                reach = reach + np.einsum("...ij,...j->...i", projected, self.half[other])
            gaps.append(np.abs(np.einsum("...id,...d->...i", axes, offset)) / reach)
        relative_distance = np.concatenate(gaps, -1).max(-1)
        inner = np.linalg.norm(offset, axis=-1) < 0.9 * (self.half[a].min(-1) + self.half[b].min(-1))
        return np.where(inner, INFEASIBLE_COST / 2, np.where(relative_distance < 0.95, OVERLAP_COST, 0.0))


def similarity(a: Option, b: Option) -> float:
    """How similar two options look: 1 for the same asset and rotation, less than a half for another rotation."""
    if a.asset is not b.asset:
        return 0.0
    angle = np.arccos(np.clip((np.trace(a.rotation.T @ b.rotation) - 1) / 2, -1, 1))
    return 0.4 + 0.6 * max(0.0, 1 - float(angle) / np.radians(40.0))


def occlusion_of(a: np.ndarray, distance_a: np.ndarray, b: np.ndarray, distance_b: np.ndarray | float) -> np.ndarray:
    """How much boxes ``a`` and ``b`` (..., 4) of assets at these distances hide each other: 0 for a small overlap, near
    1 where the farther one is wholly hidden."""
    overlap = _overlap(a, b) / np.maximum(np.where(distance_a > distance_b, box_area(a), box_area(b)), 1e-9)
    return 2 * np.clip(overlap - 0.35, 0.0, None) ** 2


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, wanted_height = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.maximum(wanted_height - low, 0).prod(-1)
