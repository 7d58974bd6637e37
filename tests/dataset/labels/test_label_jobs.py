# SPDX-License-Identifier: GPL-3.0-or-later
"""All labels without a render of their own in one job: resumed, merged, verified, and read by pycocotools."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
import twinset
from recipes import on_floor, orbit, recipe_text
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.jobs.job import Job, open_job
from twinset.engine.output.label_pass import LABEL_PASSES
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.scene.keypoint import Keypoint, keypoint_name, keypoint_place
from twinset.plugins.writers.yolo_pose import flip_indices
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.render_process import file_bytes

RECIPE = (
    recipe_text(
        seed=5,
        images=4,
        classes=[
            {
                "name": "chair",
                "builtin": "chair",
                "keypoints": ["top: 0, 0, 0.45", "front.L: -0.2, -0.2, 0", "front.R: 0.2, -0.2, 0"],
                "skeleton": ["front.L - front.R", "top - front.L"],
            },
            {"name": "bag", "builtin": "bag"},
        ],
        placements=[on_floor(2, 3)],
        appearances=[{"plugin": "motion", "distance": [0.05, 0.1], "camera_rotation": [1.0, 2.0]}],
        cameras=[orbit(1.2, 1.8)],
        effects=[{"plugin": "rolling_shutter", "probability": 0.5}],
        render={"block_size": 2},
        size=(64, 48),
    )
    + """
depth = "exr"
nocs = "png"
semantic = true
edges = true
point_clouds = true
flow = "flo"
backward_flow = "flo"
poses = true
oriented_boxes = true

[[writer]]
plugin = "yolo_pose"
"""
)
FOLDERS = ("depth", "nocs", "semantic", "edges", "point_clouds", "flow", "backward_flow")


def open_stage(recipe: Recipe) -> Any:
    """Boxes of the classes, with the places that the recipe gives as keypoints."""
    chair, bag = recipe.classes
    points = {keypoint_name(text): Keypoint(np.asarray(keypoint_place(text))) for text in chair.keypoints}
    stool = attrs.evolve(asset("stool", chair.name, box((0.4, 0.4, 0.45))), keypoints=points)
    crate = asset("crate", bag.name, box((0.3, 0.2, 0.25)))
    size = (recipe.output.width, recipe.output.height)
    return BruteStage({"Floor": plane((6.0, 6.0))}, [stool, crate], resolution=size)


def run(out: Path, frames: range | None = None) -> None:
    recipe = out.parent / "r.toml"
    recipe.write_text(RECIPE)
    list(Job(load_recipe(recipe), out, open_stage).run(frames))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "whole"
    run(out)
    return out


def test_merged_and_damaged_ones_are_as_the_whole(whole: Path, tmp_path: Path) -> None:
    run(tmp_path / "first", range(0, 2))
    run(tmp_path / "second", range(2, 4))
    for folder in ("frames", "images", *FOLDERS):
        shutil.copytree(tmp_path / "second" / folder, tmp_path / "first" / folder, dirs_exist_ok=True)
    job = open_job(tmp_path / "first", open_stage)
    job.finish()
    assert file_bytes(tmp_path / "first") == file_bytes(whole)
    assert job.verify(1) == ""
    path = tmp_path / "first/nocs/000002.png"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [state for *_, state in job.checksums()] == ["accepted"] * 2 + ["damaged", "accepted"]


def test_maps_and_entries_are_those_of_the_masks(whole: Path) -> None:
    records = [json.loads(path.read_text()) for path in sorted((whole / "frames").glob("*.json"))]
    moved = 0
    for record in records:
        files = {name: whole / entry["path"] for name, entry in record["files"].items()}
        assert {files[name].parent.name for name in files} == {"images", *FOLDERS}
        semantic = cv2.imread(str(files["semantic"]), cv2.IMREAD_UNCHANGED)
        nocs = cv2.imread(str(files["nocs"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(semantic > 0, nocs.any(-1))
        assert (semantic > 0).sum() == sum(row["area"] for row in record["instances"])
        flow = cv2.readOpticalFlow(str(files["flow"]))
        assert np.abs(flow).max() > 0.3
        assert np.abs(flow + cv2.readOpticalFlow(str(files["backward_flow"]))).max() < np.abs(flow).max()
        moved += bool(record["draws"].get("effects"))
        for row in record["instances"]:
            if not row["bbox"]:
                assert "oriented_bbox" not in row
                continue
            x, y, w, h = row["bbox"]
            cx, cy, *_ = row["oriented_bbox"]
            assert x <= cx <= x + w and y <= cy <= y + h
            if row["class"] == "chair":
                seen = np.reshape(row["keypoints"], (-1, 3))
                on = seen[seen[:, 2] == 2, :2]
                assert ((on > (x - 2, y - 2)) & (on < (x + w + 2, y + h + 2))).all()
            else:
                assert "keypoints" not in row
    assert 0 < moved < len(records)


def test_pycocotools_scores_the_truth_as_perfect(whole: Path) -> None:
    coco_module, eval_module = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    coco = coco_module.COCO(str(whole / "annotations/instances.json"))
    (chair,) = coco.loadCats(coco.getCatIds(["chair"]))
    assert chair["keypoints"] == ["top", "front.L", "front.R"] and chair["skeleton"] == [[2, 3], [1, 2]]
    (bag,) = coco.loadCats(coco.getCatIds(["bag"]))
    assert "keypoints" not in bag
    annotations = coco.loadAnns(coco.getAnnIds(catIds=[chair["id"]]))
    assert any(a["num_keypoints"] for a in annotations)
    found = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "keypoints": a["keypoints"], "score": 0.9}
        for a in annotations
        if a["num_keypoints"]
    ]
    scored = eval_module.COCOeval(coco, coco.loadRes(found), "keypoints")
    scored.params.catIds, scored.params.kpt_oks_sigmas = [chair["id"]], np.full(3, 0.05)
    scored.params.areaRng, scored.params.areaRngLbl = [[0, 1e9]], ["all"]
    scored.evaluate()
    scored.accumulate()
    assert scored.eval["precision"][:, :, 0, 0, 0].min() == pytest.approx(1.0)


def test_yolo_pose_has_box_and_points_in_image_units(whole: Path) -> None:
    coco = json.loads((whole / "annotations/instances.json").read_text())
    names = {c["id"]: k for k, c in enumerate(coco["categories"])}
    text = (whole / "yolo_pose/data.yaml").read_text()
    assert "kpt_shape: [3, 3]\n" in text and "flip_idx: [0, 2, 1]\n" in text
    for image in coco["images"]:
        lines = (whole / "yolo_pose/labels" / f"{Path(image['file_name']).stem}.txt").read_text().splitlines()
        own = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        assert len(lines) == len(own)
        for line, annotation in zip(lines, own, strict=True):
            number, *values = map(float, line.split())
            assert number == names[annotation["category_id"]] and len(values) == 4 + 9
            points = np.reshape(values[4:], (3, 3)) * (64, 48, 1)
            np.testing.assert_allclose(points.ravel(), annotation.get("keypoints", [0] * 9), atol=1e-5)
    read = read_dataset(whole / "yolo_pose")
    np.testing.assert_allclose(
        [a["bbox"] for a in read.annotations], [a["bbox"] for a in coco["annotations"]], atol=1e-3
    )


def test_mirrored_keypoints_are_found_by_their_names() -> None:
    names = ["nose", "left_eye", "right_eye", "Hand.L", "Hand.R", "ear left", "LeftFoot"]
    assert flip_indices(names) == [0, 2, 1, 4, 3, 5, 6]


def test_the_pass_of_the_page_is_found_in_a_plugin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exr = pytest.importorskip("OpenEXR")
    page = (Path(twinset.__file__).parent / "docs/recipes/labels.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/distance.py").write_text(code)
    monkeypatch.setenv("TWINSET_PLUGINS", str(tmp_path / "own"))
    text = recipe_text(
        images=1,
        plugin_folders=["own"],
        placements=[on_floor()],
        cameras=[orbit(1.5, 1.6)],
        size=(32, 24),
        classes=[{"name": "chair", "builtin": "chair"}, {"name": "bag", "builtin": "bag"}],
    )
    (tmp_path / "r.toml").write_text(f'{text}distance = true\ndepth = "exr"\n')
    try:
        list(Job(load_recipe(tmp_path / "r.toml"), tmp_path / "out", open_stage).run())
        record = json.loads((tmp_path / "out/frames/000000.json").read_text())
        maps = {}
        for name, channel in (("distance", "V"), ("depth", "Z")):
            with exr.File(str(tmp_path / "out" / record["files"][name]["path"]), separate_channels=True) as file:
                maps[name] = file.channels()[channel].pixels
        middle = maps["distance"][11:13, 15:17].mean() / maps["depth"][11:13, 15:17].mean()
        assert 1.0 < middle < 1.001 < np.nanmax(maps["distance"] / maps["depth"])
    finally:
        LABEL_PASSES._entries.pop("distance", None)
