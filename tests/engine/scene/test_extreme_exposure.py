# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are nearly black or white are counted and named with a remedy."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from twinset.dataset.store.funnel import AttemptTally
from twinset.engine.scene.extreme_exposure import exposure_sentences, extreme_exposure
from twinset.headless.console.progress import funnel_table


def picture(value: int, *, other: int = 0, share: float = 0.0) -> np.ndarray:
    made = np.full((50, 40, 3), value, np.uint8)
    made.reshape(-1, 3)[: round(share * 2000)] = other
    return made


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (picture(0), "black"),
        (picture(20, other=255, share=0.005), "black"),
        (picture(20, other=255, share=0.05), ""),
        (picture(128), ""),
        (picture(255), "white"),
        (picture(255, other=0, share=0.05), ""),
        (np.empty((0, 0, 3), np.uint8), ""),  # only probed
    ],
)
def test_only_pictures_without_anything_to_see_are_extreme(shown: np.ndarray, expected: str) -> None:
    assert extreme_exposure(shown) == expected


def test_a_saturated_colour_is_not_white() -> None:
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 255
    assert extreme_exposure(red) == ""


def test_the_funnel_counts_accepted_extremes_and_says_them_once_with_the_remedy() -> None:
    tally = AttemptTally()
    for verdict, exposure in (("accepted", "black"), ("accepted", "black"), ("accepted", ""), ("filtered", "white")):
        record = {"verdict": verdict, "rejected": [], "instances": [], "frame": 0, "attempts": 1}
        tally.add(cast(Any, {**record, **({"exposure": exposure} if exposure else {})}))
    funnel = tally.funnel()
    assert funnel.exposure == {"black": 2}
    (sentence,) = exposure_sentences(funnel.exposure, funnel.accepted)
    assert sentence.startswith("2 of 3 pictures are nearly black. Add light")
    assert "  nearly black" in list(funnel_table(funnel).columns[0].cells)
