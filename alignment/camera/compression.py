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
    names = {(1, 1): "4:4:4", (1, 2): "4:4:0", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}
    return names.get((horizontal, vertical), SUBSAMPLINGS[3])


def jpeg_settings(tables: Sequence[np.ndarray], factors: Sequence[tuple[int, int]]) -> Jpeg:
    """The settings that a JPEG file was written with."""
    return Jpeg(jpeg_quality(tables), subsampling(factors))
