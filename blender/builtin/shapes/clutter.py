# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies about on tables and floors: books, cups, bottles, bowls, vases, cans, boxes and potted plants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .materials import Finish
from .parts import Parts
from .solid_geometry import Solid, box, lathe, loft, merge, tube


def _book(width: float, depth: float, thickness: float, x: float, y: float, z: float, turn: float) -> list[Solid]:
    """Cover and pages of a lying book with its middle at x, y and its underside at z; ``turn`` in degrees."""
    cover = box((width, depth, thickness), (0, 0, thickness / 2), radius=0.002)
    pages = box((width, 0.02, 0.72 * thickness), (0.006, depth / 2 - 0.009, thickness / 2))
    return [solid.turned("z", turn).moved(x, y, z) for solid in (cover, pages)]


def single_book() -> Parts:
    """A lying paperback."""
    cover, pages = _book(0.13, 0.2, 0.025, 0, 0, 0, 0)
    return [(Finish("painted", "7c2f28"), cover), (Finish("painted", "e6dfcb"), pages)]


def books_stacked() -> Parts:
    """Three books on each other."""
    out: Parts = []
    z = 0.0
    for size, turn, color in (
        ((0.17, 0.24, 0.035), 0, "27405e"),
        ((0.15, 0.22, 0.028), 9, "b08c3c"),
        ((0.12, 0.18, 0.02), -14, "3a3a3d"),
    ):
        cover, pages = _book(*size, 0, 0, z, turn)
        out += [(Finish("painted", color), cover), (Finish("painted", "e6dfcb"), pages)]
        z += size[2] + 0.0005
    return out


def books_standing() -> Parts:
    """Five books side by side."""
    out: Parts = []
    x = -0.075
    for width, height, color in (
        (0.03, 0.24, "8e1f1f"),
        (0.025, 0.21, "20314f"),
        (0.04, 0.25, "d9d4c6"),
        (0.022, 0.2, "26542f"),
        (0.033, 0.23, "141416"),
    ):
        out.append((Finish("painted", color), box((width, 0.16, height), (x + width / 2, 0, height / 2), radius=0.002)))
        x += width + 0.0006
    return out


def _handle(radius: float, low: float, high: float, out: float) -> Solid:
    path = [(radius - 0.004, 0, low), (radius + out, 0, low + 0.012), (radius + out, 0, high - 0.012)]
    return tube(np.array([*path, (radius - 0.004, 0, high)]), 0.005)


def mug() -> Parts:
    """A mug with a handle."""
    profile = [(0.036, 0), (0.04, 0.004), (0.041, 0.095), (0.037, 0.095), (0.036, 0.01), (0.0, 0.009)]
    return [
        (Finish("painted", "f0ede4"), merge([lathe([(0, 0), *profile], sides=28), _handle(0.04, 0.02, 0.078, 0.022)]))
    ]


def cup_paper() -> Parts:
    """A paper cup with a lid."""
    cup = lathe([(0, 0), (0.028, 0), (0.041, 0.1), (0.041, 0.104), (0, 0.104)], sides=24)
    lid = lathe([(0, 0.105), (0.044, 0.105), (0.044, 0.112), (0.036, 0.122), (0, 0.122)], sides=24)
    return [(Finish("painted", "9a5b34"), cup), (Finish("plastic", "202022"), lid)]


def cup_saucer() -> Parts:
    """A coffee cup on a saucer."""
    saucer = lathe([(0, 0), (0.045, 0), (0.075, 0.014), (0.074, 0.017), (0.03, 0.008), (0, 0.008)], sides=28)
    cup = lathe([(0, 0.009), (0.024, 0.009), (0.04, 0.065), (0.037, 0.065), (0.022, 0.018), (0, 0.018)], sides=28)
    return [(Finish("painted", "e9edf0"), merge([saucer, cup, _handle(0.035, 0.028, 0.058, 0.016)]))]


def bottle_water() -> Parts:
    """A water bottle of plastic."""
    body = [(0, 0), (0.03, 0), (0.034, 0.006), (0.034, 0.15), (0.03, 0.165), (0.013, 0.2), (0.013, 0.212), (0, 0.212)]
    cap = lathe([(0, 0.213), (0.015, 0.213), (0.015, 0.228), (0, 0.228)], sides=20)
    return [(Finish("plastic", "9fc3d6"), lathe(body, sides=24)), (Finish("plastic", "1f4f9c"), cap)]


def bottle_wine() -> Parts:
    """A wine bottle with a label."""
    body = [(0, 0), (0.036, 0), (0.038, 0.005), (0.038, 0.18), (0.03, 0.21), (0.015, 0.235), (0.014, 0.3), (0, 0.3)]
    label = lathe([(0.0385, 0.06), (0.0385, 0.14), (0.0375, 0.14), (0.0375, 0.06)], sides=28)
    return [(Finish("plastic", "1b2a1a"), lathe(body, sides=28)), (Finish("painted", "e4ddc4"), label)]


def bottle_detergent() -> Parts:
    """A flat bottle of detergent with a red cap."""
    rings = [(0.08, 0.05, 0.0), (0.09, 0.056, 0.02), (0.088, 0.054, 0.15), (0.05, 0.036, 0.185), (0.03, 0.03, 0.2)]
    angle = 2 * np.pi * np.arange(24) / 24
    body = loft([np.stack([w / 2 * np.cos(angle), d / 2 * np.sin(angle), np.full(24, z)], 1) for w, d, z in rings])
    cap = lathe([(0, 0.201), (0.018, 0.201), (0.016, 0.235), (0, 0.235)], sides=20)
    return [(Finish("plastic", "f2f2ee"), body), (Finish("plastic", "b32222"), cap)]


def bowl() -> Parts:
    """A bowl."""
    profile = [(0, 0), (0.045, 0), (0.05, 0.006), (0.1, 0.06), (0.095, 0.062), (0.045, 0.012), (0, 0.011)]
    return [(Finish("painted", "c9722e"), lathe(profile, sides=32))]


def vase() -> Parts:
    """A slender vase."""
    profile = [(0, 0), (0.04, 0), (0.06, 0.07), (0.055, 0.12), (0.024, 0.2), (0.032, 0.25), (0.028, 0.25), (0.02, 0.2)]
    return [(Finish("painted", "35566b"), lathe([*profile, (0.0, 0.19)], sides=28))]


def can() -> Parts:
    """A drinks can."""
    profile = [(0, 0), (0.024, 0), (0.033, 0.01), (0.033, 0.108), (0.027, 0.12), (0, 0.119)]
    return [(Finish("metal", "b02a2a"), lathe(profile, sides=24))]


def box_parcel() -> Parts:
    """A closed parcel with tape."""
    body = box((0.3, 0.22, 0.14), (0, 0, 0.07), radius=0.002)
    tape = box((0.302, 0.05, 0.142), (0, 0, 0.071))
    return [(Finish("painted", "a37a4c"), body), (Finish("plastic", "c6a878"), tape)]


def box_cereal() -> Parts:
    """A standing packet."""
    return [
        (Finish("painted", "d8a21b"), box((0.19, 0.065, 0.28), (0, 0, 0.14), radius=0.002)),
        (Finish("painted", "23539a"), box((0.13, 0.067, 0.12), (0, 0, 0.16))),
    ]


def potted_plant() -> Parts:
    """A plant of bent leaves in a pot."""
    pot = lathe([(0, 0), (0.05, 0), (0.065, 0.1), (0.068, 0.1), (0.068, 0.115), (0.058, 0.115), (0.056, 0.1), (0, 0.1)])
    leaves = []
    for k in range(14):
        turn = np.radians(137.5 * k)
        along = np.array([np.cos(turn), np.sin(turn)])
        reach, height = 0.07 + 0.008 * (k % 5), 0.3 - 0.012 * k
        points = [(0, 0.1), (0.25, 0.1 + 0.6 * height), (0.7, 0.1 + height), (1.0, 0.06 + height)]
        path = np.array([(*(along * reach * s), z) for s, z in points])
        radii = np.array([(0.003, 0.003), (0.012, 0.003), (0.016, 0.003), (0.002, 0.002)])
        leaves.append(tube(path, radii, sides=6))
    return [(Finish("painted", "2a2a2c"), pot), (Finish("painted", "3f6b2e"), merge(leaves))]


CLUTTER: dict[str, dict[str, Callable[[], Parts]]] = {
    "book": {"book": single_book, "books_stacked": books_stacked, "books_standing": books_standing},
    "cup": {"mug": mug, "cup_paper": cup_paper, "cup_saucer": cup_saucer},
    "bottle": {"bottle_water": bottle_water, "bottle_wine": bottle_wine, "bottle_detergent": bottle_detergent},
    "bowl": {"bowl": bowl},
    "vase": {"vase": vase},
    "can": {"can": can},
    "box": {"box_parcel": box_parcel, "box_cereal": box_cereal},
    "potted plant": {"potted_plant": potted_plant},
}
"""Kind to shape name to maker."""
