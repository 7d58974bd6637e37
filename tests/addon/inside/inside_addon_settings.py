# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: properties as declared, recipes in and out exactly."""

from __future__ import annotations

import importlib
import math
import os
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import bpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property_examples import examples

NAME = "bl_ext.user_default.twinset"
ROOT = Path(os.environ["TWINSET_ROOT"])


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


fields, plugins, properties, recipe = (
    part(f"addon.settings.{n}") for n in ("fields", "plugins", "properties", "recipe")
)
params, engine_recipe, tables = (
    part("engine.plugin.params"),
    part("engine.recipe.reading"),
    part("engine.recipe.settings"),
)
KINDS = part("engine.plugin.contract").KINDS


@pytest.fixture(autouse=True)
def scene(tmp_path: Path) -> bpy.types.Scene:
    """An empty scene that was never saved."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    return bpy.context.scene


def declared() -> list[tuple[str, type, Any]]:
    """Every table and built-in plugin: name, class, and the group that shows it."""
    settings = bpy.context.scene.twinset
    out = [("job", tables.JobSettings, settings.job), ("model", tables.ModelSettings, settings.models.add())]
    out += [(key, cls, getattr(settings, key)) for key, cls in tables.TABLES.items()]
    out += [(key, cls, getattr(settings, properties.list_attribute(key)).add()) for key, cls in tables.LISTS.items()]
    for kind in KINDS:
        for id in plugins.registry().ids(kind):
            use = getattr(settings, properties.list_attribute(kind)).add()
            use.plugin = id
            out.append((f"{kind} {id}", plugins.registry().find(kind, id), properties.parameters_of(use)))
    return out


def test_every_parameter_has_properties_as_declared() -> None:
    checked = 0
    for owner, cls, group in declared():
        for p, field in zip(params.describe(cls), group.twinset_fields, strict=True):
            for attribute in field.attributes:
                # The last one of this name: every group has a 'name' of its own that a declared one hides.
                rna = [found for found in group.bl_rna.properties if found.identifier == attribute][-1]
                where = f"{owner} {p.name}"
                assert rna.description.startswith(p.doc), where
                if field.form in ("number", "pair", "vector"):
                    turn = math.radians if rna.subtype in ("ANGLE", "EULER") else float
                    assert (rna.subtype in ("ANGLE", "EULER")) == (p.unit == "deg" and rna.type == "FLOAT"), where
                    assert (rna.unit == "LENGTH") == (p.unit == "m"), where
                    for own, limit in ((p.min, rna.hard_min), (p.max, rna.hard_max)):
                        assert own is None or limit == pytest.approx(turn(own), rel=1e-6, abs=2e-6), where
                    assert p.soft_max is None or rna.soft_max == pytest.approx(turn(p.soft_max)), where
                elif field.form == "choice" and p.choices:
                    assert tuple(item.identifier for item in rna.enum_items) == p.choices, where
                elif p.path and field.form == "text":
                    assert rna.subtype == ("DIR_PATH" if p.means == "folder" else "FILE_PATH"), where
                checked += 1
            if field.form != "literal" and not p.required:
                default = params.plain_value(p.default)
                assert fields.values_of(group).get(p.name) == default, f"{owner} {p.name}"
    assert checked > 100


def test_no_builtin_parameter_needs_a_text_of_toml() -> None:
    assert not [(o, f.param.name) for o, _, group in declared() for f in group.twinset_fields if f.form == "literal"]


@pytest.mark.parametrize("name", ["demo", "apartment", "bedroom"])
@pytest.mark.parametrize("saved", [False, True])
def test_examples_come_out_as_they_went_in(name: str, saved: bool, tmp_path: Path) -> None:
    if saved:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    path = ROOT / "examples" / f"{name}.toml"
    recipe.import_recipe(bpy.context.scene, path)
    assert recipe.recipe_of(bpy.context.scene, path.parent) == engine_recipe.load_recipe(path, check_files=False)


def test_variants_are_kept_until_they_are_removed() -> None:
    text = """
        scene.builtin = "hall"
        class = [{ name = "chair", builtin = "chair" }]
        placement = [{ plugin = "on_surface", surfaces = ["Floor"] }]
        camera = [{ plugin = "orbit" }]
        variant = [
            { name = "near", weight = 2, camera.orbit.distance = [1.0, 2.0] },
            { camera.orbit.enabled = true, placement.1.count = [5, 9] },
        ]
    """
    wanted = engine_recipe.loads_recipe(text, ROOT, "recipe", check_files=False)
    scene = bpy.context.scene
    recipe.fill_scene(scene, wanted)
    assert len(wanted.variants) == 2 and recipe.recipe_of(scene, ROOT) == wanted
    bpy.ops.twinset.remove_variants()
    assert recipe.recipe_of(scene, ROOT).variants == ()


def test_rooms_are_kept_until_they_are_removed() -> None:
    text = """
        class = [{ name = "chair", builtin = "chair", weights = { "chair_*" = 2.5, stool = 0.1 } }]
        split = { val = 0.1, test = 0.25 }
        placement = [{ plugin = "on_surface", surfaces = ["Floor"] }]
        room = [
            { name = "hall", builtin = "hall", weight = 2, placement.on_surface.surfaces = ["Dais"] },
            { models = [{ path = "/somewhere/room.glb", location = [0.1, 0.0, 0.0] }] },
        ]
    """
    wanted = engine_recipe.loads_recipe(text, ROOT, "recipe", check_files=False)
    scene = bpy.context.scene
    recipe.fill_scene(scene, wanted)
    assert len(wanted.rooms) == 2 and recipe.recipe_of(scene, ROOT) == wanted
    bpy.ops.twinset.remove_variants(key="room")
    scene.twinset.scene.builtin = "hall"
    assert recipe.recipe_of(scene, ROOT).rooms == ()


def values(p: Any, kind: Any) -> st.SearchStrategy[Any]:
    """Any value that the declaration allows, as TOML has it."""
    if get_origin(kind) in (Union, UnionType):
        return st.none() | values(p, next(a for a in get_args(kind) if a is not type(None)))
    if get_origin(kind) is list:
        return st.lists(values(p, get_args(kind)[0]), max_size=3)
    if get_origin(kind) is tuple:
        args = get_args(kind)
        drawn = st.lists(values(p, args[0]), min_size=len(args), max_size=len(args))
        return drawn.map(sorted) if len(args) == 2 else drawn
    if get_origin(kind) is dict:
        return st.dictionaries(values(p, str), values(p, get_args(kind)[1]), max_size=3)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(p.min or 0), int(min(p.max or 2**40, 2**40)))
    if kind is float:
        low, high = -1e6 if p.min is None else p.min, 1e6 if p.max is None else p.max
        return st.floats(low, high, exclude_min=p.min_exclusive)
    if p.choices:
        return st.sampled_from(p.choices)
    # Blender's texts end at a zero byte, and a name of nothing is left for other tests.
    return st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=12)


def tables_of(cls: type, owner: str) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of a class that its own check lets pass."""
    drawn = st.fixed_dictionaries({p.name: values(p, p.type) for p in params.describe(cls)})
    some = drawn.map(lambda table: {k: v for k, v in table.items() if v is not None})
    return some.filter(lambda table: not params.build(cls, table, owner)[1])


CAMERA_MODELS: list[dict[str, Any]] = [
    {},
    {"focal_length": [512.3], "size": [640, 480]},
    {"focal_length": [512.3, 511.9], "principal_point": [320.1, 240.7], "size": [640, 480], "crop": [8, 6, 320, 240]},
    {"focal_length": [300.123456789], "distortion": "brown_conrady", "coefficients": [0.1, -0.2, 0.001, 0.002]},
]


@st.composite
def recipes(draw: Any) -> str:
    """The text of a recipe with a drawn plugin of each kind."""
    table = draw(tables_of(tables.JobSettings, "job"))
    table["plugin_folders"] = []
    for key, cls in tables.TABLES.items():
        # Drawn numbers are hardly ever those of a camera.
        table[key] = draw(st.sampled_from(CAMERA_MODELS) if key == "camera_model" else tables_of(cls, key))
    table["scene"] |= {
        "file": "",
        "builtin": "hall",
        "blenderproc": "",
        "dataset": "",
        "scale": 1.0,
        "material_assignments": ["a: b"],
    }
    table["scene"].pop(draw(st.sampled_from(["frame", "frames"])), None)  # one or the other
    if table["scene"].get("frames"):
        table["scene"]["frames"] = sorted(table["scene"]["frames"])
    source = {"blenderproc": "bop"}
    table["class"] = [draw(tables_of(tables.LISTS["class"], "class")) | {"name": "a", "builtin": "chair"} | source]
    table["distractor"] = [draw(tables_of(tables.DistractorSettings, "distractor")) | {"builtin": "bag"} | source]
    for entry in (*table["class"], *table["distractor"]):
        entry.pop("longest_side", None)
        entry.pop("keypoints", None), entry.pop("skeleton", None)  # drawn texts are hardly ever places or edges
    table["class"][0] |= {"keypoints": ["seat: 0, 0, 0.4", "top: 0, 0, 0.9"], "skeleton": ["seat - top"]}
    table["rig"] = draw(st.lists(tables_of(tables.LISTS["rig"], "rig"), max_size=2))
    for number, camera in enumerate(table["rig"]):
        camera["name"] = f"camera {number}"
    table["sequence"]["length"] = draw(st.integers(1, 5))
    size = table["sequence"]["length"] * (1 + len(table["rig"]))  # images and blocks are whole sequences
    table["views"] = draw(st.integers(1, 4)) if size == 1 else 1  # images share a layout in one way
    whole = size * table["views"]
    table["images"], table["render"]["block_size"] = size * draw(st.integers(1, 99)), whole * draw(st.integers(1, 99))
    for kind in KINDS:
        id = draw(st.sampled_from(plugins.registry().ids(kind)))
        use = {"plugin": id} | draw(tables_of(plugins.registry().find(kind, id), id))
        if kind == "camera":
            use["weight"] = draw(st.floats(1e-9, 1e9))
        table[kind] = use if kind == "target" else [use]
        cls = plugins.registry().find(kind, id)
        if hasattr(cls, "place_and_pose") or getattr(cls, "repeats_recorded_frames", False):
            table["views"] = 1  # they make a layout for each image
        if id == "jitter" and kind == "placement":
            table["split"] = {}  # the two do not go together
        if id == "bop" and kind == "writer":
            table["output"]["depth"] = "png"  # which it needs
    to_toml = part("engine.recipe.writing").toml_value
    return "\n".join(f"{key} = {to_toml(value)}" for key, value in table.items())


@settings(max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(recipes())
def test_any_recipe_comes_out_as_it_went_in(text: str) -> None:
    folder = Path("/somewhere") if os.name == "posix" else Path("C:/somewhere")
    wanted = engine_recipe.loads_recipe(text, folder, "recipe", check_files=False)
    recipe.fill_scene(bpy.context.scene, wanted)
    assert recipe.recipe_of(bpy.context.scene, folder) == wanted
    again = recipe.table_of(bpy.context.scene)
    recipe.fill_table(bpy.context.scene, again)
    assert recipe.table_of(bpy.context.scene) == again


@settings(max_examples=examples(200))
@given(st.floats(1e-9, 1e6).map(lambda v: float(f"{v:.6g}")))
def test_six_digits_typed_into_a_panel_are_written_as_typed(typed: float) -> None:
    group = bpy.context.scene.twinset.models.add()
    group.location = (typed, 0.0, 0.0)
    assert fields.values_of(group)["location"][0] == typed
    degrees = math.fmod(typed, 360.0)
    group.rotation = (math.radians(float(f"{degrees:.6g}")), 0.0, 0.0)
    assert fields.values_of(group)["rotation"][0] == pytest.approx(degrees, rel=1e-5, abs=1e-9)


def test_ends_of_a_range_push_each_other() -> None:
    use = bpy.context.scene.twinset.cameras.add()
    use.plugin = "framed"
    lens = use.framed
    lens.lens_min = 80.0
    assert (lens.lens_min, lens.lens_max) == (80.0, 80.0)
    lens.lens_max = 20.0
    assert (lens.lens_min, lens.lens_max) == (20.0, 20.0)


def test_this_scene_is_named_by_its_file(tmp_path: Path) -> None:
    scene = bpy.context.scene
    recipe.import_recipe(scene, ROOT / "examples" / "demo.toml")
    scene.twinset.room = "THIS"
    with pytest.raises(part("engine.errors").RecipeError, match="Save the file first"):
        recipe.recipe_of(scene, tmp_path)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a b.blend"))
    (tmp_path / "deep").mkdir()
    recipe.export_recipe(scene, tmp_path / "deep" / "r.toml")
    table = tomllib.loads((tmp_path / "deep" / "r.toml").read_text(encoding="utf-8"))
    assert (table["scene"]["file"], table["scene"]["builtin"], table["scene"]["scene"]) == ("../a b.blend", "", "")
    bpy.data.scenes.new("Other")
    assert recipe.recipe_of(scene, tmp_path).scene.scene == scene.name
    recipe.import_recipe(scene, tmp_path / "deep" / "r.toml")
    assert scene.twinset.room == "THIS"


def test_relative_paths_follow_the_recipe(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    recipe.import_recipe(scene, ROOT / "examples" / "demo.toml")
    recipe.export_recipe(scene, tmp_path / "r.toml")
    real = engine_recipe.load_recipe(tmp_path / "r.toml").real
    assert (tmp_path / real.annotations).resolve() == (ROOT / "examples" / "coco_furniture.json").resolve()
    scene.twinset.real.annotations = "//mine.json"
    assert recipe.recipe_of(scene, tmp_path / "elsewhere").real.annotations == "../mine.json"


def test_what_is_switched_off_stays_out_of_the_recipe() -> None:
    scene = bpy.context.scene
    recipe.import_recipe(scene, ROOT / "examples" / "demo.toml")
    count = len(scene.twinset.placements)
    scene.twinset.placements[0].enabled = False
    assert len(recipe.recipe_of(scene, ROOT).plugins["placement"]) == count - 1
    assert len(scene.twinset.placements) == count
    scene.twinset.targets[0].enabled = False
    assert recipe.recipe_of(scene, ROOT).plugins["target"] == ()


def test_plugins_of_a_folder_have_panels_and_broken_ones_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "dim.py").write_text(
        '"""Dims."""\nfrom ...engine.plugin import param, plugin\n\n\n'
        '@plugin("appearance")\nclass Dim:\n    """Dim everything."""\n\n'
        '    amount: float = param(0.5, min=0.0, max=2.0, unit="m", doc="How much")\n'
        '    steps: list[int] = param([1, 2], doc="Steps")\n\n'
        "    def vary(self, stage, rng):\n        pass\n",
        encoding="utf-8",
    )
    (tmp_path / "torn.py").write_text("import no_such_module\n", encoding="utf-8")
    chosen = part("addon.settings.plugins").preferences()
    scene = bpy.context.scene
    recipe.import_recipe(scene, ROOT / "examples" / "demo.toml")
    assert "dim" not in plugins.registry().ids("appearance")
    chosen.plugin_folder, chosen.use_plugin_folder = str(tmp_path), True
    try:
        bpy.ops.twinset.reload_plugins()
        assert "no_such_module" in next(b.reason for b in plugins.registry().broken if b.id == "torn")
        use = scene.twinset.appearances.add()
        use.plugin = "dim"
        use.dim.amount, use.dim.steps = 0.25, "[4, 5, 6]"
        made = recipe.recipe_of(scene, ROOT / "examples")
        assert made.plugins["appearance"][-1].plugin.steps == [4, 5, 6]
        assert made.plugin_folders == (str(tmp_path),)
        use.dim.steps = "[4, oops"
        with pytest.raises(part("engine.errors").RecipeError, match="'steps' parameter"):
            recipe.recipe_of(scene, ROOT / "examples")
        use.dim.steps = "[4, 5, 6]"
    finally:
        chosen.use_plugin_folder = False
        bpy.ops.twinset.reload_plugins()
    # Without the preference its settings are kept, and the recipe, which names the folder, still reads them.
    assert properties.parameters_of(scene.twinset.appearances[-1]) is None
    recipe.fill_scene(scene, made)
    assert recipe.recipe_of(scene, ROOT / "examples") == made
