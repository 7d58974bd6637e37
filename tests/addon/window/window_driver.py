# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the window of the Blender that runs this: presses buttons and keys, waits, takes pictures, notes figures.

Steps are a generator that a timer drives; what it yields are seconds for the window to live.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

NAME = "bl_ext.user_default.twinset"
OUT, DATA = Path(os.environ["TWINSET_WINDOW_OUT"]), Path(os.environ["TWINSET_DATA"])
PERIOD = 0.05
facts: dict[str, Any] = {}
ticks: list[float] = []


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def tick() -> float:
    ticks.append(time.perf_counter())
    return PERIOD


def note_ticks(name: str, since: float) -> None:
    """How long the window's timer, due every 50 ms, was kept waiting."""
    late = np.diff([t for t in ticks if t >= since])
    if len(late):
        keys = ("median", "p95", "p99", "max")
        facts[f"{name} tick ms"] = dict(
            zip(keys, (1000 * np.quantile(late, [0.5, 0.95, 0.99, 1.0])).round().tolist(), strict=True)
        )


def area_of(kind: str) -> Any:
    return next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == kind)


def view() -> Any:
    """The 3D view as context, as if the pointer were in it."""
    area = area_of("VIEW_3D")
    region = next(r for r in area.regions if r.type == "WINDOW")
    return bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area, region=region)


def press(operator: Any, **arguments: Any) -> Any:
    with view():
        return operator("INVOKE_DEFAULT", True, **arguments)  # True: with an undo step, as from a button


def keys(*names: str) -> None:
    """Press keys, in the names of X11, such as ``ctrl+q``."""
    subprocess.run(["xdotool", "key", *names], check=False)


def wait(until: Callable[[], Any], seconds: float = 900.0) -> Iterator[float]:
    end = time.monotonic() + seconds
    session = part("addon.processes.preview_session").session
    while not until():
        assert not session.problems, session.problems
        assert time.monotonic() < end, "nothing happened"
        yield 0.02


def drawn() -> Iterator[float]:
    """Wait until the window has drawn what has changed: until its timer has been on time for half a second."""
    end = time.monotonic() + 30
    while len(ticks) < 11 or np.diff(ticks[-11:]).max() > 1.5 * PERIOD:
        assert time.monotonic() < end, "the window draws on and on"
        yield PERIOD


def shot(name: str) -> Iterator[float]:
    yield 1.0
    subprocess.run(["import", "-window", "root", str(OUT / f"{name}.png")], check=False)


def show_sidebar() -> Iterator[float]:
    """Open the tab Twinset beside the 3D view."""
    area = area_of("VIEW_3D")
    area.spaces.active.show_region_ui = True
    yield 1.0
    next(r for r in area.regions if r.type == "UI").active_panel_category = "Twinset"


def counts() -> dict[str, int]:
    blocks = {name: getattr(bpy.data, name) for name in dir(bpy.data)}
    return {k: len(v) for k, v in blocks.items() if isinstance(v, bpy.types.bpy_prop_collection)}


def places() -> dict[str, Any]:
    scene = bpy.context.scene
    out = {o.name: (np.array(o.matrix_world).tolist(), o.hide_get(), o.hide_render) for o in scene.objects}
    render = scene.render
    camera = scene.camera and scene.camera.name
    return out | {"": (camera, render.resolution_x, render.resolution_y, scene.world and scene.world.name, counts())}


def preview() -> Any:
    return bpy.context.scene.twinset_preview


def is_modal(operator: Any) -> bool:
    """Whether an operator waits for events."""
    names = [each.bl_idname for each in bpy.context.window_manager.windows[0].modal_operators]
    return operator.idname() in names


def install() -> None:
    archive = os.environ["TWINSET_ARCHIVE"]
    bpy.ops.extensions.package_install_files(repo="user_default", filepath=archive, enable_on_install=True)


def drive(way: Callable[[], Iterator[float]], folder: Path = OUT) -> None:
    """Take the steps of a way, note in a folder's ``facts.json`` whether it was passed, and close Blender."""
    steps = way()

    def step() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            facts["passed"] = True
        except BaseException:
            facts["failed"] = traceback.format_exc()
        (folder / "facts.json").write_text(json.dumps(facts, indent=1))
        sys.stdout.flush()
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=1.5, persistent=True)
