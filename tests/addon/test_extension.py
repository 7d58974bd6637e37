# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as a Blender extension: valid, built without ballast, installed, enabled, removed without a trace."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest

# Runs in a process of its own, whose settings and extensions live in a temporary folder.
INSTALL_AND_REMOVE = """
    import json, sys
    import bpy
    import addon_utils  # on the path only after bpy

    name = "bl_ext.user_default.twinset"
    facts = {}

    bpy.ops.extensions.package_install_files(repo="user_default", filepath=sys.argv[1], enable_on_install=True)
    extension = sys.modules[name]
    command = sys.modules[name + ".headless.blender_command"]
    facts["enabled"] = addon_utils.check(name)[1]
    heavy = {"scipy", "sklearn", "cv2", "matplotlib", "pycocotools", "onnxruntime", "OpenEXR", "PIL", "typer", "rich"}
    facts["heavy"] = sorted(heavy & set(sys.modules))
    facts["version"] = extension.__version__
    facts["offered"] = command._handle is not None
    facts["exit codes"] = [command.execute(["--version"]), command.execute(["no-such-command"])]
    facts["a second twinset"] = "twinset" in sys.modules

    extension.register()  # Blender never does this twice, but a reload script may
    facts["warnings"] = addon_utils._extensions_warnings_get()

    addon_utils.disable(name, default_set=True)
    extension.unregister()
    facts["disabled"] = not addon_utils.check(name)[1] and command._handle is None

    addon_utils.enable(name, default_set=True)
    facts["enabled again"] = sys.modules[name + ".headless.blender_command"]._handle is not None

    repos = [r.module for r in bpy.context.preferences.extensions.repos]
    bpy.ops.extensions.package_uninstall(repo_index=repos.index("user_default"), pkg_id="twinset")
    facts["gone"] = name not in bpy.context.preferences.addons
    sys.stdout.write("\\nFACTS " + json.dumps(facts) + "\\n")
"""


def run_tool(tool: Path, *arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, tool, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_in_blender(code: str, archive: Path, folder: Path) -> str:
    """What code prints in a process of its own, whose settings and extensions live in a folder."""
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(folder), "HOME": str(folder), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), archive]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_manifest_is_valid(extension_tool: Path, tracked_copy: Path) -> None:
    assert "error" not in run_tool(extension_tool, "validate", tracked_copy).lower()


def test_built_archive_is_valid(extension_tool: Path, extension: Path) -> None:
    assert "error" not in run_tool(extension_tool, "validate", extension).lower()


def test_archive_holds_the_package_and_nothing_else(extension: Path, tracked_copy: Path) -> None:
    names = {n for n in zipfile.ZipFile(extension).namelist() if not n.endswith("/")}
    tracked = {p.relative_to(tracked_copy).as_posix() for p in tracked_copy.rglob("*") if p.is_file()}
    only_developers = ("tests/", "docs/", "benchmarks/", ".", "setup.py")
    assert {n for n in tracked if n.endswith(".py") and not n.startswith(only_developers)} <= names
    assert {"LICENSE", "blender_manifest.toml", "__init__.py", "alignment/features/scattering.onnx"} <= names
    assert names <= tracked
    assert not [n for n in names if n.startswith(only_developers) or n in ("pyproject.toml", "Makefile")]


def test_installs_registers_and_leaves_no_trace(extension: Path, tmp_path: Path) -> None:
    printed = run_in_blender(INSTALL_AND_REMOVE, extension, tmp_path)
    (line,) = (x for x in printed.splitlines() if x.startswith("FACTS "))
    import twinset

    assert json.loads(line.removeprefix("FACTS ")) == {
        "enabled": True,
        "heavy": [],
        "version": twinset.__version__,
        "offered": True,
        "exit codes": [0, 2],
        "a second twinset": False,
        "warnings": {},
        "disabled": True,
        "enabled again": True,
        "gone": True,
    }, printed
    assert not list(tmp_path.rglob("extensions/user_default/twinset/*.py"))


# A package of one line, as wheels have it, with its licence.
TINY = {
    "twinset_tiny.py": "answer = 42\n",
    "twinset_tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: twinset-tiny\nVersion: 1.0\n"
    "License-Expression: MIT-0\n",
    "twinset_tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "twinset_tiny-1.0.dist-info/licenses/LICENSE": "Do as you please.\n",
    "twinset_tiny-1.0.dist-info/RECORD": "",
}

INSTALL_WITH_WHEELS = """
    import sys
    import bpy

    bpy.ops.extensions.package_install_files(repo="user_default", filepath=sys.argv[1], enable_on_install=True)
    import addon_utils
    import twinset_tiny

    assert "extensions" in twinset_tiny.__file__ and twinset_tiny.answer == 42
    assert addon_utils._extensions_warnings_get() == {}
"""


@pytest.mark.usefixtures("extension_tool")  # which needs bpy
@pytest.mark.skipif(sys.platform != "linux", reason="the zip of this test is for Linux")
def test_zip_with_wheels_brings_them_and_their_licences(root: Path, tmp_path: Path) -> None:
    wheels, out = tmp_path / "wheels", tmp_path / "out"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "twinset_tiny-1.0-py3-none-any.whl", "w") as archive:
        for name, text in TINY.items():
            archive.writestr(name, text)
    command = [sys.executable, root / ".ci/extension.py", "--platform", "linux-x64", "--wheels", wheels, "--out", out]
    command += ["--website", "https://example.org/twinset"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    small, full = sorted(out.glob("*.zip"), key=lambda path: "nowheels" not in path.name)
    assert not [n for n in zipfile.ZipFile(small).namelist() if n.startswith("wheels/")]
    with zipfile.ZipFile(full) as archive:
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        told = archive.read("wheels/LICENSES.txt").decode()
    assert manifest["wheels"] == ["./wheels/twinset_tiny-1.0-py3-none-any.whl"]
    assert manifest["platforms"] == ["linux-x64"]
    assert manifest["website"] == "https://example.org/twinset"
    sizes = (out / "SIZES.txt").read_text(encoding="utf-8")
    assert all(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB" in sizes for path in (small, full))
    assert "twinset_tiny 1.0: MIT-0" in told and "Do as you please." in told
    run_in_blender(INSTALL_WITH_WHEELS, full, tmp_path)


def test_permissions_are_given_with_their_reason(root: Path) -> None:
    manifest = tomllib.loads((root / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert set(manifest["permissions"]) == {"files", "clipboard"}
    assert all(20 < len(reason) <= 64 for reason in manifest["permissions"].values())


def test_permissions_cover_what_the_add_on_does(root: Path) -> None:
    """Blender's policy: what writes the clipboard or uses the network must say so."""
    code = "".join(path.read_text(encoding="utf-8") for path in (root / "addon").rglob("*.py"))
    manifest = tomllib.loads((root / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert (".clipboard" in code) == ("clipboard" in manifest["permissions"])
    assert ("urllib.request" in code or "requests" in re.findall(r"^import (\w+)", code, re.M)) == (
        "network" in manifest["permissions"]
    )


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ("License-Expression: BSD-3-Clause\nLicense: text", "BSD-3-Clause"),
        ("License: MIT License\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: ISC",
            "MIT License, ISC",
        ),
        ("License: Apache 2.0", "Apache 2.0"),
        ("License: Copyright (c) 2020\n        All rights.\n        More.", "see below"),
        ("License-File: LICENSE", "see below"),
        ("Classifier: License :: OSI Approved", "see below"),
    ],
)
def test_headings_of_licences_are_names(root: Path, metadata: str, name: str) -> None:
    spec = importlib.util.spec_from_file_location("extension", root / ".ci/extension.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = f"Metadata-Version: 2.1\nName: x\nVersion: 1\n{metadata}\n\nLong description.\nLicense: no header"
    assert module.licence_name(text) == name
