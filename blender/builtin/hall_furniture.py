# SPDX-License-Identifier: GPL-3.0-or-later
"""Furniture and clutter of the built-in hall: solids in world coordinates, by object name. Pure numpy."""

from __future__ import annotations

import numpy as np

from ...engine.rng import stream
from .shapes.materials import Finish
from .shapes.parts import Parts
from .shapes.solid_geometry import Solid, box, lathe, merge, panel, tube

BEECH, OAK, DARK = Finish("wood", "c39a64", "x"), Finish("wood", "9a6c3c", "x"), Finish("wood", "4a2e1c", "x")
WHITE, STEEL, GREY = Finish("painted", "e4e2dc"), Finish("metal", "9ea1a5"), Finish("painted", "84888c")
CARDBOARD, BLACK = Finish("painted", "a97f52"), Finish("plastic", "1a1b1d")


def furniture() -> dict[str, Parts]:
    """Furniture along the walls and columns: object name to finishes and solids."""
    out: dict[str, Parts] = {}
    for k, (x, y, turn) in enumerate(((-5.0, -14.65, 0), (6.5, -14.65, 0), (19.4, -2.0, 90), (-19.4, 9.5, -90)), 1):
        body, top = _counter(turn, x, y)
        out[f"Counter{k}"], out[f"CounterTop{k}"] = body, top
    for k, (x, y, turn) in enumerate(
        ((-15.5, -14.75, 0), (-12.4, -14.75, 0), (15.5, 14.75, 180), (12.2, 14.75, 180)), 1
    ):
        out[f"Shelf{k}"] = _placed(_shelf(k), turn, x, y)
    pots = (
        (-19.2, -14.2),
        (-9.2, 8.4),
        (9.2, 8.4),
        (19.2, 14.2),
        (-19.3, 2.0),
        (11.4, 3.1),
        (-12.7, -4.5),
        (2.0, -14.5),
    )
    for k, (x, y) in enumerate(pots, 1):
        out[f"Plant{k}"] = _placed(_plant(k), 40.0 * k, x, y)
    for k, (x, y, turn) in enumerate(
        ((-19.0, -7.0, 90), (19.0, 5.0, 90), (-1.5, -14.4, 0), (14.0, -14.3, 0), (-14.0, 13.9, 0)), 1
    ):
        out[f"Bench{k}"] = _placed(_bench(), turn, x, y)
    for k, (x, y) in enumerate(((17.8, 12.4), (-18.3, -11.5), (-10.2, 14.0), (9.7, -14.2)), 1):
        out[f"Boxes{k}"] = _placed(_boxes(k), 15.0 * k, x, y)
    for k, (x, y, turn) in enumerate(((-16.0, 4.0, 80), (16.3, 8.5, -75), (-15.8, -8.0, 110), (10.6, -4.2, 20)), 1):
        out[f"Screen{k}"] = _placed(_screen(k), turn, x, y)
    out["Piano"] = _placed(_piano(), 0, -5.5, 13.2, 0.8)
    out["Lectern"] = _placed(_lectern(), 0, 3.8, 10.6, 0.8)
    out["Vending"] = _placed(_vending(), 0, 4.2, -14.55)
    out["Lockers"] = _placed(_lockers(), 0, -9.0, -14.7)
    return out


def _placed(parts: Parts, degrees: float, x: float, y: float, z: float = 0.0) -> Parts:
    return [(finish, solid.turned("z", degrees).moved(x, y, z)) for finish, solid in parts]


def _counter(turn: float, x: float, y: float) -> tuple[Parts, Parts]:
    """A closed sideboard with doors, and its top as a separate object, so that recipes can place assets on it."""
    body = box((2.2, 0.5, 0.74), (0, 0, 0.44))
    doors = [box((0.52, 0.02, 0.66), (d, 0.255, 0.45), radius=0.004) for d in (-0.825, -0.275, 0.275, 0.825)]
    grips = [box((0.015, 0.03, 0.14), (d + 0.2, 0.27, 0.55), radius=0.004) for d in (-0.825, -0.275, 0.275, 0.825)]
    plinth = box((2.1, 0.42, 0.07), (0, 0, 0.035))
    parts: Parts = [(WHITE, body), (BEECH, merge(doors)), (STEEL, merge(grips)), (BLACK, plinth)]
    top: Parts = [(OAK, box((2.26, 0.56, 0.035), (0, 0.01, 0.8275), radius=0.004))]
    return _placed(parts, turn, x, y), _placed(top, turn, x, y)


def _shelf(key: int) -> Parts:
    rng = stream(0, "hall", "shelf", key)
    frame = [box((0.03, 0.34, 2.0), (x, 0, 1.0)) for x in (-1.2, 0.0, 1.2)]
    frame += [box((2.4, 0.34, 0.025), (0, 0, z)) for z in (0.06, 0.46, 0.86, 1.26, 1.66, 1.985)]
    frame.append(box((2.4, 0.012, 1.95), (0, -0.16, 1.0)))
    colours = ("7c2b26", "2b4f73", "d7cdb4", "3f5d43", "b98b35", "3a3338")
    books: dict[str, list[Solid]] = {c: [] for c in colours}
    for z in (0.0725, 0.4725, 0.8725, 1.2725, 1.6725):
        for start in (-1.17, 0.03):
            x, end = start, start + rng.uniform(0.4, 1.1)
            while x < end:
                wide, high = rng.uniform(0.025, 0.07), rng.uniform(0.2, 0.33)
                books[str(rng.choice(colours))].append(
                    box((wide * 0.94, 0.22, high), (x + wide / 2, 0.0, z + high / 2))
                )
                x += wide
    return [(BEECH, merge(frame)), *((Finish("painted", c), merge(b)) for c, b in books.items() if b)]


def _plant(key: int) -> Parts:
    rng = stream(0, "hall", "plant", key)
    pot = lathe([(0.17, 0), (0.19, 0.02), (0.24, 0.42), (0.26, 0.43), (0.26, 0.46), (0.22, 0.46)], sides=24)
    leaves, stems = [], []
    high = rng.uniform(0.8, 1.3)
    for k in range(22):
        turn, reach = 137.5 * k, rng.uniform(0.3, 0.6)
        z = 0.5 + (high * 0.6) * k / 22
        t = np.linspace(0.0, 1.0, 6)
        out, up = reach * t, z + 0.5 * reach * t * (1.7 - 1.6 * t)
        wide = 0.11 * np.sin(np.pi * np.clip(t * 0.93 + 0.05, 0, 1))
        grid = np.stack([np.stack([out, s * wide, up + 0.03 * abs(s)], 1) for s in (-1.0, 0.0, 1.0)], axis=1)
        leaves.append(panel(grid, 0.006).turned("z", turn))
    stems.append(tube([(0, 0, 0.42), (0.01, 0, 0.42 + high * 0.65)], [0.03, 0.012], sides=8))
    soil = lathe([(0.215, 0.4), (0.215, 0.455)], sides=20)
    green = Finish("fabric", ("3c6b35", "4d7a3b", "2f5a38")[key % 3])
    pots = Finish("painted", ("c9c5bd", "9b5136", "4b4f55")[key % 3])
    return [(pots, pot), (green, merge(leaves)), (Finish("wood", "5d4630"), merge([*stems, soil]))]


def _bench() -> Parts:
    """Gymnasium bench."""
    legs = [box((0.06, 0.3, 0.3), (x, 0, 0.15)) for x in (-1.3, 0.0, 1.3)]
    return [
        (BEECH, merge([box((3.2, 0.28, 0.04), (0, 0, 0.32), radius=0.008), box((2.9, 0.05, 0.1), (0, 0, 0.12)), *legs]))
    ]


def _boxes(key: int) -> Parts:
    rng = stream(0, "hall", "boxes", key)
    cartons, tapes, z = [], [], 0.0
    for k in range(2 + key % 2):
        w, d, h = rng.uniform(0.4, 0.6), rng.uniform(0.35, 0.5), rng.uniform(0.28, 0.42)
        turn, dx = rng.uniform(-14, 14), rng.uniform(-0.03, 0.03)
        cartons.append(box((w, d, h), (dx, 0, z + h / 2)).turned("z", turn))
        tapes.append(box((w + 0.004, 0.06, h + 0.001), (dx, 0, z + h / 2 + 0.0005)).turned("z", turn))
        z += h + 0.001
        if k == 0:
            cartons.append(box((0.45, 0.4, 0.33), (0.68, 0.08, 0.165)).turned("z", turn))
    return [(CARDBOARD, merge(cartons)), (Finish("plastic", "c8ad86"), merge(tapes))]


def _screen(key: int) -> Parts:
    """A movable notice board with sheets pinned to both sides."""
    rng = stream(0, "hall", "screen", key)
    cloth = Finish("fabric", ("5b7f9b", "8a5252", "6d7a58", "8b7a9a")[key % 4])
    posts = [box((0.04, 0.04, 1.85), (x, 0, 0.935)) for x in (-0.92, 0.92)]
    feet = [box((0.05, 0.5, 0.04), (x, 0, 0.02), radius=0.008) for x in (-0.92, 0.92)]
    sheets = []
    for side in (-1, 1):
        for k in range(5):
            wide, high = rng.uniform(0.18, 0.3), rng.uniform(0.22, 0.36)
            sheets.append(box((wide, 0.004, high), (-0.68 + 0.34 * k, side * 0.019, rng.uniform(0.95, 1.55))))
    return [(cloth, box((1.8, 0.03, 1.2), (0, 0, 1.22))), (STEEL, merge(posts + feet)), (WHITE, merge(sheets))]


def _piano() -> Parts:
    body = [box((1.5, 0.4, 1.25), (0, 0.1, 0.625), radius=0.01), box((1.5, 0.32, 0.12), (0, -0.24, 0.68), radius=0.008)]
    body += [box((0.08, 0.28, 0.64), (x, -0.24, 0.32), radius=0.005) for x in (-0.68, 0.68)]
    keys = box((1.28, 0.15, 0.012), (0, -0.3, 0.745))
    return [(DARK, merge(body)), (WHITE, keys)]


def _lectern() -> Parts:
    column = box((0.4, 0.3, 1.05), (0, 0, 0.525), radius=0.008)
    top = box((0.62, 0.46, 0.03), (0, 0, 1.09), radius=0.006).turned("x", 18, (0, 0, 1.09))
    return [(Finish("wood", "8a5c33"), merge([column, top])), (DARK, box((0.5, 0.4, 0.05), (0, 0, 0.025)))]


def _vending() -> Parts:
    body = box((1.0, 0.8, 1.85), (0, 0, 0.945), radius=0.02)
    front = [
        box((0.62, 0.02, 1.2), (-0.12, 0.41, 1.15), radius=0.006),
        box((0.6, 0.02, 0.2), (-0.12, 0.41, 0.32), radius=0.006),
    ]
    rng = stream(0, "hall", "vending")
    cans: dict[str, list[Solid]] = {}
    for z in (0.65, 0.88, 1.11, 1.34, 1.57):
        for k in range(6):
            colour = str(rng.choice(("c23b2e", "e0b23c", "3f7fb5", "58a05a")))
            cans.setdefault(colour, []).append(box((0.06, 0.02, 0.13), (-0.37 + 0.1 * k, 0.425, z), radius=0.006))
    parts: Parts = [(Finish("painted", "9c2a26"), body), (BLACK, merge(front))]
    return parts + [(Finish("plastic", c), merge(s)) for c, s in cans.items()]


def _lockers() -> Parts:
    body = box((3.0, 0.5, 1.8), (0, 0, 0.95))
    doors = [box((0.35, 0.02, 0.84), (-1.3 + 0.372 * k, 0.255, z), radius=0.006) for k in range(8) for z in (0.5, 1.4)]
    knobs = [box((0.02, 0.03, 0.06), (-1.18 + 0.372 * k, 0.27, z), radius=0.005) for k in range(8) for z in (0.5, 1.4)]
    return [
        (GREY, body),
        (Finish("painted", "4f7a8c"), merge(doors)),
        (STEEL, merge(knobs)),
        (BLACK, box((2.9, 0.45, 0.05), (0, 0, 0.025))),
    ]
