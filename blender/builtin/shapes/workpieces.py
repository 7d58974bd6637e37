# SPDX-License-Identifier: GPL-3.0-or-later
"""What robots pick from bins: bins, and small parts of machines, a few centimetres long."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .materials import Finish
from .parts import Parts
from .solid_geometry import Solid, bend, box, extrude, lathe, loft, tube

_STEEL = Finish("metal", "9a9da0")
_BLACK = Finish("metal", "3a3b3d")
_BRASS = Finish("metal", "b08a45")


def _hollow(outer: np.ndarray, inner: float, low: float, high: float) -> Solid:
    """A ring from z ``low`` to ``high``; ``outer`` (N, 2) is its outline, ``inner`` the radius of its hole."""
    angle = np.arctan2(outer[:, 1], outer[:, 0])
    hole = inner * np.stack([np.cos(angle), np.sin(angle)], 1)
    sections = [[(*i, low), (*i, high), (*o, high), (*o, low)] for i, o in zip(hole, outer, strict=True)]
    return loft(sections, ring_closed=True)


def _polygon(sides: int, radius: float, each: int) -> np.ndarray:
    """Outline of a regular polygon with ``each`` points per side, by the radius of its corners."""
    turn = 2 * np.pi * np.arange(sides) / sides
    corners = radius * np.stack([np.cos(turn), np.sin(turn)], 1)
    share = np.arange(each)[:, None] / each
    return np.concatenate([a + share * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])


def bolt() -> Parts:
    """A hexagon bolt, 60 mm long, standing on its head."""
    head = extrude(_polygon(6, 0.0115, 1), 0.0, 0.008, bevel=0.0006)
    thread = [(0.006 - 0.0005 * (k % 2), 0.03 + 0.0015 * k) for k in range(25)]
    shaft = lathe([(0, 0.008), (0.006, 0.008), (0.006, 0.03), *thread, (0, 0.067)], sides=16)
    return [(_STEEL, head), (_STEEL, shaft)]


def nut() -> Parts:
    """A hexagon nut."""
    return [(_STEEL, _hollow(_polygon(6, 0.0185, 4), 0.0085, 0.0, 0.014))]


def ring() -> Parts:
    """A spacer ring."""
    return [(_BRASS, _hollow(_polygon(28, 0.021, 1), 0.013, 0.0, 0.012))]


def gear() -> Parts:
    """A gear of 16 teeth with a hub."""
    outline = []
    for tooth in range(16):
        for share, radius in ((0.0, 0.021), (0.18, 0.021), (0.32, 0.026), (0.68, 0.026), (0.82, 0.021)):
            turn = 2 * np.pi * (tooth + share) / 16
            outline.append((radius * np.cos(turn), radius * np.sin(turn)))
    teeth = _hollow(np.array(outline), 0.007, 0.0, 0.009)
    return [(_BLACK, teeth), (_BLACK, _hollow(_polygon(24, 0.0125, 1), 0.007, 0.0085, 0.018))]


def bracket() -> Parts:
    """An angle bracket."""
    upright = box((0.03, 0.004, 0.045), (0.0, -0.018, 0.0225), radius=0.0004)
    flat = box((0.03, 0.04, 0.004), (0.0, 0.0, 0.002), radius=0.0004)
    rib = extrude([(-0.016, 0.0), (0.012, 0.0), (-0.016, 0.03)], -0.002, 0.002).turned("x", 90).turned("z", 90)
    return [(_STEEL, upright), (_STEEL, flat), (_STEEL, rib.moved(0.0, 0.0, 0.0035))]


def elbow() -> Parts:
    """A pipe elbow with flanges."""
    path = bend([(0.0, 0.0, 0.006), (0.0, 0.0, 0.032), (0.03, 0.0, 0.032)], 0.016, steps=6)
    pipe = tube(path, 0.009, sides=18)
    flange = lathe([(0, 0), (0.0145, 0), (0.0145, 0.006), (0, 0.006)], sides=20)
    other = lathe([(0, 0), (0.0145, 0), (0.0145, 0.006), (0, 0.006)], sides=20).turned("y", 90).moved(0.028, 0.0, 0.032)
    return [(_BRASS, pipe), (_BRASS, flange), (_BRASS, other)]


def _open_box(width: float, depth: float, height: float, wall: float, color: str) -> Parts:
    """A bottom, and walls with a rim."""
    finish = Finish("plastic", color)
    corners = 0.5 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * (width, depth)
    # Of each corner: how far its points are outside the middle of the wall, and how high.
    profile = [(-0.5, 0.0), (-0.5, 1.0), (1.8, 1.0), (1.8, 0.93), (0.5, 0.93), (0.5, 0.0)]
    walls = loft(
        [[(*(corner + np.sign(corner) * out * wall), high * height) for out, high in profile] for corner in corners],
        ring_closed=True,
    )
    bottom = box((width - wall, depth - wall, wall), (0.0, 0.0, wall / 2 + 0.0002))
    return [(finish, walls), (finish, bottom)]


def bin_deep() -> Parts:
    """A container of 40 by 30 cm, 12 cm deep."""
    return _open_box(0.4, 0.3, 0.12, 0.006, "2f5d8c")


def bin_flat() -> Parts:
    """A tray of 30 by 20 cm, 7 cm deep."""
    return _open_box(0.3, 0.2, 0.07, 0.005, "55585c")


WORKPIECES: dict[str, dict[str, Callable[[], Parts]]] = {
    "bin": {"bin_deep": bin_deep, "bin_flat": bin_flat},
    "workpiece": {"bolt": bolt, "nut": nut, "ring": ring, "gear": gear, "bracket": bracket, "elbow": elbow},
}
"""Kind to shape name to maker."""
