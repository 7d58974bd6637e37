# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts solved layouts into the room: many places of a camera at once; everything must stand and be seen."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry import line_of_sight
from ..geometry.framing import box_area, clip_box, look_rotation, near_clip, project_box
from ..stage import CameraPose, Stage
from .asset_options import Option
from .cameras import CameraLimits
from .fit import Assignment, Cameras, Fits, pseudo_huber
from .height_maps import HeightMap, site_map

_LEVEL_TOLERANCE = 0.1
_UNPLANNED_COST = 4.0
"""What it costs where an annotated thing that no goal asks for is in view."""


@attrs.frozen(eq=False)
class View:
    """A solved camera, by its number, at ``place`` (2,) of the room; ``options`` (G,) stand before it, -1 for none."""

    pose: CameraPose
    camera: int
    place: np.ndarray
    options: np.ndarray
    cost: float


@attrs.frozen
class VisibilityLimits:
    """What a camera keeps free, in metres, and sees: see the parameters of the plugin."""

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
) -> list[View]:
    """The best places for cameras, cheapest first, at most ``max_views``.

    Parameters
    ----------
    height_map : Terrain
        Where cameras may be.
    options, fits, choice, cameras
        The solved layouts.
    samples : int
        Places tried for each camera.
    max_candidates : int
        Places that rays are cast from.
    """
    order = np.argsort(choice.total, kind="stable")
    candidates: list[tuple[float, int, np.ndarray, np.ndarray]] = []
    for camera in order:
        places = height_map.draw(float(cameras.floor[camera]), samples, rng)
        if not len(places):
            continue
        chosen = choice.option[camera]
        feet, ok = np.zeros((len(places), len(chosen), 3)), np.ones(len(places), bool)
        for k, option in enumerate(chosen):
            if option < 0:
                continue
            there = places + fits.offset_xy[camera, option]
            z = site_map(stage, options[option].site).at(there)
            with np.errstate(invalid="ignore"):
                ok &= np.abs(z - options[option].level) < _LEVEL_TOLERANCE
            feet[:, k, :2], feet[:, k, 2] = there, z
        for place in np.flatnonzero(ok)[:3]:
            candidates.append((float(choice.total[camera]), int(camera), places[place], feet[place]))
        if len(candidates) >= max_candidates:
            break
    found: list[View] = []
    for total, camera, place, feet in candidates:
        view = _view_from(
            stage, options, choice.option[camera], cameras, camera, place, feet, total, limits, visibility
        )
        if view is not None:
            found.append(view)
            if len(found) >= 2 * max_views:
                break
    return sorted(found, key=lambda view: view.cost)[:max_views]


def _view_from(
    stage: Stage,
    options: Sequence[Option],
    chosen: np.ndarray,
    cameras: Cameras,
    camera: int,
    place: np.ndarray,
    feet: np.ndarray,
    total: float,
    limits: CameraLimits,
    visibility: VisibilityLimits,
) -> View | None:
    """The view from one place, None where it is not free, not at a height of a camera's, or sees too little."""
    position = np.array([*place, cameras.z[camera]])
    if stage.clearance(position[None])[0] < visibility.clearance:
        return None
    height = position[2] - line_of_sight.ground_below(stage, position[None])[0]
    if not limits.height[0] - 0.05 <= height <= limits.height[1] + 0.05:
        return None
    if not line_of_sight.are_above_surfaces(stage, position[None], visibility.above_surfaces)[0]:
        return None
    there = [(options[o], offset_xy) for o, offset_xy in zip(chosen, feet, strict=True) if o >= 0]
    middles = np.array([offset_xy + 0.5 * o.scale * np.array([0, 0, o.asset.size[2]]) for o, offset_xy in there])
    least = np.array([0.25 * o.scale * o.asset.size[:2].min() for o, _ in there])
    if (stage.clearance(middles) < least).any():
        return None
    points = np.array([o.points[::4] + offset_xy for o, offset_xy in there])
    ends = points.reshape(-1, 3) + np.array([0, 0, 0.01])
    away = ends - position
    length = np.linalg.norm(away, axis=1)
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(cameras.yaw[[camera]], cameras.pitch[[camera]], cameras.roll[[camera]])[0]
    matrix[:3, 3] = position
    pose = CameraPose(matrix, float(cameras.lens[camera]), *stage.resolution, near=near_clip(visibility.clearance))
    pixel, depth = pose.project(ends)
    inside = (depth > 0) & (pixel >= 0).all(1) & (pixel <= stage.resolution).all(1)
    hits = stage.cast(np.broadcast_to(position, ends.shape), away / length[:, None])
    free = ((hits.distance >= length - 0.02) | ~inside).reshape(len(there), -1)
    if (free.mean(1) < visibility.min_visible_share).any():
        return None
    cost = total + float(pseudo_huber(3 * (1 - free.mean(1))).sum()) + unplanned_cost(stage, pose)
    return View(pose, camera, place, chosen, cost)


def unplanned_cost(stage: Stage, pose: CameraPose) -> float:
    """What annotated instances cost that are on the stage already and would be in the picture."""
    there = [i for i in stage.instances if i.asset.class_name]
    if not there:
        return 0.0
    scale = np.array([[pose.focal / pose.width, pose.focal / pose.height]])
    boxes = []
    for instance in there:
        if (pose.project(instance.outline)[1] > pose.near).any():
            boxes.append(project_box(instance.outline, pose.position[None], pose.matrix[None, :3, :3], scale)[0])
    if not boxes:
        return 0.0
    return _UNPLANNED_COST * float((box_area(clip_box(np.array(boxes))) > 1e-4).sum())
