# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that all tests share."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("twinset", deadline=None)
settings.load_profile("twinset")

# Tests of the store name a folder of their own.
os.environ["TWINSET_CACHE"] = "off"

ROOT = Path(__file__).resolve().parents[1]
STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End a run that has used Blender without its own farewell.

    The bpy wheel shuts Blender down when Python frees the module. Where anything still refers to it by then, as
    modules of tests do, that never happens, and the process waits for Blender's sound thread for ever.
    """
    if "bpy" in sys.modules and STATUS in config.stash:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[STATUS])


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real material, from TWINSET_DATA; the test is skipped where it is missing."""
    folder = Path(os.environ.get("TWINSET_DATA") or ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"real material is missing: set TWINSET_DATA to its folder (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def tracked_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks or would add, as they are on disk: a fresh clone after a commit of all."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this is no git checkout: {error}")
    copy = tmp_path_factory.mktemp("clone")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # one that is deleted but not yet committed stays in the list
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def extension_tool() -> Path:
    """Blender's own command line for extensions, which runs on plain Python."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("bpy is not installed")
    (tool,) = Path(spec.submodule_search_locations[0]).glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    return tool


@pytest.fixture(scope="session")
def extension(extension_tool: Path, tracked_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension without wheels: this Python has the packages."""
    out = tmp_path_factory.mktemp("extension")
    command = [sys.executable, extension_tool, "build", "--source-dir", tracked_copy, "--output-dir", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("twinset-*.zip")
    return built


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small datasets in published formats, a folder for each, named after BlenderProc's loader of it."""
    folder = tmp_path_factory.mktemp("published")
    subprocess.run([sys.executable, ROOT / "tests/shared/published_formats.py", folder], check=True, timeout=600)
    return folder


@pytest.fixture(scope="session")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``open.blend``, a floor of 40 m under a sun, and ``small.blend``, a closed room of 5 x 5 x 2.6 m.

    Both hold the collection ``Chairs`` with ``stool``, ``high`` and ``chair``, plain solids 0.45, 0.7 and 0.9 m high,
    and the lone object ``Screen``, a thin upright board 1.2 m wide and 1 m high.
    """
    bpy = pytest.importorskip("bpy")
    folder = tmp_path_factory.mktemp("rooms")

    def solid(name, boxes, collection):
        vertices, faces = [], []
        for size, center in boxes:
            n = len(vertices)
            vertices += [
                [c + s * d / 2 for c, s, d in zip(center, size, (x, y, z), strict=True)]
                for x in (-1, 1)
                for y in (-1, 1)
                for z in (-1, 1)
            ]
            sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
            faces += [[n + i for i in side] for side in sides]
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(vertices, [], faces)
        made = bpy.data.objects.new(name, mesh)
        collection.objects.link(made)

    def legged(width, height, leg=0.05):
        reach = (width - leg) / 2
        legs = [((leg, leg, height), (x * reach, y * reach, height / 2)) for x in (-1, 1) for y in (-1, 1)]
        return [((width, width, 0.05), (0, 0, height - 0.025)), *legs]

    def empty():
        # Unlike the factory settings, this leaves an installed extension on.
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)

    for name, size in (("open", 40.0), ("small", 5.0)):
        empty()
        scene = bpy.context.scene
        solid("Floor", [((size, size, 0.2), (0, 0, -0.1))], scene.collection)
        light = bpy.data.lights.new("Light", "SUN" if name == "open" else "POINT")
        light.energy = 3.0 if name == "open" else 200.0
        lamp = bpy.data.objects.new("Light", light)
        lamp.location, lamp.rotation_euler = (0.5, 0.5, 2.3), (0.5, 0.3, 0.0)
        scene.collection.objects.link(lamp)
        if name == "small":
            half, thick, high = size / 2, 0.1, 2.6
            sides = [((thick, size, high), (s * (half + thick / 2), 0, high / 2)) for s in (-1, 1)]
            sides += [((size, thick, high), (0, s * (half + thick / 2), high / 2)) for s in (-1, 1)]
            solid("Walls", sides, scene.collection)
            solid("Ceiling", [((size + 0.2, size + 0.2, thick), (0, 0, high + thick / 2))], scene.collection)
        chairs = bpy.data.collections.new("Chairs")
        scene.collection.children.link(chairs)
        solid("stool", legged(0.4, 0.45), chairs)
        solid("high", legged(0.35, 0.7), chairs)
        solid("chair", [*legged(0.45, 0.45), ((0.45, 0.05, 0.45), (0, 0.2, 0.675))], chairs)
        solid("Screen", [((1.2, 0.05, 1.0), (0, 0, 0.5))], scene.collection)
        bpy.data.objects["Screen"].location = (0.0, -1.9, 0.0)
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / f"{name}.blend"), check_existing=False)
    empty()
    return folder
