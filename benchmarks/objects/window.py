# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of the add-on's operators and panels in scenes of many objects, without a window.

python benchmarks/objects/window.py --objects 100 1000 10000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import twinset.addon
from twinset.addon.guide.steps import steps_of
from twinset.addon.operators.marking import roles_of
from twinset.addon.preview.sample import show_sample
from twinset.addon.processes import scene_digest
from twinset.addon.settings import migration
from twinset.addon.settings.recipe import table_of
from twinset.addon.settings.validation import recipe_problems

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/shared"))
from sample_messages import make_assets, message

ops = bpy.ops.twinset


def main() -> None:
    """Print a table: a line per operator, a column per number of objects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[100, 1000, 10000])
    counts = parser.parse_args().objects
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    twinset.addon.register()
    with tempfile.TemporaryDirectory() as folder:
        columns = [times(count, Path(folder)) for count in counts]
    print("| operator | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("| --- |" + " --- |" * len(counts))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.3f}" for column in columns) + " |")
    sys.stdout.flush()
    os._exit(0)  # the shutdown of the bpy module may hang


def times(count: int, folder: Path) -> dict[str, float]:
    """Seconds of processor time of each operator on so many objects."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    assets = make_assets(folder)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    scene, mesh, home = bpy.context.scene, bpy.data.meshes.new("m"), bpy.data.collections.new("home")
    for n in range(count):
        home.objects.link(bpy.data.objects.new(f"o{n}", mesh))
    scene.collection.children.link(home)
    for o in scene.objects:
        o.select_set(True)
    bpy.context.view_layer.update()
    out: dict[str, float] = {}

    def clock(name: str, run: Callable[[], Any]) -> None:
        start = time.thread_time()
        run()
        bpy.context.view_layer.update()
        out[name] = time.thread_time() - start

    new = {"collection_uid": scene.collection.session_uid} if bpy.app.version >= (5, 0, 0) else {"collection_index": 0}
    move = bpy.ops.object.move_to_collection
    clock("For comparison: Blender's Move to Collection", lambda: move(**new, is_new=True, new_collection_name="moved"))
    home = bpy.data.collections["moved"]
    clock("Set Up Dataset", ops.set_up)
    clock("Mark as Class, all", lambda: ops.mark_class(name="a"))
    clock("Mark as Class, all from one to another", lambda: ops.mark_class(name="b"))
    clock("Mark as Distractor, all", ops.mark_distractor)
    clock("Mark as Surface, all", ops.mark_surface)
    clock("Unmark, all", ops.unmark)
    ops.mark_class(name="a")
    ops.mark_surface()
    for o in list(home.objects)[: count // 2]:
        o.select_set(False)
    clock("Unmark, half", ops.unmark)
    bpy.ops.object.select_all(action="SELECT")
    ops.mark_class(name="a")
    ops.mark_surface()
    clock("Select", lambda: ops.select_marked(collection="a"))
    surfaces = "twinset.placements[0].on_surface.surfaces"
    clock("Add Name", lambda: ops.name_add(path=surfaces))
    clock("Add Selected Objects", lambda: ops.name_add_selected(path=surfaces))
    clock("Remove Name", lambda: ops.name_remove(path=surfaces, index=0))
    clock("Rename class", lambda: setattr(scene.twinset.classes[0], "name", "c"))
    clock("Rename object", lambda: setattr(scene.objects[0], "name", "renamed"))
    clock("Panel: marks of an object", lambda: roles_of(scene, scene.objects[5]))
    clock("Panel: problems, after a change", lambda: recipe_problems(scene))
    clock("Panel: problems, again", lambda: recipe_problems(scene))
    clock("Panel: next step, after a change", lambda: steps_of(scene))
    clock("Panel: next step, again", lambda: steps_of(scene))
    clock("Digest of the scene", lambda: scene_digest.scene_digest(bpy.context))
    hidden = [[o.name, False] for o in home.objects]
    shown = {**message(2, assets), "hidden": hidden}
    clock("Preview Sample: show", lambda: show_sample(scene, bpy.context.view_layer, shown, folder))
    clock("Preview Sample: show the next", lambda: show_sample(scene, bpy.context.view_layer, shown, folder))
    clock("Restore Scene", ops.restore_scene)
    table = table_of(scene)
    clock("Save (settings as text)", migration.on_save)
    scene.twinset.saved = scene.twinset.saved.replace('"version": 2', '"version": 1')
    clock("Load settings of an older version", migration.on_load)
    assert table_of(scene) == table
    return out


if __name__ == "__main__":
    main()
