# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that are too small: taken out of the picture, marked to be ignored, or a reason to reject the frame."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from recipes import on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.plugin import Verdict, plugin
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.testing import BruteStage, asset, box, plane

SIZE = (64, 48)
PIXELS = 36


def open_stage(recipe):
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.5))), asset("desk", "table", box((1.0, 0.6, 0.7)))]
    return BruteStage({"Floor": plane((14.0, 14.0))}, assets, resolution=SIZE)


def recipe_with(action, images=20, **params):
    text = recipe_text(
        seed=3,
        images=images,
        classes=[{"name": name, "builtin": name} for name in ("chair", "table")],
        placements=[on_floor(3, 6)],
        cameras=[orbit(1.0, 7.0)],
        metrics=["bbox", "occlusion", "depth"],
        filters=[plugin_table("min_pixels", pixels=PIXELS, **({"action": action} if action else {}), **params)],
        render={"max_attempts": 8},
        size=SIZE,
        output={"yolo": True, "format": "png"},
    )
    return loads_recipe(text, Path(), "test")


def frames_of(recipe):
    sampler = Sampler(recipe, open_stage(recipe), {})
    return [sampler.frame(index, Block()) for index in range(recipe.images)]


def visible(frame):
    """Visible pixels in the label map by instance id."""
    ids, counts = np.unique(frame.shot.labels.ids, return_counts=True)
    return {int(id): int(count) for id, count in zip(ids, counts, strict=True) if id}


@pytest.fixture(scope="module")
def kept():
    return frames_of(recipe_with("drop annotation"))


@pytest.fixture(scope="module")
def removing():
    return frames_of(recipe_with(None))


def specks(frame):
    return {id for id, count in visible(frame).items() if count < PIXELS}


def test_with_the_old_action_specks_stay_in_the_picture_unlabelled(kept):
    assert sum(bool(specks(frame)) for frame in kept) >= 4
    assert all(not row["annotated"] for frame in kept for row in frame.rows if row["id"] in specks(frame))


def test_by_default_nothing_stays_in_the_picture_unlabelled(removing):
    frames = removing
    assert [frame.shot is None for frame in frames] == [False] * len(frames)
    for frame in frames:
        annotated = {row["id"] for row in frame.rows if row["annotated"]}
        assert visible(frame).keys() == annotated
        assert min(visible(frame).values()) >= PIXELS
        for row in frame.rows:
            if row["reason"].startswith("removed: "):
                assert (row["area"], row["bbox"], row["reason"]) == (0, None, "removed: instance under 36 pixels")
    assert sum(row["reason"].startswith("removed: ") for frame in frames for row in frame.rows) >= 4


def test_frames_without_specks_stay_as_they_were(kept, removing):
    same = 0
    for before, after in zip(kept, removing, strict=True):
        if not specks(before) and before.attempts == after.attempts:
            assert np.array_equal(before.shot.image, after.shot.image)
            assert np.array_equal(before.shot.labels.ids, after.shot.labels.ids)
            assert json.dumps(before.rows) == json.dumps(after.rows)
            same += 1
    assert same >= 3


def test_a_picture_without_its_specks_is_that_of_a_stage_without_them(removing):
    """Truth from a second stage, on which only the instances were placed that were left."""
    for frame in removing:
        removed = {row["id"] for row in frame.rows if row["reason"].startswith("removed: ")}
        if not removed:
            continue
        stage = open_stage(recipe_with(None))
        left = [stage.place(i.asset, i.matrix) for i in frame.shot.instances if i.id not in removed]
        stage.pose_camera(frame.shot.camera)
        shot = stage.shoot()
        own = [i.id for i in frame.shot.instances if i.id not in removed]
        assert np.array_equal(shot.image, frame.shot.image)
        for new, old in zip(left, own, strict=True):
            assert np.array_equal(shot.labels.ids == new.id, frame.shot.labels.ids == old)
        assert frame.shot.amodal.keys() == set(own)


def test_the_probe_is_judged_again_until_nothing_is_taken_out():
    recipe = recipe_with(None, images=6)

    @plugin("filter")
    class OneLeft:
        """Take out the first visible instance while there is another."""

        judges_probes = True

        def judge(self, shot, rows):
            seen = [row["id"] for row in rows if row["area"] > 0]
            return Verdict(True, "first", removed=frozenset(seen[:1] if len(seen) > 1 else ()))

    sampler = Sampler(recipe, open_stage(recipe), {})
    sampler._trial.filters = [OneLeft()]
    frames = [sampler.frame(index, Block()) for index in range(recipe.images)]
    removed = [sum(row["reason"] == "removed: first" for row in frame.rows) for frame in frames]
    assert all(len(visible(frame)) == 1 == sum(row["annotated"] for row in frame.rows) for frame in frames)
    assert max(removed) >= 2, "one after the other"


def test_a_removal_after_the_render_rejects_the_attempt():
    recipe = recipe_with(None, images=1)

    @plugin("filter")
    class Late:
        """Take an instance out when it is too late."""

        def judge(self, shot, rows):
            return Verdict(True, "too late", removed=frozenset({rows[0]["id"]}))

    sampler = Sampler(recipe, open_stage(recipe), {})
    sampler._trial.filters = [Late()]
    frame = sampler.frame(0, Block())
    assert frame.shot is None
    assert set(frame.rejected) <= {"render: too late", "probe: nothing to annotate in view"}


def test_hidden_things_are_taken_out_too_where_shares_count():
    least = 0.4
    frames = frames_of(recipe_with(None, 8, min_visible_share=least))
    for frame in frames:
        for row in frame.rows:
            if row["annotated"]:
                assert frame.shot.amodal[row["id"]].visible_share(row["area"]) >= least
        assert visible(frame).keys() == {row["id"] for row in frame.rows if row["annotated"]}
    dropping = frames_of(recipe_with("drop annotation", 8, min_visible_share=least))
    assert any(row["area"] >= PIXELS and not row["annotated"] for frame in dropping for row in frame.rows)


def test_rejected_frames_show_no_specks(kept):
    frames = frames_of(recipe_with("reject frame", 10))
    assert any("probe: instance under 36 pixels" in frame.rejected for frame in frames)
    assert all(not specks(frame) for frame in frames if frame.shot)


@pytest.fixture(scope="module")
def ignoring(tmp_path_factory):
    out = tmp_path_factory.mktemp("ignored") / "out"
    list(Job(recipe_with("ignore"), out, open_stage).run())
    return out


def test_ignored_specks_are_crowds_for_pycocotools(ignoring, kept):
    coco = COCO(str(ignoring / "annotations" / "instances.json"))
    crowds = coco.loadAnns(coco.getAnnIds(iscrowd=True))
    assert [a["id"] for a in coco.loadAnns(coco.getAnnIds())] == list(range(1, 1 + len(coco.anns)))
    expected = sorted(count for frame in kept for id, count in visible(frame).items() if count < PIXELS)
    assert sorted(a["area"] for a in crowds) == expected
    for annotation in crowds:
        assert coco.annToMask(annotation).sum() == annotation["area"] < PIXELS

    # Every object in the pictures is found: right where it is annotated, and neither right nor wrong on a crowd.
    found = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9}
        for a in coco.anns.values()
    ]
    evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    assert evaluation.eval["precision"][0, :, :, 0, -1].min() == pytest.approx(1.0)
    without = {**coco.dataset, "annotations": [a for a in coco.dataset["annotations"] if not a["iscrowd"]]}
    unlabelled = COCO()
    unlabelled.dataset = without
    unlabelled.createIndex()
    evaluation = COCOeval(unlabelled, unlabelled.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    assert evaluation.eval["precision"][0, :, :, 0, -1].min() < 0.95, "they would be false positives without the mark"


def test_ignored_specks_are_in_no_count_table_or_yolo_file(ignoring):
    coco = json.loads((ignoring / "annotations" / "instances.json").read_text())
    real = [a for a in coco["annotations"] if not a["iscrowd"]]
    assert 0 < len(real) < len(coco["annotations"])
    assert sum(read_coco(ignoring / "annotations" / "instances.json").classes().values()) == len(real)
    lines = [line for path in sorted((ignoring / "labels").glob("*.txt")) for line in path.read_text().splitlines()]
    assert len(lines) == len(real)
    pyarrow = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.read_table(ignoring / "annotations" / "metadata.parquet")
    assert table.column("id").to_pylist() == [a["id"] for a in real]


def test_records_say_what_was_ignored_and_finish_gives_the_same_bytes(ignoring):
    rows = [
        row
        for path in sorted((ignoring / "frames").glob("*.json"))
        for row in json.loads(path.read_text())["instances"]
    ]
    ignored = [row for row in rows if row.get("ignored")]
    assert ignored
    assert all(not row["annotated"] and row["reason"] == "instance under 36 pixels" for row in ignored)
    assert all("ignored" not in row for row in rows if row["annotated"])
    before = (ignoring / "annotations" / "instances.json").read_bytes()
    list(Job(recipe_with("ignore"), ignoring, open_stage).run())
    assert (ignoring / "annotations" / "instances.json").read_bytes() == before


def test_a_stage_shows_hidden_instances_again_after_clearing():
    stage = open_stage(None)
    pose = frames_of(recipe_with(None, images=1))[0].shot.camera
    thing = stage.assets["table"][0]

    def pixels():
        return int((stage.probe(1.0).ids > 0).sum())

    matrix = np.eye(4)
    matrix[:3, 3] = (*(pose.position + pose.matrix[:3, :3] @ [0, 0, -3.0])[:2], 0.0)
    stage.place(thing, matrix)
    stage.pose_camera(pose)
    shown = pixels()
    stage.hide([1])
    assert (pixels(), len(stage.instances)) == (0, 1)
    stage.clear()
    stage.place(thing, matrix)
    stage.pose_camera(attrs.evolve(pose))
    assert pixels() == shown > 0
