# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes built in Python are those that TOML gives, with the same defaults and the same complaints."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twinset as ts
from twinset.engine.recipe.reading import dump_recipe, loads_recipe
from twinset.engine.recipe.settings import SceneSettings
from twinset.engine.recipe.tables.classes import ClassSettings
from twinset.plugins.cameras.orbit import Orbit
from twinset.plugins.placements.on_surface import OnSurface

ARGUMENTS = {
    "class": "classes",
    "distractor": "distractors",
    "goal": "goals",
    "room": "rooms",
    "variant": "variants",
    "placement": "placements",
    "appearance": "appearances",
    "camera": "cameras",
    "metric": "metrics",
    "filter": "filters",
}


def built(text: str, folder: Path) -> Any:
    """The recipe of a TOML text, through the arguments of the Python class."""
    tables = tomllib.loads(text)
    return ts.Recipe(**{"scene": {}, **{ARGUMENTS.get(k, k): v for k, v in tables.items()}}, folder=folder)


@pytest.mark.parametrize("name", ["demo", "layout", "gated"])
def test_python_and_toml_give_the_same_recipe(root: Path, name: str) -> None:
    path = root / "examples" / f"{name}.toml"
    text = path.read_text()
    if name == "gated":  # its feature file is made by another command
        for make in (partial(loads_recipe, text, path.parent, "Recipe"), partial(built, text, path.parent)):
            with pytest.raises(ts.TwinsetError, match="features"):
                make()
        return
    made, expected = built(text, path.parent), loads_recipe(text, path.parent, "recipe")
    assert made == expected
    assert dump_recipe(made) == dump_recipe(expected)
    assert isinstance(made, ts.Recipe) and isinstance(ts.load_recipe(path), ts.Recipe)
    assert not isinstance(object(), ts.Recipe)


def test_plugins_and_settings_may_be_objects(tmp_path: Path) -> None:
    text = """
images = 3
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 2]
[[camera]]
plugin = "orbit"
weight = 2.0
[[metric]]
plugin = "bbox"
"""
    made = ts.Recipe(
        images=3,
        scene=SceneSettings(builtin="hall"),
        classes=[ClassSettings("chair", builtin="chair")],
        placements=[OnSurface(surfaces=["Floor"], count=(1, 2))],
        cameras=[{"plugin": Orbit(), "weight": 2.0}],
        metrics=["bbox"],
        folder=tmp_path,
    )
    assert made == loads_recipe(text, tmp_path, "recipe")


def test_what_is_wrong_is_said_in_the_words_of_recipes(tmp_path: Path) -> None:
    with pytest.raises(ts.TwinsetError) as caught:
        ts.Recipe(
            scene=tmp_path / "missing.blend",
            classes=[{"name": "chair", "builtin": "chair", "colour": "red"}],
            cameras=[{"plugin": "orbit", "distance": "far"}],
            images=0,
        )
    said = str(caught.value)
    for part in ("missing.blend", "'colour'", "distance", "images"):
        assert part in said
    assert "(line" not in said


def test_a_plugin_that_no_registry_knows_is_refused(tmp_path: Path) -> None:
    from twinset.engine.plugin import Columns, plugin

    @plugin("metric", id="of_this_test")
    class OfThisTest:
        """Nothing."""

        def measure(self, shot: Any) -> Columns:
            return Columns()

    with pytest.raises(ts.TwinsetError, match="of_this_test"):
        ts.Recipe(scene={"builtin": "hall"}, classes=[{"name": "chair", "builtin": "chair"}], metrics=[OfThisTest()])


def test_the_tables_that_were_given_stay_as_they_are() -> None:
    scene, classes = {"builtin": "hall"}, [{"name": "chair", "builtin": "chair"}]
    ts.Recipe(scene=scene, classes=classes)
    assert scene == {"builtin": "hall"} and classes == [{"name": "chair", "builtin": "chair"}]


def test_sequences_are_sequences_and_values_may_be_paths_or_numpys(tmp_path: Path) -> None:
    chair = [{"name": "chair", "builtin": "chair"}]
    for wrong in ({"placements": "on_surface"}, {"cameras": {"plugin": "orbit"}}, {"classes": None}):
        with pytest.raises(ts.TwinsetError, match=f"{next(iter(wrong))} must be a sequence"):
            ts.Recipe(**{"scene": {"builtin": "hall"}, "classes": chair, **wrong})
    with pytest.raises(ts.TwinsetError, match="plugin"):
        ts.Recipe(scene={"builtin": "hall"}, classes=chair, cameras=[{"plugin": 3}])
    (tmp_path / "a.blend").touch()
    made = ts.Recipe(scene={"file": tmp_path / "a.blend"}, classes=chair, seed=np.int64(3))
    assert made.scene.file == str(tmp_path / "a.blend") and made.seed == 3
    again = ts.Recipe(scene={"builtin": "hall"}, classes=made.classes, cameras=made.plugins["camera"])
    assert again.plugins["camera"] == made.plugins["camera"]


def test_scene_and_rooms_are_judged_as_in_toml() -> None:
    chair, room = [{"name": "chair", "builtin": "chair"}], {"name": "hall", "builtin": "hall"}
    assert len(ts.Recipe(classes=chair, rooms=[room]).rooms) == 1
    with pytest.raises(ts.TwinsetError, match=r"\[scene\]"):
        ts.Recipe(scene={"builtin": "hall"}, classes=chair, rooms=[room])


@pytest.mark.parametrize("change", [{"images": -1}, {"images": 0}, {"seed": "a"}, {"samples": -5}, {"images": "3"}])
@pytest.mark.parametrize("as_path", [True, False])
def test_changed_values_are_checked_before_anything_is_written(
    root: Path, tmp_path: Path, change: dict[str, Any], as_path: bool
) -> None:
    path = root / "examples" / "demo.toml"
    with pytest.raises(ts.TwinsetError, match=next(iter(change))):
        ts.render(path if as_path else ts.load_recipe(path), tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()
