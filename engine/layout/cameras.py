# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws cameras that might see a layout, and more of them around the best."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from ..goals import Goal
from ..rng import log_uniform
from .fit import Cameras
from .options import Option
from .terrain import Terrain


@attrs.frozen
class Limits:
    """What a recipe allows a camera: degrees, metres above its ground, millimetres of focal length."""

    height: tuple[float, float]
    pitch: tuple[float, float]
    roll: tuple[float, float]
    lens: tuple[float, float]


def draw_cameras(
    limits: Limits,
    terrain: Terrain,
    goals: Sequence[Goal],
    options: Sequence[Option],
    owner: np.ndarray,
    count: int,
    resolution: tuple[int, int],
    rng: np.random.Generator,
) -> Cameras:
    """``count`` random cameras; each looks up or down so that one of the goals, as one of its options, lies as high in
    the image as it should."""
    yaw = rng.permutation((np.arange(count) + rng.random(count)) * (2 * np.pi / count))
    floor = np.array([terrain.draw_level(rng) for _ in range(count)])
    height = rng.uniform(*limits.height, count)
    lens = log_uniform(rng, limits.lens, count)
    roll = np.radians(rng.uniform(*limits.roll, count))
    lead = rng.integers(len(options), size=count)
    size = np.array([o.scale * o.asset.size for o in options])[lead]
    level = np.array([o.level for o in options])[lead]
    area = np.array([g.area for g in goals])[owner[lead]]
    center = np.array([g.center for g in goals])[owner[lead]]
    focal = lens / 36.0
    focal_y = focal * resolution[0] / resolution[1]
    ratio = size[:, :2].mean(1) * 0.8 / size[:, 2] * focal / focal_y
    distance = focal_y * size[:, 2] / np.sqrt(area / ratio)
    rise = level + size[:, 2] / 2 - (floor + height)
    along = np.sqrt(np.maximum(distance**2 - rise**2, (0.3 * distance) ** 2))
    pitch = np.arctan2(rise, along) + np.arctan((center[:, 1] - 0.5) / focal_y) + np.radians(rng.normal(0, 1, count))
    return Cameras(yaw, np.clip(pitch, *np.radians(limits.pitch)), roll, lens, floor, floor + height)


def draw_near(cameras: Cameras, limits: Limits, each: int, rng: np.random.Generator) -> Cameras:
    """``each`` cameras around every one of these: height, pitch and lens a little different."""
    index = np.repeat(np.arange(len(cameras)), each)
    near = cameras.take(index)
    n = len(index)
    height = np.clip((near.z - near.floor) * np.exp(rng.normal(0, 0.15, n)), *limits.height)
    pitch = np.clip(near.pitch + np.radians(rng.normal(0, 2.0, n)), *np.radians(limits.pitch))
    lens = np.clip(near.lens * np.exp(rng.normal(0, 0.12, n)), *limits.lens)
    return attrs.evolve(near, pitch=pitch, lens=lens, z=near.floor + height)
