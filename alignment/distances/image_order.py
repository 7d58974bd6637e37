# SPDX-License-Identifier: GPL-3.0-or-later
"""An order of images that depends on what was measured of them alone, so that random draws are the same in any form."""

from __future__ import annotations

import numpy as np

_STEPS = 1e6
"""Values are compared in steps of this fraction of the largest: formats round coordinates differently."""


def image_numbers(values: np.ndarray, images: np.ndarray | None = None) -> np.ndarray:
    """The images of values as 0, 1, ..., in an order that depends only on the values.

    Datasets number and order their images as they like: the same photos in COCO and in YOLO form would otherwise be
    resampled differently, and have other intervals.

    Parameters
    ----------
    values : (N,) or (N, D) float
        Finite values, or vectors.
    images : (N,) int, optional
        Which image each is from; None: each has an image of its own.

    Returns
    -------
    (N,) int
        Equal images have neighbouring numbers in the order in which they come.
    """
    rows = np.reshape(values, (len(values), int(np.prod(np.shape(values)[1:])))).astype(float)
    owner = np.arange(len(rows)) if images is None else np.ravel(np.unique(images, return_inverse=True)[1])
    largest = np.maximum(np.abs(rows).max(0, initial=0.0), np.finfo(float).tiny)
    steps = np.rint(rows / largest * _STEPS).astype(np.int64)
    keys = np.zeros(int(owner.max(initial=-1)) + 1, np.uint64)
    for column in range(rows.shape[1]):
        # Sums without regard to overflow do not depend on the order of an image's values.
        np.add.at(keys, owner, _mixed(steps[:, column].view(np.uint64) + np.uint64(column << 32)))
    numbers = np.empty(len(keys), np.int64)
    numbers[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    return numbers[owner]


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Well-spread 64-bit integers for integers (n,) [Steele, Lea & Flood, "Fast splittable pseudorandom number
    generators", 2014]."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)))
