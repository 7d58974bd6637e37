# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's whole way in the window of a real Blender, where the environment names one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest


def test_from_a_room_to_a_dataset(extension: Path, data: Path, root: Path, tmp_path: Path) -> None:
    """TWINSET_BLENDER is a command that opens Blender with a window, ImageMagick's ``import`` beside it.

    Pictures and figures go to TWINSET_WINDOW_OUT where that is given.
    """
    command = os.environ.get("TWINSET_BLENDER")
    if not command:
        pytest.skip("TWINSET_BLENDER names no Blender with a window")
    out = Path(os.environ.get("TWINSET_WINDOW_OUT") or tmp_path)
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "TWINSET_ARCHIVE": str(extension),
        "TWINSET_DATA": str(data),
        "TWINSET_WINDOW_OUT": str(out),
    }
    script = root / "tests/addon/inside/inside_window.py"
    done = subprocess.run(
        [*shlex.split(command), "--python", script], cwd=root, env=environment, capture_output=True, text=True
    )
    assert (out / "facts.json").is_file(), done.stdout[-5000:] + done.stderr[-5000:]
    facts = json.loads((out / "facts.json").read_text())
    assert facts.get("passed"), facts.get("failed")
    printed = done.stdout + done.stderr
    assert not [line for line in printed.splitlines() if "found more than once" in line or "corrupt" in line]
    # One late tick is a hiccup, half of them late is a window that does not answer.
    assert facts["render tick ms"]["median"] < 100
