# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects in the loop: labels stay or follow, drafts and goals see them, records say what was drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import builtin_class, on_floor, orbit, plugin_table, recipe_of
from twinset.dataset.formats.rle_masks import decode
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.jobs.preview import Preview
from twinset.dataset.store.record_check import record_problem
from twinset.engine.block import Block
from twinset.engine.errors import PluginError, RecipeError
from twinset.engine.plugin import Effect, Filter, Verdict, plugin
from twinset.engine.plugin.gate import Draft
from twinset.engine.plugin.hooks import hook_problem
from twinset.engine.recipe.settings import PluginUse, Recipe
from twinset.engine.recipe.variants import with_changes
from twinset.engine.sampling.effects import AttemptEffects, resized_labels
from twinset.engine.sampling.moved_pixels import PixelMap
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.stage import Amodal, Labels, extent
from twinset.testing import BruteStage, asset, box, make_shot, plane
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


def recipe(*effects: Any, **more: Any) -> Recipe:
    values: dict[str, Any] = {
        "seed": 4,
        "images": 4,
        "classes": [builtin_class("chair"), builtin_class("bag", "handbag")],
        "placements": [on_floor(2, 3, cluster_radius=1.0)],
        "cameras": [orbit(1.2, 2.0)],
        "filters": [plugin_table("min_pixels", pixels=1)],
        "metrics": ["bbox", "image_quality", "occlusion", "depth"],
        "size": (64, 48),
        "output": {"format": "png", "masks": True, "depth": "png"},
        **more,
    }
    return recipe_of(effects=effects, **values)


def stage_of(one: Recipe) -> BruteStage:
    """A floor, and boxes of two classes: the fewest triangles that make a picture."""
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.45))), asset("crate", "bag", box((0.3, 0.2, 0.25)))]
    return BruteStage({"Floor": plane((6.0, 6.0))}, assets, resolution=(one.output.width, one.output.height))


def render(one: Recipe, out: Path) -> dict[str, bytes]:
    """All files of a finished dataset."""
    list(Job(one, out, stage_of).run())
    return file_bytes(out)


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((out / "frames").iterdir())]


def frames(one: Recipe, number: int = 4) -> list[Any]:
    sampler, block = Sampler(one, stage_of(one), {}), Block()
    return [sampler.frame(index, block) for index in range(number)]


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
    list(Job(recipe(*UNMOVING), out, stage_of).run(range(2)))
    list(open_job(out, stage_of).run())
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


# Moved pixels ---------------------------------------------------------------------------------------------------


def brute_move(array: np.ndarray, source: np.ndarray) -> np.ndarray:
    """By a loop over pixels: each shows what the pixel shows that its source lies in."""
    height, width = array.shape[:2]
    out = np.empty((*source.shape[:2], *array.shape[2:]), array.dtype)
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            x, y = source[row, column]
            out[row, column] = array[min(max(int(y // 1), 0), height - 1), min(max(int(x // 1), 0), width - 1)]
    return out


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(1, 12), st.integers(1, 12)), far=st.floats(0, 30))
def test_labels_and_passes_follow_any_map(seed: int, size: tuple[int, int], far: float) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    source = np.stack([x, y], -1) + far * rng.standard_normal((*size, 2))
    ids = rng.integers(0, 3, size)
    depth = rng.random(size, dtype=np.float32)
    shot = make_shot(ids, n=2, depth=depth)
    normals = rng.random((*size, 3), dtype=np.float32)
    moved = PixelMap(source).shot(attrs.evolve(shot, rendered={"normal": normals}))
    np.testing.assert_array_equal(moved.labels.ids, brute_move(ids, source))
    np.testing.assert_array_equal(moved.labels.depth, brute_move(depth, source))
    np.testing.assert_array_equal(moved.rendered["normal"], brute_move(normals, source))
    for id in (1, 2):
        np.testing.assert_array_equal(moved.amodal[id].mask, brute_move(ids == id, source))
        assert moved.amodal[id].pixels >= moved.amodal[id].mask.sum()
    assert moved.image is shot.image


@settings(max_examples=examples(30), deadline=None)
@given(a=st.floats(-0.1, 0.1), b=st.floats(-8.0, 8.0), zoom=st.floats(0.9, 1.15))
def test_the_picture_moves_with_the_labels(a: float, b: float, zoom: float) -> None:
    """A ramp shows where it was sampled, to a thirty-second of a pixel."""
    y, x = np.mgrid[:40, :60] + 0.5
    source = np.stack([30 + (x - 30) / zoom + a * y + b, 20 + (y - 20) / zoom], -1)
    ramp = np.stack([x / 60, y / 40, x / 60], -1).astype(np.float32)
    moved = PixelMap(source).image(ramp)
    want = np.stack([np.clip(source[..., 0], 0.5, 59.5) / 60, np.clip(source[..., 1], 0.5, 39.5) / 40], -1)
    np.testing.assert_allclose(moved[..., :2], want, atol=0.6 / 32 / 40 + 1e-6)


def canvas_amodal(canvas: np.ndarray, width: int, height: int) -> Amodal:
    """The amodal view of a mask on a canvas of three by three images."""
    box = extent(canvas)
    assert box is not None
    inside = canvas[height : 2 * height, width : 2 * width]
    return Amodal(inside, (box[0] - width, box[1] - height, *box[2:]), int(canvas.sum()))


@settings(max_examples=examples(60), deadline=None)
@given(
    left=st.integers(-30, 70),
    top=st.integers(-20, 45),
    size=st.tuples(st.integers(15, 40), st.integers(15, 40)),
    zoom=st.floats(1.0, 1.12),
    skew=st.floats(-8, 8),
)
def test_whole_extents_follow_to_where_they_can_be_estimated(
    left: int, top: int, size: tuple[int, int], zoom: float, skew: float
) -> None:
    """Against a move of the whole canvas, of which the engine sees the image alone."""
    width, height = 80, 60
    canvas = np.zeros((3 * height, 3 * width), bool)
    canvas[height + top : height + top + size[1], width + left : width + left + size[0]] = True
    if not canvas[height : 2 * height, width : 2 * width].any():
        return

    def source(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        time = np.clip(y, 0, height) / height - 0.5
        return np.stack([width / 2 + (x - width / 2) / zoom + skew * time, height / 2 + (y - height / 2) / zoom], -1)

    y, x = np.mgrid[:height, :width] + 0.5
    moved = PixelMap(source(x, y)).amodal(canvas_amodal(canvas, width, height))
    y, x = np.mgrid[-height : 2 * height, -width : 2 * width] + 0.5
    truth = canvas_amodal(brute_nearest(canvas, source(x, y) + np.array([width, height])), width, height)
    np.testing.assert_array_equal(moved.mask, truth.mask)
    inside = truth.bbox[0] >= 0 and truth.bbox[1] >= 0
    inside &= truth.bbox[0] + truth.bbox[2] <= width and truth.bbox[1] + truth.bbox[3] <= height
    if inside and moved.mask.any():
        assert moved.bbox == truth.bbox and moved.pixels == truth.pixels
    for k in range(2):
        # Beyond the border only the border's own movement is known: the zoom of what lies farther out is missing.
        beyond = max(0, -truth.bbox[k], truth.bbox[k] + truth.bbox[k + 2] - (width, height)[k])
        slack = 2.5 + (zoom - 1) * beyond
        assert abs(moved.bbox[k] - truth.bbox[k]) <= slack
        assert abs(moved.bbox[k] + moved.bbox[k + 2] - truth.bbox[k] - truth.bbox[k + 2]) <= slack
    assert moved.pixels == pytest.approx(truth.pixels, rel=0.12)


def brute_nearest(array: np.ndarray, source: np.ndarray) -> np.ndarray:
    column = np.clip(np.floor(source[..., 0]), 0, array.shape[1] - 1).astype(int)
    row = np.clip(np.floor(source[..., 1]), 0, array.shape[0] - 1).astype(int)
    return array[row, column]


SHUTTER = plugin_table("rolling_shutter", skew=[14.0, 18.0], wobble=[2.0, 2.0])


def test_rows_boxes_and_masks_are_those_of_the_moved_picture(tmp_path: Path) -> None:
    plain, moved = frames(recipe(), 4), frames(recipe("noise", SHUTTER), 4)
    for still, frame in zip(plain, moved, strict=True):
        assert (still.shot.labels.ids != frame.shot.labels.ids).any()
        drawn = next(e for e in frame.effects.records if e["effect"] == "rolling_shutter")
        y, x = np.mgrid[:48, :64] + 0.5
        time = y / 48
        aside = drawn["skew"] * (time - 0.5) + drawn["wobble"] * np.sin(
            2 * np.pi * (drawn["waves"] * time + drawn["phase"])
        )
        tall = 1 / (1 + drawn["stretch"])
        zoom = max(64 / (64 - 2 * np.abs(aside).max()), tall)
        source = np.stack([32 + (x - 32) / zoom + aside, 24 + (y - 24) / zoom * tall], -1)
        assert source.min() >= -1e-9 and (source[..., 0].max(), source[..., 1].max()) <= (64, 48 + 1e-9)
        np.testing.assert_array_equal(frame.shot.labels.ids, brute_move(still.shot.labels.ids, source))
        np.testing.assert_array_equal(frame.shot.labels.depth, brute_move(still.shot.labels.depth, source))
        for row in frame.rows:
            mask = frame.shot.mask(row["id"])
            assert row["area"] == mask.sum() and row["bbox"] == extent(mask)
            alone = frame.shot.amodal[row["id"]]
            np.testing.assert_array_equal(alone.mask, brute_move(still.shot.amodal[row["id"]].mask, source))
            assert not (mask & ~alone.mask).any()
    out = tmp_path / "out"
    render(recipe("noise", SHUTTER), out)
    for record, frame in zip(records(out), moved, strict=True):
        ids = cv2.imread(str(out / "masks" / f"{record['frame']:06}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(ids, frame.shot.labels.ids)
        for row in record["instances"]:
            if row["bbox"]:
                np.testing.assert_array_equal(decode(row["segmentation"], 48, 64).astype(bool), ids == row["id"])


def test_a_preview_shows_the_moved_boxes_that_the_render_has() -> None:
    one = recipe(SHUTTER)
    preview = Preview(stage_of)
    list(preview.change(one))
    rendered = frames(one, 2)
    for index in range(2):
        record, frame = preview.detail(index), rendered[index]
        assert record["draws"]["effects"] == [dict(e) for e in frame.effects.records]
        assert [row["bbox"] for row in record["instances"]] == [row["bbox"] for row in frame.rows]
        picture = preview.picture(index)
        np.testing.assert_array_equal(picture.shot.image, frame.shot.image)


# Drafts ---------------------------------------------------------------------------------------------------------


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

    sampler, block = Sampler(one, stage_of(one), {}, OpenGates(one)), Block()
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
        frame = Sampler(one, stage_of(one), {}, scorer=scorer).frame(0, Block())
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


# The contract ---------------------------------------------------------------------------------------------------


def run_effect(one: Any, image: np.ndarray | None = None) -> np.ndarray:
    image = np.full((4, 6, 3), 100, np.uint8) if image is None else image
    shot = make_shot(np.zeros(image.shape[:2], np.int32), n=0, image=image)
    effects = AttemptEffects([("effect.test.0", one)], 1, 2, 3)
    effects.of_probe(attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8)))
    return effects.of_shot(shot).image


def effect_of(**members: Any) -> Any:
    return plugin("effect", id="mine")(type("Mine", (), {"__doc__": "Mine.", "__module__": __name__, **members}))()


def test_values_beyond_black_and_white_are_clipped_after_each_effect() -> None:
    out = run_effect(effect_of(apply=lambda self, image, shot, rng: image * np.float32(9) - np.float32(2)))
    assert (out == 255).all()
    assert (run_effect(effect_of(apply=lambda self, image, shot, rng: image - np.float32(2))) == 0).all()


def test_eight_bits_survive_an_effect_that_does_nothing() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert (run_effect(effect_of(apply=lambda self, image, shot, rng: image), image) == image).all()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda image: image[:2], "must return a float32 image of shape"),
        (lambda image: image.astype(float), "not float64"),
        (lambda image: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_answer_names_the_effect(answer: Any, sentence: str) -> None:
    with pytest.raises(PluginError, match=f"effect plugin 'mine' failed.*{sentence}"):
        run_effect(effect_of(apply=lambda self, image, shot, rng: answer(image)))


def test_a_map_of_the_wrong_shape_or_not_finite_names_the_effect() -> None:
    for source in (np.zeros((2, 2, 2)), np.full((4, 6, 2), np.nan)):
        one = effect_of(
            moves_pixels=True,
            apply=lambda self, image, shot, rng: image,
            source_pixels=lambda self, shot, rng, source=source: source,
        )
        with pytest.raises(PluginError, match=r"source_pixels\(\) must return finite numbers of shape \(4, 6, 2\)"):
            run_effect(one)


def test_hooks_take_what_was_drawn_where_something_is() -> None:
    def apply(self, image, shot, rng, drawn):
        return image

    def draw(self, shot, rng, common):
        return {}

    with_draw = plugin("effect", id="a")(
        type("A", (), {"apply": apply, "draw": draw, "source_pixels": lambda self, shot, rng, drawn: 0})
    )
    assert hook_problem(with_draw, "effect", set()) == ""
    without = plugin("effect", id="b")(
        type("B", (), {"apply": apply, "draw": draw, "source_pixels": lambda self, shot, rng: 0})
    )
    assert "must take (shot, rng, drawn)" in hook_problem(without, "effect", set())
