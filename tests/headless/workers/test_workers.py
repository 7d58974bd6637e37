# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering in several processes with real Blender: the same bytes as one process gives, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipes import FOR_WORKERS
from twinset.dataset.atomic_files import is_process_running
from twinset.engine.recipe.reading import load_recipe
from twinset.headless.workers.memory import group_limit, resident_memory
from twinset.headless.workers.supervisor import devices, unfinished_blocks
from twinset.headless.workers.worker import _Limit
from twinset.testing.fixtures.render_process import RenderProcess, differences, events, rendered, wait_until


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(FOR_WORKERS)
    return tmp_path / "r.toml"


TRAP = """
import os
import signal
import time
from pathlib import Path

import numpy as np

from ...engine.plugin import plugin


@plugin("placement")
class Trap:
    \"\"\"Does harm at frames for which there is a file, named by frame and harm; "once" makes it go with that.\"\"\"

    def place(self, stage, goals, rng):
        for path in Path({folder!r}).glob(f"{{goals.frame}}-*"):
            if path.name.endswith("-once"):
                path.unlink()
            harm = path.name.split("-")[1]
            if harm == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif harm == "exhaust":
                np.ones(2**55)
            elif harm == "grow":
                held = []
                while len(held) < 60:
                    held.append(os.urandom(1) * 2**25)
                    time.sleep(0.03)
                raise RuntimeError("it grew to no end")
"""


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe ``r.toml`` and a trap, and the dataset ``alone`` that one process renders of it."""
    pytest.importorskip("bpy")
    folder = tmp_path_factory.mktemp("trapped")
    for name in ("armed", "mine"):
        (folder / name).mkdir()
    (folder / "mine/trap.py").write_text(TRAP.format(folder=str(folder / "armed")))
    text = FOR_WORKERS.replace("[[camera]]", '[[placement]]\nplugin = "trap"\n[[camera]]')
    (folder / "r.toml").write_text('plugin_folders = ["mine"]\n' + text)
    done = rendered(folder / "r.toml", folder / "alone", "--plugins", folder / "mine")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def armed(trapped: Path) -> Iterator[Path]:
    """A folder for files that set off harm in frames of the recipe."""
    yield trapped / "armed"
    for path in (trapped / "armed").iterdir():
        path.unlink()


def test_killed_workers_are_replaced_and_a_killed_supervisor_leaves_no_orphans(trapped: Path, tmp_path: Path) -> None:
    recipe, alone, together = trapped / "r.toml", trapped / "alone", tmp_path / "together"
    options = ("--workers", 2, "--plugins", trapped / "mine")
    workers: set[int] = set()
    frames = []
    with RenderProcess(recipe, together, *options) as running:
        for event in running.events():
            workers |= {int(p.stem.rsplit("-", 1)[1]) for p in (together / "workers").glob("*-*.json")}
            if event["event"] != "frame_done":
                continue
            frames.append(event["frame"])
            assert event["done"] == len(frames) and event["total"] == 9
            if len(frames) == 1:
                os.kill(next(pid for pid in workers if is_process_running(pid)), signal.SIGKILL)
            if len(frames) == 5:
                running.process.kill()
        assert running.wait() == -signal.SIGKILL and "killed (SIGKILL)" in running.messages()
    assert len(set(frames)) == len(frames)
    wait_until(lambda: not any(map(is_process_running, workers)))

    done = rendered(recipe, together, *options, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["images"] == 9
    assert differences(alone, together) == []
    # Nothing is left to do: no worker starts, and the same files come out.
    done = rendered(recipe, together, *options)
    kinds = {event["event"] for event in events(done.stdout)}
    assert done.returncode == 0 and "frame_done" not in kinds and differences(alone, together) == []


def test_bad_input_of_a_worker_ends_the_job_with_its_sentence(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    recipe.write_text(FOR_WORKERS.replace('"Floor"', '"Nowhere"'))
    done = rendered(recipe, tmp_path / "out", "--workers", 2)
    assert done.returncode == 2 and "Nowhere" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_share_ends_without_annotations_and_ctrl_c_ends_all(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bpy")
    out = tmp_path / "out"
    share = ("--workers", 2, "--blocks", "1-2")
    with RenderProcess(recipe, out, *share) as running:
        running.wait_for_frame()
        last = running.send(signal.SIGINT)[-1]
        assert running.wait() == 130 and last["event"] == "stopped"
    assert last["written"] == len(list((out / "images").glob("*.jpg"))) >= 1
    done = rendered(recipe, out, *share)
    assert done.returncode == 0 and events(done.stdout)[-1]["event"] == "share_done"
    assert not (out / "annotations").exists()


def test_blocks_that_lack_frames_are_handed_out_whole() -> None:
    assert unfinished_blocks({4, 5, 9}, range(0, 11), 3) == [range(3, 6), range(9, 11)]
    assert unfinished_blocks(set(), range(0, 11), 3) == []


def test_each_worker_has_a_gpu_in_turns(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_recipe(recipe)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, 3")
    assert devices(3, loaded) == [{}, {}, {}]
    recipe.write_text(FOR_WORKERS.replace('device = "cpu"', ""))
    loaded = load_recipe(recipe)
    assert [d["CUDA_VISIBLE_DEVICES"] for d in devices(3, loaded)] == ["GPU-a", "3", "GPU-a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices(2, loaded) == [{}, {}]


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the driver's command")
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo GPU-a; echo GPU-b", ["GPU-a", "GPU-b", "GPU-a", "GPU-b", "GPU-a"]),
        ("echo GPU-a", []),  # one GPU, which all workers share
        ("echo No devices were found; exit 6", []),
    ],
)
def test_gpus_are_those_that_the_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: list[str]
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    path = tmp_path / "gpu.toml"
    path.write_text(FOR_WORKERS.replace('device = "cpu"', ""))
    found = devices(5, load_recipe(path))
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found if one] == expected and len(found) == 5
    command.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices(5, load_recipe(path)) == [{}] * 5  # no driver


def test_a_worker_that_has_grown_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    is_too_large = _Limit(resident_memory() + 50 * 2**20)
    assert not is_too_large()
    held = bytearray(os.urandom(1)) * (100 * 2**20)
    assert is_too_large() and len(held) > 0
    assert _Limit(1.0, is_strict=True)() and not caplog.text
    of_no_use = _Limit(1.0)
    assert not of_no_use() and not of_no_use() and "A single frame needs" in caplog.text


def test_memory_is_what_the_groups_around_a_process_leave_it(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("0::/job/step\n")
    for name, limit in (("job", 3 * 2**30), ("job/step", "max")):
        (tmp_path / "fs" / name).mkdir(parents=True)
        (tmp_path / "fs" / name / "memory.max").write_text(f"{limit}\n")
    assert group_limit(groups, tmp_path / "fs") == 3 * 2**30
    (tmp_path / "fs/job/memory.max").write_text("max\n")
    assert group_limit(groups, tmp_path / "fs") is None
    # The older kind, whose controllers have trees of their own.
    groups.write_text("5:cpu,cpuacct:/\n4:memory:/job\n0::/\n")
    (tmp_path / "fs/memory/job").mkdir(parents=True)
    (tmp_path / "fs/memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "fs/memory/job/memory.limit_in_bytes").write_text("1000\n")
    assert group_limit(groups, tmp_path / "fs") == 1000


def test_a_frame_that_kills_every_worker_leaves_out_its_block_alone(trapped: Path, armed: Path, tmp_path: Path) -> None:
    (armed / "4-kill").touch()
    recipe, out = trapped / "r.toml", tmp_path / "out"
    done = rendered(recipe, out, "--workers", 2)
    assert done.returncode == 2 and "would run as plugins" in done.stderr and not out.exists()
    allowed = ("--workers", 2, "--plugins", trapped / "mine")
    done = rendered(recipe, out, *allowed)
    assert done.returncode == 75, done.stderr
    finished, failed = events(done.stdout)[-2:]
    assert finished["absent"] == [4, 5] and finished["images"] == 7
    said = "Workers failed repeatedly at frames 3 to 5, which are left out. The last at frame 4:"
    assert said in failed["error"][0] and "Start fewer workers" in failed["error"][0]
    (armed / "4-kill").unlink()
    done = rendered(recipe, out, *allowed)
    assert done.returncode == 0 and events(done.stdout)[-1]["images"] == 9


def test_workers_that_are_all_killed_before_a_frame_is_done_can_be_tried_again(
    trapped: Path, armed: Path, tmp_path: Path
) -> None:
    (armed / "0-kill").touch()
    out, options = tmp_path / "out", ("--images", 3, "--workers", 2, "--plugins", trapped / "mine")
    done = rendered(trapped / "r.toml", out, *options)
    assert done.returncode == 75, done.stderr
    (sentence,) = events(done.stdout)[-1]["error"]
    assert "frames 0 to 2, which are left out. The last at frame 0:" in sentence and "SIGKILL" in sentence
    (armed / "0-kill").unlink()
    assert rendered(trapped / "r.toml", out, *options).returncode == 0


def test_workers_that_outgrow_their_bound_change_nothing(trapped: Path, armed: Path, tmp_path: Path) -> None:
    recipe, alone, out = trapped / "r.toml", trapped / "alone", tmp_path / "out"
    for name in ("4-grow", "7-exhaust-once", "8-kill-once"):
        (armed / name).touch()
    bounded = ("--workers", 2, "--worker-memory", 1.0, "--plugins", trapped / "mine")
    done = rendered(recipe, out, *bounded)
    assert done.returncode == 75 and "Traceback" not in done.stderr, done.stderr
    finished, failed = events(done.stdout)[-2:]
    assert finished["absent"] == [4, 5] and [p.name for p in armed.iterdir()] == ["4-grow"]
    said = " ".join(done.stderr.split())
    assert "A worker is replaced at frame 4. It used 1." in said and "Out of memory" in said and "SIGKILL" in said
    (sentence,) = failed["error"]
    assert "frames 3 to 5, which are left out. The last at frame 4: It used 1." in sentence
    assert "more than the limit of 1.00 GiB" in sentence and "--worker-memory" in sentence
    (armed / "4-grow").rename(armed / "4-grow-once")
    assert rendered(recipe, out, *bounded).returncode == 0
    assert differences(alone, out) == [] and not list(armed.iterdir())
