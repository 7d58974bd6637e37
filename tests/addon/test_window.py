# SPDX-License-Identifier: GPL-3.0-or-later
"""Artists' ways in the window of a real Blender, where the environment names one.

TWINSET_BLENDER is a command that opens Blender with a window, with ImageMagick's ``import`` and ``xdotool`` beside it.
Pictures and figures go to a folder of each script in TWINSET_WINDOW_OUT where that is given.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def environment(extension: Path, data: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a script that drives the window."""
    if not os.environ.get("TWINSET_BLENDER"):
        pytest.skip("TWINSET_BLENDER names no Blender with a window")
    out = os.environ.get("TWINSET_WINDOW_OUT") or str(tmp_path)
    return os.environ | {"TWINSET_ARCHIVE": str(extension), "TWINSET_DATA": str(data), "TWINSET_WINDOW_OUT": out}


def drive(name: str, root: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run a script in a window; returns what it has noted."""
    out = Path(environment["TWINSET_WINDOW_OUT"]) / Path(name).stem
    out.mkdir(parents=True, exist_ok=True)
    (out / "facts.json").unlink(missing_ok=True)
    environment = environment | {"TWINSET_WINDOW_OUT": str(out)}
    command = [*shlex.split(environment["TWINSET_BLENDER"]), "--python", root / "tests/addon/window" / name]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, errors="replace")
    notes = out / "facts.json"
    printed = done.stdout + done.stderr
    assert notes.is_file(), printed[-10_000:]
    facts: dict[str, Any] = json.loads(notes.read_text())
    assert facts.get("passed"), facts.get("failed")
    assert not [line for line in printed.splitlines() if "found more than once" in line or "corrupt" in line]
    return facts


def test_from_a_room_to_a_dataset(root: Path, environment: dict[str, str]) -> None:
    facts = drive("inside_window.py", root, environment)
    # One late tick is a hiccup, half of them late is a window that does not answer.
    assert facts["render tick ms"]["median"] < 100


def test_keys_drops_units_layers_overrides_and_looks(root: Path, environment: dict[str, str]) -> None:
    facts = drive("inside_window_more.py", root, environment)
    assert facts["boxes in centimetres"]


def test_renders_continue_when_blender_is_closed(root: Path, environment: dict[str, str]) -> None:
    drive("inside_window_quit.py", root, environment)
