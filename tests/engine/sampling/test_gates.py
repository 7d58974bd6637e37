# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate in the loop, on a stage of plain arithmetic with a real model: verdicts, drafts, resume, what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from recipes import builtin_class, on_floor, orbit, recipe_text
from twinset.alignment.features.density import fit_density, load_density
from twinset.alignment.features.extractor import Extractor
from twinset.dataset.formats.rle_masks import decode
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.store import funnel
from twinset.engine.block import Block
from twinset.engine.errors import OutputError, StageError
from twinset.engine.events import Finished
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.gates import OpenGates
from twinset.engine.sampling.sampler import Sampler
from twinset.plugins.filters.feature_score import TOO_NEAR
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.models import pixel_model
from twinset.testing.fixtures.render_process import file_bytes

RECIPE = recipe_text(
    seed=4,
    images=8,
    classes=[builtin_class("chair"), builtin_class("bag", "handbag")],
    placements=[on_floor(2, 3, classes=["chair", "bag"], cluster_radius=1.0)],
    cameras=[orbit(1.2, 2.0)],
    metrics=["image_quality", "shape"],
    render={"block_size": 4, "max_attempts": 30},
    size=(64, 48),
    output={"format": "png"},
)

GATE = """
[[filter]]
plugin = "feature_score"
features = "real.features"
model = "pixels.onnx"
min_box_side = 5
"""


def recipe_of(folder: Path, text: str = RECIPE, gate: str = GATE, **overrides: Any) -> Recipe:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return loads_recipe(text + gate, folder, "test", given)


def stage_of(recipe: Recipe) -> Any:
    """A floor, and solids for a class each: the fewest triangles that make a picture."""
    assets = [
        asset("stool", "chair", box((0.4, 0.4, 0.45))),
        asset("high stool", "chair", box((0.35, 0.35, 0.7))),
        asset("crate", "bag", box((0.3, 0.2, 0.25))),
    ]
    return BruteStage({"Floor": plane((6.0, 6.0))}, assets, resolution=(recipe.output.width, recipe.output.height))


def run(recipe: Recipe, out: Path, frames: range | None = None) -> Finished:
    return list(Job(recipe, out, stage_of).run(frames))[-1]


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(p.read_bytes()) for p in sorted((out / "frames").iterdir())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, and features of the low stools of thirty frames: what is to pass."""
    folder = tmp_path_factory.mktemp("gate")
    extractor = Extractor(pixel_model(folder / "pixels.onnx"))
    recipe = recipe_of(folder, gate="")
    sampler = Sampler(recipe, stage_of(recipe), {})
    vectors, owners = [], []
    for index in range(100, 135):
        frame = sampler.frame(index, Block())
        assert frame.shot is not None
        boxes = [row["bbox"] for row in frame.rows if row["shape"] == "stool" and row["annotated"]]
        vectors.append(extractor.extract_boxes(frame.shot.image, boxes).reshape(-1, 192))
        owners += [index] * len(boxes)
    origin = {"model": extractor.sha256, "class": "chair", "margin": 0.1}
    density = fit_density(np.concatenate(vectors), owners, origin=origin)
    (folder / "real.features").write_bytes(density.to_bytes())
    return folder


DRAFTED = (
    GATE + "draft = true\ndraft_scale = 0.1\nwarm_up = 20\nmax_false_reject_rate = 0.1\n"
    "near_duplicate_distance = 0.2\nthreshold = 0.5\n"
)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """A job with all that a gate can do, never interrupted."""
    assert run(recipe_of(folder, gate=DRAFTED), folder / "whole").images == 8
    return folder / "whole"


def test_all_that_a_gate_can_do_is_done(whole: Path) -> None:
    rejected = [r for record in records(whole) for r in record["rejected"]]
    assert "draft: feature score too low" in rejected and "render: feature score too low" in rejected
    learned = json.loads((whole / "gate.json").read_text())["learned"][0][0]
    assert learned["draft"]["passed"] + learned["draft"]["failed"] == learned["frames"] <= 20
    summary = json.loads((whole / "summary.json").read_text())
    draft = summary["funnel"]["gate"]["gates"][0]["draft"]
    low, high = draft["interval"]
    assert low <= draft["false_reject_rate"] <= high and draft["used"]
    assert json.loads((whole / "stage.json").read_text())["gates"] == summary["funnel"]["gate"]["gates"]


@pytest.mark.parametrize("shares", [[range(4, 8), range(4)], [range(3), range(8)]])
def test_shares_on_any_worker_give_the_same_bytes(
    folder: Path, whole: Path, tmp_path: Path, shares: list[range]
) -> None:
    out = tmp_path / "out"
    for share in shares:
        run(recipe_of(folder, gate=DRAFTED), out, share)
    open_job(out, stage_of).finish()
    assert file_bytes(out) == file_bytes(whole)


def test_another_machine_warms_up_to_the_same_and_shards_merge(folder: Path, whole: Path, tmp_path: Path) -> None:
    run(recipe_of(folder, gate=DRAFTED), tmp_path / "a", range(4))
    run(recipe_of(folder, gate=DRAFTED), tmp_path / "b", range(4, 8))
    assert (tmp_path / "a/gate.json").read_bytes() == (tmp_path / "b/gate.json").read_bytes()
    shutil.copytree(tmp_path / "a", tmp_path / "b", dirs_exist_ok=True)
    run(recipe_of(folder, gate=DRAFTED), tmp_path / "b")
    assert file_bytes(tmp_path / "b") == file_bytes(whole)


def test_a_job_stopped_within_a_block_goes_on_as_if_it_had_not(folder: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    events = Job(recipe_of(folder, gate=DRAFTED), out, stage_of).run()
    while len(list((out / "frames").glob("*.json"))) < 6:
        next(events)
    events.close()
    (out / "frames/000001.json").unlink()
    run(recipe_of(folder, gate=DRAFTED), out)
    assert file_bytes(out) == file_bytes(whole)


def test_what_a_gate_has_learned_is_learned_anew_where_it_is_damaged(folder: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    text = (out / "gate.json").read_text()
    assert text.count('"threshold":0.5,') == 1
    (out / "gate.json").write_text(text.replace('"threshold":0.5,', '"threshold":0.9,'))
    (out / "frames/000007.json").unlink()
    run(recipe_of(folder, gate=DRAFTED), out)
    assert file_bytes(out) == file_bytes(whole)


def test_replay_gives_the_same_image(folder: Path, whole: Path) -> None:
    for frame in (5, 6):
        image = open_job(whole, stage_of).replay(frame)
        assert image.read_bytes() == (whole / f"images/{frame:06d}.png").read_bytes()
    shutil.rmtree(whole / "replay")


def test_columns_are_the_scores_of_the_crops_and_decide(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(recipe_of(folder, gate=GATE + "threshold = 0.2\n"), out)
    density, extractor = load_density(folder / "real.features"), Extractor(folder / "pixels.onnx")
    checked = 0
    for record in records(out):
        image = cv2.imread(str(out / record["files"]["image"]["path"]))[..., ::-1]
        own = []
        for row in record["instances"]:
            judged = row["class"] == "chair" and row["annotated"] and min(row["bbox"][2:]) >= 5
            assert (row["columns"]["feature_score"] is not None) == judged
            if judged:
                expected = density.extended_score(extractor.extract_boxes(np.ascontiguousarray(image), [row["bbox"]]))[
                    0
                ]
                assert row["columns"]["feature_score"] == pytest.approx(expected, abs=1e-5)
                own.append(expected)
        checked += len(own)
        if own:
            assert record["gate"]["score"] == pytest.approx(np.mean(own), abs=1e-5) and np.mean(own) >= 0.2
        assert all(refused["score"] < 0.2 for refused in record.get("refused", ()))
    assert checked >= 5
    rows = json.loads((out / "annotations/instances.json").read_text())["annotations"]
    assert any("feature_score" in row["twinset"] for row in rows)


def test_the_funnel_says_what_is_refused(whole: Path) -> None:
    gate = json.loads((whole / "summary.json").read_text())["funnel"]["gate"]
    shapes = {row["value"]: row for row in gate["by"]["shape"]}
    share = [row["accepted"] / row["judged"] for row in gate["by"]["shape"]]
    assert set(shapes) == {"stool", "high stool"} and share == sorted(share)
    # By brute force, from the records.
    frames = records(whole)
    refused = [r for record in frames for r in record.get("refused", ())]
    assert gate["judged"] == len(refused) + sum(bool(r.get("gate", {}).get("score") is not None) for r in frames)
    assert gate["refused_as_drafts"] == sum(r["stage"] == "draft" for r in refused)
    lost = [s for r in refused for _, shape, s, _ in r["boxes"] if shape == "high stool" and s is not None]
    kept = [
        row
        for record in frames
        for row in record["instances"]
        if row["shape"] == "high stool" and row["columns"].get("feature_score") is not None
    ]
    assert (shapes["high stool"]["judged"], shapes["high stool"]["accepted"]) == (len(lost) + len(kept), len(kept))
    sizes = [row["value"] for row in gate["by"]["size"]]
    assert sizes == sorted(sizes, key=lambda text: float(text.split("%")[0]))


def test_boxes_lose_their_annotation_or_are_painted_black(folder: Path, tmp_path: Path) -> None:
    text = GATE + 'threshold = 0.5\nlevel = "box"\n'
    run(recipe_of(folder, gate=text + 'action = "drop annotation"\n'), tmp_path / "drop")
    run(recipe_of(folder, gate=text + 'action = "black box"\n'), tmp_path / "black")
    dropped = 0
    for plain, black in zip(records(tmp_path / "drop"), records(tmp_path / "black"), strict=True):
        a, b = (
            cv2.imread(str(tmp_path / name / record["files"]["image"]["path"]))
            for name, record in (("drop", plain), ("black", black))
        )
        expected, keep = a.copy(), np.zeros(a.shape[:2], bool)
        for row in plain["instances"]:
            if row["annotated"]:
                keep |= decode(row["segmentation"], *keep.shape)
        for row, again in zip(plain["instances"], black["instances"], strict=True):
            score = row["columns"]["feature_score"]
            assert (row["annotated"], row["reason"]) == (again["annotated"], again["reason"])
            if score is not None and score < 0.5:
                assert not row["annotated"] and row["reason"] == "feature score too low"
                x, y, w, h = row["bbox"]
                expected[y : y + h, x : x + w][~keep[y : y + h, x : x + w]] = 0
                dropped += 1
            elif score is not None:
                assert row["annotated"]
        assert np.array_equal(expected, b)
        if (expected != a).any():  # measured as it was written
            assert black["columns"]["brightness"] < plain["columns"]["brightness"]
    assert dropped >= 2


def showing(traits: Any) -> Block:
    block = Block()
    block.add((), (64, 48), traits)
    return block


def test_near_duplicates_of_the_block_are_refused(folder: Path) -> None:
    recipe = recipe_of(folder, gate=GATE + "near_duplicate_distance = 0.3\nthreshold = 0.0\n")
    sampler = Sampler(recipe, stage_of(recipe), {})
    frame = next(f for f in (sampler.frame(k, Block()) for k in range(10)) if f.traits and f.traits[0])
    once = range(frame.attempts - 1, frame.attempts)
    again = sampler.frame(frame.index, showing(frame.traits), attempts=once)
    assert again.shot is None and again.rejected == (f"render: {TOO_NEAR}",)
    # As JSON has them, and moved just beyond the distance or just within it.
    reach = 0.3 * load_density(folder / "real.features").spacing()
    for factor, refused in ((1.01, False), (0.99, True)):
        moved = [json.loads(json.dumps(t)) for t in frame.traits]
        for point in moved[0]:
            point[0] += factor * reach
        near = np.linalg.norm(np.array(frame.traits[0])[:, None] - np.array(moved[0])[None], axis=2).min(1) < reach
        assert near.all() == refused or len(near) > 1
        other = sampler.frame(frame.index, showing(moved), attempts=once)
        assert (other.shot is None) == bool(near.all())


def test_the_elbow_of_the_warm_up_is_the_threshold(folder: Path, tmp_path: Path) -> None:
    from twinset.alignment.features.curation import elbow

    recipe = recipe_of(folder, gate=GATE + 'threshold_by = "elbow"\nwarm_up = 15\nlevel = "box"\n')
    sampler = Sampler(recipe, stage_of(recipe), {})
    assert list(sampler.warm_up()) == list(range(1, 16))
    # The same frames without a gate: those of the warm-up's seed.
    from twinset.engine.rng import stream

    seed = int(stream(recipe.seed, "warm-up").integers(2**31))
    plain = recipe_of(folder, gate="[[filter]]\nplugin = 'min_pixels'\npixels = 1\n")
    free = Sampler(attrs.evolve(plain, seed=seed), stage_of(plain), {})
    density, extractor = load_density(folder / "real.features"), Extractor(folder / "pixels.onnx")
    scores = []
    for index in range(15):
        frame = free.frame(index, Block())
        if frame.shot is not None:
            boxes = [r["bbox"] for r in frame.rows if r["class"] == "chair" and r["annotated"]]
            boxes = [b for b in boxes if min(b[2:]) >= 5]
            if boxes:
                scores += density.extended_score(extractor.extract_boxes(frame.shot.image, boxes)).tolist()
    assert sampler.gates.report()[0]["threshold"] == pytest.approx(elbow(np.array(scores)), abs=1e-5)


def test_too_strict_a_gate_ends_with_the_nearest_miss(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(funnel, "MIN_JUDGED", 40)
    monkeypatch.setattr("twinset.dataset.jobs.job.MIN_JUDGED", 40)
    out = tmp_path / "out"
    text = RECIPE.replace('classes = ["chair", "bag"]', 'classes = ["chair"]')
    recipe = recipe_of(folder, text, GATE + "threshold = 1.0\n", render__max_attempts=15)
    for _ in range(2):  # the second time from the records, after one more frame
        with pytest.raises(
            StageError, match=r"^Only 0 of \d+ judged attempts passed the gate\. The nearest miss, "
        ) as caught:
            run(recipe, out)
        refused = [{**r, "frame": rec["frame"]} for rec in records(out) for r in rec.get("refused", ())]
        best = max(refused, key=lambda r: r["score"])
        text = str(caught.value)
        assert f"attempt {best['attempt']} at frame {best['frame']}" in text and f"{best['score']:.3g}" in text
        assert any(shape in text for _, shape, score, _ in best["boxes"] if score is not None)
        assert "Lower 'threshold'" in text and str(out) in text and caught.value.exit_code == 2
    assert 40 <= len(refused) <= 90


def test_a_gate_that_lets_enough_through_is_not_too_strict(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("twinset.dataset.jobs.job.MIN_JUDGED", 10)
    assert run(recipe_of(folder, gate=GATE + "threshold = 0.2\n"), tmp_path / "out").images == 8
    text = RECIPE.replace('classes = ["chair", "bag"]', 'classes = ["chair"]')
    with pytest.raises(StageError, match=r"^Only [1-9]\d* of \d+ judged attempts passed"):
        run(recipe_of(folder, text, GATE + "threshold = 0.5\nmin_pass_rate = 1.0\n"), tmp_path / "strict")


def test_frames_of_two_references_do_not_mix(folder: Path, tmp_path: Path) -> None:
    for name in ("pixels.onnx", "real.features"):
        shutil.copy(folder / name, tmp_path)
    run(recipe_of(tmp_path, images=2), tmp_path / "out")
    density = load_density(tmp_path / "real.features")
    changed = attrs.evolve(density, calibration=density.calibration * 1.01)
    (tmp_path / "real.features").write_bytes(changed.to_bytes())
    with pytest.raises(OutputError, match=r"'real.features' has changed since frames were rendered"):
        run(recipe_of(tmp_path, images=4), tmp_path / "out")
    shutil.copy(folder / "real.features", tmp_path)
    assert run(recipe_of(tmp_path, images=4), tmp_path / "out").images == 4


VARIANTS = """
[[variant]]
name = "strict"
filter.feature_score.threshold = 0.5
[[variant]]
name = "usual"
"""


def test_variants_may_have_thresholds_of_their_own(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(folder, gate=GATE + VARIANTS)
    assert [r["threshold"] for r in OpenGates(recipe).report()] == [0.5, 0.1]
    run(recipe, tmp_path / "out")
    scores: dict[str, list[float]] = {"strict": [], "usual": []}
    for record in records(tmp_path / "out"):
        if record.get("gate", {}).get("score") is not None:
            scores[record["draws"]["variant"]].append(record["gate"]["score"])
    assert min(scores["strict"]) >= 0.5 > min(scores["usual"])
