# SPDX-License-Identifier: GPL-3.0-or-later
"""What previews promise comes true: the same frames as a render, distances as defined, a server that never hangs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("bpy")

from real_boxes import write_square_boxes
from recipes import ONE_SAMPLE, on_floor, plugin_table, recipe_text
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import Job
from twinset.dataset.jobs.preview import Preview
from twinset.engine.errors import StageError
from twinset.engine.geometry.reachability import survey_reach
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling import kept_surveys
from twinset.engine.sampling.sampler import Sampler
from twinset.headless.commands.generate.preview import LOOK
from twinset.testing.fixtures.render_process import RenderProcess, events, rendered

RECIPE = recipe_text(
    seed=3,
    images=4,
    real="preview_real.json",
    scene="small.blend",
    placements=[on_floor(1, 3)],
    cameras=[plugin_table("framed", candidates=16)],
    target="bbox_area_gmm",
    render={**ONE_SAMPLE, "max_attempts": 4},
    size=(96, 72),
)
REAL = (0.06, 0.07, 0.08, 0.1, 0.15, 0.2)
INSTANCE = ("id", "class", "shape", "main", "bbox", "area", "annotated", "reason", "matrix", "segmentation")


@pytest.fixture(scope="module")
def place(rooms):
    write_square_boxes(rooms / "preview_real.json", REAL)
    (rooms / "preview.toml").write_text(RECIPE)
    return rooms


def plain(values):
    """As JSON has it, floats rounded as records are."""
    from twinset.dataset.atomic_files import json_bytes

    return json.loads(json_bytes(values))


def test_samples_are_the_frames_that_a_render_gives(place, tmp_path):
    recipe = loads_recipe(RECIPE, place, "test")
    preview = Preview(open_stage)
    assert [step.message for step in preview.change(recipe)] == ["Opening the scene", "Surveying the scene"]
    told = [plain(preview.detail(i)) for i in (2, 0, 3)]
    list(Job(recipe, tmp_path / "out", open_stage).run())
    for record in told:
        rendered = json.loads((tmp_path / "out/frames" / f"{[2, 0, 3][told.index(record)]:06d}.json").read_text())
        for key in ("attempts", "rejected", "goals", "camera", "draws", "image", "bystanders"):
            assert record[key] == rendered[key], key
        shared = [{k: i.get(k) for k in (*INSTANCE, "visible_share")} for i in rendered["instances"]]
        assert [{k: i.get(k) for k in (*INSTANCE, "visible_share")} for i in record["instances"]] == shared


def test_what_is_on_the_stage_is_not_sampled_again(place, monkeypatch):
    preview = Preview(open_stage)
    list(preview.change(loads_recipe(RECIPE, place, "test")))
    sampled = []
    frame = Sampler.frame

    def counted(self, index, *arguments, **how):
        sampled.append(index)
        return frame(self, index, *arguments, **how)

    monkeypatch.setattr(Sampler, "frame", counted)
    attempts = preview.record(0)["attempts"]
    own = plain(preview.detail(0))
    assert sampled == [0] * attempts
    preview.record(1)
    preview.picture(0)
    again = Preview(open_stage)
    list(again.change(loads_recipe(RECIPE, place, "test")))
    again.record(0)
    again.record(1)
    assert plain(again.detail(0)) == own


def test_only_what_is_new_is_done_again(place, monkeypatch):
    opened, surveys = [], []

    def surveying(*arguments, **how):
        surveys.append(arguments)
        return survey_reach(*arguments, **how)

    monkeypatch.setattr(kept_surveys, "survey_reach", surveying)

    def opening(recipe):
        opened.append(recipe)
        return open_stage(recipe)

    preview = Preview(opening)

    def steps(text, **how):
        return [s.message for s in preview.change(loads_recipe(text, place, "test"), **how)]

    assert steps(RECIPE) == ["Opening the scene", "Surveying the scene"]
    first = plain(preview.record(1))
    assert steps(RECIPE) == []
    assert steps(RECIPE.replace("count = [1, 3]", "count = [3, 3]")) == ["Surveying the scene"]
    assert len(preview.record(1)["instances"]) == 3
    assert steps(RECIPE) == ["Surveying the scene"]
    assert len(surveys) == 2, "the survey was made again"
    assert plain(preview.record(1)) == first
    assert steps(RECIPE.replace("width = 96", "width = 120"))[0] == "Opening the scene"
    assert steps(RECIPE.replace("width = 96", "width = 120"), reopen=True)[0] == "Opening the scene"
    assert len(opened) == 3


def test_a_scene_that_will_not_do_can_be_put_right(place):
    preview = Preview(open_stage)
    with pytest.raises(StageError):
        list(preview.change(loads_recipe(RECIPE.replace('"Floor"', '"Flor"'), place, "test")))
    list(preview.change(loads_recipe(RECIPE, place, "test")))
    assert preview.record(0)["attempts"] >= 1


def test_rejected_attempts_are_told_with_what_stood_there(place):
    text = RECIPE + '[[filter]]\nplugin = "min_pixels"\npixels = 200\naction = "reject frame"\n'
    preview = Preview(open_stage)
    list(preview.change(loads_recipe(text, place, "test")))
    records = [preview.record(i) for i in range(3)]
    tried = [t for r in records for t in r["tried"]]
    assert tried, "small boxes do not hold 200 pixels of a stool"
    assert all([t["reason"] for t in r["tried"]] == r["rejected"] for r in records)
    assert all(i["class"] == "chair" and len(i["matrix"]) == 16 for t in tried for i in t["instances"])
    gap = preview.gap(range(3))
    assert sum(gap["rejected"].values()) == len(tried)
    assert gap["given_up"] == sum(r["image"] is None for r in records)


def test_the_gap_is_the_distance_of_the_boxes_that_would_come(place):
    preview = Preview(open_stage)
    list(preview.change(loads_recipe(RECIPE, place, "test")))
    records = [preview.record(i) for i in range(4)]
    boxes = [i["bbox"] for r in records if r["image"] for i in r["instances"] if i["annotated"]]
    gap = preview.gap(range(4))
    found = gap["classes"]["chair"]
    sizes = np.sqrt([b[2] * b[3] / (96 * 72) for b in boxes])
    p = np.bincount((np.sqrt(REAL) * 20).astype(int), minlength=20) / len(REAL)
    q = np.bincount((sizes * 20).astype(int), minlength=20) / len(sizes)
    assert (found["n_real"], found["n_synth"], gap["frames"]) == (len(REAL), len(boxes), 4)
    column = found["columns"]["sqrt_area"]
    np.testing.assert_allclose(column["real"], p)
    np.testing.assert_allclose(column["synth"], q)
    assert column["distance"] == pytest.approx(-math.log(np.sqrt(p * q).sum()))
    assert column["floor"] > 0


class Served:
    """The server in a process of its own."""

    def __init__(self, place, folder):
        command = [sys.executable, "-m", "twinset.headless", "preview", place / "preview.toml", "--serve", folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def answer(self, id):
        """All lines about one request."""
        lines = []
        while not lines or lines[-1]["event"] not in ("answered", "superseded", "failed"):
            line = json.loads(self.process.stdout.readline())
            if line["id"] == id:
                lines.append(line)
        return lines


def test_the_server_answers_takes_recipes_and_ends_with_its_input(place, tmp_path):
    import bpy

    served = Served(place, tmp_path / "files")
    try:
        served.ask(id=1, frames=[0, 2])
        lines = served.answer(1)
        assert [x["done"] for x in lines if x["event"] == "gap"] == [1, 2, 3]
        served.ask(id=2, frame=1)
        *_, sample, last = served.answer(2)
        assert (sample["event"], last["event"]) == ("sample", "answered")
        shape = sample["record"]["instances"][0]["shape"]
        asset = sample["assets"][shape]
        with bpy.data.libraries.load(asset["file"]) as (there, _):
            assert asset["collection"] in there.collections and len(there.meshes) == 1
        for wrong in ({"frame": "x"}, {"frame": -1}, {"picture": None}, {"frames": [0]}, {"frames": 3}, {"recipe": 3}):
            served.ask(id="wrong", **wrong)
            assert served.answer("wrong")[-1]["problems"][0].startswith(f"'{next(iter(wrong))}' of a request must be")
        served.ask(id=3, recipe=RECIPE.replace("count = [1, 3]", "count = [9, 1]"))
        failed = served.answer(3)[-1]
        assert failed["event"] == "failed" and "count" in failed["problems"][0]
        served.ask(id=4, recipe=RECIPE, frames=[0, 500])
        served.ask(id=5, picture=0)
        assert served.answer(4)[-1]["event"] == "superseded"
        picture = served.answer(5)[-2]
        image = bpy.data.images.load(picture["file"])
        assert tuple(image.size) == (96, 72)
        bpy.data.images.remove(image)
        served.ask(id=6, frames=[0, 500])
        served.process.stdin.close()
        rest = [json.loads(line) for line in served.process.stdout]
        assert served.process.wait() == 0 and not any(x["id"] == 6 and x["event"] == "answered" for x in rest)
    finally:
        served.process.kill()
        served.process.wait()


def test_the_server_prepares_the_next_sample_and_no_other_recipes(place, tmp_path):
    """The sample after the one that was asked for is the same, prepared or not, and only for the recipe in use."""
    served = Served(place, tmp_path / "files")
    try:
        other = RECIPE.replace("count = [1, 3]", "count = [3, 3]")
        served.ask(id=1, frame=0)
        served.answer(1)
        time.sleep(3 * LOOK)
        served.ask(id=2, frame=1)
        ahead = served.answer(2)[-2]
        served.ask(id=3, frame=3)
        served.answer(3)
        served.ask(id=4, frame=1)
        alone = served.answer(4)[-2]
        served.ask(id=5, frame=0)
        served.answer(5)
        time.sleep(3 * LOOK)
        served.ask(id=6, recipe=other, frame=1)
        changed = served.answer(6)[-2]
        assert {**ahead, "id": 0} == {**alone, "id": 0}
        assert len(changed["record"]["instances"]) + len(changed["record"].get("bystanders", ())) == 3
    finally:
        served.process.kill()
        served.process.wait()


def test_a_tied_render_ends_with_its_input_and_goes_on_later(place, tmp_path):
    recipe, out = place / "preview.toml", tmp_path / "out"
    with RenderProcess(recipe, out, "--stop-on-eof", "--images", 500, keep_input_open=True) as running:
        running.wait_for_frame()
        running.close_input()
        *_, last = running.events()
        assert running.wait() == 130 and last["event"] == "stopped"
    frames = len(list((out / "frames").glob("*.json")))
    assert frames >= 1
    assert events(rendered(recipe, out, "--images", frames).stdout)[-1]["images"] == frames
