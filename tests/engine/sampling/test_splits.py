# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets divided among the parts of a dataset: no shape in two of them, and each drawn by its weight."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import builtin_class, on_floor, orbit, recipe_text
from scipy import stats
from scipy.spatial.transform import Rotation
from twinset.engine.block import Block
from twinset.engine.errors import RecipeError, StageError
from twinset.engine.recipe.reading import dump_recipe, loads_recipe
from twinset.engine.recipe.tables.split import SplitSettings
from twinset.engine.rng import stream
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.sampling.schedule import FramePlace, FramePlan
from twinset.engine.sampling.splits import Parts, assign_parts, shape_numbers
from twinset.engine.stage import Asset, Mesh, draw_asset
from twinset.testing.fixtures.scene import scene

BASE = recipe_text(
    classes=[builtin_class("chair"), builtin_class("bag")],
    placements=[on_floor(2, 3)],
    cameras=[orbit(2.0, 2.5)],
    size=(80, 60),
)


def made(name: str, class_name: str = "chair", seed: int | None = None, weight: float = 1.0) -> Asset:
    """An asset of a shape of its own, by its name or by a seed."""
    rng = stream(len(name) if seed is None else seed, name if seed is None else "shape")
    mesh = Mesh(rng.uniform(-0.5, 0.5, (12, 3)), rng.permuted(np.tile(np.arange(12), (9, 1)), axis=1)[:, :3])
    return Asset(name, class_name, mesh, mesh.vertices, weight=weight)


def moved(asset: Asset, name: str, class_name: str = "chair", seed: int = 0) -> Asset:
    """A copy, turned, scaled and moved."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    vertices = rng.uniform(0.2, 5.0) * asset.mesh.vertices @ turn.T + rng.uniform(-9, 9, 3)
    mesh = attrs.evolve(asset.mesh, vertices=vertices)
    return attrs.evolve(asset, name=name, class_name=class_name, mesh=mesh)


# Weights


def test_without_weights_each_asset_is_drawn_as_ever() -> None:
    assets = [made(f"a{i}", weight=2.5) for i in range(7)]
    now, then = np.random.default_rng(4), np.random.default_rng(4)
    assert [draw_asset(assets, now) for _ in range(50)] == [assets[int(then.integers(7))] for _ in range(50)]


def test_assets_are_drawn_by_their_weights() -> None:
    weights = (3.0, 0.5, 1.5, 0.001)
    assets = [made(f"a{i}", weight=w) for i, w in enumerate(weights)]
    rng = np.random.default_rng(1)
    drawn = Counter(draw_asset(assets, rng).name for _ in range(4000))
    seen = [drawn[a.name] for a in assets[:3]]
    assert stats.chisquare(seen, np.array(weights[:3]) / sum(weights[:3]) * sum(seen)).pvalue > 1e-3
    assert drawn["a3"] < 20


# Parts


@settings(max_examples=examples(60))
@given(
    st.lists(st.integers(3, 30), min_size=1, max_size=3),
    st.tuples(*[st.floats(0.05, 1.0)] * 3),
    st.integers(0, 2**32),
)
def test_each_class_is_divided_by_the_shares(sizes: list[int], shares: tuple[float, ...], seed: int) -> None:
    whole = {str(c): [made(f"{c} {i}", str(c)) for i in range(n)] for c, n in enumerate(sizes)}
    wanted = np.array(shares) / sum(shares)
    split = SplitSettings(val=float(wanted[1]), test=float(wanted[2]))
    part_of = assign_parts(whole, split, seed)
    assert set(part_of) == {a.name for group in whole.values() for a in group}
    for group in whole.values():
        count = Counter(part_of[a.name] for a in group)
        assert set(count) == {"train", "val", "test"}
        for part, share in zip(("train", "val", "test"), wanted, strict=True):
            # By its share, but for rounding and those that one at least takes from the others.
            assert abs(count[part] - share * len(group)) <= 2
    assert part_of == assign_parts(whole, split, seed)


def test_copies_stay_together_whatever_their_class() -> None:
    shapes = [made(f"shape {i}") for i in range(8)]
    chairs = [*shapes, *(moved(shapes[i % 8], f"copy {i}", seed=i) for i in range(24))]
    lookalike = moved(shapes[2], "lookalike", "", seed=99)
    whole = {"chair": chairs, "": [lookalike, *(made(f"thing {i}", "", seed=50 + i) for i in range(5))]}
    numbers = shape_numbers(chairs)
    assert numbers == [*range(8), *(i % 8 for i in range(24))]
    for seed in range(10):
        part_of = assign_parts(whole, SplitSettings(val=0.2, test=0.2), seed)
        for asset, number in zip(chairs, numbers, strict=True):
            assert part_of[asset.name] == part_of[shapes[number].name]
        assert part_of["lookalike"] == part_of["shape 2"]
        assert {part_of[a.name] for a in whole[""]} == {"train", "val", "test"}
    shown_by_all = assign_parts(whole, SplitSettings(test=0.5, distractors=False), 0)
    assert set(shown_by_all) == {a.name for a in chairs} and set(shown_by_all.values()) == {"train", "test"}


def test_too_few_shapes_are_told() -> None:
    stool = made("stool")
    whole = {"chair": [stool, moved(stool, "again"), made("high")]}
    with pytest.raises(StageError, match=r"^Class 'chair' has 2 shapes, too few for the parts train, val, test of"):
        assign_parts(whole, SplitSettings(val=0.1, test=0.1), 0)
    assert len(set(assign_parts(whole, SplitSettings(test=0.1), 0).values())) == 2
    whole = {"chair": [made(f"a{i}") for i in range(4)], "": [made("box", "")]}
    with pytest.raises(StageError, match=r"^The distractors have 1 shape, .* set distractors = false there\.$"):
        assign_parts(whole, SplitSettings(test=0.5), 0)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        ("val = 0.6\ntest = 0.5", "'val' and 'test' must not be more than 1 together. They add up to 1.1."),
        ("train = 0.8\nval = 0.1", "'train', 'val' and 'test' must add up to 1. They add up to 0.9."),
        ("val = -0.1", "The 'val' parameter of table [split] must be a float in [0, 1]. Got -0.1 instead."),
    ],
)
def test_bad_shares_are_refused(split: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        loads_recipe(f"[split]\n{split}\n{BASE}", Path(), "r")
    assert len(error.value.problems) == 1 and error.value.problems[0].endswith(sentence)


def test_what_would_mix_the_parts_is_refused() -> None:
    text = BASE.replace('plugin = "on_surface"', 'plugin = "jitter"\nframes = "f.json"').replace("count = [2, 3]\n", "")
    with pytest.raises(RecipeError, match=r"\[\[placement\]\] plugin \(line .*cannot keep to the parts of \[split\]"):
        loads_recipe(f"[split]\nval = 0.1\n{text}", Path(), "r", check_files=False)
    rooms = BASE.replace('[scene]\nbuiltin = "hall"', '[[room]]\nbuiltin = "hall"\n' * 2)
    rooms = rooms.replace('name = "bag"\n', 'name = "bag"\ncollection = "Bags"\n')
    loads_recipe(rooms, Path(), "r")
    with pytest.raises(RecipeError, match=r"\[\[class\]\] collection .*: It differs between rooms"):
        loads_recipe(f"[split]\nval = 0.1\n{rooms}", Path(), "r")


def test_train_is_what_the_others_leave() -> None:
    assert SplitSettings(val=0.1, test=0.2).shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2})
    assert SplitSettings(train=0.5, test=0.5).shares == {"train": 0.5, "test": 0.5}
    assert SplitSettings().shares == {} == SplitSettings(train=0.0, test=1.0).shares
    recipe = loads_recipe(f"[split]\ntrain = 0.9\nval = 0.1\n{BASE}", Path(), "r")
    assert loads_recipe(dump_recipe(recipe), Path(), "r") == recipe


# Frames


@settings(max_examples=examples(40))
@given(
    st.lists(st.floats(0.1, 5.0), min_size=1, max_size=4),
    st.lists(st.floats(0.1, 5.0), min_size=1, max_size=3),
    st.integers(1, 40),
)
@example([1.0], [0.5, 0.1], 1)
@example([1.0], [0.7, 0.1], 1)
@example([0.3, 0.1], [0.9, 0.1], 2)
def test_frames_have_their_places(rooms: list[float], parts: list[float], block: int) -> None:
    plan, count = FramePlan(block, rooms, parts), 600
    places = [plan(i) for i in range(count)]
    assert [plan(i) for i in (599, 0, 77)] == [places[i] for i in (599, 0, 77)]
    for start in range(0, count, block):
        assert len({p.room for p in places[start : start + block]}) == 1
    met: Counter[tuple[int, int]] = Counter()
    for place in places:
        assert place == FramePlace(place.room, place.part, met[place.room, place.part])
        met[place.room, place.part] += 1
    part, room = np.array([p.part for p in places]), np.array([p.room for p in places[::block]])
    for n in range(1, 60):
        # Webster's method is the one that makes the largest of (share / seats won so far + 1/2) the next, or one of
        # several that are equal but for rounding.
        won = np.bincount(part[:n], minlength=len(parts))
        quotient = np.array(parts) / (won + 0.5)
        assert quotient[part[n]] > quotient.max() * (1 - 1e-9)
    for n in range(1, len(room) + 1):
        won = np.bincount(room[:n], minlength=len(rooms))
        assert np.abs(won - n * np.array(rooms) / sum(rooms)).max() < 1.5


def test_a_frame_shows_the_assets_of_its_part_alone() -> None:
    recipe = loads_recipe(f"seed = 5\n[split]\ntest = 0.4\n{BASE}", Path(), "r")
    stage = scene((80, 60), furnished=True)
    more = [*stage.assets["chair"], made("third"), made("fourth")], [*stage.assets["bag"], made("sack", "bag")]
    stage.assets["chair"], stage.assets["bag"], stage.assets[""] = *more, [*stage.assets[""], made("thing", "")]
    sampler = Sampler(recipe, stage, {})
    assert isinstance(sampler.stage, Parts)
    part_of = sampler.stage.part_of
    frames = [sampler.frame(i, Block(), render=False) for i in range(20)]
    assert Counter(f.part for f in frames) == {"train": 12, "test": 8}
    shapes = {(row["shape"], f.part) for f in frames for row in f.rows}
    assert shapes and all(part_of[shape] == part for shape, part in shapes)
    again = Sampler(recipe, stage, {})
    for i in (13, 2):
        assert again.frame(i, Block(), render=False).rows == frames[i].rows
    # What stands in the scene is kept by the part that has it.
    stage.clear()
    for part in ("train", "test"):
        sampler.stage.part = part
        kept = sampler.stage.keep(["chair", "bag"])
        assert [i.asset.name for i in kept] == [n for n in ("stool", "crate") if part_of[n] == part]
        stage.clear()
