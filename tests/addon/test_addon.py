# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on inside Blender: built, really installed, and tested there by the files ``inside_addon_*.py``."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

# Runs in a process of its own, whose settings and extensions live in a temporary folder.
INSIDE = """
    import os, sys
    import bpy
    import pytest

    bpy.ops.extensions.package_install_files(repo="user_default", filepath=sys.argv[1], enable_on_install=True)
    code = pytest.main([*sys.argv[2:], "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "--durations=5"])
    sys.stdout.flush()
    os._exit(int(code))  # the shutdown of the bpy module may hang
"""


def test_inside_blender(extension: Path, tmp_path: Path, root: Path) -> None:
    files = sorted(map(str, (root / "tests/addon").glob("inside_addon_*.py")))
    assert files
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path), "HOME": str(tmp_path), "PYTHONSAFEPATH": "1"}
    environment["TWINSET_ROOT"] = str(root)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INSIDE), extension, *files],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,  # on a slow, busy machine
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
