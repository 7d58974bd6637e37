# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms are declared soundly; trainings repeat, resume, and end in a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from twinset.engine.errors import DataError

SMALL = ["--set", "steps=50", "--set", "size=[64,48]", "--set", "batch=2"]


@pytest.fixture
def run(detector_module, data, monkeypatch, capsys):
    """Calls the command line in this process, and returns its standard output."""
    monkeypatch.setenv("TWINSET_DATA", str(data))
    program = detector_module("__main__")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["detector", *map(str, arguments)])
        assert program.main() == 0
        return capsys.readouterr().out

    return call


def test_arms_and_questions_are_declared_soundly(detector_module):
    arms_module = detector_module("arms")
    arms = arms_module.read_arms()
    assert [a.number for a in arms.values()] == list(range(1, len(arms) + 1))
    questions = arms_module.read_questions()
    assert all(name in arms for q in questions for name in q.arms)
    assert [q.arms for q in questions if q.first] == [("targeting", "surfaces")]
    assert arms_module.by_fold(arms["real-targeting"], arms) and not arms_module.by_fold(arms["naive"], arms)
    assert [a.name for a in arms_module.chosen(arms, ["5", "real"])] == ["targeting", "real"]
    with pytest.raises(Exception, match="There is no arm '99'"):
        arms_module.chosen(arms, ["99"])


def test_sources_of_arms_name_the_fold_where_it_matters(detector_module, tmp_path):
    arms_module, runs = detector_module("arms"), detector_module("runs")
    arms = arms_module.read_arms()
    both = arms_module.sources(arms["real-targeting"], arms, tmp_path, "apartment", 1)
    assert both == ("real", str(tmp_path / "datasets/apartment/targeting-fold{fold}-render1"))
    each = runs.with_folds(runs.Run("a", "apartment", "anchor-free", both, 0), 2)
    assert [r.fold for r in each] == [0, 1] and len({r.path(tmp_path) for r in each}) == 2
    alone = runs.Run("b", "apartment", "anchor-free", ("x",), 0)
    assert runs.with_folds(alone, 2) == [alone]


def test_a_second_round_learns_from_what_was_found_on_known_photos(detector_module, data, tmp_path, monkeypatch):
    """The program is called with these detections, and its recipe keeps the real boxes that it has chosen."""
    monkeypatch.setenv("TWINSET_DATA", str(data))
    preparation, runs = detector_module("preparation"), detector_module("runs")
    arms = detector_module("arms").read_arms()
    made = preparation.plan(arms, "apartment", tmp_path, 0, 6, 1)
    called = []
    monkeypatch.setattr(preparation, "_twinset", lambda words, variables=None: called.append((words, variables or {})))
    made.prepare(arms["shapes"])
    called.clear()
    for fold in (0, 1):
        result = runs.Run("shapes", "apartment", "anchor-free", (), 0, 0, fold).path(tmp_path)
        with pytest.raises(DataError, match="Train arm 20"):
            made.prepare(arms["suggested"])
        photo = made.domain.training_photos(fold)[0]
        found = {"image_id": photo.number, "category_id": 2, "bbox": [1.0, 2.0, 30.0, 40.0], "score": 0.5}
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(json.dumps({"fold": fold, "detections": [], "known_detections": [found]}))
    made.prepare(arms["suggested"])
    made.prepare(arms["repeated"])
    evaluated = [words for words, _ in called if words[0] == "evaluate"]
    assert len(evaluated) == 2
    for fold, words in enumerate(evaluated):
        real = json.loads((tmp_path / f"real/apartment-fold{fold}.json").read_text())
        (one,) = json.loads(Path(words[2]).read_text())
        assert words[1] == str(tmp_path / f"real/apartment-fold{fold}.json")
        assert {c["id"]: c["name"] for c in real["categories"]}[one["category_id"]] == "dining table"
        assert one["image_id"] in {i["id"] for i in real["images"]}
        assert words[words.index("--base-recipe") + 1] == str(
            tmp_path / f"recipes/apartment/shapes-fold{fold}-render0.toml"
        )
    rendered = [(words[1], variables) for words, variables in called if words[0] == "render"]
    assert len(rendered) == 4
    texts = {Path(path).name: Path(path).read_text() for path, _ in rendered}
    assert "[real]" not in texts["suggested-fold1-render0.toml"] and "[real]" in texts["repeated-fold1-render0.toml"]
    assert all("seed = 1000" in text for text in texts.values())
    assert all({"PROOF_CAMERA", "PROOF_BACKGROUNDS"} <= set(variables) for _, variables in rendered)
    assert "PROOF_SUGGESTED" in rendered[0][1]


def test_a_random_subset_is_as_large_as_its_like(detector_module, tmp_path):
    preparation = detector_module("preparation")
    from PIL import Image

    folder = tmp_path / "whole"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in range(1, 11)]
    for image in images:
        Image.new("RGB", (8, 8)).save(folder / "images" / image["file_name"])
    boxes = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0} for i in range(1, 11)
    ]
    entries = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}
    (folder / "annotations" / "instances.json").write_text(json.dumps(entries))
    like = folder / "annotations" / "like.json"
    like.write_text(json.dumps({**entries, "images": images[:4], "annotations": boxes[:4]}))
    preparation.random_subset(folder, like, tmp_path / "new", 0)
    drawn = preparation.open_dataset(tmp_path / "new")
    assert len(drawn.coco.images) == len(drawn.coco.annotations) == 4
    assert {a["image_id"] for a in drawn.coco.annotations} == {i["id"] for i in drawn.coco.images}
    assert drawn.images == tmp_path / "new" / "images"
    assert all((drawn.images / i["file_name"]).is_file() for i in drawn.coco.images)


def test_trainings_repeat_bit_by_bit(detector_module, data):
    pictures, training = detector_module("pictures"), detector_module("training")
    rng = np.random.default_rng(0)
    set_of = [
        pictures.Held(
            rng.integers(0, 255, (72, 96, 3), dtype=np.uint8),
            np.array([[10.0, 10, 60, 50]]),
            np.zeros(1, int),
            np.zeros(1, bool),
        )
        for _ in range(6)
    ]
    schedule = training.Schedule(steps=20, batch=2, size=(96, 72))
    for detector in training.DETECTORS:
        steps = schedule if detector == "anchor-free" else training.Schedule(steps=4, batch=2, size=(96, 72))
        a, b = (training.train([set_of], data / "weights", 1, steps, 3, detector) for _ in range(2))
        assert a.losses.tolist() == b.losses.tolist() and np.isfinite(a.losses).all()
        weights = zip(a.detector.parameters(), b.detector.parameters(), strict=True)
        assert all(bool((p == q).all()) for p, q in weights)
    other = training.train([set_of], data / "weights", 1, training.Schedule(steps=2, batch=2, size=(96, 72)), 4)
    assert other.losses[0] != a.losses[0]


def test_sources_are_mixed_or_learned_in_turn_with_equal_weight(detector_module):
    pictures, training = detector_module("pictures"), detector_module("training")
    dark, light = (
        [pictures.Held(np.full((72, 96, 3), value, np.uint8), np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))]
        * n
        for value, n in ((0, 2), (255, 7))
    )

    def shares(**order: bool) -> list[float]:
        """The share of light pictures in each batch."""
        schedule = training.Schedule(steps=8, batch=4, size=(96, 72), **order)
        feed = training.Feed([dark, light], schedule, np.random.default_rng(0))
        # The canvas beside a picture that was made smaller is grey; its middle always shows the picture.
        return [float((feed.batch()[0][:, :, 36, 48].mean(1) > 0).float().mean()) for _ in range(schedule.steps)]

    assert shares() == [0.5] * 8
    assert shares(in_turn=True) == [0.0] * 4 + [1.0] * 4


def test_two_arms_are_trained_tested_resumed_and_reported(detector_module, data, run, tmp_path):
    detector_module("training")  # skips without torch
    real = data / "annotations" / "cartucho_map_A45.json"
    train = ["train", "--dataset", f"seen={real}", "--dataset", "cross=real", "--domain", "apartment", *SMALL]
    said = run(*train, "-o", tmp_path)
    assert said.count("AP50") == 3  # one for all photos, and one for each fold of the real ones
    files = sorted((tmp_path / "results").rglob("*.json"))
    assert [f.name for f in files] == [
        "cross-fold0-render0-seed0.json",
        "cross-fold1-render0-seed0.json",
        "seen-render0-seed0.json",
    ]
    before = {f: f.stat().st_mtime_ns for f in files}
    files[1].unlink()
    assert run(*train, "-o", tmp_path).count("AP50") == 1
    assert [f.stat().st_mtime_ns == before[f] for f in files] == [True, False, True]
    result = json.loads(files[2].read_text())
    assert result["pictures"] == [45] and set(result["scores"]) == {"0", "1"} and len(result["tested"]) == 45
    text = run("report", "--domain", "apartment", "-o", tmp_path)
    assert "| seen |" in text and "| cross |" in text
    stem = tmp_path / "report" / "apartment-anchor-free"
    table = json.loads(stem.with_suffix(".json").read_text())
    by_arm = {a["arm"]: a for a in table["arms"]}
    both = [result["scores"][f]["all"]["ap50"] for f in "01"]
    assert by_arm["seen"]["ap50"] == pytest.approx(np.mean(both), abs=1e-9)
    assert stem.with_suffix(".png").stat().st_size > 1000 and stem.with_suffix(".csv").is_file()
    # An arm's order of sources is its own; other settings are those of all arms.
    result["changes"]["in_turn"] = True
    files[2].write_text(json.dumps(result))
    assert "| seen |" in run("report", "--domain", "apartment", "-o", tmp_path)
    result["changes"]["steps"] = 7
    files[2].write_text(json.dumps(result))
    with pytest.raises(DataError, match="different schedules"):
        detector_module("report").summarise(tmp_path, "anchor-free", "apartment", {})
