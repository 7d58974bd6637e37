# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator relies on: how a job stands, what it was made from, and that it can be made again."""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import typer
from recipes import on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset.atomic_files import json_bytes, output_error
from twinset.dataset.jobs.job import Job, open_job
from twinset.dataset.store.frames import FrameStore, append_checksum
from twinset.dataset.store.heartbeats import FOLDER, Heartbeat, read_workers
from twinset.dataset.store.inputs import read_inputs
from twinset.dataset.store.status import status_of
from twinset.engine.errors import OutputError, TryAgainError
from twinset.engine.events import FrameDone, ShareDone
from twinset.engine.recipe.reading import load_recipe
from twinset.headless import cli
from twinset.headless.commands.generate import verify
from typer.testing import CliRunner

RECIPE = recipe_text(
    seed=2,
    images=7,
    classes=[{"name": "chair", "models": ["stool.glb"]}],
    placements=[on_floor(1, 3)],
    appearances=["lights"],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={"block_size": 3},
    size=(64, 48),
    output={"format": "png"},
)


def glb(**stated: Any) -> bytes:
    """A binary glTF with no mesh in it."""
    text = json.dumps({"asset": {"version": "2.0", **stated}}).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    (tmp_path / "stool.glb").write_bytes(glb(copyright="Ann Artist, CC BY 4.0", extras={"title": "A stool"}))
    return tmp_path


def job_of(folder: Path) -> Job:
    return Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage)


def test_status_counts_frames_blocks_and_workers(folder: Path) -> None:
    job = job_of(folder)
    assert list(job.run(range(0, 3)))[-1] == ShareDone(job.out, 0, 2)
    for event in (running := job.run(range(3, 6))):
        if isinstance(event, FrameDone) and event.frame == 3:
            break
    found = status_of(job.out)
    assert (found.frames, found.done, found.left, found.begun, found.missing) == (7, 4, 3, [1], [2])
    (worker,) = found.workers
    assert (worker.first, worker.last, worker.state, worker.pid) == (3, 5, "running", os.getpid())
    assert found.sentence().startswith("1 worker is running")
    running.close()
    assert read_workers(job.out) == [] and not (job.out / FOLDER).exists()
    sentence = status_of(job.out).sentence()
    assert "No worker is running. 3 frames are left, in 1 started and 1 untouched blocks" in sentence
    list(job.run(range(3, 7)))
    assert "twinset finish" in status_of(job.out).sentence()


def test_a_worker_that_fails_says_why_and_one_that_dies_is_lost(tmp_path: Path) -> None:
    with pytest.raises(OutputError), Heartbeat(tmp_path, range(4)) as pulse:
        pulse.beat()
        raise OutputError("The disk is full.")
    (failed,) = read_workers(tmp_path)
    assert failed.state == "failed" and failed.error == "The disk is full." and failed.last == 3
    path = next((tmp_path / FOLDER).iterdir())
    dead = {**json.loads(path.read_text()), "error": "", "pid": 2**22 + 1}
    (tmp_path / FOLDER / "dead.json").write_text(json.dumps(dead))
    (tmp_path / FOLDER / "elsewhere.json").write_text(json.dumps({**dead, "host": "another"}))
    (tmp_path / FOLDER / "half.json").write_text('{"host": "an')
    states = {(w.host == socket.gethostname(), w.state) for w in read_workers(tmp_path)}
    assert states == {(True, "failed"), (True, "lost"), (False, "running")}
    with Heartbeat(tmp_path, range(4)):
        assert sum(w.state == "lost" for w in read_workers(tmp_path)) == 0


def test_finish_names_what_is_missing_and_how_to_repair_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(folder)
    list(job.run(range(0, 6)))
    store = FrameStore(job.out)
    store.record_path(4).write_text("{")
    done = CliRunner().invoke(cli.app, ["finish", str(job.out)])
    assert done.exit_code == 3, done.output
    assert "2 frames are missing or damaged (4, 6)" in done.output and f"-o {job.out}`." in done.output
    list(job_of(folder).run())
    done = CliRunner().invoke(cli.app, ["finish", str(job.out)])
    assert done.exit_code == 0 and "Incomplete" not in done.output


def test_verify_tells_a_dataset_from_a_changed_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(folder)
    list(job.run())
    monkeypatch.setattr(verify, "open_stage", stool_stage)
    done = CliRunner().invoke(cli.app, ["verify", str(job.out), "--sample", "4"])
    assert done.exit_code == 0 and "All files are intact." in done.output, done.output
    assert not list(job.out.glob(".verify-*"))

    # A picture that says the same to the eye, with its record put right, is still another picture.
    store = FrameStore(job.out)
    record = store.read(2)
    store.write(2, record, store.read_image(record) ^ 1, format="png")
    assert open_job(job.out, stool_stage).verify(2) == "Frame 2 differs from its record: image."
    # Without that, the checksum tells.
    path = job.out / "images/000005.png"
    path.write_bytes(path.read_bytes() + b"\0")
    done = CliRunner().invoke(cli.app, ["verify", str(job.out), "--sample", "0", "--json"])
    assert done.exit_code == 3 and json.loads(done.stdout)["damaged"] == [5]


def test_inputs_are_hashed_with_what_they_state(folder: Path) -> None:
    job = job_of(folder)
    list(job.run(range(3)))
    known = json.loads((job.out / "inputs.json").read_text())
    assert list(known) == ["stool.glb"] and known["stool.glb"]["used"] == ["class.models"]
    assert known["stool.glb"]["stated"] == {"copyright": "Ann Artist, CC BY 4.0", "title": "A stool"}
    (folder / "stool.glb").write_bytes(glb(copyright="Somebody else"))
    with pytest.raises(OutputError, match=r"'stool.glb' has changed since frames were rendered"):
        list(job_of(folder).run())
    assert json.loads((job.out / "inputs.json").read_text()) == known


def test_files_that_a_gltf_refers_to_count(folder: Path) -> None:
    (folder / "r.toml").write_text(RECIPE.replace("stool.glb", "*.gltf"))
    buffers = [{"uri": "a%20b.bin"}, {"uri": "data:,x"}, {"uri": 3}]
    (folder / "stool.gltf").write_text(json.dumps({"asset": {}, "buffers": buffers}))
    (folder / "broken.gltf").write_text("{" * 10_000)
    (folder / "a b.bin").write_bytes(b"1")
    assert set(read_inputs(load_recipe(folder / "r.toml"))) == {"stool.gltf", "a b.bin", "broken.gltf"}


@pytest.mark.parametrize("name", ["ENOSPC", "EIO", "ESTALE"])
def test_trouble_that_may_pass_ends_with_75(name: str) -> None:
    import errno

    error = output_error(OSError(getattr(errno, name), "why"), Path("/out"))
    assert isinstance(error, TryAgainError) and error.exit_code == 75
    assert output_error(PermissionError(errno.EACCES, "why"), Path("/out")).exit_code == 2


def test_a_share_and_the_frames_of_a_block_are_the_same_share(folder: Path) -> None:
    from twinset.headless.console.frame_ranges import select_frames

    recipe = load_recipe(folder / "r.toml")
    assert select_frames(recipe, None, range(2, 3)) == select_frames(recipe, range(6, 99), None) == range(6, 7)
    with pytest.raises(typer.BadParameter):
        select_frames(recipe, None, range(3, 4))


@pytest.mark.parametrize("name", ["../../stolen.png", "/tmp/stolen.png", "..\\stolen.png", "", 3])
def test_records_from_elsewhere_name_nothing_outside_their_folder(folder: Path, name: object) -> None:
    (folder / "r.toml").write_text(RECIPE.replace("[output]", "[output]\nyolo = true"))
    job = job_of(folder)
    list(job.run())
    before = {p for p in folder.rglob("*") if not p.is_relative_to(job.out)}
    store = FrameStore(job.out)
    for frame, change in ((2, {"image": {**store.read(2)["image"], "file_name": name}}), (4, {})):
        record = {**store.read(frame), **change}
        if not change:
            record["files"]["image"]["path"] = name
        store.record_path(frame).write_bytes(append_checksum(json_bytes(record)))
    finished = open_job(job.out, stool_stage).finish()
    assert finished.absent == (2, 4) and finished.images == 5
    assert {p for p in folder.rglob("*") if not p.is_relative_to(job.out)} == before
