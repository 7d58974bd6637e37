# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: lighting presets, materials that vary, menus, keys, links to documentation."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

NAME = "bl_ext.user_default.twinset"
ops = bpy.ops.twinset


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


look, recipe = part("addon.look.lighting_presets"), part("addon.settings.recipe")


@pytest.fixture(autouse=True)
def scene() -> bpy.types.Scene:
    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True, load_ui=False)
    ops.set_up()
    return bpy.context.scene


def appearances(scene: bpy.types.Scene) -> dict[str, dict[str, Any]]:
    return {use["plugin"]: use for use in recipe.table_of(scene)["appearance"]}


@pytest.mark.parametrize("preset", look.PRESETS, ids=lambda preset: preset.name)
def test_a_lighting_preset_is_a_valid_recipe(scene: bpy.types.Scene, preset: Any) -> None:
    ops.mark_class(name="chair")
    scene.twinset.targets.clear()
    ops.mark_surface()
    assert ops.light_preset(name=preset.name) == {"FINISHED"}
    assert [p.name for p in look.PRESETS if look.is_active(scene, p)] == [preset.name]
    made = recipe.recipe_of(scene, blend=Path("room.blend").resolve())
    assert {use.id for use in made.plugins["appearance"]} == set(preset.plugins)


def test_a_lighting_preset_leaves_everything_but_light_alone(scene: bpy.types.Scene) -> None:
    ops.vary_materials()
    ops.stack_add(key="appearance", plugin="world")
    scene.twinset.appearances[-1].world.hdri_folder = "//skies"
    before = appearances(scene)["materials"]
    ops.light_preset(name="Overcast")
    assert appearances(scene)["materials"] == before
    assert appearances(scene)["world"]["hdri_folder"] == "//skies"
    ops.light_preset(name="Daylight")
    assert set(appearances(scene)) == {"materials", "sky", "lights"}
    assert ops.light_preset(name="no such light") == {"CANCELLED"}


def test_the_pictures_of_presets_show_their_light() -> None:
    pictures = {preset.name: look.picture(preset) for preset in look.PRESETS}
    for picture in pictures.values():
        assert picture.dtype == np.float32 and picture.min() >= 0.0 and picture.max() <= 1.0
        assert picture[0, 0, 3] == 0.0 and picture[48, 48, 3] == 1.0  # a ball on nothing
    warmth = {name: float(p[..., 0].sum() / p[..., 2].sum()) for name, p in pictures.items()}
    assert warmth["Night"] > warmth["Evening"] > warmth["Studio"] > warmth["Overcast"]
    lit = {name: p[..., :3].mean(-1) for name, p in pictures.items()}
    shadow = {name: float(p[80, 70] / p[30, 40]) for name, p in lit.items()}
    assert shadow["Overcast"] > 2 * shadow["Night"]  # soft against hard


def test_materials_of_classes_or_of_the_selection_vary(scene: bpy.types.Scene) -> None:
    assert ops.vary_materials() == {"FINISHED"} == ops.vary_materials(is_room=True)
    first, second = (use for use in recipe.table_of(scene)["appearance"] if use["plugin"] == "materials")
    assert first["objects"] == [] and second["objects"] == ["Cube"] and first["hue"] == 20.0
    ops.remove_materials(index=len(scene.twinset.appearances) - 2)
    assert [u["objects"] for u in recipe.table_of(scene)["appearance"] if u["plugin"] == "materials"] == [["Cube"]]
    bpy.data.objects["Cube"].select_set(False)
    assert ops.vary_materials(is_room=True) == {"CANCELLED"}


def test_context_menus_lead_to_marks() -> None:
    menus = part("addon.panels.menus")
    for name in ("VIEW3D_MT_object_context_menu", "OUTLINER_MT_object"):
        functions = getattr(bpy.types, name).draw._draw_funcs
        assert [f for f in functions if f.__module__.startswith(NAME)] == [menus._draw_in_menu]
    ops.mark_class(name="table")
    assert menus.class_names(bpy.context.scene) == ["table"]


def test_keys_are_those_that_the_preferences_list() -> None:
    keymaps = part("addon.settings.keymaps")
    for _, _, operator, key, modifiers, values in keymaps._KEYS:
        kind, name = operator.split(".")
        assert hasattr(getattr(bpy.ops, kind), name)
        assert set(modifiers) <= {"ctrl", "shift", "alt"} and key.isupper() and modifiers
        if operator.startswith("twinset."):
            properties = getattr(getattr(bpy.ops, kind), name).get_rna_type().properties
            assert set(values) <= set(properties.keys())
        elif "name" in values:
            assert hasattr(bpy.types, values["name"])


def test_help_leads_to_sections_that_exist() -> None:
    documentation = part("addon.documentation")
    page = (Path(os.environ["TWINSET_ROOT"]) / "docs/addon/README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", page, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(documentation.SECTIONS.values()) <= anchors
    names = [pattern.rpartition(".")[2].rstrip("*") for pattern in documentation.SECTIONS if "ops" in pattern]
    operators = dir(bpy.ops.twinset)
    assert all(any(operator.startswith(name) for operator in operators) for name in names)
    assert documentation.manual_map()[1][0] == ("bpy.ops.twinset.choose_photos*", "#1-choose-your-photos")


def test_the_address_of_the_documentation_is_that_of_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documentation = part("addon.documentation")
    monkeypatch.setattr(documentation, "_ROOT", tmp_path)
    (tmp_path / "blender_manifest.toml").write_text('website = "https://example.org/twinset/"\n')
    documentation.documentation_url.cache_clear()
    assert documentation.documentation_url() == "https://example.org/twinset/addon/"
    (tmp_path / "blender_manifest.toml").write_text("")
    documentation.documentation_url.cache_clear()
    assert documentation.documentation_url() == ""
    documentation.documentation_url.cache_clear()
