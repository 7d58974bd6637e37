# SPDX-License-Identifier: GPL-3.0-or-later
"""Similarity of an object to its background, from the pixels along its outline."""

from __future__ import annotations

import math

import numpy as np

NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""(row, column) offsets in the order in which a background pixel looks for its object pixel: those that share an edge
before those that share a corner, each group in reading order."""
_OFFSETS = np.array(NEIGHBOURS)


def dilate(mask: np.ndarray) -> np.ndarray:
    """3x3 morphological dilation of a (H, W) bool mask; the image is padded with False."""
    wide = mask.copy()
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    out = wide.copy()
    out[1:] |= wide[:-1]
    out[:-1] |= wide[1:]
    return out


def boundary_pairs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of an object's boundary and the background pixels next to them, in the same order.

    The background pixels are the ring that a 3x3 dilation adds to the mask, in reading order. Each is paired with the
    first of its neighbours, in the order of :data:`NEIGHBOURS`, that belongs to the object; so an object pixel
    appears once for each background pixel that is paired with it.

    Parameters
    ----------
    mask : (H, W) bool

    Returns
    -------
    inner, outer : (N, 2) int
        (row, column) of object and background pixels. Empty where the object fills the image or is not in it. Beyond
        the image border there are no pixels, so a cut object has no pairs along the cut.
    """
    outer = np.argwhere(dilate(mask) & ~mask)
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), bool)
    padded[1:-1, 1:-1] = mask
    # Places in the padded mask as one number, and the first neighbour that is inside: every ring pixel has one.
    place = (outer[:, 0] + 1) * padded.shape[1] + outer[:, 1] + 1
    steps = _OFFSETS[:, 0] * padded.shape[1] + _OFFSETS[:, 1]
    first = padded.ravel()[place[:, None] + steps].argmax(axis=1)
    return outer + _OFFSETS[first], outer


def background_similarity(image: np.ndarray, mask: np.ndarray) -> float:
    """Cosine of an object's boundary colours and the background colours next to them [Zhang2023, §2].

    Parameters
    ----------
    image : (H, W, 3)
        RGB, non-negative, in any unit.
    mask : (H, W) bool
        The object's visible pixels. Only the mask's extent and one pixel around it matter: pass crops.

    Returns
    -------
    float
        In [0, 1]; 1 if the object has the colours of its background. Two black vectors give 1, one black vector 0; NaN
        if there is no boundary.
    """
    inner, outer = boundary_pairs(mask)
    if len(inner) == 0:
        return math.nan
    a = image[inner[:, 0], inner[:, 1]].astype(np.float64).ravel()
    b = image[outer[:, 0], outer[:, 1]].astype(np.float64).ravel()
    length_a, length_b = float(a @ a), float(b @ b)
    if length_a == 0.0 or length_b == 0.0:
        return float(length_a == length_b)
    return min(1.0, float(a @ b) / math.sqrt(length_a * length_b))
