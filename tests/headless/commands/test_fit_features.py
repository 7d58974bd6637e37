# SPDX-License-Identifier: GPL-3.0-or-later
"""The command fit-features, from pictures to a file that scores, and what it says where there is too little."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from twinset.alignment.features.density import load_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.analysis import features
from twinset.dataset.analysis.features import box_features
from twinset.dataset.formats.coco import read_coco
from twinset.engine.errors import DataError
from twinset.headless.cli import app
from typer.testing import CliRunner, Result

SIZE = 96


def painted(k: int, period: float) -> np.ndarray:
    """A grey picture with a disc of stripes, whose direction and contrast differ from picture to picture."""
    rng = np.random.default_rng(k)
    y, x = np.mgrid[:SIZE, :SIZE]
    turn = rng.uniform(0.2, 0.6)
    wave = 128 + rng.uniform(60, 90) * np.cos(2 * np.pi / period * (x * np.cos(turn) + y * np.sin(turn)))
    image = np.full((SIZE, SIZE), 90.0)
    disc = (x - 48) ** 2 + (y - 48) ** 2 < 30**2
    image[disc] = wave[disc]
    return np.repeat((image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)[..., None], 3, 2)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return dataset(tmp_path, 20)


def dataset(folder: Path, n: int) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for k in range(n):
        cv2.imwrite(str(folder / f"images/{k}.png"), painted(k, 6))
    images = [{"id": k, "file_name": f"{k}.png", "width": SIZE, "height": SIZE} for k in range(n)]
    boxes = [{"id": k + 1, "image_id": k, "category_id": 1, "bbox": [18, 18, 60, 60], "area": 3600} for k in range(n)]
    speck = {"id": 999, "image_id": 0, "category_id": 1, "bbox": [3, 3, 5, 40], "area": 200}
    categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "none"}]
    path = folder / "real.json"
    path.write_text(json.dumps({"images": images, "annotations": [*boxes, speck], "categories": categories}))
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["fit-features", *(str(a) for a in args)])


def test_real_ones_score_and_others_do_not(real: Path) -> None:
    out = real.parent / "discs.features"
    done = run(real, "--class", "disc", "-o", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["boxes"], said["photos"], said["small"], said["features"]) == (20, 20, 1, 75)
    assert "20 real samples" in said["notes"][0]
    density, extractor = load_density(out), Extractor()
    density.check_model(extractor.sha256, extractor.path)
    new = [extractor.extract_boxes(painted(100 + k, 6), [[18, 18, 60, 60]])[0] for k in range(30)]
    wrong = [extractor.extract_boxes(painted(100 + k, 12), [[18, 18, 60, 60]])[0] for k in range(30)]
    assert (density.score_samples(np.array(new)) >= 0.1).mean() > 0.6
    assert not density.score_samples(np.array(wrong)).any()
    again = real.parent / "again.features"
    assert run(real, "--class", "disc", "-o", again).exit_code == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("n", [1, 5])
def test_too_few_boxes_are_refused_in_a_sentence(tmp_path: Path, n: int) -> None:
    done = run(dataset(tmp_path, n), "--class", "disc", "-o", tmp_path / "x.features")
    assert done.exit_code == 2
    assert f"{n} real sample" in done.stderr and "at least 10 are needed" in done.stderr
    assert not (tmp_path / "x.features").exists()


def test_what_is_missing_is_named(real: Path) -> None:
    out = real.parent / "x.features"
    assert "no class 'disk'. Did you mean 'disc'?" in run(real, "--class", "disk", "-o", out).stderr
    assert "has the class 'none' but no box of it" in run(real, "--class", "none", "-o", out).stderr
    assert "under 70 pixels" in run(real, "--class", "disc", "-o", out, "--min-box-side", 70).stderr
    assert "does not exist" in run(real, "--class", "disc", "-o", out, "--images", "nowhere").stderr
    assert "'m.onnx' does not exist" in run(real, "--class", "disc", "-o", out, "--model", "m.onnx").stderr
    assert "one of knn, kde" in run(real, "--class", "disc", "-o", out, "--method", "svm").stderr


def test_broken_and_changed_images_are_left_out_and_named(real: Path) -> None:
    (real.parent / "images/3.png").write_bytes(b"no picture")
    (real.parent / "images/4.png").unlink()
    cv2.imwrite(str(real.parent / "images/5.png"), painted(5, 6)[:90])
    done = run(real, "--class", "disc", "--images", real.parent / "images", "-o", real.parent / "x.features")
    assert done.exit_code == 0, done.output
    assert "17 boxes of 'disc' in 17 photos" in done.stdout
    for name, reason in (("3.png", "unknown format"), ("4.png", "does not exist"), ("5.png", "96 by 90 px")):
        assert [line for line in done.stdout.splitlines() if name in line and reason in line]


def test_features_are_those_of_the_crops(real: Path) -> None:
    extractor = Extractor()
    found = box_features(read_coco(real), real.parent / "images", "disc", extractor)
    assert found.image.tolist() == list(range(20))
    (alone,) = extractor.extract_boxes(painted(7, 6), [[18, 18, 60, 60]])
    np.testing.assert_allclose(found.features[7], alone, rtol=1e-5)


def test_features_and_problems_do_not_depend_on_the_number_of_processes(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_PER_WORKER", 1)
    (real.parent / "images/3.png").write_bytes(b"no image")
    (real.parent / "images/1.png").unlink()
    alone, both = (box_features(read_coco(real), real.parent / "images", "disc", Extractor(workers=n)) for n in (1, 2))
    np.testing.assert_array_equal(alone.features, both.features)
    assert alone.annotation.tolist() == both.annotation.tolist() == [i for i in range(1, 21) if i not in (2, 4)]
    assert alone.problems == both.problems
    assert ["1.png" in alone.problems[0], "3.png" in alone.problems[1]] == [True, True]


def test_of_many_boxes_those_of_random_images_are_learned(tmp_path: Path) -> None:
    real, out = dataset(tmp_path, 32), tmp_path / "x.features"
    done = run(real, "--class", "disc", "-o", out, "--max-boxes", 20, "--json")
    values = json.loads(done.stdout)
    assert values["boxes"] == 20 and values["photos"] == 20
    assert "Of 33 boxes, those of random images are used, about 20 (--max-boxes)." in values["notes"]
    again = run(real, "--class", "disc", "-o", tmp_path / "y.features", "--max-boxes", 20)
    assert again.exit_code == 0 and out.read_bytes() == (tmp_path / "y.features").read_bytes()
    assert not [n for n in json.loads(run(real, "--class", "disc", "-o", out, "--json").stdout)["notes"] if "Of " in n]


def test_features_of_several_classes_are_in_line_with_their_annotations(real: Path) -> None:
    told = json.loads(real.read_text())
    other = {"id": 1001, "image_id": 7, "category_id": 2, "bbox": [30, 20, 40, 50], "area": 2000}
    real.write_text(json.dumps({**told, "annotations": [other, *told["annotations"]]}))
    extractor = Extractor()
    found = box_features(read_coco(real), real.parent / "images", ["disc", "none"], extractor)
    assert sorted(found.annotation.tolist()) == [*range(1, 21), 1001] and found.small == 1
    boxes = {a["id"]: a for a in (*told["annotations"], other)}
    for vector, image, annotation in zip(found.features, found.image, found.annotation, strict=True):
        assert boxes[annotation]["image_id"] == image
        (alone,) = extractor.extract_boxes(painted(int(image), 6), [boxes[annotation]["bbox"]])
        np.testing.assert_allclose(vector, alone, rtol=1e-4, atol=1e-5)


def test_larger_images_are_reduced_first(real: Path) -> None:
    """Features of a picture of twice the size are those of its half, and small boxes count as they are then."""
    coco, extractor = read_coco(real), Extractor()
    half = real.parent / "half"
    half.mkdir()
    for k in range(20):
        picture = painted(k, 6)[..., ::-1]
        cv2.imwrite(str(half / f"{k}.png"), cv2.resize(picture, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA))
    told = json.loads(real.read_text())
    images = [{**i, "width": SIZE // 2, "height": SIZE // 2} for i in told["images"]]
    boxes = [{**a, "bbox": [v / 2 for v in a["bbox"]]} for a in told["annotations"]]
    (real.parent / "half.json").write_text(json.dumps({**told, "images": images, "annotations": boxes}))
    reduced = box_features(coco, real.parent / "images", "disc", extractor, max_side=SIZE // 2)
    small = box_features(read_coco(real.parent / "half.json"), half, "disc", extractor)
    np.testing.assert_allclose(reduced.features, small.features, rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="under 31 pixels"):
        box_features(coco, real.parent / "images", "disc", extractor, max_side=SIZE // 2, min_side=31)
