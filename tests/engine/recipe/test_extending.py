# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes that extend other recipes."""

from __future__ import annotations

import operator
import tomllib
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twinset.engine.errors import RecipeError
from twinset.engine.recipe.extending import layer_of, merge_layers
from twinset.engine.recipe.reading import dump_recipe, load_recipe, loads_recipe

from tests.shared.property_examples import examples

BASE = """\
seed = 3
images = 10

[scene]
builtin = "hall"

[[class]]
name = "chair"
models = ["models/*.obj"]
height = [0.8, 1.0]

[[class]]
name = "dining table"
builtin = "table"

[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [2, 5]

[[appearance]]
plugin = "world"
hdri_files = ["sky.hdr"]

[[appearance]]
plugin = "lights"
extra_range = [1, 2]

[[camera]]
plugin = "orbit"
distance = [1.0, 2.0]

[render]
samples = 8
bounces = 4

[[variant]]
name = "near"
appearance.world.hdri_files = ["near.hdr"]
camera.orbit.distance = [0.5, 1.0]
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "base.toml").write_text(BASE)
    return folder


def extending(tmp_path: Path, text: str, name: str = "own/recipe.toml") -> Path:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('extends = "../base/base.toml"\n' + text)
    return path


def read(path: Path) -> object:
    return load_recipe(path, check_files=False)


def test_without_changes_it_is_the_other_recipe(tmp_path: Path, base: Path) -> None:
    own = load_recipe(extending(tmp_path, ""), check_files=False)
    whole = load_recipe(base / "base.toml", check_files=False)
    assert dump_recipe(own, anchor=True) == dump_recipe(whole, anchor=True)


def test_keys_tables_and_arrays_follow_their_rules(tmp_path: Path, base: Path) -> None:
    path = extending(
        tmp_path,
        """
seed = 7
[render]
samples = 2
[[class]]
name = "chair"
height = [0.9, 0.9]
[[class]]
name = "bag"
builtin = "bag"
[[camera]]
plugin = "orbit"
elevation = [0.0, 10.0]
[[camera]]
plugin = "close_up"
weight = 0.1
""",
    )
    recipe = load_recipe(path, check_files=False)
    assert (recipe.seed, recipe.images) == (7, 10)
    assert (recipe.render.samples, recipe.render.bounces) == (2, 4)
    assert [entry.name for entry in recipe.classes] == ["chair", "dining table", "bag"]
    assert recipe.classes[0].height == (0.9, 0.9)
    orbit, close_up = recipe.plugins["camera"]
    assert (orbit.plugin.distance, orbit.plugin.elevation) == ((1.0, 2.0), (0.0, 10.0))
    assert (close_up.id, close_up.weight) == ("close_up", 0.1)


def test_without_removes_whole_kinds_single_plugins_and_keys(tmp_path: Path, base: Path) -> None:
    path = extending(
        tmp_path,
        'without = ["camera", "appearance.lights", "class.chair.height", "class.2", "render.bounces", "variant.near"]\n'
        '[[camera]]\nplugin = "close_up"\n',
    )
    recipe = load_recipe(path, check_files=False)
    assert [use.id for use in recipe.plugins["camera"]] == ["close_up"]
    assert [use.id for use in recipe.plugins["appearance"]] == ["world"]
    assert [entry.name for entry in recipe.classes] == ["chair"]
    assert recipe.classes[0].height is None
    assert recipe.render.bounces is None
    assert recipe.variants == ()


def test_a_target_of_another_plugin_replaces_the_first(tmp_path: Path, base: Path) -> None:
    (base / "real.json").write_text("{}")
    text = BASE + '[real]\nannotations = "real.json"\n[target]\nplugin = "bbox_area_gmm"\ncomponents = 3\n'
    (base / "base.toml").write_text(text)
    same = load_recipe(extending(tmp_path, "[target]\nclasses = ['chair']\n"), check_files=False)
    assert same.plugins["target"][0].plugin.components == 3
    other = load_recipe(extending(tmp_path, '[target]\nplugin = "layout_gmm"\n'), check_files=False)
    assert other.plugins["target"][0].id == "layout_gmm"


def test_paths_start_at_the_file_that_states_them(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELS", raising=False)
    text = BASE + '[[distractor]]\nmodels = ["${MODELS}/a.obj", "/b.obj"]\n'
    (base / "base.toml").write_text(text)
    path = extending(tmp_path, '[[appearance]]\nplugin = "background"\nimage_folder = "photos"\n')
    recipe = load_recipe(path, check_files=False)
    world, _, background = (use.plugin for use in recipe.plugins["appearance"])
    assert recipe.classes[0].models == [str(base / "models/*.obj")]
    assert recipe.distractors[0].models == ["${MODELS}/a.obj", "/b.obj"]
    assert recipe.variables == ("MODELS",)
    assert world.hdri_files == [str(base / "sky.hdr")]
    assert background.image_folder == str(path.parent / "photos")
    assert recipe.variants[0].changes["appearance.world.hdri_files"] == [str(base / "near.hdr")]


def test_a_chain_of_three_and_the_recorded_recipe_are_whole(tmp_path: Path, base: Path) -> None:
    extending(tmp_path, "[render]\nsamples = 2\n", "middle/middle.toml")
    path = tmp_path / "top.toml"
    path.write_text('extends = "middle/middle.toml"\nimages = 1\n')
    recipe = load_recipe(path, check_files=False)
    assert (recipe.images, recipe.render.samples, recipe.render.bounces, recipe.seed) == (1, 2, 4, 3)
    text = dump_recipe(recipe, anchor=True)
    assert "extends" not in tomllib.loads(text)
    assert attrs.evolve(loads_recipe(text, recipe.folder, "x", check_files=False), variables=()) == attrs.evolve(
        recipe, variables=(), classes=(attrs.evolve(recipe.classes[0]), *recipe.classes[1:])
    )


def test_old_spellings_of_the_other_recipe_are_the_same_keys(tmp_path: Path, base: Path) -> None:
    (base / "base.toml").write_text(BASE.replace("height = [0.8, 1.0]", "longest = [0.8, 1.0]"))
    path = extending(tmp_path, '[[class]]\nname = "chair"\nlongest_side = [0.5, 0.6]\n')
    assert load_recipe(path, check_files=False).classes[0].longest_side == (0.5, 0.6)


@pytest.mark.parametrize(
    ("text", "file", "line", "sentence"),
    [
        ("[render]\nsampls = 1\n", "recipe.toml", 3, "sampls"),
        ('without = ["target"]\n', "recipe.toml", 2, "The extended recipe has no 'target'"),
        ('without = ["camera.framed"]\n', "recipe.toml", 2, "has no 'camera.framed'"),
        ('without = "camera"\n', "recipe.toml", 2, "without"),
        ("[render]\nsamples = 0\n", "recipe.toml", 3, "samples"),
    ],
)
def test_mistakes_are_reported_at_their_lines(
    tmp_path: Path, base: Path, text: str, file: str, line: int, sentence: str
) -> None:
    with pytest.raises(RecipeError) as error:
        read(extending(tmp_path, text))
    assert f"(line {line})" in str(error.value)
    assert f"{file}:" in str(error.value)
    assert sentence in str(error.value)


def test_mistakes_in_the_other_recipe_name_its_file_and_line(tmp_path: Path, base: Path) -> None:
    (base / "base.toml").write_text(BASE.replace("extra_range = [1, 2]", "extra_rnge = [1, 2]"))
    with pytest.raises(RecipeError) as error:
        read(extending(tmp_path, 'without = ["appearance.world", "variant"]\n'))
    (problem,) = error.value.problems
    line = 1 + BASE[: BASE.index("extra_range")].count("\n")
    assert f"base.toml: [[appearance]] extra_rnge (line {line}): " in problem


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "./a.toml"\n')
    with pytest.raises(RecipeError, match=r"b\.toml: extends \(line 1\): The recipe extends itself by way of .*a\.tom"):
        read(tmp_path / "a.toml")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    with pytest.raises(RecipeError, match=r"a\.toml: extends \(line 1\): The recipe .*b\.toml cannot be read"):
        read(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("seed = \n")
    with pytest.raises(RecipeError, match=r"b\.toml \(line 1, column \d+\): not valid TOML"):
        read(tmp_path / "a.toml")


def test_without_needs_extends(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('without = ["camera"]\n')
    with pytest.raises(RecipeError, match="'without' needs 'extends'"):
        read(tmp_path / "a.toml")


def test_a_table_that_may_change_several_is_refused(tmp_path: Path, base: Path) -> None:
    twice = BASE + '[[placement]]\nplugin = "on_surface"\nsurfaces = ["Dais"]\n'
    (base / "base.toml").write_text(twice)
    with pytest.raises(RecipeError, match="2 placement tables of plugin 'on_surface'"):
        read(extending(tmp_path, '[[placement]]\nplugin = "on_surface"\ngap = 0.1\n'))
    kept = load_recipe(extending(tmp_path, 'without = ["placement.1"]\n'), check_files=False)
    assert [use.plugin.surfaces for use in kept.plugins["placement"]] == [["Dais"]]


def test_a_second_table_that_may_change_the_same_one_is_refused(tmp_path: Path, base: Path) -> None:
    twice = '[[placement]]\nplugin = "on_surface"\nsurfaces = ["Dais"]\n' * 2
    with pytest.raises(RecipeError, match=r'another placement table of plugin .on_surface.*without = \["placement"\]'):
        read(extending(tmp_path, twice))
    kept = read(extending(tmp_path, f'without = ["placement"]\n{twice}'))
    assert [use.plugin.surfaces for use in kept.plugins["placement"]] == [["Dais"]] * 2


# As in recipes, a key holds a value or a table in all of them.
_values = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))
_tables = st.recursive(
    _values,
    lambda inner: st.builds(operator.or_, _values, st.dictionaries(st.sampled_from("xyz"), inner)),
    max_leaves=8,
)


def merged(*tables: dict) -> dict:
    layers = [attrs.evolve(layer_of("", Path(), "x"), data=table) for table in tables]
    return merge_layers(layers)[0]


@settings(max_examples=examples(40))
@given(_tables, _tables, _tables)
def test_merging_tables_is_associative_and_the_last_wins(a: dict, b: dict, c: dict) -> None:
    assert merged(a, b, c) == merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a
    for key, value in b.items():
        if not isinstance(value, dict):
            assert merged(a, b)[key] == value


def test_a_table_in_place_of_a_value_does_not_bring_back_an_earlier_table() -> None:
    assert merged({"a": {"b": 1}}, {"a": 2}, {"a": {"c": 3}}) == {"a": {"c": 3}}
