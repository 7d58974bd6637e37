# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the common kinds, some of glass, 0.72 to 0.76 m high, and a coffee table. They stand on z = 0."""

from __future__ import annotations

import numpy as np

from .materials import Finish
from .parts import Parts
from .solid_geometry import (
    bend,
    box,
    extrude,
    lathe,
    merge,
    pair,
    rounded_rectangle,
    square_leg,
    superellipse,
    tube,
)


def rectangular() -> Parts:
    """Dining table: plank top, apron, four square legs."""
    top = extrude(rounded_rectangle(1.6, 0.85, 0.02), 0.715, 0.745, bevel=0.004)
    legs = pair(merge([square_leg((0.74, y, 0.72), (0.74, y, 0), 0.075, 0.05) for y in (-0.365, 0.365)]))
    apron = [box((1.42, 0.022, 0.09), (0, y, 0.67)) for y in (-0.365, 0.365)]
    apron.append(pair(box((0.022, 0.68, 0.09), (0.74, 0, 0.67))))
    return [(Finish("wood", "9c683a", "x"), top), (Finish("wood", "8f5e34"), merge([legs, *apron]))]


def pedestal() -> Parts:
    """Round bistro table on a turned column with a heavy foot."""
    top = lathe([(0.44, 0.715), (0.45, 0.722), (0.45, 0.738), (0.44, 0.745)], sides=40)
    foot = [
        (0.26, 0),
        (0.265, 0.012),
        (0.24, 0.025),
        (0.07, 0.05),
        (0.035, 0.1),
        (0.032, 0.62),
        (0.06, 0.69),
        (0.16, 0.716),
    ]
    return [(Finish("painted", "dedad0"), top), (Finish("metal", "34353a"), lathe(foot, sides=28))]


def trestle() -> Parts:
    """Trestle table: thick top on two A-shaped stands with a beam."""
    top = extrude(rounded_rectangle(1.8, 0.8, 0.01), 0.705, 0.745, bevel=0.005)
    stand = []
    for y in (-1, 1):
        stand.append(square_leg((0.62, 0.12 * y, 0.71), (0.62, 0.33 * y, 0), 0.06, 0.06))
    stand.append(box((0.05, 0.56, 0.06), (0.62, 0, 0.68), radius=0.005))
    stand.append(box((0.035, 0.44, 0.05), (0.62, 0, 0.25), radius=0.004))
    beam = box((1.24, 0.03, 0.07), (0, 0, 0.27), radius=0.004)
    return [
        (Finish("wood", "c7a06b", "x"), merge([top, beam])),
        (Finish("wood", "c19862"), pair(merge(stand))),
    ]


def coffee() -> Parts:
    """Low coffee table with a shelf, tapered splayed legs."""
    top = extrude(rounded_rectangle(1.1, 0.6, 0.06), 0.4, 0.43, bevel=0.006)
    shelf = extrude(rounded_rectangle(0.86, 0.42, 0.04), 0.17, 0.188, bevel=0.003)
    legs = [square_leg((0.4, 0.2 * s, 0.41), (0.47, 0.25 * s, 0), 0.05, 0.028) for s in (-1, 1)]
    return [
        (Finish("wood", "6d4426", "x"), merge([top, shelf])),
        (Finish("wood", "5f3a20"), pair(merge(legs))),
    ]


def oval() -> Parts:
    """Oval conference table on two tubular frames."""
    top = extrude(superellipse(2.0, 1.0, 2.4, sides=48), 0.715, 0.745, bevel=0.006)
    hoop = bend([(0.6, -0.3, 0.012), (0.55, -0.26, 0.705), (0.55, 0.26, 0.705), (0.6, 0.3, 0.012)], 0.08)
    foot = [lathe([(0.022, 0), (0.026, 0.006), (0.02, 0.02)], (0.6, 0.3 * s, 0), sides=14) for s in (-1, 1)]
    rail = tube([(-0.56, 0, 0.7), (0.56, 0, 0.7)], 0.016)
    steel = merge([pair(tube(hoop, 0.02)), pair(merge(foot)), rail])
    return [(Finish("painted", "cfc8b8"), top), (Finish("metal", "b9bcc0"), steel)]


def desk() -> Parts:
    """Office desk: light top, steel legs, drawer block with handles, modesty panel."""
    top = extrude(rounded_rectangle(1.4, 0.7, 0.015), 0.71, 0.735, bevel=0.003)
    drawers = [box((0.4, 0.55, 0.5), (-0.45, 0.02, 0.44), radius=0.004)]
    fronts = [box((0.38, 0.02, 0.15), (-0.45, -0.26, 0.275 + 0.165 * k), radius=0.004) for k in range(3)]
    grips = [box((0.12, 0.02, 0.012), (-0.45, -0.275, 0.32 + 0.165 * k), radius=0.003) for k in range(3)]
    legs = pair(merge([square_leg((0.66, y, 0.712), (0.66, y, 0), 0.045, 0.045) for y in (-0.3, 0.3)]))
    bars = pair(box((0.03, 0.6, 0.03), (0.66, 0, 0.69)))
    panel = box((1.28, 0.018, 0.35), (0, 0.3, 0.5))
    white = Finish("painted", "dddbd6")
    return [
        (Finish("wood", "caa778", "x"), merge([top, panel])),
        (white, merge(drawers + fronts)),
        (Finish("metal", "77797d"), merge([legs, bars, *grips])),
    ]


def round_family() -> Parts:
    """Round wooden table with four legs."""
    top = lathe([(0.56, 0.71), (0.575, 0.72), (0.575, 0.735), (0.565, 0.742)], sides=44)
    legs = [tube([(0.36, 0.36 * s, 0), (0.31, 0.31 * s, 0.72)], [0.016, 0.03], sides=12, level=True) for s in (-1, 1)]
    ring = [box((0.6, 0.02, 0.06), (0, y, 0.68)) for y in (-0.31, 0.31)]
    wood = merge([pair(merge(legs)), *ring, pair(box((0.02, 0.6, 0.06), (0.31, 0, 0.68)))])
    return [(Finish("wood", "a87a4c", "x"), top), (Finish("painted", "e6e3dc"), wood)]


def glass_on_frame() -> Parts:
    """Glass plate in a frame of square steel tube, with a frosted stripe on each long side."""
    top = extrude(rounded_rectangle(1.26, 0.76, 0.004), 0.722, 0.73)
    stripes = [box((1.26, 0.1, 0.004), (0, y, 0.7325)) for y in (-0.33, 0.33)]
    legs = pair(merge([square_leg((0.605, y, 0.722), (0.605, y, 0), 0.045, 0.045) for y in (-0.355, 0.355)]))
    rails = [box((1.17, 0.03, 0.045), (0, y, 0.698), radius=0.003) for y in (-0.355, 0.355)]
    rails.append(pair(box((0.03, 0.67, 0.045), (0.605, 0, 0.698), radius=0.003)))
    return [
        (Finish("metal", "b4b7bb"), merge([legs, *rails])),
        (Finish("glass", "d4e2dc"), top),
        (Finish("painted", "dfe6e2"), merge(stripes)),
    ]


def glass_round() -> Parts:
    """Round glass plate on three crossing wooden legs."""
    top = lathe([(0.56, 0.728), (0.565, 0.732), (0.565, 0.736), (0.56, 0.74)], sides=44)
    sticks = []
    for k in range(3):
        stick = tube([(0.36, 0.05, 0), (-0.3, 0.05, 0.728)], [0.024, 0.02], sides=10, level=True)
        sticks.append(stick.turned("z", 120 * k))
    ring = tube(np.concatenate([superellipse(0.3, 0.3, 2.0, sides=24), np.full((24, 1), 0.37)], 1), 0.008, closed=True)
    return [
        (Finish("wood", "8a5c35"), merge(sticks)),
        (Finish("metal", "2a2a2c"), ring),
        (Finish("glass", "cfded9"), top),
    ]


def glass_on_trestles() -> Parts:
    """Long glass plate on two wooden trestles."""
    top = extrude(rounded_rectangle(1.7, 0.85, 0.02), 0.732, 0.742)
    stand = [
        square_leg((0.55 + dx, y, 0.7), (0.55 + 2.6 * dx, 1.15 * y, 0), 0.04, 0.04)
        for dx in (-0.05, 0.05)
        for y in (-0.3, 0.3)
    ]
    stand.append(box((0.16, 0.72, 0.035), (0.55, 0, 0.7125), radius=0.004))
    stand += [box((0.02, 0.66, 0.04), (0.55 + dx, 0, 0.28), radius=0.003) for dx in (-0.1, 0.1)]
    return [(Finish("wood", "d8bd92"), pair(merge(stand))), (Finish("glass", "d6e4e0"), top)]


TABLES = {
    "table_rectangular": rectangular,
    "table_pedestal": pedestal,
    "table_trestle": trestle,
    "table_coffee": coffee,
    "table_oval": oval,
    "table_desk": desk,
    "table_round": round_family,
}

GLASS_TABLES = {
    "table_glass_frame": glass_on_frame,
    "table_glass_round": glass_round,
    "table_glass_trestles": glass_on_trestles,
}
