# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns from COCO dicts against hand-made numbers; comparison of datasets; its pictures."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from twinset.alignment.columns.table import class_names, read_table
from twinset.alignment.distances.comparison import compare, to_json
from twinset.alignment.distances.histograms import bhattacharyya
from twinset.alignment.mixtures.fit_report import fit_report
from twinset.dataset.report.plots import plot_comparison, plot_mixture
from twinset.engine.errors import DataError
from twinset.engine.goals import Boxes


@pytest.fixture(scope="module")
def real(root):
    return json.loads((root / "examples/coco_furniture.json").read_text())


def tiny():
    """Two images, a chair of 80 x 60 in 200 x 100, one that reaches out of its image, a crowd and an empty box."""
    return {
        "images": [{"id": 5, "width": 200, "height": 100}, {"id": 6, "width": 100, "height": 100}],
        "categories": [{"id": 62, "name": "chair"}, {"id": 67, "name": "dining table"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 5,
                "category_id": 62,
                "bbox": [20, 10, 80, 60],
                "twinset": {"depth": 2, "main": True},
            },
            {"id": 2, "image_id": 6, "category_id": 62, "bbox": [90, -10, 40, 30], "twinset": {"shape": "a"}},
            {"id": 3, "image_id": 6, "category_id": 62, "bbox": [0, 0, 50, 50], "iscrowd": 1},
            {"id": 4, "image_id": 6, "category_id": 62, "bbox": [0, 0, 0, 50]},
        ],
    }


def test_columns_by_hand():
    table = read_table(tiny(), "chair")
    assert len(table) == 2
    assert table.columns["area"] == pytest.approx([0.24, 0.02])
    assert table.columns["sqrt_area"] == pytest.approx(np.sqrt([0.24, 0.02]))
    assert table.columns["center_x"] == pytest.approx([0.3, 0.95])
    assert table.columns["center_y"] == pytest.approx([0.4, 0.1])
    assert table.columns["log_aspect"] == pytest.approx([math.log(80 / 60), math.log(10 / 20)])
    assert table.columns["boxes_per_image"].tolist() == [1, 1]
    assert table.columns["depth"][0] == 2 and math.isnan(table.columns["depth"][1])
    assert "shape" not in table.columns and "main" not in table.columns
    assert table.main.tolist() == [True, False]
    assert class_names(tiny()) == ["chair"]


def test_missing_class_is_named():
    with pytest.raises(DataError, match=r"real dataset has no box of class 'dining table'.*chair"):
        compare(tiny(), tiny(), "dining table")


def test_datasets_that_share_no_class(real):
    other = copy.deepcopy(tiny())
    other["categories"][0]["name"] = "stool"
    with pytest.raises(DataError, match="share no class"):
        compare(real, other)


def test_a_dataset_equals_itself(real):
    result = compare(real, real)
    assert set(result["classes"]) == {"chair", "dining table", "handbag", "backpack", "suitcase"}
    for entry in result["classes"].values():
        assert entry["main"] is None and entry["n_real"] == entry["n_synth"]
        for column in entry["columns"].values():
            assert column["bhattacharyya"] == pytest.approx(0, abs=1e-12)
            assert column["ks"] == column["wasserstein"] == 0 < column["floor"]


def test_shift_is_seen_in_its_column_alone(real):
    moved = copy.deepcopy(real)
    width = {i["id"]: i["width"] for i in moved["images"]}
    for a in moved["annotations"]:  # mirrored
        a["bbox"][0] = width[a["image_id"]] - a["bbox"][0] - a["bbox"][2]
    columns = compare(real, moved, "chair")["classes"]["chair"]["columns"]
    assert columns["center_x"]["wasserstein"] > 0.05
    for name in ("sqrt_area", "center_y", "log_aspect", "boxes_per_image"):
        assert columns[name]["wasserstein"] == pytest.approx(0, abs=1e-6)


def test_main_boxes_and_shared_extra_columns(real):
    synth = copy.deepcopy(real)
    chairs = [a for a in synth["annotations"] if a["category_id"] == 62 and not a["iscrowd"]]
    for k, a in enumerate(chairs):
        a["twinset"] = {"main": k < 20, "depth": float(k), "id": k}
    entry = compare(real, synth, "chair")["classes"]["chair"]
    assert "depth" not in entry["columns"]
    assert entry["main"]["n_synth"] == 20 and "boxes_per_image" not in entry["main"]["columns"]
    sizes = {i["id"]: i["width"] * i["height"] for i in synth["images"]}
    root_areas = np.array([math.sqrt(a["bbox"][2] * a["bbox"][3] / sizes[a["image_id"]]) for a in chairs])
    expected = bhattacharyya(root_areas, root_areas[:20])
    assert entry["main"]["columns"]["sqrt_area"]["bhattacharyya"] == pytest.approx(expected)
    both = compare(synth, synth, "chair")["classes"]["chair"]["columns"]
    assert both["depth"]["bhattacharyya"] == 0 and "id" not in both


def test_disjoint_columns_become_null_in_json():
    near, far = tiny(), tiny()
    near["annotations"], far["annotations"] = near["annotations"][:1], far["annotations"][1:2]
    result = compare(near, far, "chair")
    assert result["classes"]["chair"]["columns"]["sqrt_area"]["bhattacharyya"] == math.inf
    strict = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert strict["classes"]["chair"]["columns"]["sqrt_area"]["bhattacharyya"] is None


def chair_boxes(real):
    columns = read_table(real, "chair").columns
    center = np.stack([columns["center_x"], columns["center_y"]], -1)
    return Boxes(columns["area"], center, np.exp(columns["log_aspect"]), np.zeros(len(center), dtype=int))


def test_fit_report(real):
    mixture, report = fit_report(chair_boxes(real))
    assert report["n_real"] == 79 and report["distance"] < report["floor"]
    assert len(report["components"]) == mixture.n_components_
    assert sum(c["weight"] for c in report["components"]) == pytest.approx(1)
    assert report["quantiles"]["0.5"] == pytest.approx(0.011, abs=0.001)
    json.dumps(report, allow_nan=False)


def test_pictures_are_the_same_bytes_each_time(real, tmp_path):
    from PIL import Image

    columns = compare(real, real, "chair")["classes"]["chair"]["columns"]
    mixture, _ = fit_report(chair_boxes(real))
    files = []
    for k in range(2):
        files.append(plot_comparison(columns, tmp_path / f"c{k}.png", title="chair"))
        files.append(plot_mixture(chair_boxes(real).area, mixture, tmp_path / f"m{k}.png", title="chair"))
    assert files[0].read_bytes() == files[2].read_bytes() and files[1].read_bytes() == files[3].read_bytes()
    for file in files:
        with Image.open(file) as picture:
            assert picture.width > 600 and len(picture.convert("L").getcolors()) > 20
            assert not picture.text


def test_curves_of_a_plot_enclose_all_boxes(real):
    from twinset.dataset.report.plots import mixture_densities

    mixture, _ = fit_report(chair_boxes(real))
    grid, density = mixture_densities(mixture, 1e-4, 0.3)
    step = np.log10(grid[1] / grid[0])
    assert density.sum() * step == pytest.approx(1, abs=0.02)
    # One decade of the middle component holds what the cdf says.
    inside = (grid >= 0.01) & (grid < 0.1)
    truth = np.diff(mixture.cdf(np.array([0.01, 0.1])))[0]
    assert density[inside].sum() * step == pytest.approx(truth, abs=0.01)
