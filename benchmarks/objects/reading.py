# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading scenes of many objects costs: processor seconds of each step for growing numbers of objects.

python benchmarks/objects/reading.py 1000 10000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
from twinset.blender.files.model_import import import_model, remove_model
from twinset.blender.geometry.evaluated import view_layer
from twinset.blender.scene.assets.loading import load_assets
from twinset.blender.scene.open_scene import open_scene
from twinset.blender.scene.resize import resize_scene
from twinset.engine.recipe.reading import loads_recipe

RECIPE = """
[scene]
file = "scene.blend"
hide = ["hidden*"]
[[class]]
name = "parts"
collection = "Parts"
[[class]]
name = "single"
objects = ["single*"]
exclude = ["single *00"]
[[placement]]
plugin = "keep"
[[camera]]
plugin = "keep"
"""


def save_scene(path: Path, count: int) -> None:
    """A scene in which an asset of many parts, many assets, and many hidden objects share ``count`` objects."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("mesh")
    mesh.from_pydata([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.5)], [], [(0, 1, 2)])
    parts, whole, shared = (bpy.data.collections.new(name) for name in ("Parts", "Whole", "Shared"))
    scene.collection.children.link(parts)
    parts.children.link(whole)
    root = bpy.data.objects.new("root", None)
    whole.objects.link(root)
    for number in range(count):
        name, home = (("part", whole), ("single", scene.collection), ("hidden", scene.collection))[number % 3]
        o = bpy.data.objects.new(f"{name} {number}", mesh)
        o.parent = root if name == "part" else None
        home.objects.link(o)
        if number % 100 == 0:
            shared.objects.link(o)
    shown = bpy.data.objects.new("shown", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", shared
    scene.collection.objects.link(shown)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)


def seconds(call: Callable[[], object]) -> tuple[float, object]:
    """Processor seconds of a call, and what it returns."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[1000, 10000])
    steps = ("open", "resize", "assets", "import", "remove")
    print("objects", *steps, sep="\t")
    for count in parser.parse_args(arguments).counts:
        with tempfile.TemporaryDirectory() as folder:
            save_scene(Path(folder) / "scene.blend", count)
            recipe = loads_recipe(RECIPE, Path(folder), "recipe.toml")
            taken = []
            opened, scene = seconds(lambda recipe=recipe: open_scene(recipe))
            resized, _ = seconds(lambda scene=scene: resize_scene(scene, 0.5, ["Parts"]))
            view_layer(scene).update()
            loaded, _ = seconds(lambda scene=scene, recipe=recipe: load_assets(scene, recipe))
            bpy.ops.wm.read_factory_settings(use_empty=True)
            imported, model = seconds(lambda folder=folder: import_model(Path(folder) / "scene.blend"))
            removed, _ = seconds(lambda model=model: remove_model(model))
            taken += [opened, resized, loaded, imported, removed]
            print(count, *(f"{value:.2f}" for value in taken), sep="\t", flush=True)


if __name__ == "__main__":
    main()
