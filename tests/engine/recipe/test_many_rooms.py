# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms from a folder and from an animation: one [[room]] table stands for many."""

from __future__ import annotations

from pathlib import Path

import pytest
from twinset.engine.errors import RecipeError
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.recipe.writing import dump_recipe
from twinset.engine.sampling.rooms import room_names
from twinset.engine.sampling.sampler import plan_of

CLASS = '[[class]]\nname = "chair"\nbuiltin = "chair"\n'


def recipe(folder: Path, text: str) -> Recipe:
    return loads_recipe(text + CLASS, folder, "recipe.toml")


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / "rooms" / name).mkdir(parents=True)
        (tmp_path / "rooms" / f"{name}.blend").touch()
        (tmp_path / "rooms" / name / "scene.usdc").touch()
    return tmp_path


def test_a_pattern_is_a_room_for_each_file(rooms):
    made = recipe(rooms, '[[room]]\nfile = "rooms/*.blend"\nweight = 3\n[[room]]\nbuiltin = "hall"\nname = "hall"\n')
    assert [r.file for r in made.rooms] == ["rooms/a.blend", "rooms/b.blend", "rooms/c.blend", ""]
    assert room_names(made) == ["a", "b", "c", "hall"]
    assert [r.weight for r in made.rooms] == [1, 1, 1, 1]
    again = loads_recipe(dump_recipe(made), rooms, "recipe.toml")
    assert again.rooms == made.rooms


def test_each_block_has_one_of_them(rooms):
    made = recipe(rooms, 'images = 30\n[render]\nblock_size = 5\n[[room]]\nfile = "rooms/*.blend"\n')
    blocks = [plan_of(made)(first).room for first in range(0, 30, 5)]
    assert sorted(blocks) == [0, 0, 1, 1, 2, 2]


def test_files_of_one_name_are_told_apart_by_their_folders(rooms):
    made = recipe(rooms, '[[room]]\nname = "flat"\nfile = "rooms/*/*.usdc"\n')
    assert room_names(made) == [f"flat rooms/{name}/scene" for name in "abc"]


def test_frames_of_an_animation_are_rooms(rooms):
    made = recipe(rooms, '[scene]\nfile = "rooms/a.blend"\nframes = [1, 101]\nframe_count = 5\n')
    assert [r.frame for r in made.rooms] == [1, 26, 51, 76, 101]
    assert room_names(made)[1] == "frame 26" and {r.file for r in made.rooms} == {"rooms/a.blend"}
    short = recipe(rooms, '[[room]]\nfile = "rooms/[ab].blend"\nframes = [3, 4]\nname = "x"\n')
    assert room_names(short) == ["x a frame 3", "x a frame 4", "x b frame 3", "x b frame 4"]
    assert [
        r.frame for r in recipe(rooms, '[scene]\nfile = "rooms/a.blend"\nframes = [7, 9]\nframe_count = 1\n').rooms
    ] == [7]


def test_one_room_stays_one_room(rooms):
    made = recipe(rooms, '[[room]]\nfile = "rooms/a.blend"\n[[room]]\nfile = "rooms/b.blend"\nframe = 4\n')
    assert room_names(made) == ["1", "2"] and [r.frame for r in made.rooms] == [None, 4]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[room]]\nfile = "nowhere/*.blend"\n', "does not exist"),
        ('[scene]\nfile = "rooms/*.blend"\n', "does not exist"),
        ('[scene]\nfile = "rooms/a.txt"\n', "is no scene that Blender reads"),
        ('[scene]\nfile = "rooms/a.blend"\nframe = 1\nframes = [1, 2]\n', "Remove 'frame' or 'frames'"),
        ('[scene]\nfile = "rooms/a.blend"\nframes = [3, 2]\n', "must be [first, last]"),
    ],
)
def test_problems_are_named(rooms, text, problem):
    with pytest.raises(RecipeError) as raised:
        recipe(rooms, text)
    assert problem in str(raised.value)
