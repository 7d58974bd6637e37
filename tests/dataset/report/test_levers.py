# SPDX-License-Identifier: GPL-3.0-or-later
"""Levers come from the declarations of plugins, those of third parties included."""

from __future__ import annotations

from pathlib import Path

import pytest
from recipes import orbit, plugin_table, recipe_of, recipe_text
from twinset.alignment.columns.registry import find_column
from twinset.dataset.report.levers import advice, levers
from twinset.engine.plugin import trusted_folders
from twinset.engine.plugin.params import describe
from twinset.engine.plugin.registry import Registry, default
from twinset.engine.recipe.reading import loads_recipe

FOG = '''
from ...engine.plugin import param, plugin


@plugin("appearance")
class Fog:
    """Fill the room with fog of some density."""

    density: float = param(0.2, min=0.0, unit="m", doc="How dense the fog is", moves={"contrast": "-", "depth": "?"})
    classes: list[str] = param([], means="class", doc="Classes that stand in it")
    hidden: float = param(0.5, doc="Share hidden without a target", moves={"contrast": "+"}, unused_with="target")
    quiet: int = param(3, doc="A parameter that moves nothing")

    def vary(self, stage, rng):
        """Do nothing yet."""
'''

ROOM = recipe_text(
    plugin_folders=["mine"],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fog.py").write_text(FOG)
    monkeypatch.setenv(trusted_folders.VARIABLE, str(tmp_path / "mine"))
    return tmp_path


def test_a_plugin_in_a_folder_is_advised_on_where_a_recipe_uses_it(folder: Path) -> None:
    recipe = loads_recipe(ROOM + '[[appearance]]\nplugin = "fog"\ndensity = 0.4\n', folder, "r.toml")
    too_high = advice("contrast", "chair", 1, recipe)[:2]
    assert [(a.place, a.param, a.action, a.value) for a in too_high] == [
        ("[[appearance]] fog", "density", "raise", "0.4 m"),
        ("[[appearance]] fog", "hidden", "lower", "0.5"),
    ]
    assert advice("image_contrast", "chair", -1, recipe)[0].action == "lower"
    assert {a.action for a in advice("depth", "chair", 1, recipe) if "fog" in a.place} == {"change"}
    # One for other classes does not move this one's column.
    other = loads_recipe(ROOM + '[[appearance]]\nplugin = "fog"\nclasses = ["bag"]\n', folder, "r.toml")
    assert all(a.action == "add" for a in advice("depth", "chair", 1, other) if "fog" in a.place)


def test_a_parameter_that_the_target_makes_useless_is_no_advice(folder: Path) -> None:
    target = '[real]\nannotations = "real.json"\n[target]\nplugin = "bbox_area_gmm"\n'
    (folder / "real.json").write_text('{"images": [], "annotations": [], "categories": []}')
    recipe = loads_recipe(ROOM + '[[appearance]]\nplugin = "fog"\n' + target, folder, "r.toml")
    own = [a.param for a in advice("contrast", "chair", 1, recipe) if "fog" in a.place]
    assert own == ["density"]


def test_a_plugin_that_the_recipe_does_not_use_may_be_added(folder: Path) -> None:
    registry = Registry([folder / "mine"], entry_points=False)
    found = [a for a in advice("contrast", "chair", 1, None, registry) if a.place == "[[appearance]] fog"]
    assert [(a.param, a.action, a.value) for a in found] == [("density", "add", "0.2 m"), ("hidden", "add", "0.5")]


def test_levers_are_sorted_by_kind_and_areas_share_theirs() -> None:
    found = levers("sqrt_area", default().catalogue(builtin=True))
    kinds = [lever.kind for lever in found]
    assert kinds == sorted(kinds, key=["target", "camera", "placement", "filter"].index)
    assert [(x.id, x.param.name) for x in levers("area", default().catalogue(builtin=True))] == [
        (x.id, x.param.name) for x in found
    ]
    signs = {(x.kind, x.id, x.param.name): x.sign for x in found}
    assert signs["camera", "orbit", "distance"] == -1 and signs["camera", "framed", "lens"] == 1
    assert signs["target", "bbox_area_gmm", "classes"] == 0


def test_plugins_declare_which_columns_their_parameters_move():
    declared = {column for cls in default().catalogue() for p in describe(cls) for column in p.moves}
    assert {"sqrt_area", "depth", "visible_share", "brightness"} <= declared
    assert all(find_column(column).reported for column in declared)


def test_advice_follows_recipe_and_direction():
    recipe = recipe_of(cameras=[orbit(1.0, 2.0)])
    larger, smaller = (advice("sqrt_area", "chair", way, recipe) for way in (1, -1))
    assert (larger[0].place, larger[0].param, larger[0].action) == ("[[camera]] orbit", "distance", "raise")
    assert larger[0].value == "1 to 2 m" and smaller[0].action == "lower"
    assert advice("sqrt_area", "chair", 0, recipe)[0].action == "change"
    # A recipe with a camera is not told to take another; one without lights may be told of lights.
    assert all(a.action != "add" for a in larger if "camera" in a.place)
    lighting = ("auto_exposure", "lamps", "lights", "materials", "sky", "world")
    assert {(a.place, a.action) for a in advice("image_brightness", "chair", 1, recipe)} == {
        *((f"[[appearance]] {name}", "add") for name in lighting),
        *((f"[[effect]] {name}", "add") for name in ("exposure", "replace_background", "vignette")),
    }
    darker = recipe_of(cameras=[orbit(1.0, 2.0)], effects=[plugin_table("vignette", falloff=[0.2, 0.4])])
    first = advice("image_brightness", "chair", 1, darker)[0]
    assert (first.place, first.param, first.action) == ("[[effect]] vignette", "falloff", "raise")
    assert advice("no_such_column", "chair", 1, recipe) == []
