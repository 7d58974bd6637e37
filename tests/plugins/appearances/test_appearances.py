# SPDX-License-Identifier: GPL-3.0-or-later
"""Appearance plugins on a stage in plain numpy: what they ask for, and where distractors float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from twinset.alignment.camera.color_temperature import blackbody, planckian_chromaticity
from twinset.engine.errors import DataError, StageError
from twinset.engine.plugin.params import build
from twinset.engine.recipe.input_files import listed_files
from twinset.plugins.appearances.background import Background
from twinset.plugins.appearances.distractors import Distractors
from twinset.plugins.appearances.lights import Lights
from twinset.plugins.appearances.world import World
from twinset.testing import BruteStage, asset, box


class Stage(BruteStage):
    """A closed room of 6 x 6 x 3 m; relative paths start at ``folder``."""

    def __init__(self, folder: Path = Path(), assets=()):
        super().__init__({"room": box((6.0, 6.0, 3.0), (0.0, 0.0, 1.5))}, assets, folder=folder)

    def set_world(self, **settings):
        self._log("set_world", **settings)


def draws(plugin, n=50, folder=Path(), **kwargs):
    """What a plugin asks of the stage in n frames."""
    stage, calls = Stage(folder, **kwargs), []
    for seed in range(n):
        stage.clear()
        plugin.vary(stage, np.random.default_rng(seed))
        calls.append(list(stage.calls))
    return calls


@pytest.fixture
def pictures(tmp_path):
    for name in ("b.hdr", "a.HDR", "c.exr", "readme.txt", "d.png"):
        (tmp_path / "sky" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "sky" / name).write_bytes(b"")
    return tmp_path


def test_order_of_files_is_that_of_the_recipe_wherever_folders_lie(tmp_path):
    orders = []
    for own, other in (("a", "b"), ("b", "a")):
        root = tmp_path / f"{own}_first"
        for folder, names in ((own, ["z.hdr", "B.hdr"]), (other, ["c.hdr", "a.hdr"])):
            (root / folder).mkdir(parents=True)
            for name in names:
                (root / folder / name).touch()
        # Links count by their own names, wherever they lead.
        (root / "sky").mkdir()
        for number, target in enumerate((f"{other}/c.hdr", f"{own}/z.hdr")):
            (root / "sky" / f"{number}.hdr").symlink_to(root / target)
        patterns = ["sky/*.hdr", f"{other}/*.hdr"]
        found = listed_files(root, own, patterns, suffixes=(".hdr",), owner="x")
        orders.append([p.name for p in found])
    assert orders == [["B.hdr", "z.hdr", "c.hdr", "a.hdr"]] * 2


def test_files_are_sorted_and_each_taken_once(pictures):
    found = listed_files(pictures, "sky", ["sky/b.hdr", "sky/*.png"], suffixes=(".hdr", ".png"), owner="x")
    assert [p.name for p in found] == ["a.HDR", "b.hdr", "d.png"]
    assert all(p.is_absolute() for p in found)
    assert listed_files(Path("/"), str(pictures / "sky"), [], suffixes=(".exr",), owner="x")[0].name == "c.exr"
    assert listed_files(pictures, "", [], suffixes=(".exr",), owner="x") == ()


@pytest.mark.parametrize(
    ("folder", "files", "words"),
    [
        ("nowhere", [], "missing"),
        ("sky", [], "has no files ending in .tga"),
        ("", ["sky/zzz.tga"], "Correct the path"),
        ("", ["sky/a.HDR"], "must end in one of .tga"),
    ],
)
def test_missing_files_are_named(pictures, folder, files, words):
    with pytest.raises(DataError, match="appearance 'world'") as error:
        listed_files(pictures, folder, files, suffixes=(".tga",), owner="appearance 'world'")
    assert words in str(error.value)
    assert str(pictures) in str(error.value)


def test_world_draws_within_its_ranges(pictures):
    plugin = World(
        hdri_folder="sky",
        strength_range=(0.5, 2.0),
        rotation_range=(10.0, 20.0),
        max_radiance=50.0,
        hdri_probability=0.6,
    )
    calls = [c[0][1] for c in draws(plugin, 200, pictures)]
    assert all(0.5 <= c["strength"] <= 2.0 and 10.0 <= c["rotation"] <= 20.0 for c in calls)
    assert all(c["max_radiance"] == 50.0 for c in calls)
    # Log-uniform: half of the draws below the geometric mean, 1.
    assert np.mean([c["strength"] < 1.0 for c in calls]) == pytest.approx(0.5, abs=0.1)
    used = [c["hdri"] for c in calls]
    assert np.mean([u is not None for u in used]) == pytest.approx(0.6, abs=0.1)
    assert {u.name for u in used if u} == {"a.HDR", "b.hdr", "c.exr", "d.png"}


def test_world_without_hdri_draws_a_colour():
    plugin = World(color_low=(0.1, 0.2, 0.3), color_high=(0.2, 0.4, 0.3))
    calls = [c[0][1] for c in draws(plugin, 50)]
    colors = np.array([c["color"] for c in calls])
    assert all(c["hdri"] is None for c in calls)
    assert (colors >= [0.1, 0.2, 0.3]).all() and (colors <= [0.2, 0.4, 0.3 + 1e-12]).all()
    assert np.ptp(colors[:, 1]) > 0.1


@pytest.mark.parametrize(
    "plugin",
    [World(), Lights(extra_range=(0, 3)), Background(image_folder="sky", probability=0.5)],
    ids=["world", "lights", "background"],
)
def test_same_stream_same_frame(plugin, pictures):
    first, second = (draws(plugin, 10, pictures) for _ in range(2))
    assert first == second
    assert any(a != first[0] for a in first)


def test_background_shows_pictures_in_their_share(pictures):
    plugin = Background(image_files=["sky/d.png"], probability=0.3)
    shown = [c[0][1]["image"] for c in draws(plugin, 200, pictures)]
    assert np.mean([s is not None for s in shown]) == pytest.approx(0.3, abs=0.1)
    assert {s.name for s in shown if s} == {"d.png"}


def test_lights_are_scaled_within_their_range():
    calls = draws(Lights(factor_range=(0.25, 4.0)), 200)
    factors = np.array([c[0][1]["factor"] for c in calls])
    assert all(len(c) == 1 for c in calls)
    assert factors.min() >= 0.25 and factors.max() <= 4.0
    assert np.mean(factors < 1.0) == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose([c[0][1]["tint"] for c in calls], 1.0)


def test_extra_lights_hang_above_the_floor_inside_the_room():
    calls = draws(Lights(extra_range=(1, 3), extra_height_range=(1.0, 2.5)), 30)
    lights = [arguments for c in calls for name, arguments in c if name == "add_light"]
    assert {len(c) - 1 for c in calls} == {1, 2, 3}
    positions = np.array([one["position"] for one in lights])
    assert (np.abs(positions[:, :2]) < 3.0).all()
    assert (positions[:, 2] >= 1.0).all() and (positions[:, 2] <= 2.5).all()
    assert all(20.0 <= one["power"] <= 100.0 for one in lights)


def test_no_extra_light_above_the_ceiling():
    calls = draws(Lights(extra_range=(2, 2), extra_height_range=(3.5, 4.0)), 5)
    assert all(name == "scale_lights" for c in calls for name, _ in c)


@pytest.mark.parametrize(
    # CIE standard illuminant A is a black body of 2856 K; the others from the tables of Wyszecki and Stiles.
    ("temperature", "x", "y"),
    [(2856, 0.4476, 0.4074), (2000, 0.5267, 0.4133), (5000, 0.3451, 0.3516), (10000, 0.2807, 0.2884)],
)
def test_chromaticity_of_black_bodies(temperature, x, y):
    assert planckian_chromaticity(temperature) == pytest.approx((x, y), abs=0.001)


def test_tint_is_white_at_6500_warm_below_and_cold_above():
    assert blackbody(6500.0) == pytest.approx((1.0, 1.0, 1.0))
    red, green, blue = blackbody(2700.0)
    assert red > green > blue > 0
    red, green, blue = blackbody(12000.0)
    assert red < green < blue
    for temperature in (1700.0, 3000.0, 9000.0):
        assert np.dot(blackbody(temperature), [0.2126, 0.7152, 0.0722]) == pytest.approx(1.0)
        assert min(blackbody(temperature)) >= 0.0


@pytest.fixture
def furniture():
    cube = box((0.3, 0.3, 0.3), (0.0, 0.0, 0.15))
    return [asset("chair", "chair", cube), asset("ball", "", cube), asset("crate", "", cube)]


def test_distractors_float_free_and_near(furniture):
    stage = Stage(assets=furniture)
    plugin = Distractors(count_range=(3, 6), distance_range=(0.4, 1.2), size_range=(0.5, 1.5))
    placed = 0
    for seed in range(6):
        stage.clear()
        main = stage.place(furniture[0], _lift(1.2))
        plugin.vary(stage, np.random.default_rng(seed))
        others = stage.instances[1:]
        placed += len(others)
        assert 0 < len(others) <= 6
        middle = main.points.mean(0)
        for one in others:
            center = (one.points.min(0) + one.points.max(0)) / 2
            assert one.asset.class_name == ""
            assert 0.35 <= np.linalg.norm(center - middle) <= 1.25
            assert not stage.collides(one.asset, one.matrix, ignore=[one.id])
            turn = one.matrix[:3, :3]
            scale = np.cbrt(np.linalg.det(turn))
            assert 0.5 <= scale <= 1.5
            np.testing.assert_allclose(turn @ turn.T, np.eye(3) * scale**2, atol=1e-9)
            assert (np.abs(one.points[:, :2]) <= 3).all() and (one.points[:, 2] >= 0).all()
    assert placed > 12


def test_distractors_without_annotated_instance_stay_in_the_scene(furniture):
    stage = Stage(assets=furniture[1:])
    Distractors(count_range=(5, 5)).vary(stage, np.random.default_rng(0))
    assert len(stage.instances) == 5


def test_distractors_that_find_no_place_are_left_out(furniture):
    stage = Stage(assets=furniture)
    stage.place(furniture[0], _lift(1.2))
    Distractors(count_range=(4, 4), distance_range=(20.0, 30.0), tries=3).vary(stage, np.random.default_rng(0))
    assert len(stage.instances) == 1


def test_distractors_need_some(furniture):
    with pytest.raises(StageError, match="distractor"):
        Distractors().vary(Stage(assets=furniture[:1]), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("cls", "values", "word"),
    [
        (World, {"color_low": [0.9, 0.9, 0.9], "color_high": [0.1, 1.0, 1.0]}, "color_low"),
        (World, {"strength_range": [0.0, 1.0]}, "strength_range"),
        (World, {"max_radiance": 0.0}, "max_radiance"),
        (Background, {}, "image_folder"),
        (Lights, {"extra_range": [3, 1]}, "extra_range"),
        (Distractors, {"count_range": [3, 1]}, "count_range"),
    ],
)
def test_bad_parameters_are_named(cls, values, word):
    instance, problems = build(cls, values, "appearance 'x'")
    assert instance is None
    assert word in problems[0]


def _lift(z):
    matrix = np.eye(4)
    matrix[2, 3] = z
    return matrix
