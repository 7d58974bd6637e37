# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences as MOTChallenge, COCO-VID, TAO and Kubric have them, and as their own tools read them."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest
from recipes import on_floor, orbit, recipe_text
from scipy.spatial.transform import Rotation
from twinset.dataset.exports.videos import track_of, videos_of
from twinset.dataset.formats.dataset_folder import open_dataset, read_dataset
from twinset.dataset.formats.pixels import read_channels
from twinset.dataset.jobs.convert import convert
from twinset.dataset.jobs.job import Job
from twinset.engine.plugin.registry import find
from twinset.engine.recipe.reading import loads_recipe
from twinset.plugins.writers.videos.kubric import quaternion
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.datasets import FilesInMemory, finished_dataset
from twinset.testing.fixtures.render_process import file_bytes

LENGTH, FPS = 3, 5.0
TEXT = (
    recipe_text(
        seed=6,
        images=12,
        classes=[{"name": "chair", "builtin": "chair"}, {"name": "bag", "builtin": "bag"}],
        placements=[on_floor(3, 4)],
        cameras=[orbit(2.0, 2.5)],
        render={"block_size": 6},
        size=(64, 48),
        output={"depth": "exr", "flow": "exr", "backward_flow": "exr", "format": "png"},
    )
    + f"""
[sequence]
length = {LENGTH}
fps = {FPS}
moving_share = 0.5

[[rig]]
position = [0.1, 0.0, 0.0]

[[writer]]
plugin = "mot"

[[writer]]
plugin = "coco_vid"

[[writer]]
plugin = "kubric"
"""
)


def stage(recipe, **options) -> BruteStage:
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("crate", "bag", box((0.3, 0.2, 0.25)))]
    return BruteStage({"Floor": plane((8.0, 8.0))}, assets, resolution=(recipe.output.width, recipe.output.height))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    list(Job(loads_recipe(TEXT, folder, "recipe.toml"), folder / "out", stage).run())
    return folder / "out"


@pytest.fixture(scope="module")
def coco(rendered: Path) -> dict:
    return json.loads((rendered / "annotations/instances.json").read_text())


def video_names() -> list[str]:
    return [f"{sequence:06d}_{view}" for sequence in range(2) for view in range(2)]


def frames_of(coco: dict, name: str) -> list[dict]:
    """The images of a video in order, by its name."""
    sequence, view = map(int, name.split("_"))
    roles = [(image["twinset"], image) for image in coco["images"]]
    own = [(r["step"], image) for r, image in roles if (r["sequence"], r["view"]) == (sequence, view)]
    return [image for _, image in sorted(own, key=lambda pair: pair[0])]


def test_mot_has_the_boxes_of_each_sequence_with_their_tracks(rendered, coco):
    root = rendered / "mot/train"
    assert sorted(path.name for path in root.iterdir()) == video_names()
    assert (rendered / "mot/classes.txt").read_text() == "chair\nbag\n"
    for name in video_names():
        info = configparser.ConfigParser()
        info.read(root / name / "seqinfo.ini")
        known = dict(info["Sequence"])
        assert known == {
            "name": name,
            "imdir": "img1",
            "framerate": "5",
            "seqlength": "3",
            "imwidth": "64",
            "imheight": "48",
            "imext": ".png",
        }
        tracks: dict[int, int] = {}
        lines = (root / name / "gt/gt.txt").read_text().splitlines()
        read = [list(map(float, line.split(","))) for line in lines]
        expected = []
        for frame, image in enumerate(frames_of(coco, name), 1):
            assert (root / name / f"img1/{frame:06d}.png").samefile(rendered / "images" / image["file_name"])
            for a in (a for a in coco["annotations"] if a["image_id"] == image["id"]):
                number = tracks.setdefault(a["track_id"], len(tracks) + 1)
                x, y, w, h = a["bbox"]
                share = round(a["twinset"]["visible_share"], 6)
                expected.append(
                    [frame, number, x + 1, y + 1, w, h, 1, a["category_id"], pytest.approx(share, abs=1e-6)]
                )
        assert read == expected


def test_motmetrics_scores_the_truth_with_one(rendered):
    motmetrics = pytest.importorskip("motmetrics")
    for name in video_names():
        truth = motmetrics.io.loadtxt(rendered / f"mot/train/{name}/gt/gt.txt", fmt="mot16", min_confidence=1)
        both = motmetrics.utils.compare_to_groundtruth(truth, truth, "iou", distth=0.5)
        metrics = ["mota", "motp", "idf1", "num_switches", "num_objects"]
        summary = motmetrics.metrics.create().compute(both, metrics=metrics, name=name).loc[name]
        assert len(truth) == summary["num_objects"] > 0
        assert summary["mota"] == summary["idf1"] == 1.0 and summary["num_switches"] == 0 and summary["motp"] == 0.0


def test_videos_and_tracks_of_coco_are_consistent(rendered, coco):
    from pycocotools.coco import COCO

    read = COCO(str(rendered / "annotations/videos.json"))
    videos = {video["id"]: video for video in read.dataset["videos"]}
    assert [video["name"] for video in videos.values()] == video_names()
    assert all(video["fps"] == FPS and video["length"] == LENGTH for video in videos.values())
    assert len(read.anns) == len(coco["annotations"])
    tracks = {track["id"]: track for track in read.dataset["tracks"]}
    seen = set()
    for image in read.dataset["images"]:
        assert image["frame_id"] == image["frame_index"] == image["twinset"]["step"]
        assert image["file_name"] == frames_of(coco, videos[image["video_id"]]["name"])[image["frame_id"]]["file_name"]
    original = {a["id"]: a for a in coco["annotations"]}
    for a in read.anns.values():
        track = tracks[a["track_id"]]
        assert a["track_id"] == a["instance_id"] and track["video_id"] == a["video_id"]
        assert track["category_id"] == a["category_id"] and read.imgs[a["image_id"]]["video_id"] == a["video_id"]
        assert original[a["id"]]["bbox"] == a["bbox"]
        seen.add((a["track_id"], original[a["id"]]["track_id"], a["video_id"]))
    back = read_dataset(rendered / "annotations/videos.json")
    assert [(a["bbox"], a["segmentation"]) for a in back.annotations] == [
        (original[a["id"]]["bbox"], original[a["id"]]["segmentation"]) for a in back.annotations
    ]
    # One number for each pair of a video and an object, and no other.
    assert len({t for t, *_ in seen}) == len({(o, v) for _, o, v in seen}) == len(seen) == len(tracks)


def test_kubric_has_all_maps_of_each_sequence(rendered, coco):
    for name in video_names():
        folder, images = rendered / "kubric/train" / name, frames_of(coco, name)
        metadata = json.loads((folder / "metadata.json").read_text())
        ranges = json.loads((folder / "data_ranges.json").read_text())
        assert metadata["metadata"]["num_frames"] == LENGTH and metadata["metadata"]["frame_rate"] == FPS
        assert metadata["metadata"]["resolution"] == [64, 48]
        assert json.loads((folder / "events.json").read_text()) == {"collisions": []}
        own = [[a for a in coco["annotations"] if a["image_id"] == image["id"]] for image in images]
        pixels = {a["twinset"]["instance"]: 0 for listed in own for a in listed}
        for a in (a for listed in own for a in listed):
            pixels[a["twinset"]["instance"]] += a["area"]
        order = sorted(pixels, key=lambda id: (-pixels[id], id))
        assert len(metadata["instances"]) == metadata["metadata"]["num_instances"] == len(order)
        for frame, (image, listed) in enumerate(zip(images, own, strict=True)):
            stem = Path(image["file_name"]).stem
            record = json.loads((rendered / f"frames/{stem}.json").read_text())
            rgba = cv2.imread(str(folder / f"rgba_{frame:05d}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(rgba[..., :3], cv2.imread(str(rendered / "images" / image["file_name"])))
            assert (rgba[..., 3] == 255).all()
            ids = cv2.imread(str(folder / f"segmentation_{frame:05d}.png"), cv2.IMREAD_UNCHANGED)
            distance = cv2.imread(str(folder / f"depth_{frame:05d}.tiff"), cv2.IMREAD_UNCHANGED)
            (depth,) = read_channels(rendered / f"depth/{stem}.exr", ["Z"])
            hit = np.isfinite(depth)
            v, u = np.nonzero(hit)
            focal = record["camera"]["focal"]
            rays = np.stack([(u + 0.5 - 32) / focal, (v + 0.5 - 24) / focal, np.ones(len(u))], -1)
            np.testing.assert_allclose(distance[hit], depth[hit] * np.linalg.norm(rays, axis=1), rtol=1e-6)
            assert (distance[~hit] > 1e9).all()
            for key, label in (("forward_flow", "flow"), ("backward_flow", "backward_flow")):
                steps = cv2.imread(str(folder / f"{key}_{frame:05d}.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
                low, high = ranges[key]["min"], ranges[key]["max"]
                flow = steps[..., :2] / 65535 * (high - low) + low  # rows before columns
                known = np.stack(read_channels(rendered / f"{label}/{stem}.exr", ["Y", "X"]), -1)
                np.testing.assert_allclose(flow, known, atol=(high - low) / 65535)
            for a in listed:
                number = order.index(a["twinset"]["instance"]) + 1
                entry, shown = metadata["instances"][number - 1], ids == number
                assert shown.sum() == a["area"] == entry["visibility"][frame]
                at = entry["bbox_frames"].index(frame)
                y0, x0, y1, x1 = np.multiply(entry["bboxes"][at], (48, 64, 48, 64))
                np.testing.assert_allclose([x0, y0, x1 - x0, y1 - y0], a["bbox"], atol=1e-6)
                row = next(r for r in record["instances"] if r["id"] == a["twinset"]["instance"])
                matrix = np.reshape(row["matrix"], (4, 4))
                np.testing.assert_allclose(entry["positions"][frame], matrix[:3, 3], atol=1e-8)
                w, *xyz = entry["quaternions"][frame]
                np.testing.assert_allclose(Rotation.from_quat([*xyz, w]).as_matrix(), matrix[:3, :3], atol=1e-7)
                corners = np.array(entry["bboxes_3d"][frame])
                local = (corners - matrix[:3, 3]) @ matrix[:3, :3]
                size = (0.4, 0.4, 0.45) if row["shape"] == "stool" else (0.3, 0.2, 0.25)
                np.testing.assert_allclose(np.ptp(local, axis=0), size, atol=1e-6)
                assert entry["asset_id"] == row["shape"] and entry["category"] == row["class"]
            camera = np.reshape(record["camera"]["matrix"], (4, 4))
            np.testing.assert_allclose(metadata["camera"]["positions"][frame], camera[:3, 3], atol=1e-8)


def test_quaternions_are_those_of_scipy():
    for rotation in [*Rotation.random(40, random_state=1), *Rotation.from_euler("xyz", np.eye(3) * np.pi)]:
        matrix = np.eye(4)
        matrix[:3, :3] = rotation.as_matrix() * 1.7  # scaled instances have a rotation, too
        w, x, y, z = quaternion(matrix)
        assert w >= 0
        np.testing.assert_allclose(Rotation.from_quat([x, y, z, w]).as_matrix(), rotation.as_matrix(), atol=1e-9)


@pytest.mark.parametrize("id", ["mot", "coco_vid", "kubric"])
def test_converting_gives_the_same_files(rendered, tmp_path, id):
    convert(open_dataset(rendered), find("writer", id)(), tmp_path / id)
    if id == "coco_vid":
        own = json.loads((rendered / "annotations/videos.json").read_text())
        made = json.loads((tmp_path / id / "annotations/videos.json").read_text())
        assert [made[key] for key in ("videos", "tracks")] == [own[key] for key in ("videos", "tracks")]
        return
    made = file_bytes(tmp_path / id)
    own = file_bytes(rendered / id)
    assert own and {name: data for name, data in made.items() if name in own} == own


def test_images_without_sequences_are_videos_of_one(tmp_path):
    made = finished_dataset(tmp_path, images=3, parts=True, rendered=True)
    videos = videos_of(made)
    assert [(v.name, v.part, v.fps, len(v.images)) for v in videos] == [
        ("000000", "train", 1.0, 1),
        ("000001", "val", 1.0, 1),
        ("000002", "train", 1.0, 1),
    ]
    assert track_of({"id": 4}) == 4 and track_of({"id": 4, "track_id": 9}) == 9
    files = FilesInMemory()
    find("writer", "mot")().write(attrs.evolve(made, listed=[{**a, "iscrowd": 1} for a in made.listed[:1]]), files)
    assert set(files.written) >= {"train/000000/gt/gt.txt", "val/000001/seqinfo.ini", "train/000002/img1/000001.png"}
    line = files.written["train/000000/gt/gt.txt"].decode().strip().split(",")
    assert line[0] == line[1] == "1" and line[6] == "0"  # a crowd does not count
