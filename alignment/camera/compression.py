# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality and chroma subsampling of JPEG files, from their quantisation tables and sampling factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .fit_file import SUBSAMPLINGS, Jpeg

_LUMA = """
16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99
"""
_CHROMA = """
17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99
99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99
"""
BLOCK = 8
_MAX_BLOCKS = 2000
_MIN_EXCESS = 0.6
STANDARD = tuple(np.array(table.split(), dtype=int) for table in (_LUMA, _CHROMA))
"""Tables K.1 and K.2 of ITU-T T.81 for luma and chroma, (64,) in rows."""


def scaled_table(standard: np.ndarray, quality: int) -> np.ndarray:
    """A standard table at a quality from 1 to 100 [``jpeg_set_quality`` and ``jpeg_quality_scaling`` of libjpeg]."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((standard * scale + 50) // 100, 1, 255)


def jpeg_quality(tables: Sequence[np.ndarray]) -> int:
    """The quality whose tables are nearest: exact for files of libjpeg, for others that of a similar loss.

    Parameters
    ----------
    tables : sequence of (8, 8) or (64,) int
        Steps for luma and, where the file has them, for chroma, in rows.
    """
    pairs = [(np.asarray(table).ravel(), standard) for table, standard in zip(tables, STANDARD, strict=False)]
    losses = [
        sum(float(np.abs(np.log(table / scaled_table(standard, quality))).sum()) for table, standard in pairs)
        for quality in range(1, 101)
    ]
    return 1 + int(np.argmin(losses))


def subsampling(factors: Sequence[tuple[int, int]]) -> str:
    """Chroma subsampling, such as ``4:2:0``, from each component's horizontal and vertical sampling factors."""
    if len(factors) < 3:
        return "4:4:4"
    horizontal = factors[0][0] / max(factors[1][0], 1)
    vertical = factors[0][1] / max(factors[1][1], 1)
    names: dict[tuple[float, float], str] = {
        (1, 1): "4:4:4",
        (1, 2): "4:4:0",
        (2, 1): "4:2:2",
        (2, 2): "4:2:0",
        (4, 1): "4:1:1",
        (4, 2): "4:1:0",
    }
    return names.get((horizontal, vertical), SUBSAMPLINGS[3])


def pixel_blocks(luma: np.ndarray) -> np.ndarray:
    """Blocks (n, 8, 8) of a luma (H, W) on the grid of JPEG, row by row."""
    rows, columns = (n // BLOCK for n in luma.shape)
    blocks = luma[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    return np.asarray(blocks, dtype=float).reshape(-1, BLOCK, BLOCK)


def block_coefficients(blocks: np.ndarray) -> np.ndarray:
    """DCT coefficients (n, 8, 8) of blocks, as JPEG scales them."""
    from scipy.fft import dctn

    return np.asarray(dctn(blocks, axes=(1, 2), norm="ortho"))


def earlier_quality(coefficients: np.ndarray, steps: np.ndarray | None) -> int | None:
    """The quality of an earlier, coarser compression of a photo on the same grid; None where there are no signs of it.

    Coefficients then still lie near multiples of the earlier steps [Fan & de Queiroz, "Identification of bitmap
    compression history: JPEG detection and quantizer estimation", IEEE TIP 12(2), 2003]. Of libjpeg's tables, that one
    is searched for whose multiples hold the most, beyond the share that chance would put there.

    Parameters
    ----------
    coefficients : (n, 8, 8) float
        From :func:`block_coefficients`.
    steps : (8, 8) int or None
        Table that the file has for luma.
    """
    last = np.ones(BLOCK * BLOCK) if steps is None else np.asarray(steps, dtype=float).ravel()
    chosen = np.abs(coefficients[:: max(1, len(coefficients) // _MAX_BLOCKS)].reshape(-1, BLOCK * BLOCK))
    tolerance = last / 2 + 0.7  # rounding to the present steps, and to whole grey levels
    excess = np.zeros(100)
    for quality in range(1, 100):
        table = scaled_table(STANDARD[0], quality).astype(float)
        told = 2 * tolerance < 0.6 * table
        told[0] = False  # the mean of a block lies anywhere
        values = chosen[:, told]
        seen = values > table[told] / 2
        if told.sum() < 5 or seen.sum() < 100:
            continue
        near = np.abs(values - table[told] * np.rint(values / table[told])) <= tolerance[told]
        chance = (seen * (2 * tolerance[told] / table[told])).sum() / seen.sum()
        excess[quality] = ((near & seen).sum() / seen.sum() - chance) / (1 - chance)
    best = int(np.argmax(excess))
    if excess[best] < _MIN_EXCESS:
        return None
    # Multiples of a step are multiples of half of it, too: if twice the steps explain about as much, those count.
    scale = 2 * (5000 / best if best < 50 else 200 - 2 * best)
    twice = round(5000 / scale if scale > 100 else 100 - scale / 2)
    near_twice = np.arange(max(1, twice - 3), twice + 4)
    double = int(near_twice[np.argmax(excess[near_twice])]) if twice < best - 4 else best
    return double if excess[double] > 0.8 * excess[best] else best


def jpeg_settings(tables: Sequence[np.ndarray], factors: Sequence[tuple[int, int]], earlier: int | None = None) -> Jpeg:
    """The settings that a JPEG file was written with; with the quality of an ``earlier`` compression if that is lower,
    because its losses stay."""
    quality = jpeg_quality(tables)
    return Jpeg(quality if earlier is None else min(quality, earlier), subsampling(factors))


def effective_steps(steps: np.ndarray | None, earlier: int | None) -> np.ndarray | None:
    """The steps (8, 8) that luma's coefficients are multiples of, by the last compression or an ``earlier`` one."""
    if earlier is None:
        return steps
    table = scaled_table(STANDARD[0], earlier).reshape(BLOCK, BLOCK)
    return table if steps is None else np.maximum(table, np.asarray(steps))
