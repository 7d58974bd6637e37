# SPDX-License-Identifier: GPL-3.0-or-later
"""Old spellings of recipe keys and plugin ids: read for one release, noted, never written, and the same frames."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from twinset.engine.block import Block
from twinset.engine.errors import PluginError, RecipeError
from twinset.engine.plugin import renames
from twinset.engine.plugin.params import describe
from twinset.engine.plugin.registry import Registry, default
from twinset.engine.recipe.json_schema import json_schema
from twinset.engine.recipe.reading import dump_recipe, load_recipe, loads_recipe
from twinset.engine.recipe.search_space import read_axes
from twinset.engine.recipe.settings import LISTS, TABLES, ModelSettings, Recipe
from twinset.engine.recipe.variants import with_changes
from twinset.engine.sampling.sampler import Sampler
from twinset.testing import BruteStage, asset, box, plane

TABLE_KEYS = {
    ("scene", "materials_on"): ("material_assignments", 'builtin = "hall"\nmaterials = "."\n{} = ["Floor: wood"]'),
    ("scene.models", "up"): ("up_axis", 'path = "a.glb"\n{} = "y"'),
    ("class", "longest"): ("longest_side", 'name = "a"\nbuiltin = "chair"\n{} = [0.5, 1.0]'),
    ("class", "up"): ("up_axis", 'name = "a"\nbuiltin = "chair"\n{} = "y"'),
    ("distractor", "longest"): ("longest_side", 'builtin = "bag"\n{} = [0.5, 1.0]'),
    ("distractor", "up"): ("up_axis", 'builtin = "bag"\n{} = "x"'),
    ("render", "block"): ("block_size", "{} = 4"),
}
"""By table and old key: the new key, and a table that has it."""

PLUGIN_KEYS = {
    ("placement", "jitter", "turn"): ("rotation", 3.0),
    ("placement", "jitter", "overhang"): ("max_overhang", 0.3),
    ("placement", "jitter", "step"): ("max_support_gap", 0.3),
    ("placement", "on_surface", "others"): ("count_without_main", [2, 3]),
    ("placement", "on_surface", "overhang"): ("max_overhang", 0.3),
    ("placement", "on_surface", "step"): ("max_support_gap", 0.3),
    ("placement", "on_surface", "border"): ("edge_margin", 0.3),
    ("placement", "on_surface", "align"): ("align_to_normal", True),
    ("placement", "on_surface", "cluster"): ("cluster_radius", 0.3),
    ("appearance", "jitter", "turn"): ("rotation", 3.0),
    ("camera", "close_up", "seen"): ("min_visible_share", 0.9),
    ("camera", "framed", "above"): ("above_surfaces", ["Floor"]),
    ("camera", "framed", "seen"): ("min_visible_share", 0.9),
    ("camera", "jitter", "turn"): ("rotation", 7.0),
    ("camera", "jitter", "seen"): ("min_visible_share", 0.9),
    ("camera", "layout", "above"): ("above_surfaces", ["Floor"]),
    ("camera", "layout", "seen"): ("min_visible_share", 0.9),
    ("camera", "orbit", "above"): ("above_surfaces", ["Floor"]),
    ("camera", "orbit", "seen"): ("min_visible_share", 0.9),
    ("target", "bbox_area_gmm", "min_real"): ("min_real_boxes", 9),
    ("target", "bbox_area_gmm", "center"): ("match_center", False),
    ("target", "layout_gmm", "most"): ("max_boxes", 9),
    ("target", "layout_gmm", "min_real"): ("min_real_boxes", 9),
    ("target", "layout_gmm", "tries"): ("attempts_per_layout", 9),
    ("metric", "occlusion", "blind_quantile"): ("fallback_quantile", 0.7),
    ("filter", "feature_score", "min_size"): ("min_box_side", 9),
    ("filter", "feature_score", "draft_error"): ("max_false_reject_rate", 0.2),
    ("filter", "feature_score", "near_duplicates"): ("near_duplicate_distance", 0.2),
    ("filter", "feature_score", "floor"): ("min_pass_rate", 0.2),
}
"""By kind, plugin and old parameter: the new one, and a value that is not its default."""

PLUGIN_IDS = {("placement", "around"): "jitter", ("appearance", "around"): "jitter", ("camera", "around"): "jitter"}

NEEDED = {"surfaces": ["Floor"], "frames": "f.json", "features": "a.features"}
"""Values of parameters that have no default."""

NOTE = "{}: '{}' is now called '{}'. Twinset 0.3 will refuse the old spelling."


@pytest.fixture(autouse=True)
def fresh_notes() -> Iterator[None]:
    renames.warn.cache_clear()
    yield
    renames.warn.cache_clear()


def read(text: str, folder: Path = Path("/nowhere"), **overrides: object) -> Recipe:
    return loads_recipe(text, folder, "r.toml", overrides, check_files=False)


def notes_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def line_of(text: str, start: str) -> int:
    return 1 + next(k for k, line in enumerate(text.splitlines()) if line.startswith(start))


def with_table(table: str, body: str) -> str:
    """A whole recipe with a table."""
    header = f"[{table}]" if table in TABLES else f"[[{table}]]"
    rest = "" if table in ("scene", "scene.models") else '[scene]\nbuiltin = "hall"\n'
    rest += "" if table == "class" else '[[class]]\nname = "chair"\nbuiltin = "chair"\n'
    return f"{rest}\n{header}\n{body}\n"


def with_plugin(kind: str, id: str, values: dict[str, object]) -> str:
    """A whole recipe with a plugin of these parameters."""
    known = {p.name for p in describe(default().find(kind, id)) if p.required}
    pairs = {k: v for k, v in NEEDED.items() if k in known} | values
    lines = "\n".join(f"{k} = {json.dumps(v)}" for k, v in pairs.items())
    header = "[target]" if kind == "target" else f"[[{kind}]]"
    real = '[real]\nannotations = "real.json"\n' if kind == "target" else ""
    return f'{real}{with_table("output", "width = 64")}\n{header}\nplugin = "{id}"\n{lines}\n'


def test_the_mapping_is_the_declared_one() -> None:
    tables = {**TABLES, **LISTS, "scene.models": ModelSettings}
    declared = {(key, p.formerly): p.name for key, cls in tables.items() for p in describe(cls) if p.formerly}
    assert declared == {key: new for key, (new, _) in TABLE_KEYS.items()}
    builtin = Registry(entry_points=False).catalogue()
    of_plugins = {
        (cls.plugin_kind, cls.plugin_id, p.formerly): p.name for cls in builtin for p in describe(cls) if p.formerly
    }
    assert of_plugins == {key: new for key, (new, _) in PLUGIN_KEYS.items()}
    assert {(c.plugin_kind, c.plugin_formerly): c.plugin_id for c in builtin if c.plugin_formerly} == PLUGIN_IDS


@pytest.mark.parametrize(("table", "old"), TABLE_KEYS)
def test_keys_of_tables(table: str, old: str, caplog: pytest.LogCaptureFixture) -> None:
    new, body = TABLE_KEYS[table, old]
    text = with_table(table, body.format(old))
    found = read(text)
    assert notes_of(caplog) == [NOTE.format(f"r.toml (line {line_of(text, old + ' =')})", old, new)]
    assert found == read(with_table(table, body.format(new)))
    assert len(notes_of(caplog)) == 1  # the new spelling gives no note
    written = dump_recipe(found)
    assert f"\n{new} = " in written and f"\n{old} = " not in written
    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(text))


@pytest.mark.parametrize(("kind", "id", "old"), PLUGIN_KEYS)
def test_parameters_of_plugins(kind: str, id: str, old: str, caplog: pytest.LogCaptureFixture) -> None:
    new, value = PLUGIN_KEYS[kind, id, old]
    text = with_plugin(kind, id, {old: value})
    found = read(text)
    assert notes_of(caplog) == [NOTE.format(f"r.toml (line {line_of(text, old + ' =')})", old, new)]
    assert found == read(with_plugin(kind, id, {new: value})) != read(with_plugin(kind, id, {}))
    assert f"\n{new} = " in dump_recipe(found) and f"\n{old} = " not in dump_recipe(found)
    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(text))


@pytest.mark.parametrize(("kind", "old"), PLUGIN_IDS)
def test_ids_of_plugins(kind: str, old: str, caplog: pytest.LogCaptureFixture) -> None:
    new = PLUGIN_IDS[kind, old]
    text = with_plugin(kind, old, {})
    found = read(text)
    assert notes_of(caplog) == [NOTE.format(f"r.toml (line {line_of(text, 'plugin = ')})", old, new)]
    assert found == read(with_plugin(kind, new, {}))
    assert f'plugin = "{new}"' in dump_recipe(found) and old not in dump_recipe(found)
    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(text))
    assert default().find(kind, old) is default().find(kind, new)
    assert old not in default().ids(kind)


def test_a_note_is_given_once_for_each_place(caplog: pytest.LogCaptureFixture) -> None:
    text = with_plugin("camera", "orbit", {"seen": 0.1})
    read(text)
    read(text)
    assert len(notes_of(caplog)) == 1
    read(f"# one line more\n{text}")
    assert len(notes_of(caplog)) == 2


def test_the_recipe_in_an_output_folder_gives_no_notes(caplog: pytest.LogCaptureFixture) -> None:
    changes = "[[variant]]\ncamera.orbit.seen = 0.3\n"
    text = with_plugin("camera", "orbit", {"seen": 0.1}) + "[render]\nblock = 5\n" + changes
    resolved = f"# Resolved by Twinset 0.1.0.\n{text}"
    found = read(resolved)
    assert notes_of(caplog) == []
    assert found == read(text) and len(notes_of(caplog)) == 3
    read(resolved, **{"render.block": 7})
    assert notes_of(caplog)[3:] == [NOTE.format("r.toml", "block", "block_size")]  # an override is the user's


def test_old_and_new_contradict_each_other() -> None:
    text = with_plugin("camera", "orbit", {"seen": 0.1, "min_visible_share": 0.2})
    with pytest.raises(RecipeError, match=r"line \d+.*: 'seen' is the old name of 'min_visible_share'; remove one"):
        read(text)


def test_problems_name_the_line_of_the_old_spelling() -> None:
    text = with_plugin("camera", "orbit", {"seen": 7.0})
    line = line_of(text, "seen =")
    with pytest.raises(RecipeError, match=rf"\(line {line}\): The 'min_visible_share' parameter of camera 'orbit'"):
        read(text)


def test_overrides(caplog: pytest.LogCaptureFixture) -> None:
    text = with_table("render", "samples = 4")
    assert read(text, **{"render.block": 7}).render.block_size == 7
    assert notes_of(caplog) == [NOTE.format("r.toml", "block", "block_size")]
    with pytest.raises(RecipeError, match=r"block_size \(overridden\)"):
        read(text, **{"render.block": -1})


def test_variants_and_rooms(caplog: pytest.LogCaptureFixture) -> None:
    changes = (
        "camera.orbit.seen = 0.1\nplacement.around.turn = 5.0\nplacement.1.overhang = 0.2\nplacement.jitter.enabled = "
    )
    text = (
        with_plugin("placement", "jitter", {})
        + f'[[variant]]\n{changes}true\n[[variant]]\n[[room]]\nbuiltin = "hall"\nmaterials = "."\n'
        f'materials_on = ["a: b"]\n{changes}true\n'
    ).replace('[scene]\nbuiltin = "hall"\n', "")
    found = read(text)
    wanted = {
        "camera.orbit.min_visible_share": 0.1,
        "placement.jitter.rotation": 5.0,
        "placement.1.max_overhang": 0.2,
        "placement.jitter.enabled": True,
    }
    assert found.variants[0].changes == found.rooms[0].changes == wanted
    assert found.rooms[0].material_assignments == ["a: b"]
    first = line_of(text, "camera.orbit.seen")
    expected = [
        NOTE.format(f"r.toml (line {first})", "camera.orbit.seen", "camera.orbit.min_visible_share"),
        NOTE.format(f"r.toml (line {first + 1})", "placement.around.turn", "placement.jitter.rotation"),
        NOTE.format(f"r.toml (line {first + 2})", "placement.1.overhang", "placement.1.max_overhang"),
    ]
    assert notes_of(caplog)[1:4] == expected  # the first is of the room's own table
    assert "materials_on" in notes_of(caplog)[0] and len(notes_of(caplog)) == 7
    assert read(dump_recipe(found)).variants == found.variants
    jsonschema.Draft202012Validator(json_schema()).validate(tomllib.loads(text))


def test_changes_made_by_programs() -> None:
    recipe = read(with_plugin("placement", "jitter", {}))
    changed = with_changes(recipe, {"camera.orbit.seen": 0.1, "placement.around.turn": 5.0})
    assert changed == with_changes(recipe, {"camera.orbit.min_visible_share": 0.1, "placement.jitter.rotation": 5.0})
    with pytest.raises(ValueError, match="means the same parameter"):
        with_changes(recipe, {"camera.orbit.seen": 0.1, "camera.orbit.min_visible_share": 0.1})


def test_varied_keys(caplog: pytest.LogCaptureFixture) -> None:
    recipe = read(with_plugin("placement", "jitter", {}))
    (axis,) = read_axes(["placement.around.turn=1:5"], recipe.plugins)
    assert axis.key == "placement.jitter.rotation"
    assert notes_of(caplog) == [NOTE.format("--vary", "placement.around.turn", "placement.jitter.rotation")]
    with pytest.raises(RecipeError, match="varied already"):
        read_axes(["camera.orbit.seen=0:1", "camera.orbit.min_visible_share=0:1"], recipe.plugins)


def test_a_plugin_of_that_name_comes_first(tmp_path: Path) -> None:
    (tmp_path / "around.py").write_text(
        "from ...engine.plugin import plugin\n"
        '@plugin("camera")\nclass Around:\n    """Look all around the room."""\n\n'
        "    def pose(self, stage, goals, rng):\n        raise NotImplementedError\n"
    )
    registry = Registry([tmp_path], entry_points=False)
    assert registry.find("camera", "around").__doc__ == "Look all around the room."
    assert registry.find("placement", "around").plugin_id == "jitter"  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="There is no target plugin 'around'"):
        registry.find("target", "around")


JITTERED = """
seed = 11
images = 2
metric = []
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "around"
frames = "f.json"
surfaces = ["Floor"]
turn = 30.0
overhang = 0.2
step = 0.03
[[appearance]]
plugin = "around"
frames = "f.json"
turn = 20.0
[[camera]]
plugin = "around"
frames = "f.json"
turn = 2.0
seen = 0.2
"""


def test_a_renamed_plugin_keeps_its_random_streams(tmp_path: Path) -> None:
    """The expected numbers come from version 0.1, in which the plugins had their first ids."""
    matrix = [[1, 0, 0, 0], [0, 0, -1, -3], [0, 1, 0, 1], [0, 0, 0, 1]]  # 3 m south, 1 m high, looking north
    camera = {"matrix": np.ravel(matrix).tolist(), "lens": 24, "sensor_width": 36, "near": 0.01}
    light = {"call": "set_world", "hdri": None, "color": [1, 1, 1], "strength": 1.0, "rotation": 0.0}
    things = []
    for x, y in ((0.0, 0.0), (0.8, 0.3)):
        place = np.eye(4)
        place[:2, 3] = x, y
        things.append({"shape": "cube", "class": "chair", "matrix": place.ravel().tolist()})
    entry = {"frame": 0, "instances": things, "camera": camera, "appearance": [light | {"max_radiance": None}]}
    (tmp_path / "f.json").write_text(json.dumps({"format": 1, "lit": True, "frames": [entry]}))
    (tmp_path / "old.toml").write_text(JITTERED)
    recipe = load_recipe(tmp_path / "old.toml")
    cube = asset("cube", "chair", box((0.4, 0.4, 0.4), (0, 0, 0.2)))
    stage = BruteStage({"Floor": plane((6.0, 8.0))}, [cube], resolution=(64, 48), folder=tmp_path)
    frames = [Sampler(recipe, stage, {}).frame(k, Block(), render=False) for k in range(2)]
    assert [f.attempts for f in frames] == [1, 2]
    assert frames[0].shot is not None and frames[1].shot is not None
    assert frames[0].shot.camera.matrix[:3, 3] == pytest.approx([-0.0922247543, -2.9333127288, 1.0212266127])
    assert frames[1].shot.camera.matrix[:3, 3] == pytest.approx([-0.1474651226, -3.1024607405, 1.0024097210])
    assert [f.shot.camera.lens for f in frames if f.shot] == pytest.approx([26.0132908697, 25.8721455959])
    moved = [i.matrix[:2, 3].tolist() for f in frames if f.shot for i in f.shot.instances]
    assert moved == [
        pytest.approx([-0.1311971425, -0.0565999259]),
        pytest.approx([0.7241165118, 0.2506227657]),
        pytest.approx([-0.1742421989, 0.0187248585]),
        pytest.approx([0.7393788999, 0.2544507728]),
    ]
    assert [f.appearance[0]["rotation"] for f in frames] == pytest.approx([3.1696475095, 13.2751503102])
