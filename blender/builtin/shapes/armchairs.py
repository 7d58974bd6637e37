# SPDX-License-Identifier: GPL-3.0-or-later
"""Armchairs of the common kinds: low seats to lean back in. They face -y, stand on z = 0, and are symmetric in x."""

from __future__ import annotations

import numpy as np

from .materials import Finish
from .parts import Parts
from .solid_geometry import (
    Solid,
    bend,
    box,
    extrude,
    grounded,
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

_SLAT = 0.5 * np.array([(0.055, 0.02)])
"""Half width and half thickness of bent laminated wood, in metres."""


def bent_laminate() -> Parts:
    """Lounge chair of bent laminated wood without back legs, with a long cushion and a high back."""
    beech = Finish("wood", "d2a468", "y")
    runner = bend([(0.29, 0.3, 0.01), (0.29, -0.36, 0.01), (0.29, -0.36, 0.53), (0.29, 0.22, 0.5)], 0.14, steps=8)
    rising = bend([(0.25, -0.36, 0.36), (0.25, 0.14, 0.29), (0.25, 0.36, 0.98)], 0.16, steps=8)
    brace = [(0.29, 0.24, 0.02), (0.27, 0.3, 0.3), (0.25, 0.235, 0.6)]
    sides = [tube(line, np.tile(_SLAT, (len(line), 1)), sides=8) for line in (runner, rising)]
    sides.append(tube(spline(brace, 8), np.tile(_SLAT * 0.8, (8, 1)), sides=8))
    rails = [box((0.6, 0.05, 0.018), (0, y, z), radius=0.003) for y, z in ((-0.34, 0.4), (0.26, 0.01), (0.24, 0.5))]
    return [
        (beech, grounded(merge([pair(merge(sides)), *rails]))),
        (Finish("fabric", "e4dccb"), _cushion(0.27, [(-0.37, 0.4), (0.1, 0.34), (0.17, 0.42), (0.38, 1.02)], 0.07)),
    ]


def easy() -> Parts:
    """Open wooden frame with flat arms, a loose seat and a loose back cushion."""
    teak = Finish("wood", "7a4a28", "y")
    legs = [
        square_leg((0.32, -0.3, 0.55), (0.32, -0.33, 0), 0.042, 0.03),
        square_leg((0.32, 0.28, 0.52), (0.32, 0.38, 0), 0.042, 0.03),
    ]
    arm = extrude([(-0.035, -0.37), (0.04, -0.37), (0.03, 0.33), (-0.025, 0.33)], 0.545, 0.57, bevel=0.008)
    side_rail = box((0.025, 0.64, 0.055), (0.32, 0, 0.27), radius=0.005).turned("x", -5, (0.32, 0, 0.27))
    frame = [pair(merge([*legs, arm.moved(x=0.32), side_rail]))]
    frame += [box((0.64, 0.03, 0.06), (0, y, z), radius=0.005) for y, z in ((-0.3, 0.3), (0.24, 0.25))]
    spindles = [tube([(x, 0.26, 0.28), (x, 0.4, 0.8)], 0.011) for x in np.linspace(-0.26, 0.26, 7)]
    top = box((0.64, 0.03, 0.07), (0, 0.41, 0.82), radius=0.01).turned("x", -15, (0, 0.41, 0.82))
    seat = box((0.58, 0.6, 0.12), (0, -0.05, 0.36), radius=0.04, segments=3, puff=0.012)
    back = box((0.56, 0.12, 0.52), (0, 0.24, 0.63), radius=0.04, segments=3).turned("x", -15, (0, 0.24, 0.4))
    cushions = merge([seat.turned("x", -5, (0, 0, 0.36)), back])
    return [(teak, merge([*frame, *spindles, top])), (Finish("fabric", "3d5a63"), cushions)]


def tub() -> Parts:
    """Round low armchair whose back runs into its arms, on a plinth."""
    angle = np.radians(np.linspace(-38.0, 218.0, 33))
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    height = 0.62 + 0.14 * np.clip(np.sin(angle), 0.0, 1.0) ** 2
    rings = []
    for (x, y), h in zip(around, height, strict=True):
        section = [(0.27, 0.08), (0.37, 0.08), (0.39, 0.35), (0.4, h - 0.05), (0.36, h), (0.3, h), (0.27, h - 0.06)]
        rings.append([(r * x, 0.95 * r * y, z) for r, z in section])
    shell = loft(np.array(rings)).outward()
    seat = extrude(superellipse(0.56, 0.6, 2.6, sides=32), 0.3, 0.44, bevel=0.03).moved(y=-0.04)
    base = extrude(superellipse(0.62, 0.6, 2.4, sides=32), 0.05, 0.3, bevel=0.01)
    plinth = extrude(superellipse(0.54, 0.54, 2.4, sides=32), 0.0, 0.05)
    return [
        (Finish("fabric", "8c3f34"), merge([shell, seat, base])),
        (Finish("plastic", "1b1b1d"), plinth),
    ]


def wing() -> Parts:
    """Wing chair: high back with ears, scrolled arms, turned-out wooden feet."""
    cloth = Finish("fabric", "6e6a4f")
    seat = box((0.54, 0.58, 0.17), (0, -0.06, 0.38), radius=0.05, segments=3, puff=0.015)
    base = box((0.66, 0.62, 0.16), (0, 0.0, 0.24), radius=0.02)
    back = box((0.62, 0.13, 0.78), (0, 0.31, 0.72), radius=0.05, segments=3).turned("x", -8, (0, 0.31, 0.33))
    arm = merge(
        [
            box((0.09, 0.6, 0.34), (0.33, -0.01, 0.42), radius=0.03, segments=2),
            tube([(0.335, -0.33, 0.6), (0.335, 0.27, 0.6)], 0.062, sides=14),
        ]
    )
    outline = [(0.05, 0.6), (0.33, 0.6), (0.42, 1.08), (0.3, 1.1), (0.2, 1.0), (0.17, 0.8)]
    ear = loft([[(x, y, z) for y, z in outline] for x in (0.275, 0.335)]).outward()
    legs = [
        leg((0.28, -0.26, 0.18), (0.3, -0.29, 0), 0.03, 0.017),
        leg((0.28, 0.28, 0.18), (0.29, 0.36, 0), 0.03, 0.02),
    ]
    return [
        (cloth, merge([seat, base, back, pair(merge([arm, ear]))])),
        (Finish("wood", "3b2416"), pair(merge(legs))),
    ]


def sling() -> Parts:
    """Sheet of leather hung in a frame of steel tube."""
    side = bend([(0.3, 0.33, 0.012), (0.3, -0.34, 0.012), (0.3, -0.34, 0.54), (0.3, 0.3, 0.54)], 0.06)
    back = bend([(0.3, 0.33, 0.012), (0.3, 0.3, 0.54)], 0.02)
    bars = [
        tube([(-0.3, y, z), (0.3, y, z)], 0.011) for y, z in ((-0.31, 0.41), (0.14, 0.3), (0.36, 0.8), (0.33, 0.02))
    ]
    posts = tube([(0.27, 0.14, 0.3), (0.27, 0.37, 0.83)], 0.011)
    strap = panel([[(0.3 + dx, y, 0.56) for y in (-0.3, 0.0, 0.26)] for dx in (-0.03, 0.03)], 0.012)
    frame = [pair(merge([tube(side, 0.0125), tube(back, 0.0125), posts])), *bars]
    hide = Finish("leather", "3a2a20")
    return [
        (Finish("metal", "c4c7ca"), grounded(merge(frame))),
        (hide, merge([_cushion(0.25, [(-0.31, 0.42), (0.05, 0.34), (0.16, 0.34), (0.37, 0.81)], 0.014), pair(strap)])),
    ]


def club() -> Parts:
    """Heavy leather armchair with rounded arms as high as its back."""
    hide = Finish("leather", "5a3018")
    body = [
        box((0.8, 0.78, 0.2), (0, 0.02, 0.17), radius=0.03, segments=2),
        box((0.5, 0.62, 0.19), (0, -0.07, 0.34), radius=0.06, segments=3, puff=0.02),
        box((0.54, 0.2, 0.5), (0, 0.3, 0.56), radius=0.08, segments=3).turned("x", -8, (0, 0.3, 0.3)),
    ]
    arm = [
        box((0.16, 0.78, 0.4), (0.34, -0.01, 0.38), radius=0.04, segments=3),
        tube([(0.34, -0.4, 0.57), (0.34, 0.37, 0.6)], 0.092, sides=16),
    ]
    feet = [extrude(rounded_rectangle(0.06, 0.06, 0.01), 0.0, 0.075).moved(x=0.33, y=y) for y in (-0.32, 0.35)]
    return [(hide, merge([*body, pair(merge(arm))])), (Finish("wood", "2b1a10"), pair(merge(feet)))]


def _cushion(half_width: float, profile: list[tuple[float, float]], thickness: float) -> Solid:
    """A pad of even thickness along a (y, z) line: seat and back in one."""
    line = spline(np.array(profile), 14)
    across = np.linspace(-half_width, half_width, 5)
    return panel([[(x, y, z) for y, z in line] for x in across], thickness)


ARMCHAIRS = {
    "armchair_laminate": bent_laminate,
    "armchair_easy": easy,
    "armchair_tub": tub,
    "armchair_wing": wing,
    "armchair_sling": sling,
    "armchair_club": club,
}
