# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading recipes with all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twinset.engine.errors import RecipeError
from twinset.engine.plugin.registry import catalogue
from twinset.engine.recipe.reading import (
    dump_recipe,
    load_recipe,
    loads_recipe,
)
from twinset.engine.recipe.settings import (
    OutputSettings,
    Recipe,
    RenderSettings,
)

SMALL = """
[scene]
builtin = "hall"

[[class]]
name = "chair"
builtin = "chair"
"""


def problems_of(text: str, folder: Path, overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        loads_recipe(text, folder, "r.toml", overrides)
    return caught.value.problems


def read(text: str, folder: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    return loads_recipe(text, folder, "r.toml", overrides)


def ids(recipe: Recipe, kind: str) -> list[str]:
    return [use.id for use in recipe.plugins[kind]]


# Reading


def test_a_small_recipe_gets_the_defaults(tmp_path: Path) -> None:
    recipe = read(SMALL, tmp_path)
    assert (recipe.seed, recipe.images, recipe.real) == (0, 100, None)
    assert recipe.render == RenderSettings() and recipe.output == OutputSettings()
    assert ids(recipe, "placement") == ["keep"]
    assert ids(recipe, "camera") == ["orbit"]
    assert ids(recipe, "filter") == ["min_pixels"]
    assert ids(recipe, "metric") == sorted(c.plugin_id for c in catalogue() if c.plugin_kind == "metric")
    assert recipe.plugins["target"] == recipe.plugins["appearance"] == ()


def test_a_target_brings_the_framed_camera(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    text = SMALL + '[real]\nannotations = "real.json"\n[target]\nplugin = "bbox_area_gmm"\n'
    assert ids(read(text, tmp_path), "camera") == ["framed"]


def test_empty_stacks_mean_none_where_that_makes_sense(tmp_path: Path) -> None:
    recipe = read("metric = []\nfilter = []\ncamera = []\nplacement = []\n" + SMALL, tmp_path)
    assert recipe.plugins["metric"] == recipe.plugins["filter"] == ()
    assert ids(recipe, "camera") == ["orbit"] and ids(recipe, "placement") == ["keep"]
    assert read(dump_recipe(recipe), tmp_path) == recipe


def test_seed_zero_is_a_seed(tmp_path: Path) -> None:
    assert read("seed = 0\n" + SMALL, tmp_path).seed == 0
    assert read("seed = 5\n" + SMALL, tmp_path, {"seed": 0}).seed == 0


def test_overrides_win_and_are_checked(tmp_path: Path) -> None:
    recipe = read("images = 5\n" + SMALL, tmp_path, {"images": 7, "render.samples": 3})
    assert (recipe.images, recipe.render.samples) == (7, 3)
    assert problems_of(SMALL, tmp_path, {"render.samples": 0}) == [
        "r.toml: [render] samples (overridden): The 'samples' parameter of table [render] must be an int in "
        "[1, 65536]. Got 0 instead."
    ]


def test_cameras_share_frames_by_weight(tmp_path: Path) -> None:
    text = SMALL + '[[camera]]\nplugin = "orbit"\n[[camera]]\nplugin = "close_up"\nweight = 0.25\n'
    assert [use.weight for use in read(text, tmp_path).plugins["camera"]] == [1.0, 0.25]


def test_all_problems_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """seed = -1
imagess = 3
[real]
annotations = "no.json"
images = "nowhere"
[scene]
file = "x.blend"

[[scene.models]]
path = "a.glb"
scale = 0
[[class]]
name = "chair"
models = [
  "no/*.glb", # ]
]
[[class]]
name = "chair"
heigth = 1
[[class]]
height = [1.0, 0.5]
[[distractor]]
name = "box"
[[camera]]
plugin = "framd"
[[camera]]
plugin = "framed"
weight = 0
[target]
[render]
samples = "many"
[[filter]]
plugin = "min_pixels"
colour = "red"
"""
    found = problems_of(text, tmp_path)
    expected = [
        ("seed (line 1)", "int in [0, inf). Got -1"),
        ("imagess (line 2)", "no table or key 'imagess'. Did you mean 'images'? Known ones: seed, images, "),
        ("[real] annotations (line 4)", "no.json does not exist"),
        ("[real] images (line 5)", "There is no folder"),
        ("[scene] file (line 7)", "x.blend does not exist"),
        ("[[scene.models]] path (line 10)", None),
        ("[[scene.models]] scale (line 11)", "scene model 1 must be a float in (0, inf). Got 0"),
        ("[[class]] models (line 14)", "No file matches 'no/*.glb'"),
        ("[[class]] name (line 18)", "already a class 'chair'"),
        ("[[class]] heigth (line 19)", "Did you mean 'height'? Known ones: name, models, "),
        ("[[class]] name (line 20)", "Class 3 needs the parameter 'name'"),
        ("[[class]] height (line 21)", "a pair [low, high] of floats"),
        ("[[distractor]] (line 22)", "Distractor 'box' has no source"),
        ("[[camera]] plugin (line 25)", "Did you mean 'framed'?"),
        ("[[camera]] weight (line 28)", "float in (0, inf)"),
        ("[target] plugin (line 29)", "Known ones: bbox_area_gmm"),
        ("[render] samples (line 31)", "Got 'many'"),
        ("[[filter]] colour (line 34)", "Filter 'min_pixels' has no parameter 'colour'"),
    ]
    # A model whose scale is wrong is not looked for.
    expected = [(place, text) for place, text in expected if text]
    assert [p.split(": ")[0] + ": " + p.split(": ")[1] for p in found] == [f"r.toml: {place}" for place, _ in expected]
    for problem, (_, part) in zip(found, expected, strict=True):
        assert part in problem


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "The recipe has no class."),
        ("", "The recipe has no room."),
        ('[scene]\n[[class]]\nname="a"\nbuiltin="chair"', "[scene] (line 1): The recipe has no room."),
        (SMALL + '[target]\nplugin = "bbox_area_gmm"', "[target] (line 8): A target learns from real boxes."),
        (SMALL.replace('builtin = "chair"', ""), "Class 'chair' has no source."),
        (SMALL.replace('name = "chair"', 'name = " "'), "name of a class must not be empty"),
        (SMALL + "height = [1, 1]\nlongest_side = [1, 1]", "both height and longest_side"),
        (SMALL.replace("[scene]", '[scene]\nfile = "room.blend"'), "Remove the others"),
        (SMALL.replace('builtin = "hall"', 'file = "room.max"'), "is no scene that Blender reads"),
        ("class = 3\n" + SMALL.split("[[class]]")[0], "'class' must be one or more tables"),
        ("scene = 3\n[[class]]\nname='a'\nbuiltin='chair'", "'scene' must be a table, written [scene]."),
        (SMALL + "[[target]]\nplugin = 'x'", "'target' must be one table"),
        (SMALL + "[[metric]]\nplugin = 'bbox'\n[[metric]]\nplugin = 'bbox'", "[[metric]] plugin (line 11): The metric"),
        (SMALL + "[[metric]]\nplugin = 'bbox'\nweight = 2", "has no parameter 'weight'"),
        (
            SMALL + "[[appearance]]\nplugin='world'\nhdri_folder='no'",
            "hdri_folder (line 10): No file or folder",
        ),
        ("plugin_folders = ['no']\n" + SMALL, "plugin_folders (line 1): The plugin folder"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path: Path, text: str, part: str) -> None:
    assert any(part in problem for problem in problems_of(text, tmp_path)), problems_of(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seed = 1\nimages = = 2", "line 2, column 10"),
        ("[scene\n", "line 1, column 7"),
        ('a = """x\ny', "line 2, column 2"),
    ],
)
def test_syntax_errors_have_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    (problem,) = problems_of(text, tmp_path)
    assert problem.startswith(f"r.toml ({place}): not valid TOML: ")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    for path, part in [("none.toml", "no such file"), (".", "cannot be read"), ("latin.toml", "not UTF-8")]:
        with pytest.raises(RecipeError, match=part):
            load_recipe(tmp_path / path)


def test_files_need_not_be_there_where_nothing_is_rendered(tmp_path: Path) -> None:
    text = SMALL + 'models = ["no/*.glb"]\n'
    assert len(problems_of(text, tmp_path)) == 1
    assert loads_recipe(text, tmp_path, "r.toml", check_files=False).classes[0].models == ["no/*.glb"]


def test_folder_plugins_and_files_start_at_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_PLUGINS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "nothing.py").write_text(
        "from ...engine.plugin import plugin\n"
        '@plugin("appearance")\nclass Nothing:\n    """Vary nothing."""\n'
        "    def vary(self, stage, rng):\n        pass\n"
    )
    (tmp_path / "m [1]").mkdir()
    for name in ("b.glb", "a.glb", "c.obj"):
        (tmp_path / "m [1]" / name).touch()
    (tmp_path / "sky").mkdir()
    text = 'plugin_folders = ["own"]\n' + SMALL.replace('builtin = "chair"', 'models = ["m [1]/*.glb", "m [1]/c.obj"]')
    text += '[[appearance]]\nplugin = "nothing"\n[[appearance]]\nplugin = "world"\nhdri_folder = "sky"\n'
    folder = tmp_path / "m [1]"
    (folder / "r.toml").write_text(text.replace("m [1]/", "").replace('"own"', '"../own"').replace('"sky"', '"../sky"'))
    recipe = load_recipe(folder / "r.toml")
    assert [p.name for p in recipe.files("*.glb")] == ["a.glb", "b.glb"]
    assert ids(recipe, "appearance") == ["nothing", "world"]
    # Plugins know no recipe: what they get is absolute.
    assert recipe.plugins["appearance"][1].plugin.hdri_folder == str(tmp_path / "sky")
    text = dump_recipe(recipe, header=["Made by a test."])
    assert str(tmp_path) not in text
    moved = tmp_path / "out" / "deep"
    text = dump_recipe(recipe, header=["Made by a test."], anchor=True)
    assert text.startswith("# Made by a test.\n")
    again = loads_recipe(text, moved, "r.toml")
    assert again.files(again.classes[0].models[0]) == recipe.files("*.glb")
    assert again.plugins == recipe.plugins
