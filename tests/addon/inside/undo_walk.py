# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_undo.py: random walks of operators, undo, redo, save and load, against a model.

    SCRIPT ARCHIVE FOLDER SEED STEPS

The model is a list of dumps of the whole file, one for each undo step: undo and redo must give these exactly.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2] / "shared"))
from sample_messages import make_assets, message

NAME = "bl_ext.user_default.twinset"
PASSING = {"rna_type", "session_uid", "is_evaluated", "tag", "original", "users", "preview", "library_weak_reference"}
PASSING |= {
    "matrix_world",
    "matrix_local",
    "pixels",
    "bindcode",
    "has_data",
    "depth",
    "size",
    "channels",
}  # evaluated or loaded when needed
RESTING = {"all_ids", "window_managers", "workspaces", "screens", "brushes", "palettes", "paint_curves", "texts"}
"""Data that undo leaves alone, and a list of all data."""
PERIOD = 0.01


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def properties(block: Any, depth: int = 2) -> dict[str, Any]:
    """Values of a data-block and of the groups in it, data-blocks as names."""
    out: dict[str, Any] = {}
    for p in block.bl_rna.properties:
        if p.identifier in PASSING or p.identifier.startswith("is_"):
            continue
        value = getattr(block, p.identifier)
        if isinstance(value, bpy.types.ID):
            out[p.identifier] = value.name_full
        elif p.type in ("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"):
            plain = isinstance(value, str | int | float)
            out[p.identifier] = value if plain else sorted(value) if isinstance(value, set) else repr(list(value))
    return out


def settings(group: Any) -> Any:
    """Values of one of Twinset's groups, with those in it."""
    out = {}
    for p in group.bl_rna.properties:
        if p.identifier in ("rna_type", "saved"):  # 'saved' is written when the file is
            continue
        value = getattr(group, p.identifier)
        if isinstance(value, bpy.types.PropertyGroup):
            out[p.identifier] = settings(value)
        elif p.type == "COLLECTION":
            out[p.identifier] = [settings(entry) for entry in value]
        elif isinstance(value, bpy.types.ID):
            out[p.identifier] = value.name_full
        else:
            out[p.identifier] = str(list(value)) if hasattr(value, "__len__") and not isinstance(value, str) else value
    return out


def dump() -> dict[str, Any]:
    """All data of the file: names, users, properties, visibility, and what the scenes' previews note."""
    out: dict[str, Any] = {}
    for name in dir(bpy.data):
        blocks = getattr(bpy.data, name)
        if isinstance(blocks, bpy.types.bpy_prop_collection) and name not in RESTING:
            for block in blocks:
                if getattr(block, "source", "") == "VIEWER":
                    continue
                key = f"{name}/{block.name_full}"
                assert key not in out, f"{key} is there twice"
                out[key] = {**properties(block), "keys": sorted(map(str, block.keys()))}
                if name not in ("images", "node_groups"):
                    out[key]["users"] = block.users
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            layer.update()
            for o in layer.objects:
                out[f"{scene.name}/{layer.name}/{o.name_full}"] = (o.hide_get(view_layer=layer), str(o.matrix_basis))
        out[f"{scene.name} twinset"] = settings(scene.twinset)
        out[f"{scene.name} preview"] = settings(scene.twinset_preview)
    for collection in bpy.data.collections:
        out[f"in {collection.name_full}"] = [sorted(o.name for o in collection.objects), len(collection.children)]
    return json.loads(json.dumps(out, default=str))


def do(operator: Any, *how: Any, **arguments: Any) -> Any:
    """Call an operator; in a window, as if the pointer were in the 3D view."""
    if bpy.app.background:
        return operator.poll() and operator(*how, **arguments)
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == "VIEW_3D")
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        return operator.poll() and operator(*how, **arguments)


def difference(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """What two dumps disagree about, in short."""
    out = {}
    for key in sorted({*a, *b}):
        x, y = a.get(key), b.get(key)
        if isinstance(x, dict) and isinstance(y, dict):
            out |= {f"{key} {k}": (x.get(k), y.get(k)) for k in sorted({*x, *y}) if x.get(k) != y.get(k)}
        elif x != y:
            out[key] = tuple("missing" if v is None else "there" if isinstance(v, dict) else v for v in (x, y))
    return out


class Walk:
    """Random steps, the model beside them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=False)
        for o in list(bpy.data.objects):
            if o.type == "MESH":
                bpy.data.objects.remove(o)
        self.assets = make_assets(folder)
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=False)
        self.scene.view_layers[0].update()
        bpy.data.objects["Cube"].name = "chair 0"
        preview = part("addon.operators.preview")
        preview.problems_of = lambda scene: []
        preview.ask = lambda context, **request: request["frame"]
        preview.answer = lambda frame: message(frame, self.assets)
        self.counts: dict[str, int] = {}
        self.path = folder / "walk.blend"
        self.start()

    @property
    def scene(self) -> bpy.types.Scene:
        return bpy.context.window_manager.windows[0].scene

    def start(self) -> None:
        """Begin the model anew, as after loading a file."""
        do(bpy.ops.ed.undo_push, message="start")
        self.states, self.at = [dump()], 0

    def pushed(self) -> None:
        """Note the state after an operator that has pushed an undo step."""
        self.states = [*self.states[: self.at + 1], dump()]
        self.at += 1

    def steps(self) -> list[tuple[int, Callable[[], None]]]:
        return [
            (6, self.preview),
            (3, self.restore),
            (5, self.undo),
            (4, self.redo),
            (2, self.move),
            (2, self.mark),
            (1, self.unmark),
            (1, self.surface),
            (1, self.delete),
            (1, self.duplicate),
            (1, self.save),
            (1, self.load),
            (1, self.copy_scene),
            (1, self.set_up),
            (1, self.light),
            (1, self.materials),
            (1, self.sizes),
        ]

    def step(self) -> None:
        weights, chosen = zip(*self.steps(), strict=True)
        action = chosen[int(self.rng.choice(len(chosen), p=np.divide(weights, sum(weights))))]
        self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        action()
        expected = self.states[self.at]
        found = dump()
        assert found == expected, (action.__name__, difference(expected, found))

    def run(self, operator: Any, **arguments: Any) -> None:
        """Run an operator as the window does, with an undo step if it changes something."""
        if do(operator, "EXEC_DEFAULT", True, **arguments) == {"FINISHED"}:
            self.pushed()

    def preview(self) -> None:
        if self.scene.twinset.classes:
            part("addon.operators.preview").session.folder = self.folder / "session"  # which loading a file removes
            self.run(bpy.ops.twinset.preview_sample, step=int(self.rng.choice((-1, 0, 1, 1, 2))))

    def restore(self) -> None:
        self.run(bpy.ops.twinset.restore_scene)

    def undo(self) -> None:
        for _ in range(int(self.rng.integers(1, 4))):
            if self.at:
                do(bpy.ops.ed.undo)
                self.at -= 1

    def redo(self) -> None:
        for _ in range(int(self.rng.integers(1, 4))):
            if self.at + 1 < len(self.states):
                do(bpy.ops.ed.redo)
                self.at += 1

    def select(self) -> list[Any]:
        objects = [o for o in self.scene.view_layers[0].objects if o.visible_get()]
        for o in objects:
            o.select_set(False)
        chosen = [objects[int(n)] for n in self.rng.permutation(len(objects))[:2]]
        for o in chosen:
            o.select_set(True)
        return chosen

    def move(self) -> None:
        for o in self.select():
            o.location.x += 1.0
        self.push("move")

    def push(self, text: str) -> None:
        self.scene.view_layers[0].update()
        do(bpy.ops.ed.undo_push, message=text)
        self.pushed()

    def mark(self) -> None:
        self.select()
        self.push("select")
        name = str(self.rng.choice(("chair", "table")))
        self.run(bpy.ops.twinset.mark_class, name=name)

    def unmark(self) -> None:
        self.select()
        self.push("select")
        self.run(bpy.ops.twinset.unmark)

    def surface(self) -> None:
        self.select()
        self.push("select")
        self.run(bpy.ops.twinset.mark_surface)

    def delete(self) -> None:
        if len(self.scene.objects) > 3:
            self.select()
            self.push("select")
            self.run(bpy.ops.object.delete)

    def duplicate(self) -> None:
        self.select()
        self.push("select")
        self.run(bpy.ops.object.duplicate)

    def save(self) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(self.path), check_existing=False)
        self.states[self.at] = dump()  # which notes that it is saved

    def load(self) -> None:
        if self.path.exists():
            bpy.ops.wm.open_mainfile(filepath=str(self.path), load_ui=False)
            self.start()

    def copy_scene(self) -> None:
        kind = str(self.rng.choice(("FULL_COPY", "LINK_COPY", "DELETE", "DELETE")))
        if kind == "DELETE":
            if len(bpy.data.scenes) > 1:
                self.run(bpy.ops.scene.delete)
        elif len(bpy.data.scenes) < 3:
            self.run(bpy.ops.scene.new, type=kind)

    def set_up(self) -> None:
        self.run(bpy.ops.twinset.set_up)

    def light(self) -> None:
        self.run(bpy.ops.twinset.light_preset, name=str(self.rng.choice(("Daylight", "Night", "Scene Lights"))))

    def materials(self) -> None:
        self.run(bpy.ops.twinset.vary_materials)

    def sizes(self) -> None:
        self.run(bpy.ops.twinset.apply_sizes)


def end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(archive: str, folder: str, seed: str, steps: str) -> None:
    repositories = bpy.context.preferences.extensions.repos
    if "user_default" not in [repository.module for repository in repositories]:
        repositories.new(name="User Default", module="user_default")
    bpy.ops.extensions.package_install_files(repo="user_default", filepath=archive, enable_on_install=True)
    walk, left = Walk(Path(folder), int(seed)), int(steps)

    def take() -> float | None:
        nonlocal left
        try:
            walk.step()
        except BaseException:
            traceback.print_exc()
            sys.stdout.write(f"WALK FAILED after {int(steps) - left} steps of seed {seed}\n")
            end(1)
        left -= 1
        if left:
            return PERIOD
        sys.stdout.write(f"WALK PASSED {json.dumps(walk.counts)}\n")
        end(0)
        return None

    if bpy.app.background:
        while True:
            take()
    bpy.app.timers.register(take, first_interval=1.0, persistent=True)


try:
    main(*sys.argv[-4:])
except BaseException:
    traceback.print_exc()
    end(1)
