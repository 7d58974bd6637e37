# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of cameras: arcs, circles, random walks, and the shake of a hand, free of collisions."""

from __future__ import annotations

import math

import numpy as np

from ..plugin.results import Rejected
from ..recipe.tables.sequence import SequenceSettings
from ..rng import log_uniform
from ..scene.motion import rotation_about
from ..stage import CameraPose, Stage

TRIES = 24
"""Paths drawn before the layout is given up."""

HEADINGS = np.radians([0, 20, -20, 45, -45, 80, -80, 120, -120, 180])
"""What a walk tries, in this order, where something is ahead."""

SHAKE_HERTZ = (0.5, 4.0)
"""A hand shakes slowly and quickly; physiological tremor above is too small to be seen [Stiles & Randall, 1967]."""

WAVES = 5


def camera_path(
    stage: Stage, start: CameraPose, settings: SequenceSettings, rig: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Matrices (length + 2, 4, 4) from the camera to the world, from one moment before the first to one after the last.

    The second is that of ``start``. ``rig`` (V, 4, 4) leads from each camera of the rig to the first one.

    Raises
    ------
    Rejected
        Where no path is free for all cameras.
    """
    times = np.arange(-1, settings.length + 1) / settings.fps
    pivot = _pivot(stage, start)
    for _ in range(TRIES):
        path = _drawn(stage, start, settings, pivot, times, rng) @ _shake(settings, times, rng)
        if _is_free(stage, path[1:-1], settings.clearance, rig):
            return path
        if settings.camera == "still" and not (settings.shake_distance or settings.shake):
            break
    raise Rejected("camera: no free path")


def _drawn(
    stage: Stage,
    start: CameraPose,
    settings: SequenceSettings,
    pivot: np.ndarray,
    times: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    path = np.repeat(start.matrix[None], len(times), axis=0)
    if settings.camera == "still":
        return path
    speed = rng.uniform(*settings.speed)
    turn = math.radians(rng.uniform(*settings.turn_rate)) * rng.choice([-1.0, 1.0])
    if settings.camera == "circle":
        for k, time in enumerate(times):
            path[k] = _turned(start.matrix, turn * time, pivot)
    elif settings.camera == "curve":
        heading, climb = rng.uniform(0, 2 * math.pi), rng.uniform(-0.2, 0.2)
        for k, place in enumerate(start.position + _arc(times, speed, turn, heading, climb)):
            path[k] = _turned(start.matrix, _azimuth(pivot - place) - _azimuth(pivot - start.position))
            path[k, :3, 3] = place
    else:
        _walk(path, stage, settings, speed, times, rng)
    return path


def _arc(times: np.ndarray, speed: float, turn: float, heading: float, climb: float) -> np.ndarray:
    """Places (N, 3) on an arc that begins at the origin; ``climb`` is a share of the speed."""
    if abs(turn) < 1e-9:
        along, across = speed * times, np.zeros_like(times)
    else:
        along, across = speed / turn * np.sin(turn * times), speed / turn * (1 - np.cos(turn * times))
    x = math.cos(heading) * along - math.sin(heading) * across
    y = math.sin(heading) * along + math.cos(heading) * across
    return np.stack([x, y, climb * speed * times], -1)


def _walk(
    path: np.ndarray,
    stage: Stage,
    settings: SequenceSettings,
    speed: float,
    times: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Walk from the second matrix on; looks where it goes, but turns no faster than the settings say."""
    step, most = speed / settings.fps, math.radians(max(settings.turn_rate)) / settings.fps
    forward = -path[1, :3, 2]
    heading = yaw = _azimuth(forward) if np.hypot(*forward[:2]) > 1e-6 else rng.uniform(0, 2 * math.pi)
    first, place = yaw, path[1, :3, 3].copy()
    for k in range(2, len(times)):
        heading += most * rng.standard_normal()
        for change in HEADINGS:
            there = place + step * np.array([math.cos(heading + change), math.sin(heading + change), 0.0])
            if _is_clear_way(stage, place[None], there[None], settings.clearance):
                heading, place = heading + change, there
                break
        behind = (heading - yaw + math.pi) % (2 * math.pi) - math.pi
        yaw += float(np.clip(behind, -most, most))
        path[k] = _turned(path[1], yaw - first)
        path[k, :3, 3] = place
    # As if it had come straight.
    path[0] = path[1]
    path[0, :3, 3] = 2 * path[1, :3, 3] - path[2, :3, 3]


def _shake(settings: SequenceSettings, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Matrices (N, 4, 4) in the camera's own frame, none at time 0."""
    out = np.repeat(np.eye(4)[None], len(times), axis=0)
    waves = _waves(times, rng)
    angles, places = math.radians(settings.shake) * waves[:3], settings.shake_distance * waves[3:]
    for k in range(len(times)):
        for axis, angle in enumerate(angles[:, k]):
            out[k, :3, :3] = out[k, :3, :3] @ rotation_about(np.eye(3)[axis], float(angle))
        out[k, :3, 3] = places[:, k]
    return out


def _waves(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six sums of sines (6, N) of variance 1, minus their values at time 0."""
    hertz = log_uniform(rng, SHAKE_HERTZ, 6 * WAVES).reshape(6, WAVES)
    phase = rng.uniform(0, 2 * math.pi, (6, WAVES))

    def at(time: np.ndarray) -> np.ndarray:
        waves = np.sin(2 * math.pi * hertz[..., None] * time + phase[..., None])
        return np.asarray(waves.sum(1) * math.sqrt(2 / WAVES))

    return at(times) - at(np.zeros(1))


def _pivot(stage: Stage, start: CameraPose) -> np.ndarray:
    """The centre of the annotated instance nearest to the middle of the image; without any, a point 2 m ahead."""
    ahead = start.position - 2.0 * start.matrix[:3, 2]
    centers = [(i.points.min(0) + i.points.max(0)) / 2 for i in stage.instances if i.asset.class_name]
    if not centers:
        return np.asarray(ahead)
    pixels, depth = start.project(np.array(centers))
    away = np.hypot(*(pixels - (start.width / 2, start.height / 2)).T)
    away[(depth <= 0) | ~np.isfinite(away)] = np.inf
    return np.asarray(ahead if np.isinf(away).all() else centers[int(np.argmin(away))])


def _azimuth(direction: np.ndarray) -> float:
    return math.atan2(direction[1], direction[0])


def _turned(matrix: np.ndarray, angle: float, about: np.ndarray | None = None) -> np.ndarray:
    """A matrix turned about the vertical through a point; through its own origin for None."""
    out, turn = matrix.copy(), rotation_about((0.0, 0.0, 1.0), angle)
    out[:3, :3] = turn @ matrix[:3, :3]
    if about is not None:
        out[:3, 3] = about + turn @ (matrix[:3, 3] - about)
    return out


def _is_free(stage: Stage, path: np.ndarray, clearance: float, rig: np.ndarray) -> bool:
    """Whether all cameras keep their distance at all moments, and no surface is between two moments."""
    places = (path[:, None] @ rig)[..., :3, 3]
    if not (stage.clearance(places.reshape(-1, 3), within=clearance) >= clearance).all():
        return False
    return _is_clear_way(stage, places[:-1].reshape(-1, 3), places[1:].reshape(-1, 3), 0.0)


def _is_clear_way(stage: Stage, before: np.ndarray, after: np.ndarray, clearance: float) -> bool:
    """Whether nothing is between places (N, 3), and near the later ones."""
    ways = after - before
    lengths = np.linalg.norm(ways, axis=1)
    moving = lengths > 1e-9
    if moving.any():
        reach = lengths[moving] + clearance
        hits = stage.cast(before[moving], ways[moving] / lengths[moving, None], within=reach)
        if (hits.distance < reach).any():
            return False
    return bool(not clearance or (stage.clearance(after, within=clearance) >= clearance).all())
