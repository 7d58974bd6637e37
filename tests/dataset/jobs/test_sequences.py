# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with sequences and rigs: frames share a layout, tracks persist, and flow and disparity agree between frames."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import attrs
import cv2
import numpy as np
import OpenEXR
import pytest
from real_boxes import write_square_boxes
from recipes import on_floor, orbit, recipe_text
from twinset.dataset.formats.dataset_folder import open_dataset
from twinset.dataset.jobs.configuration_probes import Prober
from twinset.dataset.jobs.drift import DriftTally, drift_sentence
from twinset.dataset.jobs.job import Job
from twinset.dataset.jobs.subset import SubsetChanges, write_subset
from twinset.engine.errors import RecipeError, StageError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.writing import dump_recipe
from twinset.engine.sampling.rooms import by_room
from twinset.engine.sampling.schedule import plan_of
from twinset.engine.stage import CameraPose
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.render_process import file_bytes

W, H = 64, 48
DEFAULT = {
    "depth": "exr",
    "flow": "exr",
    "backward_flow": "exr",
    "disparity": "exr",
    "masks": True,
    "format": "png",
}
TEXT = partial(
    recipe_text,
    seed=3,
    classes=[{"name": "chair", "builtin": "chair"}, {"name": "bag", "builtin": "bag"}],
    placements=[on_floor(3, 4)],
    cameras=[orbit(2.0, 2.6)],
    size=(W, H),
    output=DEFAULT,
)
GROUPS = """
[sequence]
length = 3
fps = 4.0
speed = [0.3, 0.4]
moving_share = 0.7
shake = 0.4

[[rig]]
name = "right"
position = [0.12, 0.0, 0.0]
"""


def boxes_stage(
    recipe, kind: type[BruteStage] = BruteStage, classes: tuple[str, ...] = ("chair", "bag"), **options
) -> BruteStage:
    assets = [
        asset("stool", "chair", box((0.4, 0.4, 0.45))),
        asset("high stool", "chair", box((0.35, 0.35, 0.7))),
        asset("crate", "bag", box((0.3, 0.2, 0.25))),
        asset("flat crate", "bag", box((0.4, 0.3, 0.1))),
    ]
    size = recipe.output.width, recipe.output.height
    assets = [each for each in assets if each.class_name in classes]
    return kind({"Floor": plane((8.0, 8.0))}, assets, resolution=size)


def recipe(folder: Path, groups: str = GROUPS, *, images: int = 12, block: int = 12, **values):
    text = TEXT(images=images, render={"block_size": block}, **values) + groups
    return loads_recipe(text, folder, "recipe.toml")


def records(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((out / "frames").glob("*.json"))]


def shapes(record: dict) -> list[tuple[int, str]]:
    return [(i["id"], i["shape"]) for i in record["instances"]]


def channels(path: Path) -> dict[str, np.ndarray]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for name, channel in file.channels().items()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences")
    list(Job(recipe(folder), folder / "out", boxes_stage).run())
    return folder / "out"


def camera_of(record: dict) -> CameraPose:
    matrix, entry = np.reshape(record["camera"]["matrix"], (4, 4)), record["camera"]
    return CameraPose(matrix, entry["lens"], W, H, entry["sensor_width"])


def test_frames_of_a_sequence_share_their_layout(rendered):
    found = records(rendered)
    assert len(found) == 12
    for start in (0, 6):
        first = found[start]
        for place, record in enumerate(found[start : start + 6]):
            role = record["draws"]["sequence"]
            assert (role["number"], role["step"], role["view"]) == (start // 6, place // 2, place % 2)
            assert role["time"] == role["step"] / 4.0 and role["camera"] == ("1", "right")[place % 2]
            assert shapes(record) == shapes(first)
            assert record["draws"]["appearance"] == first["draws"]["appearance"]
        left, right = (np.reshape(r["camera"]["matrix"], (4, 4)) for r in found[start : start + 2])
        np.testing.assert_allclose((np.linalg.inv(left) @ right)[:3, 3], (0.12, 0, 0), atol=1e-7)
        assert [i["matrix"] for i in found[start]["instances"]] == [i["matrix"] for i in found[start + 1]["instances"]]
        assert first["camera"]["matrix"] != found[start + 2]["camera"]["matrix"]
    assert any(a["matrix"] != b["matrix"] for a, b in zip(found[0]["instances"], found[4]["instances"], strict=True))


def test_tracks_persist_in_annotations(rendered):
    coco = json.loads((rendered / "annotations/instances.json").read_text())
    shown = {image["id"]: image["twinset"] for image in coco["images"]}
    tracks: dict[int, set] = {}
    for a in coco["annotations"]:
        role = shown[a["image_id"]]
        assert a["track_id"] == role["sequence"] * 10_000 + a["twinset"]["instance"]
        tracks.setdefault(a["track_id"], set()).add((role["sequence"], a["twinset"]["shape"], a["category_id"]))
    assert all(len(known) == 1 for known in tracks.values())
    assert max(len([a for a in coco["annotations"] if a["track_id"] == track]) for track in tracks) == 6


def test_flow_leads_each_pixel_to_the_same_surface_of_the_next_frame(rendered):
    found = records(rendered)
    compared = 0
    for frame, other, name in [
        (0, 2, "flow"),
        (2, 4, "flow"),
        (7, 9, "flow"),
        (4, 2, "backward_flow"),
        (9, 7, "backward_flow"),
    ]:
        here, there = found[frame], found[other]
        flow = channels(rendered / f"{name}/{frame:06d}.exr")
        depth, next_depth = (channels(rendered / f"depth/{k:06d}.exr")["Z"] for k in (frame, other))
        ids, next_ids = (cv2.imread(str(rendered / f"masks/{k:06d}.png"), cv2.IMREAD_UNCHANGED) for k in (frame, other))
        now, then = camera_of(here), camera_of(there)
        matrices = [{i["id"]: np.reshape(i["matrix"], (4, 4)) for i in r["instances"]} for r in (here, there)]
        for row in range(1, H - 1, 2):
            for column in range(1, W - 1, 2):
                if not np.isfinite(depth[row, column]):
                    continue
                ray = now.rays(np.array(column + 0.5), np.array(row + 0.5)) * float(depth[row, column])
                point = now.matrix[:3, :3] @ ray + now.matrix[:3, 3]
                id = int(ids[row, column])
                if id:
                    move = matrices[1][id] @ np.linalg.inv(matrices[0][id])
                    point = move[:3, :3] @ point + move[:3, 3]
                pixel, distance = then.project(point)
                x, y = column + 0.5 + flow["X"][row, column], row + 0.5 + flow["Y"][row, column]
                np.testing.assert_allclose((x, y), pixel, atol=2e-3)
                u, v = int(x), int(y)
                if 0 < x < W - 1 and 0 < y < H - 1 and next_ids[v, u] == id:
                    around = next_depth[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2]
                    if around.min() - 0.02 <= distance <= around.max() + 0.02:
                        compared += 1
    assert compared > 800


def test_disparity_is_focal_length_times_baseline_by_depth(rendered):
    compared = occluded = 0
    for frame in (0, 2, 6, 10):
        record = records(rendered)[frame]
        depth, right = (channels(rendered / f"depth/{k:06d}.exr")["Z"] for k in (frame, frame + 1))
        left_map, right_map = (channels(rendered / f"disparity/{k:06d}.exr")["D"] for k in (frame, frame + 1))
        hit = np.isfinite(depth)
        expected = record["camera"]["focal"] * 0.12 / depth[hit]
        np.testing.assert_allclose(left_map[hit], expected, atol=1e-3)
        np.testing.assert_allclose(
            right_map[np.isfinite(right)], record["camera"]["focal"] * 0.12 / right[np.isfinite(right)], atol=1e-3
        )
        for row, column in zip(*np.nonzero(hit), strict=True):  # the other picture shows the same surface there
            there = column + 0.5 - left_map[row, column]
            if there < 0.5 or there > W - 0.5:
                continue
            u = there - 0.5
            low = int(np.floor(u))
            pair = right_map[row, low : low + 2]
            if len(pair) == 2 and np.isfinite(right[row, low : low + 2]).all() and np.ptp(pair) < 0.2:
                value = pair[0] + (u - low) * (pair[1] - pair[0])
                occluded += abs(value - left_map[row, column]) > 0.1
                compared += 1
    assert compared > 4000 and occluded < 0.1 * compared


def test_a_frame_is_the_same_in_any_order_and_after_interruption(rendered, tmp_path):
    folder = tmp_path
    groups = recipe(rendered.parent)
    job = Job(groups, folder / "again", boxes_stage)
    list(job.run(range(3)))  # as if it had been killed in the middle of a sequence
    list(Job(groups, folder / "again", boxes_stage).run())
    for kind in ("images", "depth", "flow", "disparity", "masks", "frames"):
        assert file_bytes(folder / "again" / kind) == file_bytes(rendered / kind), kind
    (folder / "again/images/000009.png").unlink()
    list(Job(groups, folder / "again", boxes_stage).run())
    assert file_bytes(folder / "again/images") == file_bytes(rendered / "images")
    assert [Job(groups, folder / "again", boxes_stage).verify(frame) for frame in (0, 3, 11)] == ["", "", ""]


def test_later_frames_repeat_the_layout_that_met_the_goals_of_the_first(tmp_path):
    write_square_boxes(tmp_path / "real.json", np.linspace(0.02, 0.09, 12))
    groups = "\n[sequence]\nlength = 2\nspeed = [0.1, 0.1]\n"
    values = {
        "real": "real.json",
        "target": "bbox_area_gmm",
        "cameras": [{"plugin": "framed"}],
        "output": {"format": "png"},
    }
    own = recipe(tmp_path, groups, images=6, block=6, classes=[{"name": "chair", "builtin": "chair"}], **values)
    stage = partial(boxes_stage, classes=("chair",))
    list(Job(own, tmp_path / "out", stage).run())
    found = records(tmp_path / "out")
    assert [r["verdict"] for r in found] == ["accepted"] * 6
    for first, later in zip(found[::2], found[1::2], strict=True):
        assert first["goals"] and not later["goals"]
        assert [i["matrix"] for i in first["instances"]] == [i["matrix"] for i in later["instances"]]
        main = next(i for i in first["instances"] if i["main"])
        assert main["bbox"][2] * main["bbox"][3] / (W * H) == pytest.approx(first["goals"]["area"], rel=0.15)
    # Made again without what came before on the stage.
    assert Job(own, tmp_path / "out", stage).verify(5) == ""


def test_blocks_apart_give_the_frames_of_one_job(tmp_path):
    groups = recipe(tmp_path, "\n[sequence]\nlength = 2\n", images=8, block=4, output={"format": "png"})
    list(Job(groups, tmp_path / "whole", boxes_stage).run())
    list(Job(groups, tmp_path / "parts", boxes_stage).run(range(4, 8)))
    list(Job(groups, tmp_path / "parts", boxes_stage).run(range(4)))
    Job(groups, tmp_path / "parts", boxes_stage).finish()
    for kind in ("images", "frames"):
        assert file_bytes(tmp_path / "parts" / kind) == file_bytes(tmp_path / "whole" / kind), kind


def test_images_and_blocks_are_whole_sequences(tmp_path):
    with pytest.raises(
        RecipeError, match=r"images .*A sequence is 6 frames, of 3 moments and 2 cameras\..*as 12\. Got 13"
    ):
        recipe(tmp_path, images=13)
    with pytest.raises(RecipeError, match=r"\[render\] block_size .*whole sequences of 6.*to 12\. Got 10\."):
        recipe(tmp_path, block=10)
    with pytest.raises(RecipeError, match="Two cameras of the rig have the same name"):
        recipe(tmp_path, GROUPS + '\n[[rig]]\nname = "right"\n', images=9, block=9)
    own = recipe(tmp_path)
    assert loads_recipe(dump_recipe(own), tmp_path, "again") == own


def test_a_sequence_without_a_layout_is_given_up_whole(tmp_path):
    class Closed(BruteStage):
        """Cameras are free for the layouts of the second sequence only."""

        frames = 0

        def clear(self):
            Closed.frames += 1
            super().clear()

        def clearance(self, points, **options):
            far = super().clearance(points, **options)
            return far if Closed.frames > 3 else np.zeros_like(far)

    def stage(recipe, **options):
        return boxes_stage(recipe, kind=Closed)

    groups = GROUPS.replace("length = 3", "length = 2")
    own = recipe(tmp_path, groups, images=8, block=8)
    own = attrs.evolve(own, render=attrs.evolve(own.render, max_attempts=2))
    list(Job(own, tmp_path / "out", stage).run())
    found = records(tmp_path / "out")
    assert [r["verdict"] for r in found[:4]] == ["given up"] * 4
    assert found[1]["rejected"] == ["sequence: no layout for its first frame"]
    assert "camera: no free" in found[0]["rejected"][0]
    assert [r["verdict"] for r in found[4:]] == ["accepted"] * 4


def test_no_sequence_at_all_is_an_error_with_the_first_reason(tmp_path):
    class Closed(BruteStage):
        def clearance(self, points, **options):
            return np.zeros(len(points))

    def stage(recipe, **options):
        return boxes_stage(recipe, kind=Closed)

    with pytest.raises(StageError, match="failed 20 attempts: camera: no free"):
        list(Job(recipe(tmp_path, images=12), tmp_path / "out", stage).run())


def test_parts_rooms_and_empty_frames_have_whole_sequences(tmp_path):
    groups = "\n[sequence]\nlength = 2\nmoving_share = 1.0\n"
    own = recipe(tmp_path, groups, images=16, block=4, split={"val": 0.5}, empty_share=0.5, output={"format": "png"})
    plan = plan_of(own)
    assert all(plan(frame).part == plan(frame + 1).part for frame in range(0, 16, 2))
    assert [sum(plan(frame).part == part for frame in range(16)) for part in (0, 1)] == [8, 8]
    assert plan(0).number == plan(1).number == 0 and max(plan(frame).number for frame in range(16)) == 3
    list(Job(own, tmp_path / "out", boxes_stage).run())
    found = records(tmp_path / "out")
    parts = json.loads((tmp_path / "out/stage.json").read_text())["parts"]
    empty = 0
    for start in range(0, 16, 2):
        group = found[start : start + 2]
        assert len({r["draws"]["part"] for r in group}) == 1
        kinds = {bool(r["instances"]) for r in group}
        assert len(kinds) == 1
        empty += kinds == {False}
        for record in group:
            assert {i["shape"] for i in record["instances"]} <= set(parts[record["draws"]["part"]])
    assert 2 <= empty <= 6
    text = TEXT(images=24, render={"block_size": 6})
    listed = '\n[[room]]\nbuiltin = "hall"\n\n[[room]]\nname = "b"\nbuiltin = "hall"\n'
    rooms = loads_recipe(text.replace('[scene]\nbuiltin = "hall"\n', "") + listed + GROUPS, tmp_path, "rooms")
    plan, order = plan_of(rooms), sorted(range(24), key=by_room(rooms))
    assert all(len({plan(frame).room for frame in range(start, start + 6)}) == 1 for start in range(0, 24, 6))
    assert order[:6] == list(range(6)) and {plan(frame).room for frame in range(24)} == {0, 1}


def test_configurations_are_probed_with_a_layout_per_frame(tmp_path):
    probes = Prober(recipe(tmp_path), boxes_stage, {})
    for _ in probes.fresh(probes.recipe, "chair", 5, images=True):
        pass
    result = probes.results[-1]
    assert result.frames == result.accepted and len(set(result.columns["image_id"])) >= 5


def test_drift_is_measured_against_the_first_frame(rendered):
    tally = DriftTally()
    for record in records(rendered):
        tally.add(record)
    drift = tally.summary()
    summary = json.loads((rendered / "summary.json").read_text())["funnel"]["drift"]
    assert summary == pytest.approx(drift, rel=1e-6)
    first = {"id": 1, "bbox": [40, 30, 10, 10], "annotated": True}
    role = {"number": 0, "view": 0}
    image = {"width": 100, "height": 80}
    tally = DriftTally()
    for step, box_ in enumerate(([40, 30, 10, 10], [46, 38, 10, 20], None)):
        rows = [first | {"bbox": box_, "annotated": bool(box_)}]
        tally.add(
            {"verdict": "accepted", "draws": {"sequence": role | {"step": step}}, "image": image, "instances": rows}
        )
    moved = float(np.hypot(0.06, 13 / 80))
    assert tally.summary() == pytest.approx({"area_factor": 2.0, "shift": moved, "lost_share": 0.5})
    assert "17.3% of the image away" in drift_sentence(tally.summary()) and "factor of 2.00" in drift_sentence(
        tally.summary()
    )
    assert DriftTally().summary() == {} and drift_sentence({}) == ""


def test_subsets_keep_tracks(rendered, tmp_path):
    found = open_dataset(rendered)
    write_subset(found.coco, found.images, tmp_path / "sub", SubsetChanges(without=frozenset([2])), {})
    own = {(a["image_id"], a["track_id"]) for a in found.coco.annotations if a["image_id"] != 2}
    kept = json.loads((tmp_path / "sub/annotations/instances.json").read_text())
    names = {i["id"]: i["file_name"] for i in found.coco.images}
    left = {i["id"]: i["file_name"] for i in kept["images"]}
    assert {(left[a["image_id"]], a["track_id"]) for a in kept["annotations"]} == {(names[i], t) for i, t in own}


def test_recipes_without_groups_have_records_as_before(tmp_path):
    own = recipe(tmp_path, "", images=2, block=2)
    list(Job(own, tmp_path / "out", boxes_stage).run())
    assert all("sequence" not in r["draws"] for r in records(tmp_path / "out"))
    coco = json.loads((tmp_path / "out/annotations/instances.json").read_text())
    assert not any("track_id" in a for a in coco["annotations"])
    assert not any({"sequence", "step", "view"} & i["twinset"].keys() for i in coco["images"])
    assert not channels(tmp_path / "out/disparity/000000.exr")["D"].any()
    assert "drift" not in json.loads((tmp_path / "out/summary.json").read_text())["funnel"]
