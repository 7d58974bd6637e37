# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes end after any file: drivers that need Python, plugins that keep Blender's module."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.files.python_drivers import report_python_drivers  # noqa: E402

# Only a fresh process shows it: this one has references to Blender's module that are none of the file's.
DRIVEN = """
import bpy
bpy.context.preferences.filepaths.use_scripts_auto_execute = False
bpy.ops.wm.read_factory_settings(use_empty=True)
{holder}
driver = holder.driver_add({path!r}).driver
driver.expression = "sum([x for x in (1.0, 2.0)])"
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""
SHADER = """
m = bpy.data.materials.new("Glaze")
m.use_nodes = True
holder = m.node_tree.nodes["Principled BSDF"].inputs["Roughness"]
o = bpy.data.objects.new("Vase", bpy.data.meshes.new("vase"))
o.data.materials.append(m)
bpy.context.scene.collection.objects.link(o)
"""
OPENED = """
from twinset.blender.scene.open_scene import open_scene
from twinset.engine.recipe.settings import Recipe, SceneSettings
from pathlib import Path
open_scene(Recipe(classes=(), scene=SceneSettings(file="a.blend"), folder=Path({folder!r}), models=()))
"""
KEPT = """
import sys
from twinset.headless import cli
sys.argv = ["twinset", "--version"]
import bpy
keep = bpy
def unreachable(): return bpy
bpy.app.driver_namespace["kept"] = bpy
sys.modules["_kept_by_a_plugin"] = type("Kept", (), {"bpy": bpy, "__del__": lambda self: None})()
import atexit
atexit.register(lambda: print("atexit ran"))
import builtins
builtins.kept = [bpy]
builtins.kept.append(builtins.kept)
cli.main()
"""


def ends(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_a_process_ends_after_a_file_whose_drivers_need_python(tmp_path: Path) -> None:
    code = DRIVEN.format(holder=SHADER, path="default_value", file=str(tmp_path / "a.blend"))
    subprocess.run([sys.executable, "-c", f"{code}\nimport os; os._exit(0)"], check=True, timeout=120)
    done = ends(OPENED.format(folder=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "1 drivers need Python" in done.stderr


def test_the_command_ends_whoever_refers_to_blender() -> None:
    done = ends(KEPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("twinset ") and "atexit ran" in done.stdout


def test_only_drivers_that_need_python_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    o = bpy.data.objects.new("Vase", None)
    bpy.context.scene.collection.objects.link(o)
    o.driver_add("location", 0).driver.expression = "1 + 2 * frame"
    assert report_python_drivers() == 0
    o.driver_add("location", 1).driver.expression = "[1, 2][0]"
    known = set(bpy.data.user_map())
    with caplog.at_level(logging.WARNING):
        assert report_python_drivers(known) == 0 and not caplog.records
        assert report_python_drivers() == 1
    assert "Vase: location" in caplog.text
    bpy.app.driver_namespace.clear()
