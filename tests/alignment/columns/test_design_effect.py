# SPDX-License-Identifier: GPL-3.0-or-later
"""What images that share layouts are worth, against repeated draws; and intervals that know of shared layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from twinset.alignment.columns.design_effect import dependence_sentence, design_effect, effective_images
from twinset.alignment.columns.table import measured_table, read_table
from twinset.alignment.distances.comparison import compare

VIEWS, LAYOUTS = 4, 50


def drawn(rng: np.random.Generator, shared: float, layouts: int = LAYOUTS) -> tuple[np.ndarray, np.ndarray]:
    """Values of one box per image whose variance is 1, of which ``shared`` is that of layouts; and their layouts."""
    layout = np.repeat(np.arange(layouts), VIEWS)
    own = rng.standard_normal(len(layout)) * np.sqrt(1 - shared)
    return own + rng.standard_normal(layouts)[layout] * np.sqrt(shared), layout


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_the_effect_is_how_much_more_means_vary_than_those_of_independent_images(shared: float) -> None:
    rng = np.random.default_rng(1)
    draws = [drawn(rng, shared) for _ in range(2000)]
    variance = np.var([values.mean() for values, _ in draws]) * VIEWS * LAYOUTS
    found = np.mean([design_effect(v, np.arange(len(v)), layout) for v, layout in draws[:300]])
    # Kish: 1 + (size of groups - 1) x (share of the variance between groups).
    assert variance == pytest.approx(1 + (VIEWS - 1) * shared, rel=0.12)
    assert found == pytest.approx(max(variance, 1.0), rel=0.12)


def test_copies_of_images_are_worth_one_each() -> None:
    values = np.repeat(np.random.default_rng(0).standard_normal(40), VIEWS)
    layout = np.repeat(np.arange(40), VIEWS)
    assert design_effect(values, np.arange(160), layout) == pytest.approx(VIEWS, rel=0.02)
    assert design_effect(values, np.arange(160), np.arange(160)) == 1.0
    assert design_effect(np.ones(160), np.arange(160), layout) == 1.0


def coco(areas: np.ndarray, layout: np.ndarray | None) -> dict[str, Any]:
    """One square box of a chair per image."""
    side = 100 * np.sqrt(areas)
    names = [{} if layout is None else {"twinset": {"layout": int(layout[k])}} for k in range(len(areas))]
    size = {"width": 100, "height": 100}
    return {
        "images": [{"id": k + 1, "file_name": f"{k}.png", **size, **own} for k, own in enumerate(names)],
        "annotations": [
            {"id": k + 1, "image_id": k + 1, "category_id": 1, "bbox": [5, 5, s, s], "area": s * s, "iscrowd": 0}
            for k, s in enumerate(side.tolist())
        ],
        "categories": [{"id": 1, "name": "chair"}],
    }


def test_intervals_draw_layouts_whole_and_the_report_says_so() -> None:
    rng = np.random.default_rng(3)
    real = coco(rng.uniform(0.05, 0.5, 2000), None)
    values, layout = drawn(rng, 1.0)
    areas = 0.05 + 0.4 / (1 + np.exp(-values))
    alone, shared = compare(real, coco(areas, None)), compare(real, coco(areas, layout))
    one, other = (each["classes"]["chair"]["columns"]["sqrt_area"] for each in (alone, shared))
    assert one["ks"] == other["ks"]
    width, wider = (c["ks_interval"][1] - c["ks_interval"][0] for c in (one, other))
    assert wider > 1.4 * width  # twice as wide for copies, less what the real side adds
    remarks = shared["classes"]["chair"]["remarks"]
    assert "The synthetic dataset: 200 images show 50 layouts" in remarks[0]
    assert "worth 49 independent images" in remarks[0]
    assert alone["classes"]["chair"]["remarks"] == []


def test_layouts_are_read_from_annotations_and_from_measured_columns() -> None:
    layout = np.repeat([0, 3, 6], 2)
    data = coco(np.linspace(0.1, 0.2, 6), layout)
    data["images"][4]["twinset"] = {"frame": 4, "sequence": 2, "step": 0}
    del data["images"][1]["twinset"]
    group = read_table(data, "chair").group
    assert group is not None and group.tolist() == [0, -2, 3, 3, 2, 6]
    columns = {
        "class": ["chair"] * 6,
        "image_id": [*range(1, 7)],
        "bbox_area": np.linspace(0.1, 0.2, 6).tolist(),
        "image_layout": layout.tolist(),
    }
    table = measured_table(columns, "chair")
    assert table.group is not None and table.group.tolist() == layout.tolist()
    assert "image_layout" not in table.columns
    assert [owners.tolist() for owners in table.owners("boxes_per_image")] == [[*range(1, 7)], layout.tolist()]
    assert "too few" in dependence_sentence(table)
    single = measured_table({**columns, "image_layout": [*range(6)]}, "chair")
    assert single.group is None and not effective_images(single) and dependence_sentence(single) == ""
