# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the Blender extension: one zip per platform with the packages that Blender's Python does not have, and one
without.

    python .ci/extension.py                          all of them, into dist/ (needs a network)
    python .ci/extension.py --no-wheels              only the small one, for a Python that has the packages
    python .ci/extension.py --platform linux-x64 --wheels FOLDER    with wheels that are there already

Wheels are for the Pythons of both Blender lines. NumPy comes with Blender and is never bundled. pyarrow is left out for
its size: without it tables are written as CSV.
"""

from __future__ import annotations

import argparse
import email
import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = {
    # Up to the C library that Blender itself asks for (glibc 2.28), and the macOS that it runs on.
    "linux-x64": [*(f"manylinux_2_{n}_x86_64" for n in range(28, 16, -1)), "manylinux2014_x86_64"],
    "windows-x64": ["win_amd64"],
    "macos-arm64": [f"macosx_{n}_0_{kind}" for n in range(14, 10, -1) for kind in ("arm64", "universal2")],
}
PYTHONS = {"3.11": "1.26.4", "3.13": "2.3.*"}
"""Pythons of Blender 4.5 and 5.2, and the NumPy in them."""

NOT_BUNDLED = {"bpy", "numpy", "pyarrow"}
EXTRA = {"windows-x64": ["colorama"]}
"""What packages ask for only on that platform, which pip on another one does not see."""

ONE_FOR_ALL = {"opencv-python-headless": "4.11.0.86"}
"""Versions whose one wheel serves both Pythons, and the last that takes NumPy 1."""


def main() -> None:
    """Build what the arguments ask for, and say where it is and how large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="default: all")
    parser.add_argument("--wheels", type=Path, help="take these wheels instead of downloading")
    parser.add_argument("--no-wheels", action="store_true", help="only the zip without wheels")
    parser.add_argument("--website", default=os.environ.get("TWINSET_WEBSITE", ""), help="the project's page")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    built = [build(chosen.out, None, [], chosen.website)]
    for platform in [] if chosen.no_wheels else chosen.platform or PLATFORMS:
        wheels = sorted((chosen.wheels or download(platform)).glob("*.whl"))
        built.append(build(chosen.out, platform, wheels, chosen.website))
    sizes = [f"{path.name}: {path.stat().st_size / 1e6:.1f} MB" for path in built]
    (chosen.out / "SIZES.txt").write_text("\n".join(sizes) + "\n", encoding="utf-8")
    print(chosen.out, *sizes, sep="\n")


def build(out: Path, platform: str | None, wheels: list[Path], website: str = "") -> Path:
    """One zip, checked by Blender's own validator."""
    source = ROOT / "build" / "extension" / (platform or "nowheels")
    shutil.rmtree(source, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    manifest = source / "blender_manifest.toml"
    if website:
        text = manifest.read_text(encoding="utf-8")
        manifest.write_text(before_tables(text, f"website = {json.dumps(website)}\n\n"), encoding="utf-8")
    version = tomllib.loads(manifest.read_text(encoding="utf-8"))["version"]
    if platform is not None:
        (source / "wheels").mkdir()
        for wheel in wheels:
            shutil.copy2(wheel, source / "wheels")
        (source / "wheels" / "LICENSES.txt").write_text(licences(wheels), encoding="utf-8")
        manifest.write_text(with_wheels(manifest.read_text(encoding="utf-8"), platform, wheels), encoding="utf-8")
    path = out / f"twinset-{version}-{platform or 'nowheels'}.zip"
    blender_ext("validate", str(source))
    blender_ext("build", "--source-dir", str(source), "--output-filepath", str(path))
    blender_ext("validate", str(path))
    return path


def with_wheels(manifest: str, platform: str, wheels: list[Path]) -> str:
    """The manifest with the platform and its wheels, before the first table."""
    names = json.dumps([f"./wheels/{wheel.name}" for wheel in wheels], indent=2)
    return before_tables(manifest, f'platforms = ["{platform}"]\nwheels = {names}\n\n')


def before_tables(manifest: str, lines: str) -> str:
    """The manifest with further lines before its first table."""
    return re.sub(r"^\[", lambda match: lines + match[0], manifest, count=1, flags=re.MULTILINE)


def licences(wheels: list[Path]) -> str:
    """The licences of all wheels, as they carry them, one after the other."""
    parts = ["Licences of the Python packages that come with this extension.\n"]
    told = set()
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        if (name, version) in told:
            continue
        told.add((name, version))
        with zipfile.ZipFile(wheel) as archive:
            inside = [n for n in archive.namelist() if ".dist-info/" in n]
            metadata = archive.read(next(n for n in inside if n.endswith("/METADATA"))).decode(errors="replace")
            files = [n for n in inside if re.search(r"licen[cs]e|copying|notice|authors", n.rpartition("/")[2], re.I)]
            texts = [archive.read(n).decode(errors="replace").strip() for n in files if not n.endswith("/")]
        parts.append("\n".join([f"{'=' * 78}\n{name} {version}: {licence_name(metadata)}\n", *texts]) + "\n")
    return "\n".join(parts)


def licence_name(metadata: str) -> str:
    """The name of a package's licence: its expression, or its classifiers, or what its metadata say in one line."""
    message = email.message_from_string(metadata)
    if message["License-Expression"]:
        return str(message["License-Expression"])
    prefix = "License ::"
    classifiers = [c for c in message.get_all("Classifier") or [] if c.startswith(prefix)]
    names = [c.rpartition(" :: ")[2] for c in classifiers if c != "License :: OSI Approved"]
    if names:
        return ", ".join(dict.fromkeys(names))
    lines = (message["License"] or "").strip().splitlines()  # some have the whole text here
    return lines[0].strip() if len(lines) == 1 and len(lines[0]) < 60 else "see below"


def requirements(python: str) -> list[str]:
    """What pyproject.toml asks for on this Python, without what is not bundled."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    out = []
    for text in project["dependencies"]:
        one = Requirement(text)
        if one.name in NOT_BUNDLED or (one.marker is not None and not one.marker.evaluate({"python_version": python})):
            continue
        pinned = ONE_FOR_ALL.get(one.name)
        out.append(f"{one.name}=={pinned}" if pinned else f"{one.name}{one.specifier}")
    return out


def download(platform: str) -> Path:
    """The wheels of a platform for all Pythons, in a folder that later runs use again."""
    folder = ROOT / "build" / "wheels" / platform
    folder.mkdir(parents=True, exist_ok=True)
    for python, numpy in PYTHONS.items():
        abi = f"cp{python.replace('.', '')}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--only-binary", ":all:"]
        command += ["--implementation", "cp", "--python-version", python]
        command += [part for name in (abi, "abi3", "none") for part in ("--abi", name)]
        command += [part for name in PLATFORMS[platform] for part in ("--platform", name)]
        subprocess.run([*command, *requirements(python), *EXTRA.get(platform, []), f"numpy=={numpy}"], check=True)
    for wheel in folder.glob("*.whl"):
        if wheel.name.split("-")[0].lower() in NOT_BUNDLED:
            wheel.unlink()
    return folder


def blender_ext(*arguments: str) -> None:
    """Blender's own command line for extensions, from inside the bpy wheel, which runs on plain Python."""
    spec = importlib.util.find_spec("bpy")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The bpy wheel is missing: its tool builds extensions. Run `make setup` first.")
    (tool,) = glob.glob(f"{spec.submodule_search_locations[0]}/*/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    done = subprocess.run([sys.executable, tool, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"blender_ext {arguments[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
