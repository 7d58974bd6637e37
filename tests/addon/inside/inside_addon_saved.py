# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: presets, and settings that an older version has saved."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"
ROOT = Path(os.environ["TWINSET_ROOT"])


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


properties, recipe, presets, migration = (
    part(f"addon.settings.{n}") for n in ("properties", "recipe", "presets", "migration")
)
params, tables = part("engine.plugin.params"), part("engine.recipe.settings")


@pytest.fixture(autouse=True)
def scene(tmp_path: Path) -> bpy.types.Scene:
    """An empty scene that was never saved."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    return bpy.context.scene


def test_presets_keep_what_belongs_to_the_scene(tmp_path: Path) -> None:
    scene = bpy.context.scene
    bpy.ops.twinset.set_up()
    scene.twinset.placements[0].on_surface.surfaces.add().value = "Floor"
    scene.twinset.render.use_samples, scene.twinset.render.samples = True, 7
    bpy.ops.twinset.preset_add(name="My Own")
    (mine,) = Path(bpy.utils.user_resource("SCRIPTS")).glob("presets/twinset/*.toml")
    assert "Floor" not in mine.read_text(encoding="utf-8")
    scene.twinset.render.samples = 9
    scene.twinset.cameras.clear()
    bpy.ops.twinset.preset_load(filepath=str(mine))
    assert scene.twinset.render.samples == 7
    assert [use.plugin for use in scene.twinset.cameras] == ["framed"]
    assert [entry.value for entry in scene.twinset.placements[0].on_surface.surfaces] == ["Floor"]
    bpy.ops.twinset.preset_add(name="My_Own", remove_active=True)
    assert not mine.exists()


@pytest.mark.parametrize("path", sorted((ROOT / "addon" / "presets" / "twinset").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_presets_make_good_recipes(path: Path) -> None:
    scene = bpy.context.scene
    recipe.import_recipe(scene, ROOT / "examples" / "demo.toml")
    presets.apply_preset(scene, path)
    recipe.recipe_of(scene, ROOT / "examples", check_files=True)
    assert str(path.parent.relative_to(ROOT)) in "".join(bpy.utils.preset_paths("twinset")).replace(os.sep, "/")


def test_older_settings_are_taken_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = bpy.context.scene
    bpy.ops.twinset.set_up()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"))
    now = json.loads(scene.twinset.saved)
    assert not migration.restore(scene)
    old = {
        "seed": 3,
        "images": 12,
        "target": {"plugin": "bbox_area_gmm", "scale": "cube root", "components": 4, "gone": 1},
        "camera": [
            {"plugin": "framed", "weight": 2.0, "enabled": False, "lens": [20.0, 30.0]},
            {"plugin": "lost", "x": 1},
        ],
        "render": {"samples": 5},
    }
    scene.twinset.saved = json.dumps({"version": 0, "table": old})
    bpy.app.handlers.save_pre.remove(migration.on_save)  # this Blender is the older one
    try:
        bpy.ops.wm.save_mainfile()
    finally:
        bpy.app.handlers.save_pre.append(migration.on_save)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "room.blend"), load_ui=False)
    found = recipe.table_of(bpy.context.scene)
    assert (found["seed"], found["images"], found["render"]["samples"]) == (3, 12, 5)
    (target,) = found["target"]
    assert (target["scale"], target["components"]) == ("log", 4)
    assert [(use["plugin"], use["weight"], use["enabled"]) for use in found["camera"]] == [
        ("framed", 2.0, False),
        ("lost", 1.0, True),
    ]
    assert found["camera"][1]["x"] == 1
    assert "no longer has 'gone'" in caplog.text and "'cube root' is no longer valid for 'scale'" in caplog.text
    assert now["version"] == properties.VERSION


def test_settings_and_presets_with_former_names_are_read(tmp_path: Path) -> None:
    """Files and presets of version 0.1, whose recipe keys have other names today."""
    former = {p.formerly: p.name for p in params.describe(tables.RenderSettings) if p.formerly}
    assert former["block"] == "block_size"
    scene = bpy.context.scene
    bpy.ops.twinset.set_up()
    table = recipe.table_of(scene)
    table["render"] = {"block": 16}
    table["class"] = [{"name": "chair", "builtin": "chair", "longest": [0.5, 0.7], "up": "y"}]
    scene.twinset.saved = json.dumps({"version": properties.VERSION, "made of": 0, "table": table})
    assert migration.restore(scene)
    assert scene.twinset.render.block_size == 16
    (entry,) = scene.twinset.classes
    assert (entry.up_axis, entry.use_longest_side) == ("y", True)
    assert entry.longest_side_max == pytest.approx(0.7)

    preset = tmp_path / "old.toml"
    preset.write_text('[render]\nblock = 8\n[[camera]]\nplugin = "framed"\n', encoding="utf-8")
    presets.apply_preset(scene, preset)
    assert scene.twinset.render.block_size == 8


def test_steps_of_migration_run_one_after_the_other() -> None:
    steps = {0: lambda t: t | {"images": t["images"] * 2}, 1: lambda t: t | {"images": t["images"] + 1}}
    assert migration.migrate({"images": 5}, 0, steps)["images"] == 11
    assert migration.migrate({"images": 5}, 1, steps)["images"] == 6
    assert migration.migrate({"images": 5}, 9, steps)["images"] == 5


def test_old_spellings_are_taken_over() -> None:
    saved = {
        "camera": [{"plugin": "around", "frames": "a.json", "seen": 0.2, "enabled": False}],
        "class": [{"name": "chair", "up": "y"}],
        "render": {"block": 4},
        "scene": {"materials_on": ["a: b"], "models": [{"path": "a.glb", "up": "y"}]},
    }
    assert migration.migrate(saved, properties.VERSION) == {
        "camera": [{"plugin": "jitter", "frames": "a.json", "min_visible_share": 0.2, "enabled": False}],
        "class": [{"name": "chair", "up_axis": "y"}],
        "render": {"block_size": 4},
        "scene": {"material_assignments": ["a: b"], "models": [{"path": "a.glb", "up_axis": "y"}]},
    }
