# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of a recipe: read, refused, written back, and given their share of the frames."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import builtin_class, on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.engine.block import Block
from twinset.engine.errors import RecipeError
from twinset.engine.recipe.reading import dump_recipe, json_schema, loads_recipe
from twinset.engine.recipe.settings import Recipe, Variant
from twinset.engine.recipe.variants import variants_of, with_changes
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.sampling.schedule import Assignment, Schedule, Share
from twinset.testing.fixtures.scene import scene

BASE = recipe_text(
    seed=3,
    classes=[builtin_class("chair"), builtin_class("bag")],
    placements=[
        on_floor(1, 2, classes=["chair"]),
        plugin_table("on_surface", surfaces=["Table"], classes=["bag"], count=[1, 1]),
    ],
    appearances=[plugin_table("lights", extra_range=[1, 1])],
    cameras=[orbit(2.0, 2.5, tries=8)],
    size=(80, 60),
)
TARGET = """
[[camera]]
plugin = "framed"
candidates = 8
tolerance = 0.3
[target]
plugin = "bbox_area_gmm"
classes = ["chair"]
[real]
annotations = "real.json"
"""


def read(text: str, folder: Path) -> Recipe:
    return loads_recipe(text, folder, "r.toml")


def problems_of(text: str, folder: Path) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(text, folder)
    return caught.value.problems


def write_real(folder: Path, areas: tuple[float, ...] = (0.03, 0.04, 0.05, 0.06, 0.07, 0.08)) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(len(areas))]
    boxes = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [30, 40, 100 * a**0.5, 100 * a**0.5], "iscrowd": 0}
        for i, a in enumerate(areas)
    ]
    data = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}
    (folder / "real.json").write_text(json.dumps(data))


# Reading and writing


def test_changes_reach_the_plugins_they_name_and_no_others(tmp_path: Path) -> None:
    text = BASE + (
        "[[variant]]\nname = 'near'\nweight = 3\ncamera.orbit.distance = [1, 2]\nplacement.2.count = [0, 1]\n"
        "[[variant]]\nappearance.lights.enabled = false\nplacement.1.classes = ['bag']\n[[variant]]\n"
    )
    recipe = read(text, tmp_path)
    near, dark, plain = variants_of(recipe)
    assert [(v.name, v.weight) for v in recipe.variants] == [("near", 3.0), ("", 1.0), ("", 1.0)]
    assert near.plugins["camera"][0].plugin == attrs.evolve(recipe.plugins["camera"][0].plugin, distance=(1.0, 2.0))
    assert [u.plugin.count for u in near.plugins["placement"]] == [(1, 2), (0, 1)]
    assert near.plugins["appearance"] == recipe.plugins["appearance"]
    assert dark.plugins["appearance"] == () and dark.plugins["placement"][0].plugin.classes == ["bag"]
    assert plain == attrs.evolve(recipe, variants=()) and plain.variants == ()


@pytest.mark.parametrize(
    ("variant", "place", "part"),
    [
        ("camera.orbt.distance = [1, 2]", "[[variant.camera.orbt]] distance (line L)", "Did you mean 'orbit'?"),
        ("camera.2.distance = [1, 2]", "[[variant.camera.2]] distance", "The recipe has no camera '2'"),
        ("camera.orbit.distnce = [1, 2]", "[[variant.camera.orbit]] distnce", "Did you mean 'distance'?"),
        ("camera.orbit.distance = [2, 1]", "[[variant.camera.orbit]] distance", "a pair [low, high] of floats"),
        ("placement.on_surface.count = [1, 1]", "on_surface]] count", "number of one: placement.1 or placement.2"),
        ("placement.1.count = [3, 1]", "[[variant.placement.1]] count", "must be [minimum, maximum]"),
        ("camera.orbit.enabled = 0", "[[variant.camera.orbit]] enabled", "must be true or false. Got 0"),
        ("camera.orbit.enabled = false", "[[variant.camera.orbit]] enabled", "needs a camera"),
        ("camera.orbit.weight = 0", "[[variant.camera.orbit]] weight", "must be a float in (0, inf)"),
        ("camera.orbit.lens = [1, 2]\ncamera.1.lens = [1, 2]", "lens (line M)", "the same parameter as"),
        ("metric.bbox.x = 1", "[[variant]] metric (line L)", "cannot change the kind 'metric'"),
        ("weight = 0", "[[variant]] weight (line L)", "float in (0, inf)"),
        ("colour = 1", "[[variant]] colour (line L)", "Variant 1 has no parameter 'colour'"),
        ("camera.orbit = 1", "[[variant.camera]] orbit", "must be kind.plugin.parameter"),
    ],
)
def test_what_cannot_be_changed_is_told_with_its_line(tmp_path: Path, variant: str, place: str, part: str) -> None:
    line = BASE.count("\n") + 2
    place = place.replace("line L", f"line {line}").replace("line M", f"line {line + 1}")
    found = problems_of(f"{BASE}[[variant]]\n{variant}\n", tmp_path)
    assert len(found) == 1 and place in found[0] and part in found[0], found


def test_files_that_only_a_variant_names_must_be_there(tmp_path: Path) -> None:
    text = BASE + '[[appearance]]\nplugin = "world"\n[[variant]]\nappearance.world.hdri_files = ["a.hdr"]\n'
    (problem,) = problems_of(text, tmp_path)
    assert "[[variant.appearance.world]] hdri_files" in problem and "No file or folder matches" in problem
    (tmp_path / "a.hdr").touch()
    recipe = read(text, tmp_path)
    assert variants_of(recipe)[0].plugins["appearance"][1].plugin.hdri_files == [str(tmp_path / "a.hdr")]
    assert 'appearance.world.hdri_files = ["a.hdr"]' in dump_recipe(recipe)
    assert str(tmp_path / "a.hdr") in dump_recipe(recipe, anchor=True)


RANGES = st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)).map(lambda v: sorted(v))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "camera.orbit.distance": RANGES,
        "camera.1.tries": st.integers(1, 99),
        "camera.orbit.weight": st.floats(1e-3, 1e3),
        "placement.1.surfaces": st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=2),
        "placement.2.count": st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda v: sorted(v)),
        "appearance.lights.enabled": st.booleans(),
        "filter.min_pixels.enabled": st.booleans(),
    },
)
VARIANTS = st.lists(st.builds(Variant, st.text(max_size=6), st.floats(1e-6, 1e6), CHANGES), max_size=4)


@given(VARIANTS)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back_the_same_and_fits_the_schema(tmp_path: Path, variants: list[Variant]) -> None:
    recipe = attrs.evolve(read(BASE, tmp_path), variants=tuple(variants))
    text = dump_recipe(recipe)
    again = read(text, tmp_path)
    assert again == recipe and dump_recipe(again) == text
    assert variants_of(again) == variants_of(recipe)
    VALIDATOR.validate(tomllib.loads(text))


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_refuses_typos_in_variants(tmp_path: Path) -> None:
    data = tomllib.loads(dump_recipe(read(BASE, tmp_path)))
    for variant in ({"wait": 1}, {"weight": 0}, {"camera": {"orbit": {"distnce": 1}}}, {"metric": {}}):
        assert not VALIDATOR.is_valid(data | {"variant": [variant]})


# Whose turn it is


@given(
    st.lists(
        st.tuples(st.floats(0.05, 5), st.lists(st.tuples(st.floats(0.1, 5), st.booleans()), min_size=1, max_size=3)),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.integers(0, 1), min_size=4, max_size=4),
    st.integers(0, 99),
)
@settings(max_examples=examples(30))
def test_turns_have_their_shares_and_no_draw_is_skipped(
    variants: list[tuple[float, list[tuple[float, bool]]]], targets: list[int], seed: int
) -> None:
    shares = [
        Share(weight, [w for w, _ in cameras], [a for _, a in cameras], target)
        for (weight, cameras), target in zip(variants, targets, strict=False)
    ]
    schedule = Schedule(seed, shares)
    late = schedule(399)  # asked for first: what comes must not depend on what was asked before
    turns = [schedule(i) for i in range(400)]
    assert turns[399] == late
    counts = Counter(t.variant for t in turns)
    total = sum(s.weight for s in shares)
    for number, share in enumerate(shares):
        # A run of n golden-ratio points is off an interval's length by less than some logarithm of n.
        assert abs(counts[number] - 400 * share.weight / total) <= 6
        own = Counter(t.camera for t in turns if t.variant == number)
        for camera, weight in enumerate(share.cameras):
            assert abs(own[camera] - counts[number] * weight / sum(share.cameras)) <= 6
    for target in set(targets[: len(shares)]):
        mine = [t for t in turns if shares[t.variant].target == target and shares[t.variant].takes_goals[t.camera]]
        assert [t.draw for t in mine] == list(range(len(mine)))


def test_without_variants_cameras_take_turns_by_the_frame_alone() -> None:
    one = Schedule(7, [Share(1.0, [2.0, 1.0], [True, False])])
    turns = [one(i) for i in range(50)]
    aimed = [t.camera == 0 for t in turns]
    assert [t.variant for t in turns] == [0] * 50
    assert [t.draw for t in turns] == list(np.cumsum(aimed) - aimed)
    assert one(3) == Assignment(0, turns[3].camera, turns[3].draw)


# Frames


def sampler(recipe: Recipe, real: dict[str, Any] | None = None) -> Sampler:
    return Sampler(recipe, scene(recipe_size(recipe)), real or {})


def recipe_size(recipe: Recipe) -> tuple[int, int]:
    return recipe.output.width, recipe.output.height


def facts(frame: Any) -> Any:
    ids = () if frame.shot is None else frame.shot.labels.ids.tobytes()
    return frame.variant, frame.camera, frame.rejected, attrs.astuple(frame.goals), json.dumps(frame.rows), ids


def test_each_frame_is_that_of_its_variant_alone(tmp_path: Path) -> None:
    text = BASE + (
        "[[variant]]\nname = 'near'\ncamera.orbit.distance = [0.9, 1.0]\nplacement.2.enabled = false\n"
        "[[variant]]\nweight = 2\ncamera.orbit.distance = [3.5, 4.0]\nappearance.lights.enabled = false\n"
        "placement.1.count = [3, 3]\n"
    )
    recipe = read(text, tmp_path)
    mixed = sampler(recipe)
    frames = [mixed.frame(i, Block(), render=False) for i in range(9)]
    assert Counter(f.variant for f in frames) == {"near": 3, "2": 6}
    for frame in frames:
        alone = sampler(variants_of(recipe)[0 if frame.variant == "near" else 1])
        same = alone.frame(frame.index, Block(), render=False)
        assert facts(same)[1:] == facts(frame)[1:]
        classes = Counter(row["class"] for row in frame.rows)
        if frame.variant == "near":
            assert set(classes) <= {"chair"}
        elif frame.shot is not None:
            assert classes["chair"] == 3
    # Any order, any sampler: the same frames.
    again = sampler(recipe)
    assert [facts(again.frame(i, Block(), render=False)) for i in (8, 0, 5)] == [facts(frames[i]) for i in (8, 0, 5)]


def test_variants_that_aim_alike_share_the_targets_draws_and_others_have_their_own(tmp_path: Path) -> None:
    write_real(tmp_path)
    text = (
        BASE.replace('plugin = "orbit"\ndistance = [2.0, 2.5]\ntries = 8', 'plugin = "keep"\nweight = 0.001') + TARGET
    )
    text += (
        "[[variant]]\nappearance.lights.factor_range = [0.5, 0.6]\n[[variant]]\n"
        "[[variant]]\ntarget.bbox_area_gmm.match_center = false\n[[variant]]\ntarget.bbox_area_gmm.enabled = false\n"
    )
    recipe = read(text, tmp_path)
    mixed = sampler(recipe, real_boxes(recipe))
    assert [s._fit for s in mixed.variants] == [0, 0, 1, -1] and len(mixed.targets) == 2
    turns = [mixed._schedule(i) for i in range(24)]
    goals = [mixed.variants[t.variant]._goals(i, t, Block()).main for i, t in enumerate(turns)]
    shared = [g for g, t in zip(goals, turns, strict=True) if t.variant in (0, 1)]
    assert shared == [mixed.targets[0].draw(k, Block()).main for k in range(len(shared))]
    centred = [g for g, t in zip(goals, turns, strict=True) if t.variant == 2]
    assert centred == [mixed.targets[1].draw(k, Block()).main for k in range(len(centred))]
    assert {g.center for g in centred if g} == {(0.5, 0.5)}
    assert {g for g, t in zip(goals, turns, strict=True) if t.variant == 3} == {None}
    assert mixed.reach == mixed.variants[0].reach and set(mixed.reach) == {"chair"}


def test_changes_that_cannot_be_are_refused_where_code_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no parameter 'way'"):
        with_changes(read(BASE, tmp_path), {"camera.orbit.way": 1})
