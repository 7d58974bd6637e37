# SPDX-License-Identifier: GPL-3.0-or-later
"""What appearance plugins did to the stage is noted in full, passed on, and the same wherever the recipe lies."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
from recipes import on_floor, orbit, plugin_table, recipe_text
from twinset.dataset.atomic_files import json_bytes
from twinset.dataset.store.record import make_record
from twinset.engine.block import Block
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.recorded_draws import DrawRecorder, named
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.stage import Stage
from twinset.testing.fixtures.scene import scene

RECIPE = recipe_text(
    seed=4,
    placements=[on_floor(1, 2)],
    appearances=[
        plugin_table("world", hdri_files=["sky/*.hdr", "${LIGHTS}/*.hdr"], max_radiance=20.0),
        plugin_table("lights", extra_range=[2, 2]),
        plugin_table("background", image_folder="walls", probability=0.5),
    ],
    cameras=[orbit(1.0, 2.5, clearance=0.0)],
    size=(96, 72),
)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return furnish(tmp_path / "here", tmp_path / "shop", monkeypatch)


def furnish(folder: Path, lights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in (folder / "sky/a.hdr", folder / "walls/b.png", lights / "deep/c.hdr", lights / "d.hdr"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("LIGHTS", str(lights))
    return folder


def frames(folder: Path, count: int = 8) -> tuple[Recipe, list]:
    recipe = loads_recipe(RECIPE, folder, "recipe.toml")
    stage = scene((96, 72))
    stage.folder = folder
    sampler = Sampler(recipe, stage, {})
    out = []
    for k in range(count):
        frame = sampler.frame(k, Block())
        assert frame.shot is not None
        out.append((frame, list(stage.calls)))
    return recipe, out


def test_records_tell_every_call_as_the_stage_got_it(house: Path) -> None:
    recipe, found = frames(house)
    seen = set()
    for frame, calls in found:
        noted = json.loads(json_bytes(make_record(frame, recipe)))["draws"]["appearance"]
        assert [n.pop("call") for n in noted] == [name for name, _ in calls]
        for ours, (_, theirs) in zip(noted, calls, strict=True):
            assert ours.keys() == theirs.keys()
            for key, value in theirs.items():
                if isinstance(value, Path):
                    seen.add(ours[key])
                elif value is None:
                    assert ours[key] is None
                else:
                    np.testing.assert_allclose(ours[key], value, rtol=1e-8)
    assert seen == {"sky/a.hdr", "${LIGHTS}/d.hdr", "walls/b.png"}


def test_records_are_the_same_where_all_lies_elsewhere(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, here = frames(house, 3)
    other, there = frames(furnish(tmp_path / "far/away", tmp_path / "gone/away", monkeypatch), 3)
    for (a, _), (b, _) in zip(here, there, strict=True):
        assert json_bytes(make_record(a, recipe)) == json_bytes(make_record(b, other))


def test_the_variable_that_leads_there_names_a_file(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = loads_recipe(RECIPE, house, "recipe.toml")
    assert recipe.variables == ("LIGHTS",)
    inside = house.parent / "shop/deep/c.hdr"
    assert named(recipe, inside) == "${LIGHTS}/deep/c.hdr"
    assert recipe.path(named(recipe, inside)) == inside
    monkeypatch.delenv("LIGHTS")
    assert named(recipe, inside) == "../shop/deep/c.hdr"
    assert named(attrs.evolve(recipe, variables=()), house / "sky/a.hdr") == "sky/a.hdr"


def test_all_else_of_the_stage_is_there(house: Path) -> None:
    stage = scene()
    recorder = DrawRecorder(stage, loads_recipe(RECIPE, house, "recipe.toml"))
    stool = recorder.assets["chair"][0]
    placed = recorder.place(stool, np.eye(4))
    assert recorder.instances == stage.instances == (placed,)
    assert recorder.bounds[1][2] == stage.bounds[1][2]
    recorder.add_light(np.array([1, 2, 3]), power=np.float32(4), color=(1, 1, 1), radius=0)
    assert json.loads(json.dumps(recorder.calls)) == [
        {"call": "add_light", "position": [1, 2, 3], "power": 4, "color": [1, 1, 1], "radius": 0}
    ]


def test_a_new_argument_of_the_stage_is_recorded_as_it_is_declared(house: Path, monkeypatch) -> None:
    """So a further parameter of lights takes the plugin, the stage's declaration and Blender's side, no more."""

    def add_light(self, position, *, power, color, radius, angle=180.0):
        """Like the stage's own, with an angle."""

    monkeypatch.setattr(Stage, "add_light", add_light)
    stage = scene()
    recorder = DrawRecorder(stage, loads_recipe(RECIPE, house, "recipe.toml"))
    recorder.add_light((1, 2, 3), power=4, color=(1, 1, 1), radius=0, angle=30)
    recorder.add_light((1, 2, 3), power=4, color=(1, 1, 1), radius=0)
    assert [call["angle"] for call in recorder.calls] == [30.0, 180.0]
    assert stage.calls[0][1]["angle"] == 30
    with pytest.raises(TypeError, match="missing a required argument: 'radius'"):
        recorder.add_light((1, 2, 3), power=4, color=(1, 1, 1))
    assert len(recorder.calls) == 2
