# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws cameras that might see a layout, and refines the best."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..geometry.projection import SENSOR_WIDTH, Projection
from ..goals import Goal
from ..rng import log_uniform
from ..scene.intrinsics import Intrinsics
from .asset_options import Option
from .fit import CENTER_SCALE, INFEASIBLE_COST, Cameras, GoalArrays, fit
from .height_maps import HeightMap


@attrs.frozen
class CameraLimits:
    """What a recipe allows a camera: degrees, metres above its ground, millimetres of focal length; or its optics."""

    height: tuple[float, float]
    pitch: tuple[float, float]
    roll: tuple[float, float]
    lens: tuple[float, float]
    intrinsics: Intrinsics | None = None


def draw_cameras(
    limits: CameraLimits,
    height_map: HeightMap,
    goals: Sequence[Goal],
    options: Sequence[Option],
    owner: np.ndarray,
    count: int,
    resolution: tuple[int, int],
    rng: np.random.Generator,
) -> Cameras:
    """``count`` random cameras; the pitch of each puts one of the goals, as one of its options, at the right height in
    the image."""
    yaw = rng.permutation((np.arange(count) + rng.random(count)) * (2 * np.pi / count))
    floor = np.array([height_map.draw_level(rng) for _ in range(count)])
    height = rng.uniform(*limits.height, count)
    lens = log_uniform(rng, limits.lens, count)
    roll = np.radians(rng.uniform(*limits.roll, count))
    reference = rng.integers(len(options), size=count)
    size = np.array([o.scale * o.asset.size for o in options])[reference]
    level = np.array([o.level for o in options])[reference]
    area = np.array([g.area for g in goals])[owner[reference]]
    center = np.array([g.center for g in goals])[owner[reference]]
    focal = lens / SENSOR_WIDTH
    focal_y = focal * resolution[0] / resolution[1]
    down = (center[:, 1] - 0.5) / focal_y
    if limits.intrinsics is not None:
        focal_y = np.full(count, limits.intrinsics.focal[1] / limits.intrinsics.height)
        down = Projection(np.ones((count, 2)), limits.intrinsics).slopes(center)[:, 1]
    ratio = size[:, :2].mean(1) * 0.8 / size[:, 2] * focal / focal_y
    distance = focal_y * size[:, 2] / np.sqrt(area / ratio)
    height_difference = level + size[:, 2] / 2 - (floor + height)
    ground_distance = np.sqrt(np.maximum(distance**2 - height_difference**2, (0.3 * distance) ** 2))
    pitch = np.arctan2(height_difference, ground_distance) + np.arctan(down) + np.radians(rng.normal(0, 1, count))
    pitch = np.clip(pitch, *np.radians(limits.pitch))
    return Cameras(yaw, pitch, roll, lens, floor, floor + height, limits.intrinsics)


_STEPS = {"pitch": 0.01, "z": 0.02, "lens": 0.02}
"""Steps of numerical derivatives: radians, and shares of the height above ground and of the focal length."""
_STEP_COSTS = {"pitch": 0.5, "z": 0.4, "lens": 0.25}
"""Changes that are as costly as an error of CENTER_SCALE."""


def refine_cameras(
    options: Sequence[Option],
    wanted: GoalArrays,
    index: np.ndarray,
    cameras: Cameras,
    limits: CameraLimits,
    resolution: tuple[int, int],
    *,
    rounds: int = 2,
) -> Cameras:
    """Change pitch, height and focal length of each camera so that its boxes are at the right height in the image.

    Parameters
    ----------
    options, wanted
        As for :func:`.fit.fit`.
    index : (C, G) int
        The options in front of each camera; -1 for none.
    cameras : Cameras
        C of them.
    limits : Limits
    resolution : (width, height)
    rounds : int
        Steps of damped Gauss-Newton.
    """
    use = np.maximum(index, 0)
    for _ in range(rounds):
        current = fit(options, wanted, cameras, resolution, index=use)
        weight = (index >= 0) & (current.cost < INFEASIBLE_COST)
        # Large errors count linearly, as in the cost, so that one infeasible box does not dominate.
        weight = weight / np.sqrt(1 + (current.low / CENTER_SCALE) ** 2)
        derivatives = []
        for name, step in _STEPS.items():
            other = fit(options, wanted, _stepped(cameras, name, np.full(len(cameras), step)), resolution, index=use)
            derivatives.append(np.clip((other.low - current.low) / step, -5.0, 5.0))
        jacobian = np.stack(derivatives, -1) / CENTER_SCALE
        normal = np.einsum("cgi,cg,cgj->cij", jacobian, weight, jacobian)
        normal += np.diag([1 / _STEP_COSTS[name] ** 2 for name in _STEPS])
        change = -np.linalg.solve(
            normal, np.einsum("cgi,cg,cg->ci", jacobian, weight, current.low / CENTER_SCALE)[..., None]
        )
        for k, name in enumerate(_STEPS):
            cameras = _stepped(cameras, name, np.clip(change[:, k, 0], -0.3, 0.3))
        height = np.clip(cameras.z - cameras.floor, *limits.height)
        cameras = attrs.evolve(
            cameras,
            pitch=np.clip(cameras.pitch, *np.radians(limits.pitch)),
            z=cameras.floor + height,
            lens=np.clip(cameras.lens, *limits.lens),
        )
    return cameras


def _stepped(cameras: Cameras, name: str, step: np.ndarray) -> Cameras:
    if name == "pitch":
        return attrs.evolve(cameras, pitch=cameras.pitch + step)
    if name == "z":
        return attrs.evolve(cameras, z=cameras.floor + (cameras.z - cameras.floor) * (1 + step))
    return attrs.evolve(cameras, lens=cameras.lens * (1 + step))
