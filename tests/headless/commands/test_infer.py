# SPDX-License-Identifier: GPL-3.0-or-later
"""The command infer, from pictures whose boxes obey a known law to predictions of others, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from twinset.dataset.analysis.inference import infer
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import ImageDataset
from twinset.headless.cli import app
from typer.testing import CliRunner, Result

WIDTH, HEIGHT, SIDE = 120, 90, 32


def write(folder: Path, n: int, *, known: bool, seed: int = 0, classes: tuple[str, ...] = ("disc",), bright=0) -> Path:
    """Images of two square patches: the brightness of one gives its depth, its stripes give its shape."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    y, x = np.mgrid[:SIDE, :SIDE]
    for k in range(n):
        picture = rng.integers(90, 110, (HEIGHT, WIDTH)).astype(float)
        for left in (10, 70):
            depth, shape = math.exp(rng.normal(1, 0.6)), ("wide", "tall")[int(rng.integers(2))]
            stripes = 30 * np.sign(np.sin((y if shape == "wide" else x) * 1.5))
            picture[20 : 20 + SIDE, left : left + SIDE] = 40 + 40 * math.log(depth + 1) + bright + stripes
            extra = {"depth": depth, "shape": shape, "noise": float(rng.normal()), "constant": 2.0}
            if k == 3:
                extra["depth"] = None
            annotations.append(
                {
                    "id": 500 - len(annotations),
                    "image_id": k,
                    "category_id": len(annotations) % len(classes) + 1,
                    "bbox": [left, 20, SIDE, SIDE],
                    "area": SIDE * SIDE,
                    **({"twinset": extra} if known else {}),
                }
            )
        speck = {"id": 1000 + k, "image_id": k, "category_id": 1, "bbox": [3, 3, 5, 9], "area": 45}
        annotations.append(speck)
        cv2.imwrite(str(folder / f"images/{k}.png"), np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, 2))
        images.append({"id": k, "file_name": f"{k}.png", "width": WIDTH, "height": HEIGHT})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate((*classes, "other"))]
    path = folder / "set.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture(scope="module")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("synth") / "set", 30, known=True)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("real") / "set", 8, known=False, seed=9)


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["infer", "--trees", "5", *(str(a) for a in args)])


def asked(*names: str) -> list[str]:
    return [text for name in names for text in ("--column", name)]


def test_predictions_are_true_and_in_line_with_their_boxes(synth: Path, real: Path, tmp_path: Path) -> None:
    out = tmp_path / "inferred.parquet"
    done = run(real, synth, "-o", out, *asked("depth", "shape", "noise"), "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    outcomes = {o["column"]: o for o in said["outcomes"]}
    assert outcomes["depth"]["model"] == outcomes["shape"]["model"] == "packaged"
    assert outcomes["depth"]["log"] and outcomes["depth"]["scores"]["packaged"]["value"] > 0.9
    assert (outcomes["depth"]["boxes"], outcomes["shape"]["boxes"], outcomes["shape"]["images"]) == (58, 60, 30)
    assert outcomes["shape"]["scores"]["packaged"]["value"] == 1.0
    assert not outcomes["noise"]["model"] and set(outcomes["noise"]["scores"]) == {"packaged", "packaged+box"}
    assert len(said["refused"]) == 1 and "'noise' of 'disc' is not inferred: the best of 2 models" in said["refused"][0]
    assert said["small"] == 38
    table = pyarrow.parquet.read_table(out).to_pylist()
    assert [r["id"] for r in table] == [a["id"] for a in read_coco(real).annotations_of("disc")]
    truth = write(tmp_path / "again", 8, known=True, seed=9)
    known = {a["id"]: a for a in read_coco(truth).annotations}
    for row in table:
        annotation = known[row["id"]]
        assert [row[f"bbox_{axis}"] for axis in "xywh"] == annotation["bbox"]
        assert row["image_id"] == annotation["image_id"] and row["file_name"] == f"{row['image_id']}.png"
        if row["id"] >= 1000:
            assert row["depth"] is None and row["shape"] is None and row["depth_outside"] is None
            continue
        assert row["shape"] == annotation["twinset"]["shape"] and row["shape_probability"] > 0.9
        assert row["depth_low"] < row["depth"] < row["depth_high"]
        assert row["depth_model"] == "packaged" and row["depth_score"] > 0.9
        if annotation["twinset"]["depth"]:
            assert row["depth"] == pytest.approx(annotation["twinset"]["depth"], rel=0.5)
    assert "noise" not in table[0]
    again = tmp_path / "again.parquet"
    assert run(real, synth, "-o", again, *asked("depth", "shape", "noise")).exit_code == 0
    assert again.read_bytes() == out.read_bytes()


def test_datasets_in_the_old_order_are_told_apart(synth: Path, real: Path, tmp_path: Path) -> None:
    """Up to 0.1 the synthetic one came first; only its annotations know what is to be inferred."""
    new, old = (
        run(*pair, "-o", tmp_path / f"{k}.csv", *asked("depth"))
        for k, pair in enumerate([(real, synth), (synth, real)])
    )
    assert new.exit_code == old.exit_code == 0, old.output
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()
    assert new.stderr == "" and old.stderr.strip() == (
        f"Deprecated: the order is now REAL SYNTH; '{synth}' is taken as the synthetic dataset."
    )


def test_scores_alone_need_no_real_dataset_and_stand_in_a_table(synth: Path) -> None:
    done = run(synth, "--model", "box", "--model", "packaged", "--all-models")
    assert done.exit_code == 0, done.output
    assert "disc: 60 rendered boxes in 30 images" in done.stdout
    head = done.stdout.splitlines()[2:4]
    assert "depth" in head[0] and "shape" in head[0] and "noise" not in head[0]  # a default is one that there is
    assert "R², log" in head[1] and "accuracy" in head[1]
    rows = [line for line in done.stdout.splitlines() if line.startswith(("│ box", "│ packaged"))]
    assert len(rows) == 2 and "*" not in rows[0] and rows[1].count("*") == 2
    assert "30 boxes with a side under 16 pixels are left out." in done.stdout


def test_the_next_model_is_tried_only_where_one_is_not_good_enough(synth: Path) -> None:
    done = json.loads(run(synth, "--model", "packaged", "--model", "box", *asked("depth", "noise"), "--json").stdout)
    tried = {o["column"]: list(o["scores"]) for o in done["outcomes"]}
    assert tried == {"depth": ["packaged"], "noise": ["packaged", "box"]}


def test_what_the_real_annotations_know_is_held_against_predictions(synth: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", 10, known=True, seed=5)
    done = run(other, synth, "-o", tmp_path / "x.csv", *asked("depth", "shape"))
    assert done.exit_code == 0, done.output
    assert "'shape' of 'disc': checked against the real annotations of 20 boxes: accuracy 1.00." in done.stdout
    assert "'depth' of 'disc': checked against the real annotations of 18 boxes: R² 1.00" in done.stdout
    # ImageDataset of another brightness are told to be so, and what is said of them is wrong.
    strange = write(tmp_path / "strange", 10, known=True, seed=5, bright=110)
    done = run(strange, synth, "-o", tmp_path / "x.csv", *asked("depth"))
    assert "Warning: 'depth' of 'disc': 100% of 20 real boxes look unlike the rendered ones" in done.stdout
    assert "outside the range of the rendered values" in done.stdout


def test_images_of_another_size_are_brought_to_one(synth: Path, tmp_path: Path) -> None:
    """Twice as large, the same pictures get the same predictions."""
    same, large = (write(tmp_path / name, 8, known=False, seed=2) for name in ("same", "large"))
    told = json.loads(large.read_text())
    for image in told["images"]:
        image |= {"width": 2 * WIDTH, "height": 2 * HEIGHT}
        path = str(large.parent / "images" / image["file_name"])
        cv2.imwrite(path, np.repeat(np.repeat(cv2.imread(path), 2, 0), 2, 1))
    for annotation in told["annotations"]:
        annotation["bbox"] = [2 * v for v in annotation["bbox"]]
    large.write_text(json.dumps(told))
    tables = []
    for path in (same, large):
        out = path.parent / "x.parquet"
        done = run(path, synth, "-o", out, *asked("depth"), "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["reduced"] == (str(large) if path == large else None)
        tables.append(pyarrow.parquet.read_table(out).to_pylist())
    for one, other in zip(*tables, strict=True):
        assert other["depth"] == (one["depth"] and pytest.approx(one["depth"], rel=1e-3))


def test_nothing_is_written_where_nothing_can_be_inferred(synth: Path, real: Path, tmp_path: Path) -> None:
    done = run(real, synth, "-o", tmp_path / "x.parquet", *asked("noise", "constant"), "--json")
    assert done.exit_code == 2 and not list(tmp_path.iterdir())
    values, error = map(json.loads, done.stdout.splitlines())
    assert values["table"] is None and set(values["outcomes"][0]["scores"]) == {"packaged", "packaged+box"}
    assert "All 60 boxes have the value 2.0" in values["refused"][1]
    assert "No column can be predicted with a score of 0.5" in error["error"][0]


def test_classes_have_heads_of_their_own(tmp_path: Path) -> None:
    both = write(tmp_path / "both", 30, known=True, classes=("disc", "ring"))
    found = infer(
        ImageDataset(read_coco(both), both.parent / "images"), None, {"box": [None]}, columns=["depth"], trees=5
    )
    # Patches alternate between the two, specks are discs but small; a patch of each has no depth.
    assert [(o.class_name, o.boxes) for o in found.outcomes] == [("disc", 29), ("ring", 29)]
    done = run(both, "--class", "ring", *asked("shape"), "--json")
    assert [o["class"] for o in json.loads(done.stdout)["outcomes"]] == ["ring"]


def test_a_missing_image_leaves_its_boxes_out(synth: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", 8, known=False, seed=2)
    (other.parent / "images/3.png").unlink()
    done = run(other, synth, "-o", tmp_path / "x.parquet", *asked("depth"))
    assert done.exit_code == 0 and "3.png" in done.stdout
    rows = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert all((row["depth"] is None) == (row["image_id"] == 3 or row["id"] >= 1000) for row in rows)


def test_columns_are_measured_where_annotations_lack_them(synth: Path) -> None:
    done = run(synth, *asked("brightness"), "--model", "packaged", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["outcomes"][0]["scores"]["packaged"]["value"] > 0.9


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--column", "dept"], "has no column 'dept'. Did you mean 'depth'?"),
        (["--class", "disk"], "no class 'disk'. Did you mean 'disc'?"),
        (["--class", "other"], "has the class 'other' but no box of it"),
        (["--model", "m.onnx"], "'m.onnx' does not exist"),
        (["--synth-images", "nowhere"], "Name their folder with --synth-images"),
        (["-o", "x.parquet"], "Give REAL and SYNTH, or omit -o."),
        (["--min-box-side", "80"], "each with a side under 80 pixels"),
        (["none.json"], "Give a file for the predictions"),
        (["none.json", "-o", "x.txt"], "must end in .parquet or .csv"),
        (["none.json", "-o", "x.csv"], "'none.json' does not exist"),
    ],
)
def test_wrong_use_is_a_sentence(synth: Path, more: list[Any], said: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = [more[0], synth, *more[1:]] if more[0] == "none.json" else [synth, *more]
    done = run(*given)
    assert done.exit_code == 2 and said in done.stderr, done.output
    assert not list(tmp_path.iterdir())
