# SPDX-License-Identifier: GPL-3.0-or-later
"""New datasets out of old ones: what is unchanged is one file on the disk, what was there stays as it was."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from recipes import builtin_class, on_floor, orbit, recipe_text
from twinset.dataset.analysis.measure import measure
from twinset.dataset.atomic_files import atomic_folder, link_or_copy
from twinset.dataset.formats.coco import CocoFile
from twinset.dataset.formats.dataset_folder import image_folder, images_of, read_dataset
from twinset.dataset.formats.pixels import read_image
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.jobs.subset import SubsetChanges, is_rendered, write_subset
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.record import add_to_block
from twinset.engine.block import Block
from twinset.engine.errors import DataError, OutputError
from twinset.engine.plugin import Verdict
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.evaluation import exclusion_reason
from twinset.testing.fixtures.scene import scene

RECIPE = recipe_text(
    seed=4,
    images=5,
    classes=[builtin_class("chair"), builtin_class("bag")],
    placements=[on_floor(3, 5, cluster_radius=1.5)],
    cameras=[orbit(1.5, 2.5, clearance=0.0)],
    size=(96, 72),
    output={"masks": True, "depth": "png", "yolo": True},
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rendered") / "out"
    recipe = loads_recipe(RECIPE, out.parent, "recipe.toml")
    assert len(list(Job(recipe, out, lambda r: scene((96, 72))).run())) > 5
    return out


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos in two folders, with a licence, a crowd and a polygon."""
    rng = np.random.default_rng(0)
    images = [
        {
            "id": k * 10,
            "file_name": f"{'ab'[k % 2]}/{k}.{'jpg' if k else 'png'}",
            "width": 60,
            "height": 40,
            "license": 3,
        }
        for k in range(4)
    ]
    for image in images:
        path = tmp_path / "photos/images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(60, 255, (40, 60, 3), dtype=np.uint8))
    boxes = [
        {"id": 100 + k, "image_id": 10 * (k // 2), "category_id": 5 + k % 2, "bbox": [5 + 20 * (k % 2), 8, 30, 20]}
        for k in range(8)
    ]
    boxes[1]["segmentation"] = [[25, 8, 55, 8, 55, 28, 25, 28]]
    boxes.append({"id": 7, "image_id": 0, "category_id": 5, "bbox": [0, 0, 60, 40], "iscrowd": 1, "segmentation": []})
    data = {
        "info": {"contributor": "we"},
        "licenses": [{"id": 3, "name": "CC BY"}],
        "images": images,
        "annotations": [{"area": 600, "iscrowd": 0, **b} for b in boxes],
        "categories": [{"id": 5, "name": "chair", "supercategory": "seat"}, {"id": 6, "name": "table"}],
    }
    path = tmp_path / "photos/labels.json"
    path.write_text(json.dumps(data))
    return path


def hashes(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def subset(dataset: Path, out: Path, changes: SubsetChanges) -> CocoFile:
    coco = read_dataset(dataset)
    write_subset(coco, images_of(coco), out, changes, {"command": "test"})
    return read_dataset(out)


def same_file(a: Path, b: Path) -> bool:
    return a.stat().st_ino == b.stat().st_ino and a.stat().st_dev == b.stat().st_dev


def test_a_rendered_folder_gives_a_rendered_folder(rendered: Path, tmp_path: Path) -> None:
    before, old = hashes(rendered), read_dataset(rendered)
    first, second = old.images[0], old.images[1]
    (gone, *_) = [a["id"] for a in old.annotations if a["image_id"] == second["id"]]
    changes = SubsetChanges(
        frozenset([first["id"]]), frozenset([gone]), columns={a["id"]: {"feature_score": 0.25} for a in old.annotations}
    )
    new = subset(rendered, tmp_path / "new", changes)
    assert hashes(rendered) == before
    assert is_rendered(new)
    assert len(new.images) == len(old.images) - 1
    kept = [a for a in old.annotations if a["image_id"] != first["id"] and a["id"] != gone]
    assert [(a["bbox"], a["twinset"]["shape"]) for a in new.annotations] == [
        (a["bbox"], a["twinset"]["shape"]) for a in kept
    ]
    assert {a["twinset"]["feature_score"] for a in new.annotations} == {0.25}
    for image in new.images:
        for kind, ending in (("images", "jpg"), ("masks", "png"), ("depth", "png")):
            name = f"{kind}/{image['twinset']['frame']:06d}.{ending}"
            assert same_file(rendered / name, tmp_path / "new" / name)
    assert not (tmp_path / "new/images" / first["file_name"]).exists()
    assert len(COCO(str(new.path)).anns) == len(kept)
    table = measure(new, image_folder(new)).columns
    assert len(table["id"]) == len(kept) and set(table["feature_score"]) == {0.25}
    assert len(list((tmp_path / "new/labels").glob("*.txt"))) == len(new.images)
    history = json.loads((tmp_path / "new/curation.json").read_text())["steps"]
    assert history[0]["source"]["annotations_sha256"] == before["annotations/instances.json"]
    assert (tmp_path / "new/annotations/metadata.parquet").is_file()


def test_a_filtered_folder_goes_on_as_before(rendered: Path, tmp_path: Path) -> None:
    """Finishing again changes nothing, no frame is missing, and a replay meets the block that it was drawn in."""
    old = read_dataset(rendered)
    last = old.images[-1]
    changes = SubsetChanges(frozenset([old.images[0]["id"]]), frozenset([old.annotations[-1]["id"]]))
    new = subset(rendered, tmp_path / "new", changes)
    before = hashes(tmp_path / "new/annotations")
    events = list(
        Job(loads_recipe(RECIPE, rendered.parent, "r"), tmp_path / "new", lambda r: pytest.fail("opened")).run()
    )
    assert hashes(tmp_path / "new/annotations") == before
    assert events[-1].images == len(old.images) - 1
    assert events[-1].funnel.rejected["render: filtered"] == 1 == events[-1].funnel.rejected_after_render
    job = open_job(tmp_path / "new", lambda r: scene((96, 72)))
    again = read_image(job.replay(last["twinset"]["frame"]))
    np.testing.assert_array_equal(again, read_image(rendered / "images" / last["file_name"]))
    assert len(new.annotations) < len(old.annotations)
    # A second step remembers the first.
    third = subset(tmp_path / "new", tmp_path / "third", SubsetChanges(frozenset([new.images[0]["id"]])))
    assert len(third.images) == len(old.images) - 2
    assert len(json.loads((tmp_path / "third/curation.json").read_text())["steps"]) == 2


def test_what_a_render_refused_does_not_pass_for_what_was_filtered_later(rendered: Path) -> None:
    record = FrameStore(rendered).read(0)
    row = next(i for i in record["instances"] if i["annotated"])
    shot: Any = SimpleNamespace(amodal={})
    row |= {"annotated": False, "reason": exclusion_reason(shot, row, Verdict(True, "", frozenset({row["id"]})), 0.0)}
    block = Block()
    add_to_block(block, record)
    names = {i["class"] for i in record["instances"]}
    assert sum(len(block.boxes(name)) for name in names) == sum(i["annotated"] for i in record["instances"])


def test_black_boxes_spare_what_keeps_its_label(rendered: Path, tmp_path: Path) -> None:
    old = read_dataset(rendered)
    target = max(old.annotations, key=lambda a: a["area"])
    image = next(i for i in old.images if i["id"] == target["image_id"])
    new = subset(rendered, tmp_path / "new", SubsetChanges(unlabelled=frozenset([target["id"]]), black=True))
    ids = cv2.imread(str(rendered / f"masks/{image['twinset']['frame']:06d}.png"), cv2.IMREAD_UNCHANGED)
    x, y, w, h = target["bbox"]
    others = [a["twinset"]["instance"] for a in old.annotations if a["image_id"] == image["id"] and a is not target]
    inside = np.zeros(ids.shape, bool)
    inside[y : y + h, x : x + w] = True
    picture, was = (read_image(f / "images" / image["file_name"]).astype(int) for f in (tmp_path / "new", rendered))
    black = inside & ~np.isin(ids, others)
    assert np.abs(picture[black]).mean() < 6 < was[black].mean()
    assert np.abs(picture - was)[~inside].mean() < 6  # a JPEG written twice
    assert len(new.annotations) == len(old.annotations) - 1
    record = json.loads((tmp_path / f"new/frames/{image['twinset']['frame']:06d}.json").read_text())
    written = (tmp_path / "new" / record["files"]["image"]["path"]).read_bytes()
    assert record["files"]["image"]["sha256"] == hashlib.sha256(written).hexdigest()


def test_photos_keep_all_that_their_file_says(photos: Path, tmp_path: Path) -> None:
    before, raw = hashes(photos.parent), json.loads(photos.read_text())
    changes = SubsetChanges(frozenset([20]), frozenset([102]), columns={100: {"feature_score": 0.5}})
    new = subset(photos, tmp_path / "new", changes)
    assert hashes(photos.parent) == before
    written = json.loads(new.path.read_text())
    assert (written["info"], written["licenses"], written["categories"]) == (
        raw["info"],
        raw["licenses"],
        raw["categories"],
    )
    assert written["images"] == [i for i in raw["images"] if i["id"] != 20]
    kept = [dict(a) for a in raw["annotations"] if a["image_id"] != 20 and a["id"] != 102]
    kept[0]["twinset"] = {"feature_score": 0.5}
    assert written["annotations"] == kept
    for image in written["images"]:
        assert same_file(photos.parent / "images" / image["file_name"], tmp_path / "new/images" / image["file_name"])
    assert not (tmp_path / "new/images/a/2.jpg").exists()
    coco = COCO(str(new.path))
    assert len(coco.anns) == len(kept) and coco.annToMask(coco.anns[101]).sum() == 600


def test_painted_photos_are_new_files(photos: Path, tmp_path: Path) -> None:
    subset(photos, tmp_path / "new", SubsetChanges(unlabelled=frozenset([100]), black=True))
    old, new = photos.parent / "images/a/0.png", tmp_path / "new/images/a/0.png"
    assert not same_file(old, new)
    was, now = read_image(old), read_image(new)
    black = np.zeros((40, 60), bool)
    black[8:28, 5:35] = True
    black[8:28, 25:55] = False  # the polygon of the box that stays
    assert not now[black].any()
    np.testing.assert_array_equal(now[~black], was[~black])


def test_yolo_folders_keep_their_labels(photos: Path, tmp_path: Path) -> None:
    from twinset.dataset.readers.yolo import read_yolo
    from twinset.dataset.store.dataset_files import run_writer
    from twinset.dataset.store.finished_dataset import ListedDataset
    from twinset.plugins.writers.yolo import Yolo

    coco = read_dataset(photos)
    folder = tmp_path / "yolo"
    shutil.copytree(photos.parent / "images", folder / "images")
    boxes = [a for a in coco.annotations if not a.get("iscrowd")]
    run_writer(Yolo(), ListedDataset(folder, coco.images, boxes, coco.categories))
    source = read_dataset(folder)
    subset(folder, tmp_path / "new", SubsetChanges(unlabelled=frozenset([source.annotations[0]["id"]])))
    (tmp_path / "new/annotations").rename(tmp_path / "aside")
    new = read_yolo(tmp_path / "new")
    assert [a["bbox"] for a in new.annotations] == [a["bbox"] for a in source.annotations[1:]]
    assert [c["name"] for c in new.categories] == ["chair", "table"]


def test_other_file_systems_get_copies(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    coco = read_dataset(photos)
    written = write_subset(coco, images_of(coco), tmp_path / "new", SubsetChanges(frozenset([20])), {})
    assert (written.shared, written.copied) == (0, 3)
    old, new = photos.parent / "images/b/1.jpg", tmp_path / "new/images/b/1.jpg"
    assert old.read_bytes() == new.read_bytes() and not same_file(old, new)


def test_a_real_other_file_system(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system to write to")
    source = tmp_path / "a.txt"
    source.write_text("x")
    with atomic_folder(shared / f"twinset-test-{os.getpid()}") as folder:
        assert not link_or_copy(source, folder / "a.txt")
        assert (folder / "a.txt").read_text() == "x"
    shutil.rmtree(shared / f"twinset-test-{os.getpid()}")


def test_nothing_is_overwritten_and_nothing_half_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        subset(photos, tmp_path / "there", SubsetChanges(frozenset([20])))
    with pytest.raises(DataError, match="No box would be left"):
        subset(photos, tmp_path / "new", SubsetChanges(frozenset([0, 10, 20, 30])))
    (photos.parent / "images/b/3.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"3\.jpg"):
        subset(photos, tmp_path / "new", SubsetChanges(unlabelled=frozenset([106]), black=True))
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "new"):
        raise KeyboardInterrupt
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos", "there"]


def test_names_that_lead_out_of_the_folder_are_refused(photos: Path, tmp_path: Path) -> None:
    data = json.loads(photos.read_text())
    data["images"][3]["file_name"] = "../../secret.png"
    photos.write_text(json.dumps(data))
    with pytest.raises(DataError, match=r"secret\.png"):
        subset(photos, tmp_path / "new", SubsetChanges(frozenset([20])))
    assert not (tmp_path / "new").exists()


def test_what_a_link_leads_to_is_copied_and_not_shared(photos: Path, tmp_path: Path) -> None:
    """A hard link through a symbolic one would make the new dataset's image a file that belongs to somebody else."""
    coco = read_dataset(photos)
    first = coco.images[0]["file_name"]
    place = tmp_path / "photos/images" / first
    target = tmp_path / "photos/images/a/target.png"
    place.rename(target)
    place.symlink_to(target)
    write_subset(coco, images_of(coco), tmp_path / "new", SubsetChanges(), {})
    new = tmp_path / "new/images" / first
    assert not new.is_symlink() and not new.samefile(target) and new.read_bytes() == target.read_bytes()
    other = coco.images[1]["file_name"]
    assert (tmp_path / "new/images" / other).samefile(tmp_path / "photos/images" / other)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_pipes_and_outside_files_are_not_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        link_or_copy(tmp_path / "pipe", tmp_path / "new")
    with pytest.raises(DataError, match="cannot be read"):
        link_or_copy(tmp_path / "gone", tmp_path / "new")
    assert not (tmp_path / "new").exists()
