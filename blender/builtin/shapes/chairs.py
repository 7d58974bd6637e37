# SPDX-License-Identifier: GPL-3.0-or-later
"""Chairs of the common kinds, seat about 0.45 m high. They face -y, stand on z = 0, and are symmetric in x."""

from __future__ import annotations

import numpy as np

from .materials import Finish
from .parts import Parts
from .solid_geometry import (
    bend,
    box,
    extrude,
    grounded,
    lathe,
    leg,
    loft,
    merge,
    pair,
    panel,
    rounded_rectangle,
    spline,
    square_leg,
    superellipse,
    tube,
)


def slatted() -> Parts:
    """Kitchen chair: square legs, upright slats between two rails."""
    oak = Finish("wood", "a9713f")
    posts = [
        square_leg((0.19, 0.24, 0.92), (0.19, 0.2, 0.4), 0.028, 0.036),
        square_leg((0.19, 0.2, 0.42), (0.19, 0.21, 0), 0.036, 0.03),
    ]
    parts = [pair(merge([*posts, square_leg((0.19, -0.19, 0.43), (0.19, -0.19, 0), 0.038, 0.03)]))]
    for z, y, h in ((0.88, 0.237, 0.08), (0.56, 0.214, 0.04)):
        parts.append(box((0.36, 0.02, h), (0, y, z), radius=0.004).turned("x", -4, (0, y, z)))
    for x in np.linspace(-0.13, 0.13, 5):
        parts.append(box((0.032, 0.012, 0.3), (x, 0.224, 0.71), radius=0.003).turned("x", -4, (0, 0.224, 0.71)))
    rails = [box((0.36, 0.02, 0.05), (0, y, 0.405), radius=0.003) for y in (-0.19, 0.2)]
    rails += [box((0.02, 0.37, 0.05), (x, 0.0, 0.405), radius=0.003) for x in (-0.19, 0.19)]
    rails += [box((0.018, 0.38, 0.025), (x, 0.0, 0.17), radius=0.003) for x in (-0.19, 0.19)]
    seat = extrude(rounded_rectangle(0.44, 0.43, 0.03), 0.43, 0.455, bevel=0.005).moved(y=-0.01)
    return [(oak, merge(parts + rails)), (Finish("wood", "b07a48", "y"), seat)]


def ladder() -> Parts:
    """Rustic chair: turned posts, bowed rungs up the back, straw seat."""
    walnut = Finish("wood", "5b3a22")
    back = tube(
        spline([(0.21, 0.2, 0), (0.2, 0.19, 0.45), (0.2, 0.21, 0.75), (0.2, 0.25, 1.03)], 12),
        0.017,
        sides=10,
        level=True,
    )
    front = lathe([(0.014, 0), (0.018, 0.05), (0.02, 0.25), (0.022, 0.43), (0.012, 0.47)], (0.23, -0.2, 0), sides=10)
    parts = [pair(back), pair(front)]
    finial = lathe([(0.008, 0), (0.018, 0.012), (0.018, 0.025), (0.004, 0.045)], (0.2, 0.252, 1.02), sides=10)
    parts.append(pair(finial))
    u = np.linspace(-1, 1, 9)
    for z, y in ((0.58, 0.195), (0.71, 0.207), (0.84, 0.222), (0.97, 0.242)):
        rise = np.array([-0.03, 0.0, 0.03])[None, :, None] * (1 + 0.35 * (1 - u**2))[:, None, None]
        grid = np.stack([0.2 * u, y + 0.03 * (1 - u**2), np.full(9, z)], 1)[:, None] + rise * (0, 0, 1)
        parts.append(panel(grid, 0.01))
    for z in (0.13, 0.27):
        parts.append(tube([(-0.23, -0.2, z + 0.02), (0.23, -0.2, z + 0.02)], 0.011))
        parts.append(pair(tube([(0.225, -0.2, z), (0.205, 0.19, z)], 0.011)))
    seat = extrude([(-0.24, -0.22), (0.24, -0.22), (0.21, 0.2), (-0.21, 0.2)], 0.425, 0.462, bevel=0.012)
    return [(walnut, merge(parts)), (Finish("straw", "c9a765"), seat)]


def bentwood() -> Parts:
    """Coffee-house chair: round seat, double hoop back, ring between the legs."""
    wood = Finish("wood", "2f1c12")
    hoop = [(0.2, 0.2, 0), (0.185, 0.17, 0.3), (0.18, 0.165, 0.46), (0.195, 0.2, 0.66), (0.15, 0.245, 0.85)]
    path = [*hoop, (0.0, 0.258, 0.905)]
    outer = np.array(path + [(-x, y, z) for x, y, z in hoop[::-1]])
    line = spline(outer, 48)
    line[[0, -1], 2] = 0.0
    parts = [tube(line, 0.0145, sides=8)]
    inner = [(0.09, 0.165, 0.45), (0.105, 0.195, 0.64), (0.07, 0.225, 0.76), (0.0, 0.235, 0.79)]
    parts.append(tube(spline(inner + [(-x, y, z) for x, y, z in inner[-2::-1]], 28), 0.011, sides=8))
    front = spline([(0.17, -0.2, 0), (0.155, -0.17, 0.25), (0.14, -0.13, 0.45)], 8)
    parts.append(pair(tube(front, np.linspace(0.012, 0.018, 8), sides=10, level=True)))
    ring = np.concatenate([superellipse(0.35, 0.35, 2.0, sides=32), np.full((32, 1), 0.24)], axis=1)
    parts.append(tube(ring, 0.009, sides=6, closed=True))
    rim = [(0.19, 0.425), (0.205, 0.43), (0.208, 0.452), (0.2, 0.463), (0.17, 0.464)]
    parts.append(lathe(rim, sides=32))
    cane = lathe([(0.172, 0.455), (0.172, 0.466)], sides=32)
    return [(wood, grounded(merge(parts))), (Finish("straw", "c8a468"), cane)]


def folding() -> Parts:
    """Folding chair: two crossing tubular frames, bent plastic seat and back."""
    steel = Finish("metal", "9a9da2")
    main = bend([(0.215, -0.22, 0.012), (0.215, 0.25, 0.83), (-0.215, 0.25, 0.83), (-0.215, -0.22, 0.012)], 0.07)
    rear = bend([(0.19, 0.24, 0.012), (0.19, -0.2, 0.44), (-0.19, -0.2, 0.44), (-0.19, 0.24, 0.012)], 0.04)
    parts = [tube(main, 0.012), tube(rear, 0.011)]
    parts.append(tube([(-0.19, 0.16, 0.09), (0.19, 0.16, 0.09)], 0.008))
    parts.append(tube([(-0.215, -0.15, 0.135), (0.215, -0.15, 0.135)], 0.008))
    feet = [box((0.032, 0.036, 0.03), (x, y, 0.015), radius=0.006) for x, y in ((0.215, -0.222), (0.19, 0.242))]
    u, v = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 4), indexing="ij")
    curve = np.stack([0.2 * u, 0.222 - 0.03 * (1 - u**2) + 0.045 * v, 0.74 + 0.075 * v], axis=2)
    seat = box((0.39, 0.37, 0.028), (0, -0.02, 0.45), radius=0.012, segments=2).turned("x", 3, (0, 0, 0.45))
    blue = Finish("plastic", "2b4a6f")
    return [
        (steel, merge(parts)),
        (blue, merge([panel(curve, 0.012), seat])),
        (Finish("plastic", "1c1c1e"), pair(merge(feet))),
    ]


def office() -> Parts:
    """Swivel chair: star base on castors, gas spring, cushions, armrests."""
    black, grey = Finish("plastic", "1d1e20"), Finish("fabric", "3a4048")
    dark = [lathe([(0.026, 0.1), (0.03, 0.13), (0.03, 0.26), (0.018, 0.262), (0.018, 0.4)], sides=16)]
    dark.append(box((0.2, 0.24, 0.04), (0, 0.02, 0.405), radius=0.012))
    for k in range(5):
        arm = tube(
            [(0, -0.02, 0.12), (0, -0.16, 0.105), (0, -0.3, 0.085)], [(0.027, 0.022), (0.023, 0.018), (0.017, 0.013)]
        )
        wheel = lathe([(0.018, -0.022), (0.028, -0.018), (0.03, 0.0), (0.028, 0.018), (0.018, 0.022)], sides=16)
        wheel = wheel.turned("y", 90).moved(y=-0.29, z=0.03)
        fork = box((0.03, 0.05, 0.03), (0, -0.285, 0.063), radius=0.008)
        dark.append(merge([arm, wheel, fork]).turned("z", 72 * k))
    stem = tube(spline([(0, 0.05, 0.39), (0, 0.25, 0.41), (0, 0.305, 0.52), (0, 0.3, 0.66)], 10), (0.03,) * 10, sides=8)
    dark.append(stem)
    rest = bend([(0.19, 0.05, 0.42), (0.285, 0.05, 0.43), (0.29, 0.06, 0.62)], 0.05)
    dark.append(
        pair(merge([tube(rest, 0.014), box((0.07, 0.26, 0.03), (0.285, 0.03, 0.645), radius=0.013, segments=2)]))
    )
    seat = box((0.49, 0.48, 0.09), (0, 0, 0.46), radius=0.042, segments=3, puff=0.012)
    u, v = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 7), indexing="ij")
    width = 0.225 * (1 - 0.25 * np.clip(v, 0, 1) ** 2) * (1 - 0.12 * np.clip(-v, 0, 1) ** 2)
    curve = np.stack(
        [width * u, 0.27 - 0.05 * (1 - u**2) + 0.02 * v**2 + 0.03 * v, 0.78 + 0.25 * v * (1 - 0.05 * u**2)], axis=2
    )
    return [(black, merge(dark)), (grey, merge([seat, panel(curve, 0.045)]))]


def cantilever() -> Parts:
    """Tubular steel without back legs: one bent tube carries leather seat and back."""
    side = [(0.24, 0.22, 0.016), (0.24, -0.24, 0.016), (0.24, -0.24, 0.45), (0.24, 0.18, 0.43), (0.24, 0.27, 0.85)]
    tip = side[-1]
    path = [(0.0, 0.22, 0.016), *side, (tip[0] - 0.05, tip[1], tip[2])]
    frame = pair(tube(bend(path, 0.07, steps=5), 0.0125))
    glides = [box((0.03, 0.03, 0.012), (s * 0.24, y, 0.006), radius=0.003) for s in (-1, 1) for y in (-0.15, 0.14)]
    seat = box((0.455, 0.42, 0.035), (0, -0.02, 0.448), radius=0.016, segments=2).turned("x", -3, (0, 0, 0.44))
    u, v = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 5), indexing="ij")
    back = np.stack([0.235 * u, 0.232 + 0.035 * v + 0.012 * (1 - u**2), 0.68 + 0.15 * v], axis=2)
    leather = Finish("leather", "6b2f1a")
    return [
        (Finish("metal", "d5d7da"), frame),
        (leather, merge([seat, panel(back, 0.03)])),
        (Finish("plastic", "202020"), merge(glides)),
    ]


def shell() -> Parts:
    """Moulded shell with a waterfall edge on four splayed wooden legs."""
    v = np.array([-1.0, -0.85, -0.5, -0.1, 0.2, 0.4, 0.6, 0.85, 1.15, 1.4, 1.5])
    keys = spline(
        [(-0.235, 0.43), (-0.2, 0.455), (0.0, 0.438), (0.15, 0.445), (0.21, 0.52), (0.235, 0.66), (0.255, 0.82)], len(v)
    )
    wide = np.interp(np.linspace(0, 1, len(v)), [0, 0.15, 0.5, 0.75, 0.93, 1], [0.19, 0.23, 0.235, 0.225, 0.2, 0.15])
    lift = np.interp(np.linspace(0, 1, len(v)), [0, 0.2, 0.5, 0.65, 1], [0.0, 0.03, 0.075, 0.05, 0.0])
    wrap = np.interp(np.linspace(0, 1, len(v)), [0, 0.45, 0.65, 1], [0.0, 0.0, 0.09, 0.05])
    u = np.linspace(-1, 1, 11)
    grid = np.stack(
        [
            wide[:, None] * np.sin(u * np.pi / 2 * 0.9)[None] / np.sin(np.pi / 2 * 0.9),
            keys[:, :1] - wrap[:, None] * (np.abs(u) ** 2.5)[None],
            keys[:, 1:] + lift[:, None] * (np.abs(u) ** 3)[None],
        ],
        axis=2,
    )
    legs = [
        leg((0.13, -0.13, 0.42), (0.225, -0.215, 0), 0.018, 0.011),
        leg((0.13, 0.13, 0.43), (0.215, 0.24, 0), 0.018, 0.011),
    ]
    wire = [
        tube([(0.15, -0.15, 0.33), (-0.14, 0.15, 0.4)], 0.006),
        tube([(0.155, 0.16, 0.35), (0.14, -0.14, 0.4)], 0.006),
    ]
    wire.append(box((0.26, 0.26, 0.016), (0, 0, 0.415), radius=0.006))
    metal = merge([pair(wire[0]), pair(wire[1]), wire[2]])
    return [
        (Finish("wood", "c59a62"), pair(merge(legs))),
        (Finish("plastic", "e8e6e0"), panel(grid, 0.009)),
        (Finish("metal", "2a2a2c"), metal),
    ]


def armchair() -> Parts:
    """Upholstered armchair: thick cushions, block arms, short wooden feet."""
    cloth = Finish("fabric", "7d8b6f")
    body = [
        box((0.56, 0.6, 0.16), (0, 0.02, 0.21), radius=0.02),
        box((0.54, 0.56, 0.15), (0, -0.03, 0.37), radius=0.05, segments=3, puff=0.02),
    ]
    body.append(box((0.58, 0.17, 0.62), (0, 0.3, 0.55), radius=0.06, segments=3).turned("x", -9, (0, 0.3, 0.3)))
    body.append(pair(box((0.13, 0.68, 0.5), (0.33, 0.0, 0.37), radius=0.05, segments=3)))
    feet = [leg((0.31, y, 0.14), (0.33, y * 1.03, 0), 0.024, 0.016) for y in (-0.28, 0.29)]
    return [(cloth, merge(body)), (Finish("wood", "4a2e1a"), pair(merge(feet)))]


def windsor() -> Parts:
    """Windsor chair: spindles in a bent bow, carved seat, splayed turned legs with stretchers."""
    wood = Finish("wood", "8b5a2f")
    bow = np.array(
        [(0.19, 0.17, 0.45), (0.215, 0.22, 0.65), (0.18, 0.265, 0.86), (0.1, 0.285, 0.945), (0.0, 0.29, 0.965)]
    )
    full = spline(np.concatenate([bow, bow[-2::-1] * (-1, 1, 1)]), 36)
    parts = [tube(full, 0.011, sides=8)]
    for k in np.linspace(-0.75, 0.75, 7):
        top = full[np.argmin(np.abs(full[:, 0] - k * 0.2) - 0.5 * full[:, 2])]
        foot = np.array([k * 0.17, 0.185 - 0.02 * abs(k), 0.45])
        t = np.linspace(0, 1, 5)[:, None]
        parts.append(tube(foot + (top - foot) * t, [0.006, 0.009, 0.0075, 0.006, 0.005], sides=6))
    for x, y, fx, fy in ((0.14, -0.13, 0.215, -0.21), (0.13, 0.12, 0.2, 0.225)):
        t = np.array([0, 0.12, 0.2, 0.45, 0.5, 0.55, 0.8, 0.86, 1.0])
        radii = np.array([0.012, 0.014, 0.019, 0.021, 0.014, 0.021, 0.019, 0.013, 0.015])
        path = np.array([fx, fy, 0]) + (np.array([x, y, 0.43]) - (fx, fy, 0)) * t[:, None]
        parts.append(pair(tube(path, radii, sides=10, level=True)))
    parts.append(pair(tube([(0.19, -0.18, 0.16), (0.187, 0.0, 0.16), (0.178, 0.185, 0.16)], [0.009, 0.014, 0.009])))
    parts.append(tube([(-0.187, 0, 0.16), (0, 0, 0.16), (0.187, 0, 0.16)], [0.009, 0.014, 0.009]))
    outline = superellipse(0.45, 0.43, 3.0, sides=32)
    rings = [
        np.concatenate([outline * s, np.full((32, 1), z)], 1)
        for s, z in ((0.88, 0.425), (0.98, 0.44), (1, 0.458), (0.96, 0.466), (0.7, 0.456), (0.2, 0.452))
    ]
    return [(wood, merge(parts)), (Finish("wood", "8b5a2f", "y"), loft(rings))]


def parsons() -> Parts:
    """Dining chair upholstered all over, high straight back, dark tapered legs."""
    cloth = Finish("fabric", "b9a88e")
    seat = box((0.46, 0.48, 0.12), (0, -0.02, 0.41), radius=0.03, segments=3, puff=0.012)
    back = box((0.46, 0.085, 0.64), (0, 0.22, 0.69), radius=0.03, segments=3).turned("x", -7, (0, 0.22, 0.4))
    legs = [
        square_leg((0.19, -0.21, 0.37), (0.19, -0.21, 0), 0.042, 0.028),
        square_leg((0.19, 0.2, 0.37), (0.19, 0.25, 0), 0.042, 0.028),
    ]
    return [(cloth, merge([seat, back])), (Finish("wood", "3a2416"), pair(merge(legs)))]


def stacking() -> Parts:
    """Stacking chair of halls: steel tube legs, moulded plywood seat and back."""
    rear = bend([(0.2, 0.24, 0.0), (0.2, 0.17, 0.43), (0.2, 0.25, 0.82)], 0.06)
    front = bend([(0.22, -0.22, 0.0), (0.2, -0.17, 0.42), (0.2, 0.17, 0.425)], 0.05)
    rear[0, 2] = front[0, 2] = 0.02
    feet = [
        leg((0.2, 0.238, 0.04), (0.2, 0.241, 0), 0.014, 0.015),
        leg((0.2195, -0.2185, 0.04), (0.2205, -0.221, 0), 0.014, 0.015),
    ]
    frame = [
        pair(tube(rear, 0.0105)),
        pair(tube(front, 0.0105)),
        tube([(-0.2, -0.15, 0.42), (0.2, -0.15, 0.42)], 0.009),
    ]
    u, v = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7), indexing="ij")
    seat = np.stack(
        [0.205 * u, 0.2 * v - 0.02, 0.447 - 0.02 * np.clip(-v, 0, 1) ** 3 - 0.012 * (1 - u**2) * (1 - v**2)], axis=2
    )
    back = np.stack([0.205 * u, 0.212 + 0.03 * v + 0.03 * (1 - u**2), 0.72 + 0.1 * v * (1 - 0.15 * u**2)], axis=2)
    ply = merge([panel(seat, 0.011), panel(back, 0.011)])
    return [
        (Finish("metal", "8d9196"), merge(frame)),
        (Finish("wood", "d0a56c", "x"), ply),
        (Finish("plastic", "1b1b1b"), pair(merge(feet))),
    ]


def monobloc() -> Parts:
    """Garden chair moulded in one piece, slotted back, armrests."""
    white = Finish("plastic", "e9ebea")
    parts = []
    for x, y, fx, fy in ((0.235, -0.2, 0.265, -0.235), (0.21, 0.2, 0.245, 0.27)):
        parts.append(pair(square_leg((x, y, 0.44), (fx, fy, 0), 0.06, 0.04)))
    parts.append(box((0.48, 0.46, 0.03), (0, -0.02, 0.43), radius=0.012, segments=2))
    arm = bend([(0.255, -0.215, 0.4), (0.275, -0.21, 0.64), (0.265, 0.25, 0.66)], 0.09)
    parts.append(pair(tube(arm, np.tile([(0.026, 0.012)], (len(arm), 1)), sides=8)))
    for k in np.linspace(-1, 1, 6):
        parts.append(
            tube(
                [(0.19 * k, 0.2, 0.43), (0.2 * k, 0.235, 0.62), (0.19 * k, 0.275, 0.81 + 0.03 * (1 - k * k))],
                [(0.017, 0.006)] * 3,
                sides=8,
            )
        )
    edge = [(0.215, 0.19, 0.43), (0.24, 0.24, 0.66), (0.2, 0.28, 0.81), (0.0, 0.29, 0.86)]
    parts.append(tube(spline(edge + [(-x, y, z) for x, y, z in edge[-2::-1]], 24), 0.019, sides=8))
    return [(white, merge(parts))]


CHAIRS = {
    "chair_slatted": slatted,
    "chair_ladder": ladder,
    "chair_bentwood": bentwood,
    "chair_folding": folding,
    "chair_office": office,
    "chair_cantilever": cantilever,
    "chair_shell": shell,
    "chair_armchair": armchair,
    "chair_windsor": windsor,
    "chair_parsons": parsons,
    "chair_stacking": stacking,
    "chair_monobloc": monobloc,
}
