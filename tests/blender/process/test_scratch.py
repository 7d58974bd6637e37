# SPDX-License-Identifier: GPL-3.0-or-later
"""What killed processes leave among the temporary files: swept by the next one, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows does not tell of processes")

BLENDER = """
import sys
import twinset.blender
import bpy
print(bpy.app.tempdir, flush=True)
sys.stdin.read()
"""
SWEEP = "from twinset.blender.process.scratch import scratch_folder, remove_scratch; remove_scratch(scratch_folder(1))"


def started(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has started Blender, and where that has its temporary files."""
    process = subprocess.Popen(
        [sys.executable, "-c", BLENDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    return process, next(Path(line.strip()) for line in lines if line.startswith(str(folder)))


def test_blenders_folder_goes_with_its_process_and_that_of_a_killed_one_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "blender_ABCDEF").mkdir()  # somebody else's
    killed, of_killed = started(tmp_path)
    living, of_living = started(tmp_path)
    assert of_killed.parent.parent == of_living.parent.parent == tmp_path and of_killed.is_dir()
    killed.send_signal(signal.SIGKILL)
    killed.wait(600)
    assert of_killed.is_dir()
    # One that renders beyond a container's walls has a number that means nothing here; its lock is seen.
    beyond = tmp_path / f"twinset-{killed.pid}-beyond"
    of_living.parent.rename(beyond)
    fresh = tmp_path / f"twinset-{killed.pid}-fresh"
    fresh.mkdir()
    for folder in (of_killed.parent, beyond, tmp_path / "blender_ABCDEF"):
        os.utime(folder, (0, 0))
    subprocess.run([sys.executable, "-c", SWEEP], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["blender_ABCDEF", beyond.name, fresh.name])
    living.communicate(timeout=600)
    os.utime(beyond, (0, 0))
    subprocess.run([sys.executable, "-c", SWEEP], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["blender_ABCDEF", fresh.name])


def test_a_process_that_ends_leaves_nothing_and_keeps_the_temporary_folder_of_others(tmp_path: Path) -> None:
    code = f"import os, tempfile; {SWEEP}; assert os.environ['TMPDIR'] == tempfile.gettempdir() == {str(tmp_path)!r}"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())
