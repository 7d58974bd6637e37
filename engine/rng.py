# SPDX-License-Identifier: GPL-3.0-or-later
"""Counter-based random streams: the numbers of a stream depend only on its key, never on earlier draws."""

from __future__ import annotations

import math
import zlib

import numpy as np


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """The random stream of one key.

    Parameters
    ----------
    seed : int
        The job's seed, >= 0. Zero is a seed like any other.
    *key : int or str
        For example ``(frame, attempt, "placement.on_surface")``.

    Returns
    -------
    numpy.random.Generator
        Philox, a counter-based generator [Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011].
    """
    words = tuple(zlib.crc32(k.encode("utf-8", "surrogatepass")) if isinstance(k, str) else int(k) for k in key)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=words)))


def log_uniform(rng: np.random.Generator, interval: tuple[float, float], size: int) -> np.ndarray:
    """Log-uniform draws (size,) from [low, high], for lengths and areas."""
    return np.exp(rng.uniform(math.log(interval[0]), math.log(interval[1]), size))


def low_discrepancy(index: int | np.ndarray, offset: float) -> np.ndarray:
    """Points of the golden-ratio (Kronecker) sequence in [0, 1): any run of indices is nearly stratified."""
    return np.mod(np.asarray(index) * 0.6180339887498949 + offset, 1.0)
