# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds camera positions in the room for solved layouts: every asset must have ground below it and be visible."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry import line_of_sight
from ..geometry.framing import box_area, clip_box, look_rotation, near_clip, pose_box
from ..stage import CameraPose, Stage
from .asset_options import Option
from .cameras import CameraLimits
from .fit import Assignment, Cameras, Fits, pseudo_huber
from .height_maps import HeightMap, site_map

_LEVEL_TOLERANCE = 0.1
_UNPLANNED_COST = 4.0
"""Cost of each annotated instance in view that no goal asks for."""


@attrs.frozen(eq=False)
class LayoutView:
    """A solved camera, by its index, at ``position_xy`` (2,) in the room; ``options`` (G,) are in front of it, -1 for
    none."""

    pose: CameraPose
    camera: int
    position_xy: np.ndarray
    options: np.ndarray
    cost: float


@attrs.frozen
class VisibilityLimits:
    """Clearance around a camera in metres, and what it must see: as the parameters of camera ``layout``."""

    clearance: float
    min_visible_share: float
    above_surfaces: tuple[str, ...]


def place_cameras(
    stage: Stage,
    height_map: HeightMap,
    options: Sequence[Option],
    fits: Fits,
    choice: Assignment,
    cameras: Cameras,
    limits: CameraLimits,
    visibility: VisibilityLimits,
    rng: np.random.Generator,
    *,
    samples: int = 512,
    max_candidates: int = 48,
    max_views: int = 6,
) -> list[LayoutView]:
    """The best camera positions, at most ``max_views``, in ascending order of cost.

    Parameters
    ----------
    height_map : HeightMap
        Where cameras may be.
    options, fits, choice, cameras
        The solved layouts.
    samples : int
        Positions tried for each camera.
    max_candidates : int
        Positions that rays are cast from.
    """
    order = np.argsort(choice.total, kind="stable")
    candidates: list[tuple[float, int, np.ndarray, np.ndarray]] = []
    for camera in order:
        positions = height_map.draw(float(cameras.floor[camera]), samples, rng)
        if not len(positions):
            continue
        assigned = choice.option[camera]
        targets, is_usable = np.zeros((len(positions), len(assigned), 3)), np.ones(len(positions), bool)
        for k, option in enumerate(assigned):
            if option < 0:
                continue
            target_xy = positions + fits.offset_xy[camera, option]
            z = site_map(stage, options[option].site).height_at(target_xy)
            with np.errstate(invalid="ignore"):
                is_usable &= np.abs(z - options[option].level) < _LEVEL_TOLERANCE
            targets[:, k, :2], targets[:, k, 2] = target_xy, z
        for i in np.flatnonzero(is_usable)[:3]:
            candidates.append((float(choice.total[camera]), int(camera), positions[i], targets[i]))
        if len(candidates) >= max_candidates:
            break
    views: list[LayoutView] = []
    for total, camera, position_xy, own_targets in candidates:
        view = _view_from(
            stage, options, choice.option[camera], cameras, camera, position_xy, own_targets, total, limits, visibility
        )
        if view is not None:
            views.append(view)
            if len(views) >= 2 * max_views:
                break
    return sorted(views, key=lambda view: view.cost)[:max_views]


def _view_from(
    stage: Stage,
    options: Sequence[Option],
    assigned: np.ndarray,
    cameras: Cameras,
    camera: int,
    position_xy: np.ndarray,
    targets: np.ndarray,
    total: float,
    limits: CameraLimits,
    visibility: VisibilityLimits,
) -> LayoutView | None:
    """The view from one position; None where it is not free, not within the camera's height, or sees too little."""
    position = np.array([*position_xy, cameras.z[camera]])
    if stage.clearance(position[None], within=visibility.clearance)[0] < visibility.clearance:
        return None
    height = position[2] - line_of_sight.ground_below(stage, position[None])[0]
    if not limits.height[0] - 0.05 <= height <= limits.height[1] + 0.05:
        return None
    if not line_of_sight.are_above_surfaces(stage, position[None], visibility.above_surfaces)[0]:
        return None
    shown = [(options[o], target) for o, target in zip(assigned, targets, strict=True) if o >= 0]
    centers = np.array([target + 0.5 * o.scale * np.array([0, 0, o.asset.size[2]]) for o, target in shown])
    min_clearance = np.array([0.25 * o.scale * o.asset.size[:2].min() for o, _ in shown])
    if (stage.clearance(centers, within=min_clearance) < min_clearance).any():
        return None
    points = np.array([o.points[::4] + target for o, target in shown])
    ends = points.reshape(-1, 3) + np.array([0, 0, 0.01])
    directions = ends - position
    length = np.linalg.norm(directions, axis=1)
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(cameras.yaw[[camera]], cameras.pitch[[camera]], cameras.roll[[camera]])[0]
    matrix[:3, 3] = position
    pose = CameraPose(matrix, float(cameras.lens[camera]), *stage.resolution, near=near_clip(visibility.clearance))
    pose = pose.with_intrinsics(stage.intrinsics)
    pixel, depth = pose.project(ends)
    inside = (depth > 0) & (pixel >= 0).all(1) & (pixel <= stage.resolution).all(1)
    hits = stage.cast(np.broadcast_to(position, ends.shape), directions / length[:, None], within=length)
    free = ((hits.distance >= length - 0.02) | ~inside).reshape(len(shown), -1)
    if (free.mean(1) < visibility.min_visible_share).any():
        return None
    cost = total + float(pseudo_huber(3 * (1 - free.mean(1))).sum()) + unplanned_cost(stage, pose)
    return LayoutView(pose, camera, position_xy, assigned, cost)


def unplanned_cost(stage: Stage, pose: CameraPose) -> float:
    """Cost of annotated instances that are on the stage already and would be in the picture."""
    annotated = [i for i in stage.instances if i.asset.class_name]
    if not annotated:
        return 0.0
    boxes = []
    for instance in annotated:
        if (pose.project(instance.outline)[1] > pose.near).any():
            boxes.append(pose_box(pose, instance.outline))
    if not boxes:
        return 0.0
    return _UNPLANNED_COST * float((box_area(clip_box(np.array(boxes))) > 1e-4).sum())
