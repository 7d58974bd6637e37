# SPDX-License-Identifier: GPL-3.0-or-later
"""Random walks of operators, undo, redo, save and load: the file in memory is always as a model says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from property_examples import examples

CORRUPTION = ("found more than once", "corrupt", "missing data-block")
"""Parts of what Blender prints if its data contradict each other."""


def walk(command: list[str], arguments: list[str | Path], folder: Path, root: Path) -> None:
    """Run ``undo_walk.py`` in a process of its own, and check what it prints."""
    environment = os.environ | {"HOME": str(folder), "PYTHONSAFEPATH": "1"}
    if command[0] == sys.executable:
        environment["BLENDER_USER_RESOURCES"] = str(folder)
    done = subprocess.run(
        [*command, *arguments], cwd=root, env=environment, capture_output=True, text=True, errors="replace"
    )
    printed = done.stdout + done.stderr
    assert "WALK PASSED" in printed, printed[-5000:]
    assert not [line for line in printed.splitlines() if any(text in line for text in CORRUPTION)], printed[-5000:]


def test_undo_and_redo_give_what_was_there(extension: Path, root: Path, tmp_path: Path) -> None:
    script = root / "tests/addon/inside/undo_walk.py"
    walk([sys.executable, str(script)], [extension, tmp_path, "1", str(examples(100))], tmp_path, root)


@pytest.mark.parametrize("where", ["background", "window"])
def test_undo_and_redo_in_blender(extension: Path, root: Path, tmp_path: Path, where: str) -> None:
    """TWINSET_BLENDER is a command that opens Blender with a window."""
    command = shlex.split(os.environ.get("TWINSET_BLENDER") or "")
    if not command:
        pytest.skip("TWINSET_BLENDER names no Blender")
    if where == "background":
        command.append("--background")
    script = root / "tests/addon/inside/undo_walk.py"
    walk([*command, "--python", str(script), "--"], [extension, tmp_path, "1", str(examples(200))], tmp_path, root)
