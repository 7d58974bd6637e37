# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs on disks that are full, nearly full or read-only: a sentence, and nothing half-written."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy")

from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from twinset.blender.stage import open_stage
from twinset.dataset.jobs.job import Job
from twinset.dataset.store.disk_space import disk_space_warning, expected_frame_bytes, mean_frame_bytes
from twinset.dataset.store.frame_record import ACCEPTED
from twinset.dataset.store.frames import FrameStore
from twinset.engine.errors import OutputError
from twinset.engine.events import FrameDone, Stepped
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.recipe.settings import OutputSettings
from twinset.testing.fixtures.render_process import file_bytes

RECIPE = recipe_text(
    images=4,
    scene="open.blend",
    placements=[on_floor()],
    cameras=[orbit(1.5, 4.0)],
    render=ONE_SAMPLE,
    size=(96, 72),
    output={"masks": True},
)


@pytest.fixture(scope="module")
def recipe(rooms):
    return loads_recipe(RECIPE, rooms, "test")


@contextmanager
def small_disk(path, size="80m"):
    path.mkdir()
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("this system does not let a test mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(disk):
    """Fill a disk to the last byte."""
    with open(disk / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 2**16):
            pass


@pytest.mark.parametrize("when", ["frames", "annotations"])
def test_a_disk_that_fills_up_leaves_nothing_half_written(recipe, tmp_path, when):
    list(Job(recipe, tmp_path / "whole", open_stage).run())
    whole = file_bytes(tmp_path / "whole")
    with small_disk(tmp_path / "disk") as disk:
        out = disk / "out"
        with pytest.raises(OutputError, match=r"The disk of '.*' is full\. Free some space"):
            for event in Job(recipe, out, open_stage).run():
                if when == "frames" and isinstance(event, FrameDone) and event.frame == 1:
                    fill(disk)
                if when == "annotations" and isinstance(event, Stepped) and "annotations" in event.message:
                    fill(disk)
        left = file_bytes(out)
        assert not [name for name in left if "tmp" in name or name.startswith("annotations")]
        done = {Path(name).stem for name in left if name.startswith("frames/")}
        assert len(done) == (2 if when == "frames" else 4)
        # Paths in recipe.toml start at its folder, which is another one here.
        # workers/ says what went wrong.
        kept = {name: data for name, data in left.items() if not name.startswith("workers/")}
        assert all(data == whole[name] for name, data in kept.items() if name != "recipe.toml")
        (disk / "filler").unlink()
        list(Job(recipe, out, open_stage).run())
        resumed = file_bytes(out)
        del resumed["recipe.toml"], whole["recipe.toml"]
        assert resumed == whole


def test_a_disk_with_too_little_room_is_refused_at_once(recipe, tmp_path):
    with small_disk(tmp_path / "disk", "20m") as disk:
        with pytest.raises(OutputError, match="only 20 MiB left"):
            list(Job(recipe, disk / "out", lambda _: pytest.fail("opened")).run())
        assert file_bytes(disk) == {}


def test_a_read_only_disk_is_refused_before_the_scene_is_opened(recipe, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(OutputError, match=r"cannot be written to \(Read-only file system\)"):
            list(Job(recipe, disk / "out", lambda _: pytest.fail("opened")).run())
        assert file_bytes(disk) == {}


def test_a_job_that_will_not_fit_is_told_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FrameStore(tmp_path)
    store.prepare()
    output = OutputSettings(width=640, height=480)
    free = shutil.disk_usage(tmp_path).free
    many = int(2 * free / expected_frame_bytes(output))
    text = disk_space_warning(store, output, many)
    assert "640 x 480" in text and f"remaining {many} frames" in text and disk_space_warning(store, output, 1) == ""
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    for frame in range(30):
        store.write(frame, {"verdict": ACCEPTED, "image": {}, "instances": []}, picture)
    size = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert mean_frame_bytes(store) == pytest.approx(size / 30, rel=0.01)
    assert disk_space_warning(store, output, int(0.95 * free / mean_frame_bytes(store))) == ""
    assert "as measured" in disk_space_warning(store, output, int(1.1 * free / mean_frame_bytes(store)))
