# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: priorities of background processes, and the copies that they open."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import bpy
import pytest

NAME = "bl_ext.user_default.twinset"
SLEEP = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def nice_of_session(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii").split()[-1])


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this system does not group sessions")
def test_only_what_somebody_waits_for_does_not_come_after_the_window(tmp_path: Path) -> None:
    process = part("addon.processes.process")
    behind = process.Process(SLEEP, tmp_path / "behind.txt")
    waited_for = process.Process(SLEEP, tmp_path / "waited.txt", is_waited_for=True)
    try:
        assert (nice_of_session(behind.pid), os.getpriority(os.PRIO_PROCESS, behind.pid)) == (10, 10)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert (nice_of_session(waited_for.pid), os.getpriority(os.PRIO_PROCESS, waited_for.pid)) == (0, own)
        for is_waited_for in (False, True):
            time.sleep(0.2)  # the kernel lets users change it ten times per second
            waited_for.set_waited_for(is_waited_for)
            assert nice_of_session(waited_for.pid) == (0 if is_waited_for else 10)
            assert os.getpriority(os.PRIO_PROCESS, waited_for.pid) == own  # nobody may lower that again
    finally:
        behind.close()
        waited_for.close()


@pytest.mark.parametrize("kind", ["AUTO", "SCREENSHOT"])
def test_a_copy_has_no_thumbnail_and_the_preferences_stay(tmp_path: Path, kind: str) -> None:
    preferences = bpy.context.preferences
    before, was_dirty = preferences.filepaths.file_preview_type, preferences.is_dirty
    try:
        preferences.filepaths.file_preview_type = kind
        preferences.is_dirty = False
        part("addon.processes.scene_copy").save_copy(tmp_path / "folder/copy.blend")
        assert (preferences.filepaths.file_preview_type, preferences.is_dirty) == (kind, False)
    finally:
        preferences.filepaths.file_preview_type, preferences.is_dirty = before, was_dirty
    written = (tmp_path / "folder/copy.blend").read_bytes()
    assert written.startswith(b"BLENDER") and b"TEST" not in written[:1000]  # the block of a thumbnail comes second
