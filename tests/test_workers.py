# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering in several processes with real Blender: the same bytes as one process gives, whoever is killed."""

from __future__ import annotations

import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from twinset.dataset.files import process_runs
from twinset.engine.recipe import load_recipe
from twinset.headless.supervisor import devices, shares
from twinset.headless.worker import _Limit, resident

RECIPE = """
seed = 3
images = 9
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [1, 2]
cluster = 3.0
[[camera]]
plugin = "orbit"
distance = [3.0, 6.0]
[[metric]]
plugin = "bbox"
[render]
samples = 1
denoise = false
device = "cpu"
block = 3
[output]
width = 64
height = 48
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path / "r.toml"


def command(recipe: Path, out: Path, *more: object) -> list[str]:
    return [sys.executable, "-m", "twinset.headless", "--json", "render", *map(str, (recipe, "-o", out, *more))]


def differences(one: Path, other: Path) -> list[str]:
    """Files that are not in both folders with the same bytes."""
    files = [{p.relative_to(f) for p in f.rglob("*") if p.is_file()} for f in (one, other)]
    names = sorted(map(str, files[0] ^ files[1]))
    return names + [str(p) for p in sorted(files[0] & files[1]) if not filecmp.cmp(one / p, other / p, shallow=False)]


def test_killed_workers_are_replaced_and_a_killed_supervisor_leaves_no_orphans(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    alone, together = tmp_path / "alone", tmp_path / "together"
    subprocess.run(command(recipe, alone), check=True, capture_output=True)

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command(recipe, together, "--workers", 2), stdout=subprocess.PIPE, stderr=log, text=True
        )
    workers: set[int] = set()
    frames = []
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        workers |= {int(p.stem.rsplit("-", 1)[1]) for p in (together / "workers").glob("*-*.json")}
        if said["event"] != "frame_done":
            continue
        frames.append(said["frame"])
        assert said["done"] == len(frames) and said["total"] == 9
        if len(frames) == 1:
            os.kill(next(pid for pid in workers if process_runs(pid)), signal.SIGKILL)
        if len(frames) == 5:
            process.kill()
    assert process.wait(30) == -signal.SIGKILL and "ended by SIGKILL" in (tmp_path / "log").read_text()
    assert len(set(frames)) == len(frames)
    ends = time.monotonic() + 20
    while any(map(process_runs, workers)) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not any(map(process_runs, workers))

    done = subprocess.run(command(recipe, together, "--workers", 2, "--threads", 1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["images"] == 9
    assert differences(alone, together) == []
    # Nothing is left to do: no worker starts, and the same files come out.
    done = subprocess.run(command(recipe, together, "--workers", 2), capture_output=True, text=True)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert done.returncode == 0 and "frame_done" not in events and differences(alone, together) == []


def test_bad_input_of_a_worker_ends_the_job_with_its_sentence(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    recipe.write_text(RECIPE.replace('"Floor"', '"Nowhere"'))
    done = subprocess.run(command(recipe, tmp_path / "out", "--workers", 2), capture_output=True, text=True)
    assert done.returncode == 2 and "Nowhere" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_share_ends_without_annotations_and_ctrl_c_ends_all(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(recipe, out, "--workers", 2, "--block", "1-2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "frame_done":
            process.send_signal(signal.SIGINT)
            break
    last = json.loads(process.stdout.read().splitlines()[-1])
    assert process.wait(30) == 130 and last["event"] == "stopped"
    assert last["written"] == len(list((out / "images").glob("*.jpg"))) >= 1
    done = subprocess.run(
        command(recipe, out, "--workers", 2, "--block", "1-2", "--worker-memory", 0.01), capture_output=True, text=True
    )
    assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["event"] == "share_done"
    assert "One frame alone takes" in done.stderr and not (out / "annotations").exists()


def test_blocks_that_lack_frames_are_handed_out_whole() -> None:
    assert shares({4, 5, 9}, range(0, 11), 3) == [range(3, 6), range(9, 11)]
    assert shares(set(), range(0, 11), 3) == []


def test_each_worker_has_a_gpu_in_turns(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_recipe(recipe)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, 3")
    assert devices(3, loaded) == [{}, {}, {}]
    recipe.write_text(RECIPE.replace('device = "cpu"', ""))
    loaded = load_recipe(recipe)
    assert [d["CUDA_VISIBLE_DEVICES"] for d in devices(3, loaded)] == ["GPU-a", "3", "GPU-a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices(2, loaded) == [{}, {}]


def test_a_worker_that_has_grown_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    is_too_large = _Limit(resident() + 50 * 2**20)
    assert not is_too_large()
    held = bytearray(os.urandom(1)) * (100 * 2**20)
    assert is_too_large() and len(held) > 0
    of_no_use = _Limit(1.0)
    assert not of_no_use() and not of_no_use() and "One frame alone" in caplog.text


TRAP = """
import os
import signal
from pathlib import Path

from ...engine.plugin import plugin


@plugin("placement")
class Trap:
    \"\"\"Kills the process at frame 4 as long as a file is there.\"\"\"

    def place(self, stage, goals, rng):
        if goals.frame == 4 and Path({file!r}).exists():
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_frame_that_kills_every_worker_leaves_out_its_block_alone(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    armed = tmp_path / "armed"
    armed.touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/trap.py").write_text(TRAP.format(file=str(armed)))
    recipe.write_text(
        'plugin_folders = ["mine"]\n' + RECIPE.replace("[[camera]]", '[[placement]]\nplugin = "trap"\n[[camera]]')
    )
    out = tmp_path / "out"
    done = subprocess.run(command(recipe, out, "--workers", 2), capture_output=True, text=True)
    assert done.returncode == 2 and "would run as plugins" in done.stderr and not out.exists()
    allowed = ("--workers", 2, "--plugins", tmp_path / "mine")
    done = subprocess.run(command(recipe, out, *allowed), capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    finished = json.loads(done.stdout.splitlines()[-1])
    assert finished["absent"] == [4, 5] and finished["images"] == 7
    said = " ".join(done.stderr.split())
    assert "Workers ended 5 times each at frames 3 to 5, which are left out. The last at frame 4:" in said
    armed.unlink()
    done = subprocess.run(command(recipe, out, *allowed), capture_output=True, text=True)
    assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["images"] == 9
