# SPDX-License-Identifier: GPL-3.0-or-later
"""Walls of the built-in hall with windows, doors, pictures, radiators, columns and curtain. Pure numpy."""

from __future__ import annotations

import numpy as np

from .hall_furniture import BLACK, DARK, GREY, STEEL, WHITE
from .shapes.materials import Finish
from .shapes.parts import Parts
from .shapes.solid_geometry import Solid, box, lathe, merge, panel

WIDTH, DEPTH, HEIGHT = 40.0, 30.0, 6.5
"""Of the hall, in metres."""

_SILL, _LINTEL, _WINDOW_WIDTH = 1.15, 4.4, 3.6
_WINDOWS = (-11.0, -5.5, 0.0, 5.5, 11.0)
"""y of the middle of each window."""


def walls() -> dict[str, Parts]:
    """Walls with panelling, windows, doors, pictures, radiators, columns and the stage curtain."""
    out: dict[str, Parts] = {}
    paint, warm, accent = Finish("painted", "dcd7ca"), Finish("painted", "d9c7a2"), Finish("painted", "7f9aa0")
    wood = Finish("wood", "a87a48")
    for name, s, color in (("WallWest", -1, paint), ("WallEast", 1, warm)):
        x = s * (WIDTH / 2 + 0.15)
        solids = [
            box((0.3, DEPTH + 0.6, _SILL), (x, 0, _SILL / 2)),
            box((0.3, DEPTH + 0.6, HEIGHT - _LINTEL), (x, 0, (HEIGHT + _LINTEL) / 2)),
        ]
        edges = [-15.3, *(e for w in _WINDOWS for e in (w - _WINDOW_WIDTH / 2, w + _WINDOW_WIDTH / 2)), 15.3]
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            solids.append(box((0.3, b - a, _LINTEL - _SILL), (x, (a + b) / 2, (_LINTEL + _SILL) / 2)))
        frames, heaters = [], []
        for w in _WINDOWS:
            mid = (_SILL + _LINTEL) / 2
            frames += [box((0.06, 0.07, _LINTEL - _SILL), (x, w + d, mid)) for d in (-1.77, -0.6, 0.6, 1.77)]
            frames += [box((0.06, _WINDOW_WIDTH, 0.07), (x, w, z)) for z in (_SILL + 0.03, 3.4, _LINTEL - 0.03)]
            frames.append(box((0.2, _WINDOW_WIDTH + 0.2, 0.04), (s * (WIDTH / 2 - 0.05), w, _SILL + 0.0)))
            heaters += [box((0.09, 0.05, 0.55), (s * (WIDTH / 2 - 0.09), w - 1.1 + 0.075 * k, 0.5)) for k in range(30)]
        out[name] = [(color, merge(solids)), (WHITE, merge([*frames, *heaters]))]
    for name, s, color in (("WallSouth", -1, warm), ("WallNorth", 1, accent)):
        y = s * (DEPTH / 2 + 0.15)
        panels = [
            box((1.21, 0.03, 1.0), (-19.36 + 1.24 * k, s * (DEPTH / 2 - 0.015), 0.62), radius=0.006) for k in range(32)
        ]
        stripe = box((WIDTH, 0.05, 0.06), (0, s * (DEPTH / 2 - 0.025), 1.16))
        out[name] = [(color, box((WIDTH, 0.3, HEIGHT), (0, y, HEIGHT / 2))), (wood, merge([*panels, stripe]))]
    boards = [box((WIDTH, 0.02, 0.1), (0, s * 14.96, 0.05)) for s in (-1, 1)]
    boards += [box((0.02, DEPTH, 0.1), (s * 19.99, 0, 0.05)) for s in (-1, 1)]
    out["Baseboard"] = [(DARK, merge(boards))]
    out["Doors"] = _doors()
    out["Pictures"] = _pictures()
    columns = [(x, y) for x in (-12.0, 12.0) for y in (-3.5, 3.5, 10.5)]
    out["Columns"] = [
        (WHITE, merge(lathe([(0.24, 0), (0.24, HEIGHT)], (x, y, 0), sides=28) for x, y in columns)),
        (GREY, merge(lathe([(0.3, 0), (0.3, 0.16), (0.25, 0.2)], (x, y, 0), sides=28) for x, y in columns)),
    ]
    u = np.linspace(-6.6, 6.6, 180)
    fold = 14.75 + 0.09 * np.sin(u * 2 * np.pi / 0.5) + 0.03 * np.sin(u * 2.3)
    cloth = panel(np.stack([np.stack([u, fold, np.full_like(u, z)], 1) for z in (0.84, 5.2)], axis=1), 0.02)
    out["Curtain"] = [(Finish("fabric", "6f1f27"), cloth), (DARK, box((14.2, 0.3, 0.5), (0, 14.7, 5.35)))]
    return out


def _doors() -> Parts:
    leaf, trim, metal = [], [], []
    for x, s in ((-17.8, -1), (0.4, -1), (11.6, -1), (17.6, -1), (-16.5, 1), (10.0, 1)):
        y = s * 14.95
        leaf += [box((0.92, 0.06, 2.1), (x + d, y, 1.07), radius=0.008) for d in (-0.47, 0.47)]
        trim += [box((0.1, 0.14, 2.2), (x + d, y, 1.1)) for d in (-0.99, 0.99)] + [box((2.08, 0.14, 0.1), (x, y, 2.2))]
        metal += [box((0.03, 0.05, 0.3), (x + d, y - s * 0.05, 1.05), radius=0.008) for d in (-0.08, 0.08)]
        metal += [box((0.6, 0.008, 0.2), (x + d, y - s * 0.033, 0.18)) for d in (-0.47, 0.47)]
    return [(Finish("wood", "7a4f2c"), merge(leaf)), (WHITE, merge(trim)), (STEEL, merge(metal))]


def _pictures() -> Parts:
    colours = ("2f5d7c", "b5533c", "d6a73f", "4a6b4a", "e2dccb")
    prints: dict[Finish, list[Solid]] = {}
    frames, spots = [], []
    spots += [
        (-13.8, -1, 2.4),
        (-8.7, -1, 2.6),
        (-4.8, -1, 2.2),
        (3.9, -1, 2.9),
        (6.9, -1, 2.2),
        (9.0, -1, 2.6),
        (14.6, -1, 2.5),
    ]
    spots += [(-18.8, 1, 2.3), (-13.3, 1, 2.6), (-10.4, 1, 2.2), (13.9, 1, 2.8), (17.5, 1, 2.3)]
    for k, (x, s, z) in enumerate(spots):
        wide, high = 0.7 + 0.45 * ((k * 7) % 3), 0.7 + 0.3 * ((k * 5) % 3)
        frames.append(box((wide + 0.1, 0.04, high + 0.1), (x, s * 14.97, z)))
        for part in range(3):
            finish = Finish("painted", colours[(k + part) % 5])
            size, shift = (
                ((wide, 0.042, high), 0.0)
                if part == 0
                else ((wide * 0.5 / part, 0.042 + 0.002 * part, high * 0.6 / part), 0.1)
            )
            prints.setdefault(finish, []).append(
                box(size, (x + shift * (part - 1) * wide, s * 14.967, z - 0.1 * part * high))
            )
    return [(BLACK, merge(frames)), *((f, merge(p)) for f, p in prints.items())]
