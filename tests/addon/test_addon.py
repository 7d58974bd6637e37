# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on inside Blender: built, really installed, and tested there by the files ``inside/inside_addon_*.py``."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from twinset.addon import REQUIRED_PACKAGES

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

# Registers the add-on of this very package where only some of Twinset's packages can be imported.
WITHOUT_PACKAGES = """
    import sys
    import bpy
    from twinset.engine.packages import PACKAGES

    available = set(sys.argv[1:])
    sys.modules.update({module: None for module, package in PACKAGES.items() if package not in available})
    import twinset.addon

    twinset.addon.register()
    print("PANELS", hasattr(bpy.types.Scene, "twinset"), hasattr(bpy.types, "TWINSET_PT_missing"))
    twinset.addon.unregister()
"""


def test_inside_blender(extension: Path, tmp_path: Path, root: Path) -> None:
    files = sorted(map(str, (root / "tests/addon/inside").glob("inside_addon_*.py")))
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


def registered_without(missing: set[str]) -> str:
    """What is registered where the required packages less some are installed."""
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_PACKAGES), *(REQUIRED_PACKAGES - missing)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("PANELS "))
    return line.removeprefix("PANELS ")


def test_panels_need_the_required_packages_and_no_others() -> None:
    assert registered_without(set()) == "True True"


@pytest.mark.parametrize("package", sorted(REQUIRED_PACKAGES - {"numpy"}))  # which Blender itself needs
def test_without_a_required_package_only_the_panel_that_names_it_is_there(package: str) -> None:
    assert registered_without({package}) == "False True"
