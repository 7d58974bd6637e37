# SPDX-License-Identifier: GPL-3.0-or-later
"""The variation of boxes within and between classes, against distances of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.alignment.features.variation import between_classes, spreads
from twinset.dataset.analysis.box_colors import box_colors, color_name
from twinset.engine.rng import stream


def test_the_spread_of_a_group_is_its_standard_deviation_beside_that_of_real_boxes() -> None:
    rng = stream(1, "spread")
    real, wide, narrow = (scale * rng.normal(size=(120, 8)) for scale in (1.0, 1.5, 0.4))
    synth = np.concatenate([wide, narrow])
    groups = {
        "real": (0, np.arange(120)),
        "wide": (1, np.arange(120)),
        "narrow": (1, np.arange(120, 240)),
        "few": (1, np.arange(3)),
    }
    found = {s.name: s for s in spreads((real, synth), (np.arange(120), np.arange(240)), groups, rng, 60)}
    assert set(found) == {"real", "wide", "narrow"}
    assert found["real"].value == pytest.approx(1)
    assert np.isnan(found["real"].floor)
    assert found["wide"].value == pytest.approx(1.5, rel=0.1)
    assert found["narrow"].value == pytest.approx(0.4, rel=0.1)
    assert found["narrow"].high < found["narrow"].floor < 1 < found["wide"].low
    assert 0.85 < found["wide"].floor < 1


def test_boxes_of_one_image_do_not_count_as_variation() -> None:
    rng = stream(2, "copies")
    real = rng.normal(size=(40, 4))
    image = np.repeat(np.arange(10), 4)
    copies = rng.normal(size=(10, 4))[image]  # each image shows one thing four times
    groups = {"copies": (1, np.arange(40)), "one image": (1, np.arange(4))}
    found = {s.name: s for s in spreads((real, copies), (np.arange(40), image), groups, rng, 20)}
    assert found["copies"].value == pytest.approx(1, abs=0.35)
    assert "one image" not in found


def test_classes_that_are_farther_apart_have_a_larger_distance() -> None:
    rng = stream(3, "between")
    real = {"chair": rng.normal(size=(50, 4)), "table": rng.normal(size=(50, 4)) + 5, "bag": rng.normal(size=(50, 4))}
    synth = {name: values[:20] * 0.5 for name, values in real.items()}
    found = {(a, b): (x, y) for a, b, x, y in between_classes(real, synth)}
    assert set(found) == {("chair", "table"), ("chair", "bag"), ("table", "bag")}
    assert found["chair", "table"][0] > 2 * found["chair", "bag"][0]
    assert found["chair", "bag"][0] == pytest.approx(1, abs=0.1)
    assert found["chair", "table"][1] < found["chair", "table"][0]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 12), "dark"),
        ((128, 126, 128), "grey"),
        ((250, 250, 248), "light"),
        ((200, 20, 20), "red"),
        ((255, 140, 0), "orange"),
        ((250, 240, 30), "yellow"),
        ((20, 160, 40), "green"),
        ((30, 60, 200), "blue"),
    ],
)
def test_colours_have_their_names(rgb: tuple[int, int, int], name: str) -> None:
    picture = np.full((40, 60, 3), 255, np.uint8)
    picture[10:30, 20:40] = rgb
    assert box_colors(picture, [{"id": 5, "bbox": [18, 8, 24, 24]}]) == {5: name}
    assert color_name((50.0, 0.0, 0.0)) == "grey"
