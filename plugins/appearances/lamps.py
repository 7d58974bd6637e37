# SPDX-License-Identifier: GPL-3.0-or-later
"""Area, spot and point lamps in free air, and windows as bright areas."""

from __future__ import annotations

import math

import numpy as np

from ...alignment.camera.color_temperature import blackbody
from ...engine.geometry.free_air import free_position
from ...engine.plugin import Range, param, plugin
from ...engine.recipe.input_files import listed_files
from ...engine.stage import Stage, Surface

_TRIES = 24
_WINDOW_GAP = 0.05
"""Metres between a window and its light."""


@plugin("appearance")
class Lamps:
    """Hang lamps below the ceiling, never inside of things, and let windows shine into the room.

    A lamp hangs where the air is free: a cube of its size touches nothing, nothing encloses it, from the surface below
    it a ray reaches it, and it is in no gap as narrow as a wall.
    """

    kinds: list[str] = param(
        ["area"], choices=("area", "spot", "point"), doc="Kinds of lamps to draw from: area, spot, point"
    )
    count_range: tuple[int, int] = param(
        (1, 4), min=0, max=64, doc="Minimum and maximum number of lamps", moves={"contrast": "-", "brightness": "+"}
    )
    power_range: Range = param(
        (20.0, 120.0),
        min=0.0,
        min_exclusive=True,
        unit="W",
        doc="Power of a lamp; drawn log-uniformly",
        moves={"brightness": "+"},
    )
    temperature_range: Range = param(
        (2700.0, 6500.0), min=1700.0, max=25000.0, unit="K", doc="Colour temperature of lamps; 6500 is neutral"
    )
    height_range: Range = param((1.8, 2.6), min=0.0, unit="m", doc="Height of a lamp above the surface below it")
    size_range: Range = param(
        (0.1, 0.6),
        min=0.0,
        min_exclusive=True,
        unit="m",
        doc="Width of area lamps; half of it is the radius of others. Larger gives softer shadows",
        moves={"contrast": "-"},
    )
    angle_range: Range = param((40.0, 90.0), min=1.0, max=180.0, unit="deg", doc="Cone of spot lamps")
    tilt: float = param(
        20.0, min=0.0, max=180.0, unit="deg", doc="Largest angle between a lamp's axis and the vertical"
    )
    ies_files: list[str] = param(
        [],
        path=True,
        doc="IES files with the light distribution of spot and point lamps, by name or pattern; Cycles only",
    )
    windows: list[str] = param([], means="object", doc="Name patterns of objects of the scene that shine as windows")
    window_power_range: Range = param(
        (20.0, 100.0),
        min=0.0,
        min_exclusive=True,
        unit="W",
        doc="Power of a square metre of window; drawn log-uniformly, the same for all windows of a frame",
        moves={"brightness": "+", "contrast": "+"},
    )
    window_temperature_range: Range = param(
        (5500.0, 9000.0), min=1700.0, max=25000.0, unit="K", doc="Colour temperature of windows"
    )

    def __attrs_post_init__(self) -> None:
        if self.count_range[0] > self.count_range[1]:
            raise ValueError(f"count_range must be [minimum, maximum]. Got {list(self.count_range)} instead.")
        if not self.kinds:
            raise ValueError("kinds must name at least one of area, spot, point.")

    @property
    def lights_scene(self) -> bool:
        """Whether every frame has a lamp or a window."""
        return self.count_range[0] > 0 or bool(self.windows)

    def vary(self, stage: Stage, rng: np.random.Generator) -> None:
        """Hang the lamps of this frame."""
        files = listed_files(stage.folder, "", self.ies_files, suffixes=(".ies",), owner="appearance 'lamps'")
        level, warmth = rng.random(2)
        for surface in stage.surfaces(self.windows) if self.windows else ():
            self._shine(stage, surface, float(level), float(warmth))
        for _ in range(int(rng.integers(self.count_range[0], self.count_range[1], endpoint=True))):
            kind = self.kinds[int(rng.integers(len(self.kinds)))]
            size = float(rng.uniform(*self.size_range))
            position = free_position(stage, size, self.height_range, rng, _TRIES)
            power, warmth_, angle, choice, lean, turn = rng.random(6)
            if position is None:
                continue
            tilt, around = math.radians(self.tilt * lean), 2 * math.pi * turn
            stage.add_lamp(
                kind,
                position=position,
                direction=(math.sin(tilt) * math.cos(around), math.sin(tilt) * math.sin(around), -math.cos(tilt)),
                power=_log_within(self.power_range, power),
                color=blackbody(_within(self.temperature_range, warmth_)),
                size=size if kind == "area" else size / 2,
                angle=_within(self.angle_range, angle),
                ies=files[int(choice * len(files))] if files and kind != "area" else None,
            )

    def _shine(self, stage: Stage, surface: Surface, level: float, warmth: float) -> None:
        """An area lamp before a window that shines towards the middle of the scene."""
        area = float(surface.areas.sum())
        points = surface.corners.reshape(-1, 3)
        middle = (points.min(0) + points.max(0)) / 2
        # The window's plane is that of its largest faces, whichever way they look.
        spread = (surface.normals * surface.areas[:, None]).T @ surface.normals
        normal = np.linalg.eigh(spread)[1][:, -1]
        low, high = (np.asarray(bound, dtype=float) for bound in stage.bounds)
        normal *= 1.0 if normal @ ((low + high) / 2 - middle) >= 0 else -1.0
        along = points - middle
        flat = along - np.outer(along @ normal, normal)
        side = np.cross((0.0, 0.0, 1.0), normal)
        side = side / np.linalg.norm(side) if np.linalg.norm(side) > 1e-3 else np.array([1.0, 0.0, 0.0])
        width, height = np.ptp(flat @ side), np.ptp(flat @ np.cross(normal, side))
        if area <= 0.0 or min(width, height) <= 0.0:
            return
        depth = float((along @ normal).max())
        stage.add_lamp(
            "area",
            position=tuple((middle + normal * (depth + _WINDOW_GAP)).tolist()),
            direction=tuple(normal.tolist()),
            power=_log_within(self.window_power_range, level) * float(width * height),
            color=blackbody(_within(self.window_temperature_range, warmth)),
            size=float(width),
            length=float(height),
        )


def _within(bounds: Range, share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def _log_within(bounds: Range, share: float) -> float:
    return bounds[0] * (bounds[1] / bounds[0]) ** share
