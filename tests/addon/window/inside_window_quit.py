# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_window.py: Blenders that are closed while they render, and what others find.

The first Blender starts the others, so that a virtual screen that ends with it does not end them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

sys.path.append(str(Path(__file__).resolve().parent))
from window_driver import OUT, drive, facts, install, keys, part, press, shot, show_sidebar, view, wait

IMAGES = 400
ROLE = os.environ.get("TWINSET_ROLE", "host")
ops = bpy.ops.twinset


def set_up() -> Iterator[float]:
    """Rooms of images without photos: a cube on a plane."""
    yield from show_sidebar()
    with view():
        ops.no_photos()
        bpy.data.objects["Cube"].select_set(True)
        ops.mark_class("EXEC_DEFAULT", name="chair")
        bpy.ops.mesh.primitive_plane_add(size=10.0, location=(0.0, 0.0, -1.0))
        ops.mark_surface()
        ops.apply_sizes()
    settings = bpy.context.scene.twinset
    settings.output.width, settings.output.height = 160, 120
    settings.render.use_samples, settings.render.samples, settings.job.images = True, 1, IMAGES
    settings.output_folder = str(OUT / "first")
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "quit.blend"))


def leaves() -> Iterator[float]:
    """Render, queue another render, and press Ctrl-Q: no, and then yes."""
    jobs, queue = part("addon.processes.render_job"), part("addon.processes.render_queue")
    yield from set_up()
    press(ops.render_dataset)
    yield from wait(lambda: jobs.current().done >= 2)
    bpy.context.scene.twinset.output_folder = str(OUT / "second")
    press(ops.render_dataset)
    yield 0.5
    assert queue.waiting() == [OUT / "second"] and queue.would_stop() == 1
    bpy.ops.wm.save_mainfile()
    (OUT / "pid").write_text(str(jobs.current().process.pid))
    keys("ctrl+q")
    yield from shot("quit_question")
    keys("Escape")  # of the question
    yield 1.0
    (OUT / "stayed").touch()
    keys("ctrl+q")
    yield 1.0
    (OUT / "asked").touch()
    keys("Return")
    yield 30.0
    raise AssertionError("Blender was not closed")


def returns() -> Iterator[float]:
    """The render of the Blender before is found, and stopped; its queue waits for a button."""
    jobs, queue = part("addon.processes.render_job"), part("addon.processes.render_queue")
    bpy.ops.wm.open_mainfile(filepath=str(OUT / "quit.blend"))
    yield 1.0
    yield from show_sidebar()
    yield from wait(lambda: jobs.current() is not None and jobs.current().done > 2, 120)
    job = jobs.current()
    assert job.out == OUT / "first" and job.state == "running" and job.process.pid == int((OUT / "pid").read_text())
    assert queue.is_paused() and queue.waiting() == [OUT / "second"]
    seen = job.done
    yield from wait(lambda: job.done > seen, 120)
    yield from shot("quit_found")
    press(ops.cancel_render)
    yield from wait(lambda: job.is_closed and job.finisher is None, 240)
    assert (OUT / "first/annotations/instances.json").is_file(), job.problems
    queue.remove(OUT / "second")
    # Nothing waits now: Ctrl-Q closes Blender without a question, a render or not.
    bpy.context.scene.twinset.output_folder = str(OUT / "third")
    press(ops.render_dataset)
    yield from wait(lambda: jobs.current().done >= 1)
    (OUT / "pid").write_text(str(jobs.current().process.pid))
    bpy.ops.wm.save_mainfile()
    yield 1.0
    keys("ctrl+q")
    yield 30.0
    raise AssertionError("Blender was not closed")


def blender(role: str) -> subprocess.Popen[bytes]:
    """Another Blender with a window on the same screen, which plays a role of this script."""
    folder = OUT / role
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"TWINSET_ROLE": role}
    with open(folder / "log.txt", "wb") as file:
        command = [bpy.app.binary_path, "--gpu-backend", "opengl", "--python", __file__]
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def frames(name: str) -> int:
    return len(list((OUT / name / "frames").glob("*.json")))


def ended(child: subprocess.Popen[bytes], role: str) -> Iterator[float]:
    """Wait for another Blender; AssertionError with what it has noted if a step of its failed."""
    yield from wait(lambda: child.poll() is not None, 300)
    notes = OUT / role / "facts.json"
    found: Any = json.loads(notes.read_text()) if notes.is_file() else {}
    assert "failed" not in found, found["failed"]


def host() -> Iterator[float]:
    install()
    bpy.context.preferences.view.show_splash = False  # which would take the first key
    bpy.ops.wm.save_userpref()
    for role, name in (("leaves", "first"), ("returns", "third")):
        child = blender(role)
        yield from ended(child, role)
        assert child.returncode == 0, (OUT / role / "log.txt").read_text()[-3000:]
        pid, count = int((OUT / "pid").read_text()), frames(name)
        os.kill(pid, 0)  # it still runs
        yield from wait(lambda name=name, count=count: frames(name) > count, 120)
        facts[f"frames of '{name}' when Blender was closed, and later"] = count, frames(name)
    assert (OUT / "stayed").exists() and (OUT / "asked").exists()
    os.kill(pid, signal.SIGTERM)
    yield from wait(
        lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    )


drive({"host": host, "leaves": leaves, "returns": returns}[ROLE], OUT if ROLE == "host" else OUT / ROLE)
