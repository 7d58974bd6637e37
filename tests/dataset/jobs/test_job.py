# SPDX-License-Identifier: GPL-3.0-or-later
"""A job on disk: the same bytes whatever happened on the way, whole frames only, nothing of the artist's touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, on_floor, orbit, plugin_table, recipe_text
from twinset.alignment.distances.comparison import compare
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import MAX_FAILURES, Job, open_job
from twinset.engine.errors import OutputError, StageError
from twinset.engine.events import Finished, FrameDone, ShareDone, Started
from twinset.engine.recipe.reading import load_recipe
from twinset.testing.fixtures.render_process import RenderProcess, file_bytes

RECIPE = recipe_text(
    seed=3,
    images=6,
    real="real.json",
    scene="open.blend",
    placements=[on_floor(2, 4, cluster_radius=2.0)],
    appearances=[plugin_table("lights", extra_range=[1, 2])],
    cameras=[plugin_table("framed", candidates=16), orbit(1.5, 4.0, weight=0.4)],
    target="bbox_area_gmm",
    render={**ONE_SAMPLE, "block_size": 3},
    size=(96, 72),
    output={"masks": True, "depth": "png", "yolo": True},
)


def write_real(path, areas=(0.06, 0.07, 0.08, 0.1, 0.15, 0.2), name="chair"):
    side = [100 * a**0.5 for a in areas]
    data = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(areas))],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 7,
                "bbox": [40 - s / 3, 50 - s / 2, s, s],
                "area": s * s,
                "iscrowd": 0,
            }
            for i, s in enumerate(side)
        ],
        "categories": [{"id": 7, "name": name}],
    }
    path.write_text(json.dumps(data))


@pytest.fixture(scope="module")
def folder(rooms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    for room in rooms.glob("*.blend"):
        shutil.copy2(room, folder)
    write_real(folder / "real.json")
    (folder / "r.toml").write_text(RECIPE)
    return folder


def recipe_of(folder, text=RECIPE, name="other.toml", **overrides):
    (folder / name).write_text(text)
    return load_recipe(folder / name, overrides)


def run(recipe, out, frames=None):
    return list(Job(recipe, out, open_stage).run(frames))


@pytest.fixture(scope="module")
def whole(folder):
    """The output of one uninterrupted run."""
    events = run(load_recipe(folder / "r.toml"), folder / "whole")
    assert isinstance(events[-1], Finished)
    return folder / "whole"


def assert_same(out, other):
    one, two = file_bytes(out), file_bytes(other)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []


def records(out):
    return [json.loads(p.read_bytes()) for p in sorted((out / "frames").glob("*.json"))]


def test_the_same_recipe_and_seed_give_the_same_bytes(folder, whole):
    run(load_recipe(folder / "r.toml"), folder / "again")
    assert_same(whole, folder / "again")
    assert {"recipe.toml", "annotations/instances.json", "images/000005.jpg", "report.html"} <= set(file_bytes(whole))


def test_another_seed_gives_other_pictures(folder, whole):
    run(load_recipe(folder / "r.toml", {"seed": 4}), folder / "seed", range(3))
    for name in (f"images/{i:06d}.jpg" for i in range(3)):
        assert (whole / name).read_bytes() != (folder / "seed" / name).read_bytes()


@pytest.mark.parametrize("parts", [[(5, 6), (0, 2), (2, 3)], [(4, 5), (0, 6)]])
def test_shares_in_any_order_give_the_same_bytes(folder, whole, parts):
    out = folder / f"shares{parts[0][0]}{len(parts)}{parts[0][1]}"
    for start, stop in parts:
        events = run(load_recipe(folder / "r.toml"), out, range(start, stop))  # earlier frames of its block come along
        assert [e.frame for e in events if isinstance(e, FrameDone)] == list(range(start - start % 3, stop))
        assert events[-1] == ShareDone(out, start - start % 3, stop - 1) or stop - start == 6
    assert open_job(out, open_stage).finish().absent == ()
    assert_same(whole, out)


def test_shards_on_several_machines_are_merged_by_copying(folder, whole):
    for k in range(2):
        run(load_recipe(folder / "r.toml"), folder / f"shard{k}", range(3 * k, 3 * k + 3))
        there = {p.name for p in (folder / f"shard{k}").iterdir()}
        assert not there & {"annotations", "report.html", "contact_sheet.jpg", "summary.json", "workers"}
    shutil.copytree(folder / "shard1", folder / "shard0", dirs_exist_ok=True)
    open_job(folder / "shard0", open_stage).finish()
    assert_same(whole, folder / "shard0")


def test_killed_and_resumed_equals_never_interrupted(folder, whole):
    out = folder / "killed"
    # So many that the process cannot end before it is killed.
    with RenderProcess(folder / "r.toml", out, "--images", 500) as running:
        running.wait_for_frame(1)
        running.process.kill()
        assert running.wait() == -signal.SIGKILL
    there = len(list((out / "frames").glob("*.json")))
    assert 2 <= there < 500 and not (out / "annotations").exists()
    images = max(6, there + 1)
    recipe = load_recipe(folder / "r.toml", {"images": images})
    events = run(recipe, out)
    assert [e.resumed for e in events if isinstance(e, FrameDone)] == [True] * there + [False] * (images - there)
    assert next(e for e in events if isinstance(e, Started)).present == there
    if images > 6:  # this process was kept from the machine for a while
        run(recipe, folder / "more than whole")
    assert_same(whole if images == 6 else folder / "more than whole", out)


@pytest.mark.parametrize("how", ["close", "interrupt"])
def test_an_early_end_leaves_whole_frames_only(folder, whole, how, monkeypatch):
    out = folder / how
    job = Job(load_recipe(folder / "r.toml"), out, open_stage)
    events = job.run()
    if how == "close":
        for event in events:
            if isinstance(event, FrameDone) and event.frame == 1:
                break
        events.close()
    else:
        # Ctrl-C while the third frame's files are on their way: the image is in its place, the record is not yet.
        count, replace = 0, os.replace

        def interrupted(source, target):
            nonlocal count
            if Path(target).parent.name == "frames":
                count += 1
                if count == 3:
                    raise KeyboardInterrupt
            replace(source, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "replace", interrupted)
            list(events)
    files = file_bytes(out)
    assert [name for name in files if name.startswith("frames/")] == ["frames/000000.json", "frames/000001.json"]
    assert not [name for name in files if "tmp" in name]
    run(load_recipe(folder / "r.toml"), out)
    assert_same(whole, out)


def test_a_damaged_picture_is_rendered_again(folder, whole):
    out = folder / "damaged"
    shutil.copytree(whole, out)
    (out / "images" / "000002.jpg").write_bytes(b"half a picture")
    (out / "frames" / "000004.json").write_bytes(b'{"frame": 5, ')
    events = run(load_recipe(folder / "r.toml"), out)
    assert [e.frame for e in events if isinstance(e, FrameDone) and not e.resumed] == [2, 4]
    assert_same(whole, out)


def test_replay_gives_the_same_image(folder, whole):
    before = file_bytes(whole)
    for frame in (1, 5):
        image = open_job(whole, open_stage).replay(frame)
        assert image.read_bytes() == (whole / "images" / f"{frame:06d}.jpg").read_bytes()
        assert whole / "replay" in image.parents
    shutil.rmtree(whole / "replay")
    assert file_bytes(whole) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed = 3", "seed = 4"), ("samples = 1", "samples = 2"), ("count = [2, 4]", "count = [2, 3]"),
     ('annotations = "real.json"', 'annotations = "real.json"\nimages = "."')],
)  # fmt: skip
def test_a_folder_belongs_to_one_recipe(folder, whole, old, new):
    before = file_bytes(whole)
    with pytest.raises(OutputError, match=r"another recipe, seed or version.*Choose another output"):
        run(recipe_of(folder, RECIPE.replace(old, new)), whole)
    assert file_bytes(whole) == before


def test_a_recipe_that_cannot_be_read_is_another_recipe(folder, whole):
    out = folder / "unreadable"
    shutil.copytree(whole, out)
    (out / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OutputError, match="another recipe"):
        run(load_recipe(folder / "r.toml"), out)


def test_more_images_of_the_same_recipe_go_on(folder, whole):
    out = folder / "more"
    run(load_recipe(folder / "r.toml", {"images": 3}), out)
    run(load_recipe(folder / "r.toml"), out)
    assert_same(whole, out)


def test_the_artists_file_is_untouched(folder, whole):
    blend = folder / "open.blend"

    def facts():
        names = sorted(p.name for p in folder.iterdir())
        return hashlib.sha256(blend.read_bytes()).hexdigest(), blend.stat().st_mtime_ns, names

    before = facts()
    run(load_recipe(folder / "r.toml"), folder / "whole" / "nested")
    assert facts() == before
    shutil.rmtree(folder / "whole" / "nested")


def test_annotations_are_what_the_id_maps_hold(whole):
    coco = COCO(str(whole / "annotations" / "instances.json"))
    assert len(coco.imgs) == 6 and coco.cats == {7: {"id": 7, "name": "chair"}}
    assert sorted(coco.imgs) == list(range(1, 7)) and sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    for image in coco.imgs.values():
        record = json.loads((whole / "frames" / f"{image['twinset']['frame']:06d}.json").read_bytes())
        ids = cv2.imread(str(whole / record["files"]["ids"]["path"]), cv2.IMREAD_UNCHANGED)
        depth = cv2.imread(str(whole / record["files"]["depth"]["path"]), cv2.IMREAD_UNCHANGED)
        assert ids.dtype == depth.dtype == np.uint16 and ids.shape == depth.shape == (72, 96)
        assert cv2.imread(str(whole / "images" / image["file_name"])).shape == (72, 96, 3)
        drawn = np.zeros(ids.shape, int)
        for a in coco.imgToAnns[image["id"]]:
            mask = coco.annToMask(a).astype(bool)
            np.testing.assert_array_equal(mask, ids == a["twinset"]["instance"])
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert a["bbox"] == box and a["area"] == mask.sum() >= 50 and a["iscrowd"] == 0
            assert (depth[mask] > 0).all()
            drawn += mask
        assert drawn.max() <= 1
        for instance in record["instances"]:
            alone = instance.get("amodal_segmentation")
            if instance["area"] and alone:
                inside = coco_mask.decode(alone).astype(bool)
                assert inside[ids == instance["id"]].all()
                assert 0 < instance["visible_share"] <= 1 and 0 <= instance["truncated_share"] < 1


def test_main_instances_are_marked_down_to_the_annotations(whole):
    coco = json.loads((whole / "annotations" / "instances.json").read_text())
    seen = {"framed": 0, "orbit": 0}
    for record in records(whole):
        camera = record["draws"]["camera"]
        seen[camera] += 1
        mains = [i for i in record["instances"] if i["main"]]
        marks = [
            a["twinset"]["main"]
            for a in coco["annotations"]
            if next(i for i in coco["images"] if i["id"] == a["image_id"])["twinset"]["frame"] == record["frame"]
        ]
        if camera == "orbit":
            assert mains == [] and not any(marks) and record["goals"] == {}
            continue
        (main,) = mains
        assert marks.count(True) == 1 and set(map(type, marks)) == {bool}
        area = main["bbox"][2] * main["bbox"][3] / (96 * 72)
        goal = record["goals"]["area"]
        assert abs(area / goal - 1) <= max(0.05, 1 / np.sqrt(goal * 96 * 72))
    assert min(seen.values()) >= 1
    real = json.loads((whole.parent / "real.json").read_text())
    assert compare(real, coco)["classes"]["chair"]["main"]["n_synth"] == seen["framed"]


PLUGIN = '''
"""Refuses every third frame."""

from twinset.engine.plugin import Rejected, plugin


@plugin("placement")
class EveryThird:
    """Refuse every third frame."""

    def place(self, stage, goals, rng):
        if goals.frame % 3 == 1:
            raise Rejected("placement: one in three")
'''


@pytest.fixture
def refusing(folder, monkeypatch):
    monkeypatch.setenv("TWINSET_PLUGINS", str(folder / "plugins"))
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "every_third.py").write_text(PLUGIN)
    text = RECIPE.replace("images = 6", 'images = 5\nplugin_folders = ["plugins"]')
    text = text.replace("[[appearance]]", '[[placement]]\nplugin = "every_third"\n[[appearance]]', 1)
    return recipe_of(folder, text.replace("block_size = 3", "block_size = 3\nmax_attempts = 3"))


def test_frames_given_up_are_counted_and_not_tried_again(folder, refusing):
    *events, finished = run(refusing, folder / "refusing")
    assert [e.frame for e in events if isinstance(e, FrameDone) and e.image is None] == [1, 4]
    assert (finished.images, finished.funnel.accepted, finished.funnel.given_up) == (3, 3, 2)
    assert finished.funnel.rejected["placement: one in three"] == 6
    assert finished.funnel.tried == finished.funnel.accepted + sum(finished.funnel.rejected.values())
    given_up = json.loads((folder / "refusing" / "frames" / "000001.json").read_bytes())
    assert (given_up["verdict"], given_up["attempts"]) == ("given up", 3)
    with pytest.raises(StageError, match="Frame 1 was given up after 3 attempts"):
        open_job(folder / "refusing", open_stage).replay(1)
    before = file_bytes(folder / "refusing")
    assert all(e.resumed for e in run(refusing, folder / "refusing") if isinstance(e, FrameDone))
    assert file_bytes(folder / "refusing") == before


@pytest.mark.parametrize("images", [2, MAX_FAILURES + 4])
def test_a_hopeless_job_ends_and_says_why(folder, images):
    text = RECIPE[: RECIPE.index("[[camera]]")] + '[[camera]]\nplugin = "orbit"\nclearance = 50.0\n'
    text = text.replace("images = 6", f"images = {images}") + "[render]\nsamples = 1\nmax_attempts = 2\n"
    recipe, out = recipe_of(folder, text), folder / f"hopeless{images}"
    for _ in range(2):  # the second time from the records
        with pytest.raises(StageError, match=r"None of the .*2 attempts: camera: no free viewpoint \(2\)\. Relax"):
            run(recipe, out)
        assert len(list((out / "frames").iterdir())) == min(images, MAX_FAILURES)
        assert not (out / "annotations" / "instances.json").exists()


def test_what_a_killed_process_left_in_memory_is_removed(folder):
    """Only where the process is gone and the folder is old: another may render beside this one."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    old, young, running = (
        base / f"twinset-{pid}-{name}" for pid, name in ((gone.pid, "old"), (gone.pid, "new"), (1, "x"))
    )
    for path in (old, young, running):
        path.mkdir(exist_ok=True)
        (path / "labels.exr").write_bytes(b"x")
    for path in (old, running):
        os.utime(path, (0, 0))
    try:
        open_stage(load_recipe(folder / "r.toml"))
        assert not old.exists() and young.exists() and running.exists()
    finally:
        for path in (old, young, running):
            shutil.rmtree(path, ignore_errors=True)
