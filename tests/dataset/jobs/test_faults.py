# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the middle of a job: it ends with a sentence, and going on gives the very bytes of an undisturbed one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import recipes
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset import atomic_files
from twinset.dataset.atomic_files import PendingFiles, remove_stale
from twinset.dataset.jobs.job import Job
from twinset.dataset.store import heartbeats
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.heartbeats import FOLDER, Heartbeat, read_workers
from twinset.dataset.store.status import status_of
from twinset.engine.errors import TryAgainError
from twinset.engine.events import FrameDone
from twinset.engine.recipe.reading import load_recipe
from twinset.headless import cli
from twinset.headless.commands.generate import render
from twinset.testing import BruteStage
from twinset.testing.fixtures.render_process import file_bytes
from typer.testing import CliRunner

RECIPE = recipe_text(
    seed=2,
    images=5,
    placements=[on_floor(1, 3)],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "block_size": 3, "device": "cpu"},
    size=(64, 48),
    output={"format": "png", "masks": True},
)
DAYS = 3 * 86400.0


def whole(folder: Path, open_stage: Any = stool_stage) -> dict[str, bytes]:
    """The dataset of a job that nothing disturbs."""
    list(Job(load_recipe(folder / "r.toml"), folder / "whole", open_stage).run())
    return file_bytes(folder / "whole")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path


def command(folder: Path) -> Any:
    return CliRunner().invoke(cli.app, ["render", str(folder / "r.toml"), "-o", str(folder / "out")])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "Out of memory. Files written so far are complete"),
        (TryAgainError("The GPU is gone."), "The GPU is gone."),
    ],
)
def test_want_of_memory_or_device_ends_with_75_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    class Failing(BruteStage):
        shots = 0

        def shoot(self, *args: Any, **options: Any) -> Any:
            Failing.shots += 1
            if Failing.shots == 3:
                raise error
            return super().shoot(*args, **options)

    def failing(recipe: Any, **options: Any) -> Any:
        stage = stool_stage(recipe)
        stage.__class__ = Failing
        return stage

    monkeypatch.setattr(render, "open_stage", failing)
    done = command(folder)
    assert done.exit_code == 75 and sentence in " ".join(done.output.split()) and "Traceback" not in done.output
    assert len(FrameStore(folder / "out").frames()) == 2
    done = command(folder)
    assert done.exit_code == 0, done.output
    assert file_bytes(folder / "out") == whole(folder)


def test_damaged_files_are_rendered_again_with_the_frames_alone_that_they_belong_to(folder: Path) -> None:
    expected = whole(folder)
    job = Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage)
    list(job.run())
    store = FrameStore(job.out)
    picture = job.out / "images/000000.png"
    picture.write_bytes(picture.read_bytes()[:200])
    store.record_path(1).write_bytes(store.record_path(1).read_bytes().replace(b'"chair"', b'"table"'))
    store.record_path(3).write_bytes(b"\0" * 100)
    (job.out / "masks/000004.png").unlink()
    events = list(Job(load_recipe(folder / "r.toml"), job.out, stool_stage).run())
    assert [e.frame for e in events if isinstance(e, FrameDone) and not e.resumed] == [0, 1, 3, 4]
    assert file_bytes(job.out) == expected


def test_clocks_that_jump_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole(folder)
    jumps: Iterator[float] = itertools.cycle([DAYS, -DAYS, 0.0])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    list(Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage).run())
    assert file_bytes(folder / "out") == expected


@pytest.mark.parametrize("jump", [DAYS, -DAYS])
def test_workers_are_told_from_lost_ones_whatever_the_clock_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    job = Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage)
    list(job.run(range(2)))
    with Heartbeat(job.out, range(3, 5)) as pulse:
        pulse.beat()
        pulse._write()
        said = next((job.out / FOLDER).iterdir())
        gone = said.read_text().replace(f'"pid":{os.getpid()}', f'"pid":{2**22 + 1}')
        (job.out / FOLDER / "gone.json").write_text(gone)
        before = status_of(job.out).seconds_left
        real = time.time
        monkeypatch.setattr(heartbeats.time, "time", lambda: real() + jump)
        assert sorted(w.state for w in read_workers(job.out)) == ["lost", "running"]
        assert before is not None and status_of(job.out).seconds_left == pytest.approx(before)


def test_a_wrong_clock_sweeps_away_nothing_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, old, ahead = (tmp_path / f".twinset-elsewhere-{n}-000001.png.tmp" for n in (7, 8, 9))
    for path in (fresh, old, ahead):
        path.write_bytes(b"half")
    now = time.time()
    os.utime(old, (now - 7200, now - 7200))
    os.utime(ahead, (now + DAYS, now + DAYS))
    monkeypatch.setattr(atomic_files.time, "time", lambda: now + DAYS)
    assert remove_stale(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == [fresh, ahead]


def test_a_file_that_somebody_swept_away_ends_with_try_again(tmp_path: Path) -> None:
    with pytest.raises(TryAgainError, match=r"before it could be renamed to 'a\.png'"), PendingFiles() as pending:
        pending.add(tmp_path / "a.png", b"whole")
        next(tmp_path.iterdir()).unlink()
        pending.commit()
    assert not list(tmp_path.iterdir())


LOSES_PERMISSION = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_faults import Job, FrameDone, load_recipe, stool_stage
folder = Path(sys.argv[1])
for event in Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage).run():
    if isinstance(event, FrameDone) and event.frame == 1:
        os.seteuid(65534)
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can lose its rights on the way")
def test_permission_lost_on_the_way_is_told_and_given_back_is_survived(folder: Path) -> None:
    expected = whole(folder)
    imported = [Path(__file__).parent, Path(recipes.__file__).parent]
    command = [sys.executable, "-c", LOSES_PERMISSION, folder, *imported]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert (
        done.returncode and "OutputError: The folder '" in last and "cannot be written to (Permission denied)" in last
    )
    assert FrameStore(folder / "out").frames() == [0, 1]
    list(Job(load_recipe(folder / "r.toml"), folder / "out", stool_stage).run())
    assert file_bytes(folder / "out") == expected


def test_a_device_that_is_lost_in_blender_leaves_no_wrong_label(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender may write what it has of a picture before it raises."""
    bpy = pytest.importorskip("bpy")
    from twinset.blender.stage import open_stage

    expected = whole(folder, open_stage)
    for leaves_half in (False, True):
        real, calls = bpy.ops, itertools.count()

        def rendering(real: Any = real, calls: Iterator[int] = calls, half: bool = leaves_half, **options: Any) -> Any:
            if next(calls) == 12:
                if half:
                    real.render.render(**options)
                raise RuntimeError("Error: CUDA error: Illegal address in queue synchronize. Device is lost")
            return real.render.render(**options)

        monkeypatch.setattr(bpy, "ops", SimpleNamespace(**_others(real), render=SimpleNamespace(render=rendering)))
        job = Job(load_recipe(folder / "r.toml"), folder / f"out{leaves_half}", open_stage)
        with pytest.raises(TryAgainError, match=r"could not render .*Device is lost\)") as caught:
            list(job.run())
        assert caught.value.exit_code == 75 and next(calls) > 12
        monkeypatch.undo()
        kept = {
            name: data for name, data in file_bytes(job.out).items() if name.startswith(("images", "masks", "frames"))
        }
        assert kept.items() <= expected.items()
        list(Job(load_recipe(folder / "r.toml"), job.out, open_stage).run())
        assert file_bytes(job.out) == expected


def _others(ops: Any) -> dict[str, Any]:
    return {name: getattr(ops, name) for name in dir(ops) if name != "render" and not name.startswith("_")}
