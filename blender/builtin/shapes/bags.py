# SPDX-License-Identifier: GPL-3.0-or-later
"""Backpacks, handbags and suitcases, 0.25 to 0.75 m high. They face -y and stand on z = 0."""

from __future__ import annotations

import attrs
import numpy as np

from ....engine.goals import contiguous
from .materials import Finish
from .parts import Parts
from .solid_geometry import (
    Solid,
    bend,
    box,
    extrude,
    lathe,
    loft,
    merge,
    pair,
    rounded_rectangle,
    spline,
    superellipse,
    tube,
)


def _stack(levels: list[tuple[float, float, float, float]], *, power: float = 0.0, radius: float = 0.05) -> Solid:
    """A soft body from horizontal sections: (z, width, depth, y of its middle)."""
    rings = []
    for z, width, depth, y in levels:
        flat = (
            superellipse(width, depth, power, sides=28)
            if power
            else rounded_rectangle(width, depth, radius, segments=6)
        )
        rings.append(np.concatenate([np.add(flat, (0.0, y)), np.full((28, 1), z)], axis=1))
    return loft(rings)


def _flat(path: np.ndarray, width: float, thickness: float) -> Solid:
    """A strap along a path."""
    return tube(path, np.tile([(width / 2, thickness / 2)], (len(path), 1)), sides=8)


def daypack() -> Parts:
    """School backpack: rounded top, front pocket, shoulder straps, carrying loop."""
    body = _stack(
        [
            (0, 0.27, 0.15, 0),
            (0.015, 0.3, 0.18, 0),
            (0.1, 0.31, 0.2, -0.01),
            (0.28, 0.3, 0.19, 0),
            (0.38, 0.27, 0.16, 0.01),
            (0.435, 0.2, 0.11, 0.02),
            (0.455, 0.1, 0.05, 0.025),
        ],
        power=3.2,
    )
    pocket = _stack(
        [
            (0.03, 0.2, 0.06, 0),
            (0.05, 0.24, 0.1, 0),
            (0.13, 0.25, 0.12, 0),
            (0.2, 0.23, 0.09, 0.01),
            (0.225, 0.18, 0.03, 0.03),
        ],
        power=3.0,
    ).moved(y=-0.1)
    straps = [
        _flat(
            spline(
                [(0.05, 0.06, 0.42), (0.075, 0.14, 0.4), (0.1, 0.165, 0.28), (0.12, 0.13, 0.12), (0.12, 0.075, 0.05)],
                14,
            ),
            0.05,
            0.014,
        )
    ]
    loop = tube(
        spline([(-0.035, 0.055, 0.44), (-0.03, 0.06, 0.485), (0.03, 0.06, 0.485), (0.035, 0.055, 0.44)], 12),
        0.007,
        sides=6,
    )
    zips = [
        tube(
            spline(
                [
                    (-0.145, -0.05, 0.22),
                    (-0.125, -0.062, 0.36),
                    (-0.06, -0.05, 0.42),
                    (0.06, -0.05, 0.42),
                    (0.125, -0.062, 0.36),
                    (0.145, -0.05, 0.22),
                ],
                20,
            ),
            0.005,
            sides=6,
        )
    ]
    return [
        (Finish("fabric", "274a78"), body),
        (Finish("fabric", "1f3a5e"), pocket),
        (Finish("fabric", "15181d"), merge([pair(straps[0]), loop, *zips])),
    ]


def trekking() -> Parts:
    """Tall hiking pack: lid, side pockets, compression straps, hip belt."""
    body = _stack(
        [(0, 0.24, 0.18, 0), (0.02, 0.29, 0.23, 0), (0.2, 0.31, 0.25, 0), (0.48, 0.31, 0.24, 0), (0.53, 0.26, 0.18, 0)],
        power=3.5,
    )
    lid = _stack(
        [
            (0.52, 0.27, 0.22, 0),
            (0.54, 0.31, 0.27, 0),
            (0.6, 0.31, 0.26, 0),
            (0.64, 0.24, 0.18, 0.01),
            (0.65, 0.1, 0.08, 0.01),
        ],
        power=3.5,
    )
    side = _stack(
        [(0.06, 0.06, 0.12, 0), (0.08, 0.09, 0.16, 0), (0.24, 0.09, 0.16, 0), (0.28, 0.05, 0.12, 0)], power=3.0
    ).moved(x=0.165)
    front = _stack(
        [(0.08, 0.18, 0.05, 0), (0.1, 0.22, 0.08, 0), (0.32, 0.21, 0.08, 0), (0.37, 0.16, 0.04, 0.01)], power=3.0
    ).moved(y=-0.125)
    strap = _flat(
        spline([(0.07, 0.1, 0.56), (0.085, 0.18, 0.52), (0.1, 0.2, 0.38), (0.12, 0.15, 0.18), (0.12, 0.11, 0.1)], 14),
        0.06,
        0.018,
    )
    belt = _flat(spline([(0.1, 0.12, 0.1), (0.18, 0.15, 0.1), (0.21, 0.2, 0.09), (0.17, 0.27, 0.08)], 10), 0.02, 0.08)
    lines = [_flat(np.array([(0.05, -0.13, 0.6), (0.05, -0.172, 0.4), (0.05, -0.17, 0.12)]), 0.02, 0.008)]
    return [
        (Finish("fabric", "7e2a24"), merge([body, front])),
        (Finish("fabric", "3b3d40"), merge([lid, pair(side)])),
        (Finish("fabric", "17181a"), pair(merge([strap, belt, *lines]))),
    ]


def tote() -> Parts:
    """Shopping tote: tapered body, two tall handles."""
    body = _stack(
        [
            (0, 0.33, 0.13, 0),
            (0.01, 0.345, 0.145, 0),
            (0.15, 0.38, 0.13, 0),
            (0.3, 0.42, 0.07, 0),
            (0.31, 0.42, 0.06, 0),
        ],
        radius=0.03,
    )
    grip = bend(
        [(-0.1, 0, 0.24), (-0.09, 0, 0.31), (-0.07, 0, 0.5), (0.07, 0, 0.5), (0.09, 0, 0.31), (0.1, 0, 0.24)], 0.08
    )
    straps = merge(
        [
            _flat(np.add(grip, (0, y, 0)), 0.012, 0.026).turned("x", t, (0, y, 0.3))
            for y, t in ((-0.045, 6), (0.045, -6))
        ]
    )
    return [(Finish("fabric", "cdbf9f"), body), (Finish("leather", "6e4426"), straps)]


def handbag() -> Parts:
    """Leather handbag: trapezoid body, flap with clasp, arched handle."""
    body = _stack(
        [
            (0, 0.3, 0.12, 0),
            (0.012, 0.32, 0.14, 0),
            (0.1, 0.31, 0.13, 0),
            (0.2, 0.26, 0.075, 0),
            (0.215, 0.24, 0.05, 0),
        ],
        radius=0.03,
    )
    flap = box((0.26, 0.012, 0.13), (0, -0.062, 0.155), radius=0.005, segments=2).turned("x", 14, (0, -0.062, 0.155))
    grip = tube(
        spline(
            [
                (-0.085, 0, 0.19),
                (-0.085, 0, 0.25),
                (-0.05, 0, 0.315),
                (0.05, 0, 0.315),
                (0.085, 0, 0.25),
                (0.085, 0, 0.19),
            ],
            20,
        ),
        0.009,
    )
    rings = pair(box((0.03, 0.03, 0.014), (0.085, 0, 0.219), radius=0.004))
    clasp = box((0.035, 0.012, 0.03), (0, -0.08, 0.11), radius=0.004)
    return [
        (Finish("leather", "8c2f2a"), merge([body, flap])),
        (Finish("leather", "4c1a16"), grip),
        (Finish("metal", "c9a14e"), merge([rings, clasp])),
    ]


def bucket() -> Parts:
    """Round bucket bag with a long shoulder strap and a drawn top."""
    body = _stack(
        [
            (0, 0.2, 0.2, 0),
            (0.01, 0.225, 0.225, 0),
            (0.12, 0.25, 0.25, 0),
            (0.24, 0.23, 0.23, 0),
            (0.27, 0.2, 0.2, 0),
            (0.3, 0.22, 0.2, 0),
            (0.305, 0.2, 0.18, 0),
        ],
        power=2.0,
    )
    # The cord gathers the neck in folds.
    x, y, _ = contiguous(body.vertices.T)
    angle = np.arctan2(y, x)
    fold = 1.0 + 0.07 * np.cos(7.0 * angle) * np.clip((body.vertices[:, 2] - 0.2) / 0.08, 0.0, 1.0)
    body = attrs.evolve(body, vertices=body.vertices * np.stack([fold, fold, np.ones_like(fold)], axis=1))
    strap = _flat(
        spline(
            [(-0.115, 0, 0.2), (-0.12, 0, 0.3), (-0.07, 0, 0.47), (0.07, 0, 0.47), (0.12, 0, 0.3), (0.115, 0, 0.2)], 24
        ),
        0.01,
        0.026,
    )
    cord = tube(
        np.concatenate([superellipse(0.212, 0.212, 2.0, sides=24), np.full((24, 1), 0.27)], 1),
        0.006,
        sides=6,
        closed=True,
    )
    return [(Finish("leather", "b57a45"), body), (Finish("leather", "5e3a20"), merge([strap, cord]))]


def briefcase() -> Parts:
    """Business briefcase: flat leather body, front flap with two buckles, top handle."""
    body = box((0.41, 0.1, 0.3), (0, 0, 0.15), radius=0.02, segments=2)
    flap = merge(
        [
            box((0.41, 0.012, 0.17), (0, -0.053, 0.215), radius=0.005),
            box((0.41, 0.11, 0.014), (0, 0, 0.3), radius=0.006),
        ]
    )
    grip = tube(bend([(-0.075, 0, 0.3), (-0.07, 0, 0.35), (0.07, 0, 0.35), (0.075, 0, 0.3)], 0.04), 0.01)
    buckles = pair(merge([box((0.03, 0.014, 0.08), (0.11, -0.06, 0.13), radius=0.004)]))
    metal = pair(
        merge(
            [
                box((0.036, 0.012, 0.028), (0.11, -0.067, 0.12), radius=0.003),
                box((0.022, 0.026, 0.014), (0.074, 0, 0.308), radius=0.003),
            ]
        )
    )
    return [
        (Finish("leather", "3a2318"), merge([body, buckles])),
        (Finish("leather", "442a1d"), merge([flap, grip])),
        (Finish("metal", "b08d4a"), metal),
    ]


def _caster(x: float, y: float) -> Solid:
    wheel = lathe([(0.016, -0.012), (0.022, -0.009), (0.022, 0.009), (0.016, 0.012)], sides=16).turned("y", 90)
    return merge([wheel.moved(x, y, 0.022), box((0.034, 0.04, 0.03), (x, y, 0.045), radius=0.006)])


def trolley() -> Parts:
    """Hard-shell suitcase on four wheels, ribs, pulled-out handle."""
    shell = box((0.44, 0.26, 0.62), (0, 0, 0.37), radius=0.05, segments=3)
    ribs = [pair(box((0.022, 0.275, 0.5), (x, 0, 0.37), radius=0.008)) for x in (0.04, 0.11, 0.18)]
    band = extrude(rounded_rectangle(0.448, 0.628, 0.054, segments=6), -0.006, 0.006)
    seam = band.turned("x", 90).moved(z=0.37)
    wheels = pair(merge([_caster(0.17, -0.08), _caster(0.17, 0.08)]))
    pole = tube(bend([(-0.09, 0.1, 0.6), (-0.09, 0.1, 0.745), (0.09, 0.1, 0.745), (0.09, 0.1, 0.6)], 0.03), 0.008)
    grip = tube(bend([(-0.06, 0, 0.675), (-0.055, 0, 0.705), (0.055, 0, 0.705), (0.06, 0, 0.675)], 0.03), 0.009)
    return [
        (Finish("plastic", "2d6a78"), merge([shell, *ribs])),
        (Finish("plastic", "17191b"), merge([seam, wheels, grip])),
        (Finish("metal", "b4b7bb"), pole),
    ]


def cabin() -> Parts:
    """Soft cabin case: two front pockets, piping, handle down, two wheels and two feet."""
    body = box((0.37, 0.22, 0.5), (0, 0, 0.295), radius=0.035, segments=3)
    pockets = [
        box((0.31, 0.05, 0.19), (0, -0.115, 0.185), radius=0.02, segments=2),
        box((0.31, 0.045, 0.19), (0, -0.112, 0.415), radius=0.02, segments=2),
    ]
    edge = np.concatenate([rounded_rectangle(0.372, 0.502, 0.036, segments=6), np.zeros((28, 1))], axis=1)
    piping = [tube(edge, 0.006, sides=6, closed=True).turned("x", 90).moved(0, y, 0.295) for y in (-0.07, 0.07)]
    wheels = pair(merge([_caster(0.14, 0.08), box((0.03, 0.03, 0.06), (0.14, -0.08, 0.03), radius=0.006)]))
    grip = tube(bend([(-0.07, 0, 0.54), (-0.065, 0, 0.575), (0.065, 0, 0.575), (0.07, 0, 0.54)], 0.03), 0.01)
    rail = box((0.18, 0.03, 0.025), (0, 0.095, 0.552), radius=0.008)
    return [
        (Finish("fabric", "33353b"), merge([body, *pockets])),
        (Finish("plastic", "101114"), merge([*piping, wheels, grip, rail])),
    ]


def duffel() -> Parts:
    """Sports duffel: barrel body, end panels, two handles over the top."""
    u = np.linspace(-1, 1, 11)
    rings = []
    for x, s in zip(0.29 * u, np.sqrt(np.clip(1 - 0.35 * np.abs(u) ** 6, 0, 1)), strict=True):
        flat = superellipse(0.27 * s, 0.29 * s, 2.6, sides=24)
        rings.append(np.stack([np.full(24, x), flat[:, 0], np.maximum(flat[:, 1] + 0.14, 0.0)], axis=1))
    body = loft(rings)
    arch = spline(
        [
            (-0.1, -0.138, 0.16),
            (-0.1, -0.115, 0.26),
            (-0.08, -0.05, 0.36),
            (0.08, -0.05, 0.36),
            (0.1, -0.115, 0.26),
            (0.1, -0.138, 0.16),
        ],
        24,
    )
    handles = [_flat(arch * (1, s, 1), 0.03, 0.01) for s in (1, -1)]
    zipper = tube([(-0.24, 0, 0.284), (0.24, 0, 0.284)], 0.006, sides=6)
    bands = pair(box((0.035, 0.276, 0.296), (0.1, 0, 0.148), radius=0.1, segments=4))
    return [(Finish("fabric", "41523a"), body), (Finish("fabric", "1b1d1a"), merge([*handles, zipper, bands]))]


BACKPACKS = {"bag_daypack": daypack, "bag_trekking": trekking}
HANDBAGS = {"bag_tote": tote, "bag_handbag": handbag, "bag_bucket": bucket, "bag_briefcase": briefcase}
SUITCASES = {"bag_trolley": trolley, "bag_cabin": cabin, "bag_duffel": duffel}
