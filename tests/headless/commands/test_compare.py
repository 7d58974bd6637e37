# SPDX-License-Identifier: GPL-3.0-or-later
"""The command compare on datasets and on tables, and tables read back as they were written."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from twinset.alignment.columns.image_statistics import grey, statistics
from twinset.dataset.formats.metadata_table import read_columns, write_columns
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner

SIZE = 40


def dataset(folder, grain, n=12):
    """Images of noise of a grain, each with a chair."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for k in range(n):
        rng = np.random.default_rng(k)
        noise = rng.integers(0, 256, (SIZE // grain, SIZE // grain, 3), dtype=np.uint8)
        picture = cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"images/{k}.png"), picture)
        images.append({"id": k, "file_name": f"{k}.png", "width": SIZE, "height": SIZE})
        box = [4.0, 5.0, 10.0 + k, 20.0]
        annotations.append({"id": k, "image_id": k, "category_id": 1, "bbox": box, "area": box[2] * box[3]})
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "chair"}]}
    (folder / "set.json").write_text(json.dumps(data))
    return folder


def run(*args, code=0):
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr.replace("\n", " ")


def test_pixels_are_measured_on_the_way_and_the_same_as_from_tables(tmp_path):
    fine, coarse = dataset(tmp_path / "fine", 1), dataset(tmp_path / "coarse", 4)
    options = ("-o", tmp_path, "--json")
    direct = json.loads(run("compare", fine / "set.json", coarse / "set.json", "--pixels", "--workers", 1, *options))
    tables = []
    for folder, name in ((fine, "fine.parquet"), (coarse, "coarse.csv")):
        tables.append(tmp_path / name)
        run("measure", folder / "set.json", "-o", tables[-1], "--workers", 1)
    read = json.loads(run("compare", *tables, *options))
    columns, others = (report["classes"]["chair"]["columns"] for report in (direct, read))
    assert list(columns) == list(others) and "image_sharpness" in columns
    for name, column in columns.items():  # tables hold nine digits
        for key in ("ks", "wasserstein_upper_floor", "larger_share", "real_quantiles"):
            assert others[name][key] == pytest.approx(column[key], rel=1e-6), (name, key)
    luma = [grey(cv2.imread(str(fine / f"images/{k}.png"))[..., ::-1]) for k in range(12)]
    truth = [statistics(picture)["sharpness"] for picture in luma]
    assert columns["image_sharpness"]["real_quantiles"][2] == pytest.approx(np.median(truth))
    assert columns["sqrt_area"]["bhattacharyya"] == pytest.approx(0, abs=1e-12)
    off = {s["column"]: s["direction"] for s in direct["verdict"]["off"]}
    assert off["sharpness"] == off["image_sharpness"] == "smaller" and "sqrt_area" not in off
    assert "softer in 100% of pairs" in run("compare", *tables, "-o", tmp_path)
    # Where one side only has pixels, that is said.
    bare = run("compare", fine / "set.json", tables[1], "-o", tmp_path)
    assert "Only the synthetic dataset has blur, brightness" in bare


def test_tables_come_back_as_they_were_written(tmp_path):
    columns = {"class": ["a", "b,c"], "x": [1.5, None], "n": [1, 2], "main": [True, None], "empty": [None, None]}
    for name in ("t.parquet", "t.csv"):
        write_columns(tmp_path / name, columns)
        found = read_columns(tmp_path / name)
        assert list(found) == list(columns) and list(found["class"]) == ["a", "b,c"]
        assert np.isnan(found["x"][1]) and found["x"][0] == 1.5 and list(found["n"]) == [1, 2]
        assert list(found["main"]) == [True, None] and all(v is None or np.isnan(v) for v in found["empty"])


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("none.csv", None, "does not exist"),
        ("t.parquet", b"junk", "not a Parquet table"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n1,2\n3\n", "Row 3"),
        ("t.csv", b"\xff\xfe", "not a CSV table"),
    ],
)
def test_broken_tables_are_named(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_columns(tmp_path / name)
    other = tmp_path / "good.csv"
    other.write_text("class,image_id,bbox_area\nchair,1,0.2\n")
    assert words in run("compare", other, tmp_path / name, code=2)


@pytest.mark.parametrize(
    "real, synth, words",
    [
        ("chair,1,0.2\n", "table,1,0.2\n", "share no class"),
        ("chair,1,0.2\n", "chair,1,0.2\n", "One real value"),
        ("chair,1,0.2\n" * 30, "chair,1,0.2\n" * 40, "All 30 real values are 0.2"),
        ("chair,1,\n", "chair,1,0.2\n", "Nothing can be said"),
        ("", "chair,1,0.2\n", "share no class"),
    ],
)
def test_degenerate_tables_get_a_statement(tmp_path, real, synth, words):
    for name, rows in (("real.csv", real), ("synth.csv", synth)):
        (tmp_path / name).write_text(f"class,image_id,bbox_area\n{rows}")
    code = 2 if "share" in words else 0
    found = run("compare", tmp_path / "real.csv", tmp_path / "synth.csv", "-o", tmp_path, code=code)
    assert words in found
