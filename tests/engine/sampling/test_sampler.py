# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame loop: order does not matter, verdicts come before renders, nothing piles up in Blender."""

from __future__ import annotations

import json

import attrs
import numpy as np
import pytest

pytest.importorskip("bpy")

import bpy
from real_boxes import write_square_boxes
from recipes import ONE_SAMPLE, on_floor, orbit, plugin_table, recipe_text
from twinset.blender.stage import open_stage
from twinset.dataset.formats.coco import read_coco
from twinset.engine.block import Block
from twinset.engine.errors import PluginError, StageError, UnreachableError
from twinset.engine.plugin import Columns, Filter, Rejected, Verdict, plugin, registry
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import PluginUse
from twinset.engine.sampling.sampler import Sampler

RECIPE = recipe_text(
    seed=5,
    real="sampler_real.json",
    scene="small.blend",
    distractors=[{"objects": ["Screen"]}],
    placements=[on_floor(2, 3), on_floor(1, 1, distractors=True)],
    appearances=["world", plugin_table("lights", extra_range=[0, 2])],
    cameras=[plugin_table("framed", candidates=16), orbit(1.0, 2.5, weight=0.5)],
    target="bbox_area_gmm",
    render={**ONE_SAMPLE, "max_attempts": 6},
    size=(96, 72),
)
REAL = (0.06, 0.07, 0.08, 0.1, 0.15, 0.2)


@pytest.fixture(scope="module")
def recipe(rooms):
    write_square_boxes(rooms / "sampler_real.json", REAL)
    return loads_recipe(RECIPE, rooms, "test")


# The sampler whose scene is open. Blender holds one scene: whoever opens another closes this one.
OPEN = []


def make(recipe):
    OPEN.clear()
    real = read_coco(recipe.path("sampler_real.json"))
    return Sampler(recipe, open_stage(recipe), {"chair": real.boxes("chair")})


@pytest.fixture
def sampler(recipe):
    """The recipe's sampler, made again where a test has opened another scene."""
    if not OPEN:
        made = make(recipe)
        OPEN.append(made)
    return OPEN[0]


def with_plugins(sampler, monkeypatch, **lists):
    """The sampler with other plugins than its recipe's, for one test."""
    for name, plugins in lists.items():
        monkeypatch.setattr(sampler._trial, name, plugins)


def facts(frame):
    """A frame as plain values."""
    shot = frame.shot
    labels = () if shot is None else (shot.labels.ids.tobytes(), shot.labels.depth.tobytes(), shot.image.tobytes())
    return (frame.attempts, frame.rejected, frame.camera, attrs.astuple(frame.goals), json.dumps(frame.rows), labels)


def showing(*areas):
    """A block that has shown chairs of these relative areas."""
    block = Block()
    block.add([("chair", (0, 0, 100 * area, 100)) for area in areas], (100, 100))
    return block


def test_a_frame_does_not_depend_on_those_before(sampler):
    block = showing(0.05, 0.2)
    forward = {i: facts(sampler.frame(i, block, render=False)) for i in (2, 3, 7)}
    backward = {i: facts(sampler.frame(i, block, render=False)) for i in (7, 3, 2)}
    assert forward == backward
    assert len({f[-1] for f in forward.values()}) == 3


def test_what_the_block_has_shown_does_matter(sampler):
    filled = [sampler.frame(2, block, render=False).goals.open_area for block in (Block(), showing(*[0.07] * 30))]
    assert filled[0] != filled[1]


def test_one_attempt_alone_is_that_attempt(sampler, monkeypatch):
    class Whimsical:
        def place(self, stage, goals, rng):
            if rng.random() < 0.6:
                raise Rejected("placement: no")

    with_plugins(sampler, monkeypatch, placements=[*sampler._trial.placements, ("whim", Whimsical())])
    frame = next(f for f in (sampler.frame(i, Block(), render=False) for i in range(60)) if f.attempts > 2 and f.shot)
    again = sampler.frame(frame.index, Block(), attempts=range(frame.attempts - 1, frame.attempts), render=False)
    assert again.shot is not None and again.rejected == ()
    np.testing.assert_array_equal(again.shot.labels.ids, frame.shot.labels.ids)


def test_other_goals_after_failed_attempts_are_those_of_a_replay(sampler, recipe, monkeypatch):
    target = registry.find("target", "layout_gmm")(attempts_per_layout=2)
    plugins = {**recipe.plugins, "target": (PluginUse("target", "layout_gmm", target),)}
    other = attrs.evolve(recipe, plugins={**plugins, "camera": recipe.plugins["camera"][:1]})
    real = read_coco(recipe.path("sampler_real.json")).boxes("chair")
    sampler = Sampler(other, sampler.stage, {"chair": real}, surveys=sampler._surveys)
    asked = []

    class Whimsical:
        def place(self, stage, goals, rng):
            asked.append(goals.boxes)
            if len(asked) < 5:
                raise Rejected("placement: no")

    with_plugins(sampler, monkeypatch, placements=[*sampler._trial.placements, ("whim", Whimsical())])
    frame = sampler.frame(3, showing(0.1), render=False)
    assert frame.attempts >= 5 and frame.goals.boxes == asked[-1]
    assert asked[0] == asked[1] and asked[2] == asked[3] and len(set(asked)) == (len(asked) + 1) // 2
    again = sampler.frame(3, showing(0.1), attempts=range(frame.attempts - 1, frame.attempts), render=False)
    assert again.goals == frame.goals


def test_cameras_share_the_frames_by_weight_and_goals_go_to_those_that_aim(sampler):
    turns = [sampler._schedule(i) for i in range(300)]
    cameras = [sampler._cameras[turn.camera].id for turn in turns]
    assert abs(cameras.count("framed") - 200) <= 2
    goals = [sampler._goals(i, turns[i], Block()) for i in range(60)]
    assert [g.main is not None for g in goals] == [c == "framed" for c in cameras[:60]]
    # No goal of the target is skipped for a frame whose camera takes none.
    aimed = [g.main for g in goals if g.main is not None]
    assert aimed == [sampler.target.draw(k, Block()).main for k in range(len(aimed))]
    assert [g.frame for g in goals] == list(range(60))


def test_nothing_piles_up_in_blender(sampler):
    """Thirty frames after a warm-up leave as many datablocks of each kind as before."""
    kinds = ("objects", "meshes", "collections", "images", "worlds", "lights", "cameras", "materials", "scenes")
    kinds += ("node_groups", "texts", "textures")

    def counts():
        return {kind: len(getattr(bpy.data, kind)) for kind in kinds}

    for i in range(30):
        sampler.frame(i, Block(), render=False)
    before = counts()
    for i in range(30):
        sampler.frame(i, Block(), render=False)
    assert counts() == before
    # Other frames need at most as many copies of an asset as a frame can hold.
    for i in range(30, 50):
        sampler.frame(i, Block(), render=False)
    after = counts()
    grown = {kind: after[kind] - before[kind] for kind in kinds if after[kind] != before[kind]}
    assert set(grown) <= {"objects", "collections", "lights"} and max(grown.values(), default=0) <= 9, grown


def test_the_stage_is_as_before_after_clear(sampler):
    """A cleared stage shows none of the frame's instances, lights or ids."""
    stage = sampler.stage
    frame = next(f for f in (sampler.frame(i, Block(), render=False) for i in range(5)) if f.shot)
    assert (frame.shot.labels.ids > 0).any()
    stage.clear()
    assert stage.instances == ()
    stage.pose_camera(frame.shot.camera)
    assert not stage.probe(1.0).ids.any()


class Late(Filter):
    """A filter that needs the picture and refuses it."""

    def judge(self, shot, rows):
        return Verdict(shot.image.size == 0, "too dull")


class Early(Filter):
    """A filter that is content with ids."""

    judges_probes = True

    def __init__(self, verdict):
        self.verdict = verdict

    def judge(self, shot, rows):
        return self.verdict


def test_rejections_say_when_they_came(sampler, monkeypatch):
    renders = []
    shoot = sampler.stage.shoot
    monkeypatch.setattr(sampler.stage, "shoot", lambda seed=0: renders.append(seed) or shoot(seed))
    with_plugins(sampler, monkeypatch, filters=[Early(Verdict(False, "not now"))])
    frame = sampler.frame(2, Block())
    assert frame.shot is None and set(frame.rejected) == {"probe: not now"} and not renders
    with_plugins(sampler, monkeypatch, filters=[Late()])
    frame = sampler.frame(2, Block())
    late = [r for r in frame.rejected if r == "render: too dull"]
    assert frame.shot is None and len(late) == len(renders) >= 1
    with_plugins(sampler, monkeypatch, filters=[Early(Verdict(True, "away", frozenset(range(1, 20))))])
    assert set(sampler.frame(2, Block()).rejected) == {"probe: nothing to annotate in view"}


def test_rejecting_plugins_cost_an_attempt_each(sampler, monkeypatch):
    class Moody:
        calls = 0

        def place(self, stage, goals, rng):
            self.calls += 1
            if self.calls < 3:
                raise Rejected("placement: moody")

    with_plugins(sampler, monkeypatch, placements=[*sampler._trial.placements, ("moody", Moody())])
    frame = sampler.frame(2, Block(), render=False)
    assert frame.rejected[:2] == ("placement: moody",) * 2 and frame.attempts == len(frame.rejected) + 1


def test_measures_join_their_instances(sampler, monkeypatch):
    class Count:
        def measure(self, shot):
            return Columns(image={"n": len(shot.instances)}, bbox={"id_again": [i.id for i in shot.instances]})

    with_plugins(sampler, monkeypatch, metrics=[("count", Count())])
    frame = sampler.frame(2, Block())
    assert frame.columns == {"n": len(frame.rows)} and len(frame.rows) >= 1
    assert all(row["columns"]["id_again"] == row["id"] for row in frame.rows)
    # The distractor is in the record of the frame, and in no row.
    assert {i.asset.class_name for i in frame.bystanders} == {""}
    assert {i.id for i in frame.bystanders}.isdisjoint(row["id"] for row in frame.rows)


def test_too_little_visible_is_not_annotated_whatever_is_measured(sampler, monkeypatch):
    output = attrs.evolve(sampler.recipe.output, min_visible_share=0.95)
    monkeypatch.setattr(sampler._trial, "recipe", attrs.evolve(sampler.recipe, output=output))
    with_plugins(sampler, monkeypatch, metrics=[])
    dropped = kept = 0
    for i in range(12):
        frame = sampler.frame(i, Block())
        for row in frame.rows:
            alone = frame.shot.amodal.get(row["id"])
            if row["area"] < 50 or alone is None:
                assert not row["annotated"]
                continue
            share = row["area"] / alone.pixels
            assert row["annotated"] == (share >= 0.95), (share, row)
            assert row["annotated"] or row["reason"] == "visible share too low"
            kept += row["annotated"]
            dropped += not row["annotated"]
    assert kept and dropped


@plugin("placement", id="clumsy")
class ClumsyPlacement:
    """Breaks."""

    def place(self, stage, goals, rng):
        return {}["shelf"]


@plugin("metric", id="clumsy")
class ClumsyMetric:
    """Gives too few values."""

    def measure(self, shot):
        return Columns(bbox={"half": [0.5] * (len(shot.instances) - 1)})


def test_a_plugin_that_breaks_is_named_with_the_line_that_broke(sampler, monkeypatch):
    with_plugins(sampler, monkeypatch, placements=[("clumsy", ClumsyPlacement())])
    with pytest.raises(
        PluginError, match=r"placement plugin 'clumsy' failed with KeyError: 'shelf' .*test_sampler\.py"
    ):
        sampler.frame(0, Block(), render=False)
    monkeypatch.undo()
    with_plugins(sampler, monkeypatch, metrics=[("clumsy", ClumsyMetric())])
    with pytest.raises(PluginError, match=r"metric plugin 'clumsy' failed .* values of 'half' for \d instances"):
        sampler.frame(0, Block())


def test_a_measure_that_no_record_can_hold_is_refused_by_name(sampler, monkeypatch):
    @plugin("metric", id="odd")
    class Odd:
        """Gives a set."""

        def measure(self, shot):
            return Columns(image={"colours": {1, 2}})

    with_plugins(sampler, monkeypatch, metrics=[("odd", Odd())])
    with pytest.raises(PluginError, match=r"metric plugin 'odd' failed .*'colours' is a set"):
        sampler.frame(2, Block())


def test_what_is_kept_stands_before_anything_is_placed_around_it(recipe):
    on_surface = recipe.plugins["placement"][0]
    keep = PluginUse("placement", "keep", registry.find("placement", "keep")())
    for order in ((on_surface, keep), (keep, on_surface)):
        sampler = make(attrs.evolve(recipe, plugins={**recipe.plugins, "placement": order, "target": ()}))
        frame = next(f for f in (sampler.frame(i, Block(), render=False) for i in range(9)) if f.shot is not None)
        chairs = [e for e in sampler.stage._loaded.values() if e.asset.class_name and e.original_matrix is not None]
        kept = {tuple(e.original_matrix.ravel()) for e in chairs}
        first = [tuple(i.matrix.ravel()) for i in frame.shot.instances[: len(kept)]]
        assert kept and set(first) == kept and len(frame.shot.instances) > len(kept)


def test_a_target_for_a_class_without_assets_is_a_sentence(recipe):
    target = PluginUse("target", "bbox_area_gmm", registry.find("target", "bbox_area_gmm")(classes=["chairs"]))
    with pytest.raises(StageError, match=r"no class 'chairs'. Did you mean 'chair'?"):
        make(attrs.evolve(recipe, plugins={**recipe.plugins, "target": (target,)}))


def test_goals_that_no_camera_reaches_are_told_before_the_first_frame(recipe):
    narrow = recipe.plugins["camera"][0]
    blind = PluginUse("camera", "framed", attrs.evolve(narrow.plugin, height=(2.3, 2.4), pitch=(0.0, 1.0)))
    plugins = {**recipe.plugins, "camera": (blind,)}
    with pytest.raises(UnreachableError, match=r"No camera position frames a chair.*'height', 'pitch' and 'lens'"):
        make(attrs.evolve(recipe, plugins=plugins))


def test_real_areas_out_of_reach_are_told_with_the_span_in_reach(recipe):
    # A camera that keeps far from everything never gets a chair to fill a third of the picture.
    narrow = recipe.plugins["camera"][0]
    far = PluginUse("camera", "framed", attrs.evolve(narrow.plugin, clearance=0.9, lens=(18.0, 24.0)))
    plugins = {**recipe.plugins, "camera": (far,)}
    sampler = make(attrs.evolve(recipe, plugins=plugins))
    low, high = sampler.reach["chair"].area
    lost = [a for a in REAL if not low <= a <= high]
    assert lost and len(lost) < len(REAL)
    (note,) = sampler.target.notes()
    assert f"{len(lost)} of {len(REAL)} real boxes of 'chair' are out of reach" in note
    assert f"{low:.2%} to {high:.2%}" in note
    goals = [sampler.target.draw(i, Block()).main.area for i in range(50)]
    assert min(goals) >= low and max(goals) <= high


def test_an_unknown_surface_is_a_sentence(rooms, recipe):
    text = RECIPE.replace('surfaces = ["Floor"]', 'surfaces = ["Flor"]', 1)
    with pytest.raises(StageError, match=r"Flor.*Floor"):
        make(loads_recipe(text, rooms, "test"))
