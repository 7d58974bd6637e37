# SPDX-License-Identifier: GPL-3.0-or-later
"""What a synthetic dataset has too often or too seldom, on datasets where it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from twinset.alignment.evaluation.representation import OVER, UNDER, representation
from twinset.engine.rng import stream


def drawn(rng: np.random.Generator, images: int, *, left: float = 1 / 3, red: float = 0.2) -> tuple[dict, np.ndarray]:
    """Boxes, two in each image; a share of them left in the image, and red."""
    image = np.repeat(np.arange(images), 2)
    n = len(image)
    place = np.where(rng.random(n) < left, rng.uniform(0, 1 / 3, n), rng.uniform(1 / 3, 1, n))
    columns: dict[str, Any] = {
        "center_x": place,
        "bbox_area": np.exp(rng.normal(-3, 1, n)),
        "color": np.where(rng.random(n) < red, "red", rng.choice(["grey", "dark"], n)).tolist(),
        "only_here": np.ones(n),
    }
    return columns, image


def test_what_is_too_frequent_or_too_rare_is_found_with_its_shares() -> None:
    rng = stream(1, "bias")
    (real, real_image), (synth, synth_image) = drawn(rng, 60), drawn(rng, 200, left=0.75, red=0.0)
    del synth["only_here"]
    found = {(one.column, one.name): one for one in representation(real, synth, real_image, synth_image)}
    left = found["center_x", "left third"]
    assert left.verdict == OVER
    assert left.real_share == pytest.approx(1 / 3, abs=0.1)
    assert left.synth_share == pytest.approx(0.75, abs=0.06)
    assert found["center_x", "right third"].verdict == UNDER
    red = found["color", "red"]
    assert (red.verdict, red.synth, red.ratio) == (UNDER, 0, 0.0)
    assert all(one.verdict == "" for one in found.values() if one.column == "bbox_area")
    assert [found["bbox_area", name].real_share for name in ("low", "middle", "high")] == pytest.approx([1 / 3] * 3)
    assert not any(column == "only_here" for column, _ in found)
    for column in ("center_x", "bbox_area", "color"):
        own = [one for one in found.values() if one.column == column]
        assert sum(one.real for one in own) == 120
        assert sum(one.synth_share for one in own) == pytest.approx(1)


def test_samples_of_one_source_have_a_verdict_in_one_case_of_twenty() -> None:
    cases = 0
    for seed in range(100):
        rng = stream(seed, "one source")
        (real, real_image), (synth, synth_image) = drawn(rng, 25), drawn(rng, 60)
        cases += any(one.verdict for one in representation(real, synth, real_image, synth_image))
    # 5 % of 100 are 5; more than 14 happen less than once in 1,000.
    assert cases <= 14
