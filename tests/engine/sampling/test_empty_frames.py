# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames without annotated objects: how many there are, what they keep of the others, and what is written of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from real_boxes import write_square_boxes
from recipes import on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.errors import RecipeError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.sampling.schedule import EmptyFrames
from twinset.testing import scene


@given(st.integers(0, 2**31), st.floats(0.0, 0.95))
def test_every_run_has_its_share_and_each_kind_is_counted(seed, share):
    empty_frames = EmptyFrames(seed, share)
    made = [empty_frames(number) for number in range(10 * EmptyFrames.RUN)]
    for kind in (True, False):
        assert [number for is_empty, number in made if is_empty is kind] == list(
            range(sum(is_empty is kind for is_empty, _ in made))
        )
    runs = np.array([is_empty for is_empty, _ in made]).reshape(-1, EmptyFrames.RUN).sum(1)
    assert (np.abs(runs - EmptyFrames.RUN * share) < 1 + 1e-6).all()
    assert abs(runs.sum() - len(made) * share) < 1 + 1e-6


def recipe_with(folder, empty_share, *, is_targeted=False):
    write_square_boxes(folder / "real.json", (0.06, 0.07, 0.08, 0.1, 0.15, 0.2))
    text = recipe_text(
        seed=3,
        images=20,
        empty_share=empty_share,
        real="real.json",
        placements=[on_floor(1, 2, classes=["chair"])],
        cameras=[orbit(1.0, 2.5, weight=0.5), *([plugin_table("framed", candidates=16)] if is_targeted else [])],
        target="bbox_area_gmm" if is_targeted else None,
        metrics=["bbox", "occlusion", "depth"],
        size=(96, 72),
    )
    return loads_recipe(text, folder, "test")


def open_stage(recipe):
    return scene((recipe.output.width, recipe.output.height))


def sampler_of(recipe):
    return Sampler(recipe, open_stage(recipe), {"chair": read_coco(recipe.path("real.json")).boxes("chair")})


def test_the_other_frames_draw_the_goals_that_they_would_draw_alone(tmp_path):
    plain, mixed = (sampler_of(recipe_with(tmp_path, share, is_targeted=True)) for share in (0.0, 0.4))
    drawn = [mixed._assignment_of(index) for index in range(60)]
    assert {assignment.is_empty for assignment in drawn} == {True, False}
    shown = [assignment for assignment in drawn if not assignment.is_empty]
    alone = [plain._assignment_of(index) for index in range(len(shown))]
    assert shown == alone
    goals = [
        [sampler._goals(0, assignment, Block()).main for assignment in assignments]
        for sampler, assignments in ((mixed, shown), (plain, alone))
    ]
    assert goals[0] == goals[1] and len(set(goals[0])) > 10


def test_empty_frames_show_none_of_the_objects_and_are_images_without_annotations(tmp_path):
    out = tmp_path / "out"
    list(Job(recipe_with(tmp_path, 0.25), out, open_stage).run())
    coco = COCO(str(out / "annotations" / "instances.json"))
    empty = [id for id in coco.getImgIds() if not coco.getAnnIds(imgIds=[id])]
    assert len(coco.getImgIds()) == 20 and len(empty) == 5
    records = [json.loads(path.read_bytes()) for path in sorted((out / "frames").glob("*.json"))]
    without = [record for record in records if not record["instances"]]
    assert len(without) == 5 and all(record["verdict"] == "accepted" for record in without)


def test_an_empty_frame_is_the_view_of_an_attempt_without_its_objects(tmp_path):
    sampler = sampler_of(recipe_with(tmp_path, 0.5))
    made = [sampler.frame(index, Block()) for index in range(6)]
    assert {bool(frame.rows) for frame in made} == {True, False}
    for frame in made:
        shot = frame.shot
        if frame.rows:
            assert shot.labels.ids.any()
            continue
        assert shot.instances == () and not shot.labels.ids.any() and frame.goals.main is None
        filled = filled_view(sampler, frame)
        assert filled.ids.any()
        # Behind the objects is what they hid.
        assert (shot.labels.depth >= filled.depth - 1e-4).all()
        np.testing.assert_array_equal(shot.labels.depth[filled.ids == 0], filled.depth[filled.ids == 0])


def filled_view(sampler, frame):
    """The labels of the attempt that an empty frame was made from."""
    assignment, attempt = sampler._assignment_of(frame.index), frame.attempts - 1
    goals = sampler._goals(frame.index, assignment, Block(), attempt)
    sampler._trial.probe(3, frame.index, attempt, sampler._cameras[assignment.camera], goals)
    return sampler.stage.probe(1.0)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_out_of_range_is_refused(tmp_path, share):
    with pytest.raises(RecipeError, match="empty_share"):
        recipe_with(tmp_path, share)
