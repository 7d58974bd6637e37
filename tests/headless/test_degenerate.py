# SPDX-License-Identifier: GPL-3.0-or-later
"""Input that says little or is very large: a statement from every command that measures, never a crash."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from twinset.alignment.columns.metadata import box_columns
from twinset.alignment.columns.table import measured_table
from twinset.alignment.mixtures.area_mixture import fit_areas
from twinset.headless.cli import app
from typer.testing import CliRunner


def coco(path, boxes, classes=("chair", "table")):
    """A COCO file with a box of the first class on each image of 100 by 100 px."""
    annotations = [
        {"id": k, "image_id": k, "category_id": 1, "bbox": list(box), "area": box[2] * box[3]}
        for k, box in enumerate(boxes)
    ]
    images = [{"id": k, "file_name": f"{k}.png", "width": 100, "height": 100} for k in range(max(1, len(boxes)))]
    categories = [{"id": k, "name": name} for k, name in enumerate(classes, start=1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


BOXES = {
    "none": [],
    "one": [(10, 10, 20, 30)],
    "identical": [(10, 10, 20, 30)] * 40,
    "many": [(k % 40, k % 30, 10 + k % 50, 20 + k % 37) for k in range(60)],
}


def run(*args):
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code in (0, 2), (args, done.output)
    said = done.stdout if done.exit_code == 0 else done.stderr
    assert said.strip() and "Traceback" not in said
    return done.exit_code, said.replace("\n", " ")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "annotations"  # so that images are looked for in the folder of this test only
    folder.mkdir()
    return {name: coco(folder / f"{name}.json", boxes) for name, boxes in BOXES.items()}


@pytest.mark.parametrize(
    "real, synth, code, words",
    [
        ("none", "many", 2, "no box"),
        ("one", "many", 0, "One real value"),
        ("many", "one", 0, "1 synthetic"),
        ("identical", "many", 0, "All 40 real values are"),
        ("many", "identical", 0, "All 40 synthetic values are"),
    ],
)
def test_compare(files, real, synth, code, words):
    found, said = run("compare", files[real], files[synth])
    assert found == code and words in said


@pytest.mark.parametrize("name, code", [("none", 2), ("one", 2), ("identical", 0), ("many", 0)])
def test_fit_and_measure(files, name, code):
    found, said = run("fit", files[name], "--class", "chair")
    assert found == (0 if name in ("identical", "many") else found) and ("box" in said or "value" in said)
    found, said = run("measure", files[name], "-o", f"{name}.csv", "--no-pixels")
    assert found == (2 if name == "none" else 0) and "box" in said
    assert run("fit", files[name], "--class", "table")[0] == 2


@pytest.mark.parametrize(
    "real, synth, code, words",
    [
        ("none", "many", 2, "no box"),
        ("one", "many", 2, "all real values are the same"),
        ("identical", "many", 2, "all real values are the same"),
        ("many", "one", 0, "Composite"),
        ("many", "identical", 0, "Composite"),
    ],
)
def test_quality(files, real, synth, code, words):
    found, said = run("quality", files[real], files[synth], "--no-features")
    assert found == code and words in said


@pytest.mark.parametrize("name", ["none", "one", "identical"])
def test_evaluate(files, tmp_path, name):
    (tmp_path / "dets.json").write_text("[]")
    assert run("evaluate", files[name], "dets.json")[0] == 0
    code, said = run("evaluate", files[name], "dets.json", "--synth", files["many"])
    assert code == 2 and "images" in said


def test_class_missing_on_one_side(files, tmp_path):
    other = coco(tmp_path / "other.json", BOXES["many"], ("lamp",))
    for command in (("compare",), ("quality", "--no-features")):
        code, said = run(command[0], files["many"], other, *command[1:])
        assert code == 2 and "share no class" in said and "lamp" in said


def test_a_million_areas_are_fitted_as_few_are():
    """Silhouettes look at all pairs, so quantiles stand for so many values; the mixture is that of the source."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(math.log(m), 0.2, 500_000) for m in (0.01, 0.2)]
    many = fit_areas(np.exp(np.concatenate(parts)).clip(1e-6, 1))
    assert many.n_components_ == 2 and many.n_samples_ == 10**6
    assert np.sort(many.means_) == pytest.approx([math.log(0.01), math.log(0.2)], abs=0.02)
    assert many.ppf(np.array([0.25, 0.75])) == pytest.approx([0.01, 0.2], rel=0.05)


def test_a_million_rows_make_a_table():
    n = 10**6
    rng = np.random.default_rng(0)
    wh = 5 + 60 * rng.beta(2, 5, (n, 2))
    columns = box_columns(np.concatenate([rng.random((n, 2)) * (100 - wh), wh], 1), 100.0, 100.0)
    table = measured_table({"class": ["chair"] * n, "image_id": np.arange(n) // 10, **columns}, "chair")
    assert len(table) == n and len(table.columns["boxes_per_image"]) == n // 10
