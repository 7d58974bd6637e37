# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG compression and resizing: tables and sampling against Pillow, and what is lost."""

from __future__ import annotations

import io

import numpy as np
import pytest
from effect_pictures import applied, checks, raw
from PIL import Image
from twinset.plugins.effects.jpeg import SUBSAMPLINGS, Jpeg, compressed
from twinset.plugins.effects.resize import Resize


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [12, 50, 75, 93])
def test_jpeg_has_the_tables_and_the_sampling_that_were_asked_for(
    scenery: np.ndarray, quality: int, subsampling: str
) -> None:
    file = Image.open(io.BytesIO(compressed(scenery.astype(np.float32) / 255, quality, subsampling).tobytes()))
    reference = io.BytesIO()
    Image.fromarray(scenery).save(reference, "JPEG", quality=quality)
    assert file.quantization == Image.open(reference).quantization
    across, down = file.layer[0][1:3]
    assert (across, down) == {"4:4:4": (1, 1), "4:4:0": (1, 2), "4:2:2": (2, 1), "4:2:0": (2, 2), "4:1:1": (4, 1)}[
        subsampling
    ]


def test_lower_quality_is_farther_from_the_picture(scenery: np.ndarray) -> None:
    away = [np.abs(applied(Jpeg(quality=(q, q)), scenery).astype(int) - scenery).mean() for q in (95, 70, 40, 10)]
    assert (np.diff(away) > 0).all()


def test_resizing_loses_what_the_smaller_picture_cannot_show(scenery: np.ndarray) -> None:
    fine = np.abs(np.diff(scenery.astype(int), axis=1)).mean()
    for factor in (0.9, 0.6, 0.3):
        out = applied(Resize(factor=(factor, factor), down=["area"], up=["bilinear"]), scenery)
        assert out.shape == scenery.shape
        now = np.abs(np.diff(out.astype(int), axis=1)).mean()
        assert now < fine
        fine = now
    blocks = raw(Resize(), checks(), factor=0.5, down="nearest", up="nearest")
    np.testing.assert_array_equal(blocks[::2, ::2], blocks[1::2, 1::2])
