# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells pictures that are nearly black or white, on which nothing can be learned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_SHARE = 99.0
_BLACK, _WHITE = 40, 250
"""Pixel values: of the brightest channel, 2 % of the light of white; and of the darkest one."""

EXTREMES = ("black", "white")


def extreme_exposure(picture: np.ndarray) -> str:
    """``"black"`` or ``"white"`` if 99 % of the pixels of a picture (H, W, 3) uint8 nearly are, else ``""``.

    Frames that are only probed have no pixels.
    """
    if not picture.size:
        return ""
    if np.percentile(picture.max(-1), _SHARE) < _BLACK:
        return "black"
    if np.percentile(picture.min(-1), 100.0 - _SHARE) >= _WHITE:
        return "white"
    return ""


def exposure_sentences(counts: Mapping[str, int], accepted: int) -> list[str]:
    """What to say at the end of a job about its extreme pictures, with the remedy."""
    remedies = {
        "black": "Add light, by [[appearance]] plugins such as world, sky or lights, or in the scene, and check "
        "that lamps are not inside of things.",
        "white": "Reduce the light of the scene, its exposure in Blender's colour management, or the factors of "
        "[[appearance]] plugins.",
    }
    return [
        f"{counts[extreme]} of {accepted} pictures are nearly {extreme}. {remedies[extreme]}"
        for extreme in EXTREMES
        if counts.get(extreme)
    ]
