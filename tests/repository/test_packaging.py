# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree, three parcels: wheel, source distribution and editable install hold every module and data file."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

DATA_SUFFIXES = {".css", ".csv", ".html", ".in", ".js", ".json", ".onnx", ".toml", ".typed"}
NOT_PACKAGED = ("tests/", "docs/", "benchmarks/", ".", "setup.py")


@pytest.fixture(scope="module")
def tracked(tracked_copy: Path) -> list[str]:
    """All files that git tracks, as POSIX paths relative to the root."""
    return sorted(p.relative_to(tracked_copy).as_posix() for p in tracked_copy.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def folders(tracked: list[str]) -> set[str]:
    """The folders that are packages, relative to the root; the root itself is the empty path."""
    return {p.rpartition("/")[0] for p in tracked if p.endswith("__init__.py") and not p.startswith(NOT_PACKAGED)}


@pytest.fixture(scope="module")
def parcels(tracked_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that is built from it, as an index would serve them."""
    out = tmp_path_factory.mktemp("dist")
    unpacked = tmp_path_factory.mktemp("sdist")
    # Through the backend itself, with the setuptools at hand: no network, no isolated environment.
    build = "import sys; from setuptools import build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
    _run(build, "sdist", str(out), cwd=tracked_copy)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        # Python before 3.11.4 knows no filters.
        archive.extractall(unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (folder,) = unpacked.iterdir()
    _run(build, "wheel", str(out), cwd=folder)
    return out


def _run(code: str, *arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_lies_in_a_package(folders: set[str], tracked: list[str]) -> None:
    for path in tracked:
        if path.endswith(".py") and not path.startswith(NOT_PACKAGED):
            assert path.rpartition("/")[0] in folders, path


def test_wheel_from_the_source_distribution_is_complete(parcels: Path, folders: set[str], tracked: list[str]) -> None:
    (wheel,) = parcels.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {n for n in names if ".dist-info/" not in n}
    with_data = folders | {"examples", "addon/presets/twinset", "headless/commands/extend/plugin_template"}
    expected = {
        f"twinset/{path}"
        for path in tracked
        if path.rpartition("/")[0] in with_data
        and (path.endswith(".py") or Path(path).suffix in DATA_SUFFIXES)
        and path not in ("pyproject.toml", "setup.py")
    }
    assert files == expected
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)


def test_wheel_offers_the_command(parcels: Path) -> None:
    (wheel,) = parcels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert "twinset = twinset.headless.entry:main" in archive.read(entry).decode()


def test_wheel_imports_on_its_own(parcels: Path, tmp_path: Path) -> None:
    (wheel,) = parcels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    _run(
        "import sys; sys.path.insert(0, sys.argv[1]); sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in"
        " str(f)]; import twinset, twinset.headless.cli; assert twinset.__file__.startswith(sys.argv[1])",
        str(tmp_path),
        cwd=tmp_path,
    )


def test_one_version_everywhere(root: Path) -> None:
    import twinset

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    manifest = tomllib.loads((root / "blender_manifest.toml").read_text())["version"]
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    assert project == manifest == cited == twinset.__version__


def test_imported_packages_are_declared_and_declared_ones_imported(root: Path, tracked: list[str]) -> None:
    import ast
    import re

    used = set()
    for path in tracked:
        if path.endswith(".py") and not path.startswith(NOT_PACKAGED):
            for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    used |= {a.name.split(".")[0] for a in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    used.add(node.module.split(".")[0])
    modules = {"opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]

    def modules_of(lines: list[str]) -> set[str]:
        names = {re.match(r"[A-Za-z0-9_-]+", line)[0] for line in lines}
        return {modules.get(name, name) for name in names}

    declared = modules_of(project["dependencies"])
    # Most of an extra is what its main package imports.
    extra = modules_of(project["optional-dependencies"]["blenderproc"]) - declared
    shipped_with_blender = {
        "mathutils",
        "bmesh",
        "bpy_extras",
        "gpu",
        "gpu_extras",
        "addon_utils",
        "bl_ui",
        "rna_keymap_ui",
        "zstandard",
        "blf",
        "OpenImageIO",
    }
    by_wish = {"pandas"}  # `to_pandas` is for those who have it
    assert used - set(sys.stdlib_module_names) - shipped_with_blender - extra - by_wish == declared
