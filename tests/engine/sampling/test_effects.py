# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects in the loop: labels stay, drafts and goals see them, records say what was drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from effect_jobs import frames, recipe, records, render
from recipes import plugin_table
from stages import stool_and_crate_stage
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.store.record_check import record_problem
from twinset.engine.block import Block
from twinset.engine.errors import RecipeError
from twinset.engine.plugin import Effect, Filter, Verdict, plugin
from twinset.engine.plugin.gate import Draft
from twinset.engine.recipe.settings import PluginUse
from twinset.engine.recipe.variants import with_changes
from twinset.engine.sampling.effects import resized_labels
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.stage import Labels
from twinset.testing.fixtures.render_process import file_bytes

UNMOVING = (
    "vignette",
    plugin_table("exposure", stops=[-1.0, 1.0]),
    "defocus",
    "motion_blur",
    "chromatic_aberration",
    "noise",
    plugin_table("blur", probability=0.5),
    "resize",
    "sharpen",
    "jpeg",
    plugin_table("noise", iso=[3200, 6400]),
)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same recipe without effects, and with all that move nothing."""
    folder = tmp_path_factory.mktemp("effects")
    render(recipe(), folder / "plain")
    render(recipe(*UNMOVING), folder / "effects")
    return folder / "plain", folder / "effects"


def test_labels_are_the_same_bytes_under_effects_that_move_nothing(datasets: tuple[Path, Path]) -> None:
    plain, changed = (file_bytes(folder) for folder in datasets)
    labels = [name for name in plain if name.startswith(("masks/", "depth/"))]
    assert len(labels) == 8 and all(plain[name] == changed[name] for name in labels)
    images = [name for name in plain if name.startswith("images/")]
    assert len(images) == 4 and all(plain[name] != changed[name] for name in images)
    without_pixels = []
    for folder in datasets:
        coco = json.loads((folder / "annotations" / "instances.json").read_text())
        for annotation in coco["annotations"]:
            for column in ("sharpness", "blur", "entropy", "brightness", "contrast"):
                annotation["twinset"].pop(column, None)
        without_pixels.append(json.dumps([coco["annotations"], coco["categories"]]))
    assert len(json.loads(without_pixels[0])[0]) > 6
    assert without_pixels[0] == without_pixels[1]


def test_records_say_what_was_drawn_and_pass_their_check(datasets: tuple[Path, Path]) -> None:
    plain, changed = (records(folder) for folder in datasets)
    assert all("effects" not in record["draws"] for record in plain)
    for record in changed:
        assert record_problem(record) == ""
        drawn = record["draws"]["effects"]
        names = [effect["effect"] for effect in drawn]
        assert [n for n in names if n != "blur"] == [
            e if isinstance(e, str) else e["plugin"] for e in UNMOVING if e != UNMOVING[6]
        ]
        assert all(np.isfinite(effect["iso"]) for effect in drawn if effect["effect"] == "noise")
        assert record["draws"] | {"effects": None} == plain[record["frame"]]["draws"] | {"effects": None}
    first, second = ([e["iso"] for e in r["draws"]["effects"] if e["effect"] == "noise"] for r in changed[:2])
    assert first[1] >= 3200 > first[0] and first != second  # each use and frame has a stream of its own


def test_a_resumed_job_has_the_same_bytes(datasets: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "again"
    list(Job(recipe(*UNMOVING), out, stool_and_crate_stage).run(range(2)))
    list(open_job(out, stool_and_crate_stage).run())
    first, again = (file_bytes(folder) for folder in (datasets[1], out))
    for name in first:
        if name.startswith(("images/", "frames/", "masks/", "annotations/")):
            assert first[name] == again[name], name


def test_an_effect_more_or_less_leaves_the_draws_of_the_others() -> None:
    def drawn(*effects: Any) -> list[Any]:
        return [{e["effect"]: e for e in frame.effects.records} for frame in frames(recipe(*effects), 2)]

    alone, beside = drawn("noise"), drawn("noise", "blur", "jpeg")
    assert [one["noise"] for one in alone] == [one["noise"] for one in beside]
    off = with_changes(recipe("noise", "blur"), {"effect.blur.enabled": False})
    assert [frame.effects.records for frame in frames(off, 1)] == [(alone[0]["noise"],)]
    assert frames(with_changes(recipe("noise"), {"effect.noise.iso": [50, 50]}), 1)[0].effects.records[0]["iso"] == 50


def test_mistakes_in_recipes_have_sentences() -> None:
    with pytest.raises(RecipeError, match=r"no effect plugin 'nois'\. Did you mean 'noise'"):
        recipe("nois")
    with pytest.raises(RecipeError, match="probability"):
        recipe(plugin_table("noise", probability=1.5))


@plugin("effect")
class Dark(Effect):
    """Halve everything."""

    def apply(self, image, shot, rng):
        """Half."""
        assert shot.image.size == 0 and shot.labels.ids.shape == image.shape[:2]
        return image * np.float32(0.5)


@plugin("filter")
class Watch(Filter):
    """Keep what a gate is shown."""

    def open_gate(self):
        return WATCHING


class Watching:
    warm_up, draft, fingerprint, floor = 2, Draft(0.5, 1), "watch", 0.0

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {"draft": [], "shot": [], "warm-up": []}

    def measure(self, picture, rows, size):
        self.seen["warm-up"].append(float(picture.mean()))
        return 0

    def learn(self, samples):
        return {}

    def taught(self, learned):
        return self

    def judge_draft(self, picture, rows, size):
        self.seen["draft"].append(float(picture.mean()))
        assert picture.shape == (24, 32, 3)
        return Verdict(True)

    def judge(self, shot, rows, seen=()):
        self.seen["shot"].append(float(shot.image.mean()))
        return Verdict(True)

    def report(self):
        return {}


WATCHING = Watching()


def watched(*effects: Any) -> dict[str, list[float]]:
    WATCHING.__init__()
    one = recipe()
    uses = tuple(PluginUse("effect", effect.plugin_id, effect) for effect in effects)
    one = attrs.evolve(one, plugins={**one.plugins, "effect": uses, "filter": (PluginUse("filter", "watch", Watch()),)})
    from twinset.engine.sampling.gates import OpenGates

    sampler, block = Sampler(one, stool_and_crate_stage(one), {}, OpenGates(one)), Block()
    list(sampler.warm_up())
    for index in range(2):
        sampler.frame(index, block)
    return WATCHING.seen


def test_gates_see_effects_in_drafts_shots_and_warm_up() -> None:
    plain, dark = watched(), watched(Dark())
    assert [len(plain[key]) for key in plain] == [2, 2, 4] == [len(dark[key]) for key in plain]
    for key, levels in plain.items():
        np.testing.assert_allclose(dark[key], np.array(levels) / 2, atol=0.6)


def test_goals_for_columns_of_the_picture_see_effects() -> None:
    goal = '[[goal]]\ncolumn = "image_brightness"\nquantiles = [0.2, 0.3, 0.3, 0.35, 0.4]\n'
    for stops in (0.0, -2.0):
        one = recipe(plugin_table("exposure", stops=[stops, stops]), more=goal)
        from twinset.engine.sampling.column_goals import ColumnGoalScorer

        scorer = ColumnGoalScorer(one.goals, [np.array([0.2, 0.3, 0.4])], 1)
        frame = Sampler(one, stool_and_crate_stage(one), {}, scorer=scorer).frame(0, Block())
        shown = frame.goal_values[0].values[0]
        assert shown == pytest.approx(float(frame.columns["brightness"]), abs=0.02)


@pytest.mark.parametrize("size", [(48, 36), (30, 30), (96, 72), (120, 100)])
def test_labels_of_a_draft_are_the_nearest_pixels(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    labels = Labels(rng.integers(0, 9, (72, 96)).astype(np.int32), rng.random((72, 96), dtype=np.float32))
    small = resized_labels(labels, size)
    assert small.ids.shape == small.depth.shape == size[::-1]
    for row, column in ((0, 0), (size[1] - 1, size[0] - 1), (size[1] // 3, size[0] // 2)):
        y, x = int((row + 0.5) * 72 / size[1]), int((column + 0.5) * 96 / size[0])
        assert small.ids[row, column] == labels.ids[y, x]
