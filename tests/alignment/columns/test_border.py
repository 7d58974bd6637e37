# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparisons call a box cut by the border by one definition on both sides, exact or not."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.alignment.columns.metadata import box_columns
from twinset.alignment.columns.table import measured_table


def table(bboxes: np.ndarray, width: float, height: float) -> dict[str, np.ndarray]:
    """Measured columns of boxes, each in an image of its own, without the size of the image."""
    own = {f"bbox_{axis}": bboxes[:, k] for k, axis in enumerate("xywh")}
    names = np.array(["chair"] * len(bboxes))
    return {"class": names, "image_id": np.arange(len(bboxes)), **own, **box_columns(bboxes, width, height)}


@pytest.mark.parametrize(
    ("box", "is_cut"),
    [
        ((0, 100, 50, 50), True),
        ((6.3, 100, 50, 50), True),  # 640 px, 1 % of which are 6.4
        ((6.5, 100, 50, 50), False),
        ((100, 4.7, 50, 50), True),  # 480 px
        ((100, 4.9, 50, 50), False),
        ((583.7, 100, 50, 50), True),
        ((583.5, 100, 50, 50), False),
        ((100, 425.3, 50, 50), True),
        ((100, 425.1, 50, 50), False),
    ],
)
def test_within_a_hundredth_of_each_side(box: tuple[float, ...], is_cut: bool) -> None:
    found = measured_table(table(np.array([box], dtype=float), 640, 480), "chair")
    assert found.columns["touches_border"].tolist() == [is_cut]


def test_inexact_labels_are_as_often_at_the_border_as_exact_ones() -> None:
    """The same scenes, labelled to the pixel and by hand, which ends a few pixels short of the border."""
    rng = np.random.default_rng(0)
    exact = np.column_stack([rng.integers(40, 300, (400, 2)), np.full((400, 2), 100)]).astype(float)
    exact[:120, 0] = 0
    by_hand = exact.copy()
    by_hand[:120, 0] += rng.uniform(1.5, 6, 120)
    shares = [
        measured_table(table(boxes, 640, 480), "chair").columns["touches_border"].mean() for boxes in (exact, by_hand)
    ]
    assert shares == [0.3, 0.3]
    assert box_columns(by_hand, 640, 480)["touches_border"].sum() == 0  # recorded values stay to the pixel
