# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: renders that survive Blender, their queue, and the browser of their images."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

NAME = "bl_ext.user_default.twinset"
ops = bpy.ops.twinset

# Stands for a render: prints an event per frame, and ends when it is asked to.
RENDER = """
import json, os, sys, time
stop, frames = sys.argv[1], int(sys.argv[2])
print(json.dumps({"event": "started", "frames": frames, "notes": []}), flush=True)
for n in range(frames):
    line = {"event": "frame_done", "frame": n, "done": n + 1, "total": frames, "image": None, "resumed": True}
    print(json.dumps(line), flush=True)
    if os.path.exists(stop):
        print(json.dumps({"event": "stopped"}), flush=True)
        sys.exit(130)
    time.sleep(0.05)
print(json.dumps({"event": "finished"}), flush=True)
"""


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


detached, render_job, render_queue = (
    part("addon.processes.detached"),
    part("addon.processes.render_job"),
    part("addon.processes.render_queue"),
)


def command(folder: Path, frames: int) -> list[str]:
    return [sys.executable, "-c", RENDER, str(folder / detached.STOP_FILE), str(frames)]


def until(is_true: Callable[[], Any]) -> None:
    end = time.monotonic() + 120
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No render and no queue, before and after."""

    def clear() -> None:
        job = render_job.current()
        if job is not None and job.process is not None and job.process.is_alive:
            detached._kill(job.process.pid)
            until(lambda: not job.process.is_alive)
        render_job._current.clear()
        for out in render_queue.waiting():
            render_queue.remove(out)
        render_queue._write({"running": "", "waiting": []})
        render_queue._state.update(past=[], is_started=False)

    clear()
    yield
    clear()


def test_a_process_survives_who_started_it_and_is_found_again(tmp_path: Path) -> None:
    """Another Python process starts it and ends; its notes lead to the process, its output and its end."""
    starter = "import sys, bpy, addon_utils, os; from pathlib import Path; addon_utils.enable({name!r}); "
    starter += "from importlib import import_module; d = import_module({name!r} + '.addon.processes.detached'); "
    starter += "d.DetachedProcess(Path(sys.argv[1]), sys.argv[2:]); os._exit(0)"
    call = [sys.executable, "-c", starter.format(name=NAME), str(tmp_path), *command(tmp_path, 2000)]
    assert subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, timeout=300).returncode == 0
    found = detached.running_in(tmp_path)
    assert found is not None and found.is_alive and found.code is None
    if os.name == "posix":
        assert os.getsid(found.pid) == found.pid  # a group of its own
    until(lambda: (tmp_path / "events.jsonl").stat().st_size > 300)
    assert [line["event"] for line in found.take_messages()][:2] == ["started", "frame_done"]
    found.close(timeout=60.0)
    until(lambda: found.take_messages() is not None and found.code is not None)
    assert found.code == 130
    assert detached.running_in(tmp_path) is None


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    started = detached.DetachedProcess(tmp_path, [sys.executable, "-c", "import time; time.sleep(600)"])
    assert started.is_alive and started.code is None
    if os.name == "posix":
        assert os.getpriority(os.PRIO_PROCESS, started.pid) == 10
    group = Path(f"/proc/{started.pid}/autogroup")
    if group.is_file():
        # On Linux it is the session's priority that the window notices.
        assert group.read_text().split()[-1] == "10"
    started.close(timeout=0.2)
    until(lambda: started.code is not None)
    assert started.code < 0 or os.name == "nt"


def test_another_process_with_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    notes = {"pid": os.getpid(), "created": time.time() - 1e6}
    (tmp_path / "process.json").write_text(json.dumps(notes))
    assert detached.running_in(tmp_path) is None
    (tmp_path / "process.json").write_text("{")
    assert detached.running_in(tmp_path) is None


def test_broken_lines_of_output_are_kept_apart(tmp_path: Path) -> None:
    code = "print('Blender says'); print('{\"event\": \"started\"}'); print('[1]'); print('end', end='')"
    started = detached.DetachedProcess(tmp_path, [sys.executable, "-c", code])
    until(lambda: not started.is_alive)
    assert started.code is None  # its output is not read yet
    assert started.take_messages() == [{"event": "started"}]
    assert started.other_output == ["Blender says", "[1]"] and started.code == 0


def test_a_running_render_is_followed_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "out" / render_job.FOLDER
    detached.DetachedProcess(folder, command(folder, 3000))
    render_queue.note_running(tmp_path / "out")
    assert render_job.current() is None
    assert render_queue.find_again()
    job = render_job.current()
    until(lambda: render_job.process_messages() and job.done >= 3)
    assert job.state == "running" and job.total == 3000 and render_job.is_running()
    assert not render_queue.find_again()  # once is enough
    assert ops.cancel_render() == {"FINISHED"}
    until(lambda: not job.process.is_alive)
    render_job._current.clear()
    assert not render_queue.find_again()


def prepared(out: Path, frames: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is ready to be rendered, with a command that stands for the render."""
    folder = out / render_job.FOLDER
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"folder": str(out), "images": frames, "scene": "Scene"}))
    monkeypatch.setattr(render_job, "command_line", lambda *arguments: command(folder_of(arguments), frames)[:3])
    return out


def folder_of(arguments: tuple[Any, ...]) -> Path:
    return Path(arguments[arguments.index("-o") + 1]) / render_job.FOLDER


def test_renders_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = [prepared(tmp_path / name, 4, monkeypatch) for name in ("a", "b", "c")]
    started = []

    class Fake(detached.DetachedProcess):
        def __init__(self, folder: Path, _: Any) -> None:
            started.append(folder.parent.name)
            super().__init__(folder, command(folder, 4))

    monkeypatch.setattr(render_job, "DetachedProcess", Fake)
    for out in outs:
        render_queue.add(out)
    assert render_queue.waiting() == outs and render_queue.is_busy(outs[2]) and render_queue.would_stop() == 3
    assert render_queue.start_next() and started == ["a"]
    assert not render_queue.start_next()  # one at a time
    ops.unqueue(folder=str(outs[1]))
    assert render_queue.waiting() == [outs[2]]
    until(lambda: render_job.process_messages() is not None and not render_job.is_running())
    assert render_job.current().state == "finished" and render_job.current().done == 4
    assert render_queue.start_next() and started == ["a", "c"]
    assert [(each.out.name, each.state, each.done) for each in render_queue.past()] == [("a", "finished", 4)]
    assert render_queue.would_stop() == 0 and not ops.quit.poll()


def test_waiting_renders_of_an_earlier_blender_start_only_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = prepared(tmp_path / "a", 1, monkeypatch)
    render_queue.add(out)
    assert ops.quit.poll()  # closing Blender would keep it from starting
    render_queue.unregister()  # as if Blender was closed and opened
    render_queue.register()
    assert render_queue.waiting() == [out] and render_queue.is_paused() and not ops.quit.poll()
    assert ops.start_queue() == {"FINISHED"} and not render_queue.is_paused()


def test_processes_reach_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = prepared(tmp_path / "a", 1, monkeypatch)
    commands = []
    monkeypatch.setattr(render_job, "DetachedProcess", lambda folder, command: commands.append(command))
    render_job.resume(out, 7, workers=3)
    render_job._current.clear()
    assert commands[0][-2:] == ["--workers", "3"]
    stored = json.loads((out / render_job.FOLDER / "job.json").read_text())
    assert (stored["images"], stored["workers"]) == (7, 3)


RECORD = {
    "rejected": ["too small", "too small"],
    "camera": {"matrix": np.eye(4).ravel().tolist(), "lens": 50.0, "sensor_width": 36.0},
    "image": {"width": 40, "height": 30},
    "instances": [
        {"class": "chair", "annotated": True, "bbox": [10, 6, 20, 12], "main": True},
        {"class": "table", "annotated": False, "bbox": [0, 0, 4, 4], "main": False},
    ],
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three frames: one chair, no annotated object, given up."""
    store = part("dataset.store.frames").FrameStore(tmp_path)
    store.prepare()
    image = np.full((30, 40, 3), 128, np.uint8)
    store.write(0, RECORD, image, format="png")
    empty = {**RECORD, "rejected": [], "instances": [{**RECORD["instances"][0], "annotated": False}]}
    store.write(1, empty, image, format="png")
    store.write(2, {**RECORD, "image": None, "camera": None, "instances": [], "verdict": "given up"}, None)
    return tmp_path


def test_frames_are_listed_and_filtered(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = part("addon.browser.records")
    monkeypatch.setattr(part("dataset.store.frames").FrameStore, "read", lambda self, frame: _plain(self, frame))
    listing = records.Listing(dataset)
    records.read(listing)
    assert listing.total == 3 and sorted(listing.frames) == [0, 1, 2]

    def shown(*filters: str) -> list[int]:
        return [each.frame for each in records.chosen(listing, *filters)]

    assert shown("", "ALL", "") == [0, 1, 2]
    assert shown("", "ACCEPTED", "") == [0, 1]
    assert shown("", "EMPTY", "") == [1]
    assert shown("", "GIVEN_UP", "") == [2]
    assert shown("chair", "ALL", "") == [0] and shown("table", "ALL", "") == []
    assert shown("", "ALL", "too small") == [0, 2]
    assert records.names_in(listing) == (["chair"], ["too small"])
    first = listing.frames[0]
    assert first.centers == (("chair", 0.5, 0.4),) and first.size == (40, 30) and first.reasons == {"too small": 2}
    (dataset / "frames/000000.json").unlink()
    records.read(listing)
    assert sorted(listing.frames) == [1, 2]


def _plain(store: Any, frame: int) -> Any:
    """A record without its check: those here have only what the browser reads."""
    text = store.record_path(frame).read_text().strip()
    return json.JSONDecoder().raw_decode(text)[0]


def test_thumbnails_show_boxes(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("dataset.store.frames").FrameStore, "read", lambda self, frame: _plain(self, frame))
    thumbnails = part("addon.browser.thumbnails")
    pixels = thumbnails.read(dataset, dataset / "images/000000.png", 0)
    assert pixels.shape == (thumbnails.SIDE, thumbnails.SIDE, 4)
    opaque = pixels[pixels[..., 3] > 0][:, :3]
    assert {tuple(color) for color in (opaque * 255).round().astype(int).tolist()} > {(128, 128, 128)}
    assert thumbnails.read(dataset, dataset / "images/none.png", 0) is None


def test_buttons_of_a_dataset_know_what_is_there(dataset: Path, tmp_path: Path) -> None:
    scene = bpy.context.scene
    ops.set_up()
    scene.twinset.output_folder = str(dataset)
    render_job._frame_counts.clear()
    assert ops.open_folder.poll() and ops.verify.poll() and not ops.open_report.poll()
    (dataset / "report.html").write_text("<html></html>")
    assert ops.open_report.poll()
    scene.twinset.output_folder = str(tmp_path / "none")
    assert not ops.open_folder.poll() and not ops.verify.poll()


def test_the_result_of_a_check_is_said_in_sentences() -> None:
    check = part("addon.processes.dataset_check")
    intact = {"accepted": 12, "damaged": [], "changed": {}}
    assert check._sentences(intact) == ["All files of 12 images are intact."]
    broken = check._sentences({"accepted": 10, "damaged": [3, 4], "changed": {"summary.json": "has changed"}})
    assert broken[0].startswith("Damaged frames: 3, 4.") and broken[1] == "summary.json has changed."
    assert check._sentences({"error": ["No such folder."]}) == ["No such folder."]
