# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor: says what this machine has for Twinset, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from .... import __version__
from ....engine.packages import OPTIONAL, PACKAGES
from ....engine.plugin.registry import default
from ...console.commands import command
from ...console.output import JsonOption, output_of, reserve_stdout
from ...workers.memory import memory

BLENDERS = ((4, 5), (5, 2))
"""Blender release lines that Twinset is tested with."""

LOW_MEMORY, LOW_DISK = 2e9, 1e9


@command(order=50)
def doctor(context: typer.Context, json: JsonOption = False) -> None:
    """Check the installation: Blender, GPUs, memory, packages.

    Exit code 2 if something is missing or broken.
    """
    report: dict[str, Any] = {
        "twinset": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }
    problems: list[str] = []
    with output_of(context).err.status("Checking the installation"):
        for check in (_blender, _packages, _memory, _disk, _plugins):
            checked, sentences = check()
            report |= checked
            problems += sentences
    table = Table(show_header=False)
    for name, value in report.items():
        table.add_row(name, _text(value))
    verdict = [f"Problem: {sentence}" for sentence in problems] or ["No problems found."]
    output_of(context).result(report | {"problems": problems}, table, *verdict)
    if problems:
        raise typer.Exit(2)


def _blender() -> tuple[dict[str, Any], list[str]]:
    if importlib.util.find_spec("bpy") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        remedy = {"3.11": "`pip install 'bpy==4.5.*'`", "3.13": "`pip install 'bpy==5.2.*'`"}.get(
            version, "a Python 3.11 (bpy 4.5) or 3.13 (bpy 5.2)"
        )
        text = f"Blender is missing: this Python {version} has no module 'bpy'. Use {remedy}, or run inside Blender."
        return {"blender": "missing"}, [text]
    reserve_stdout()
    try:
        from ....blender.process.stdout import silenced_stdout
        from ....blender.render.blender_info import blender_info

        with silenced_stdout():
            found = blender_info()
    except Exception as error:  # a broken build of Blender may raise anything
        return {"blender": "broken"}, [f"Blender does not start: {type(error).__name__}: {error}. Reinstall bpy."]
    line = tuple(int(part) for part in found["version"].split()[0].split(".")[:2])
    tested = " and ".join(f"{a}.{b}" for a, b in BLENDERS)
    problems = []
    if line < BLENDERS[0]:
        problems.append(f"Blender {found['version']} is too old. Install {tested}.")
    devices = ", ".join(found["devices"]) or "none"
    untested = "" if line in BLENDERS or problems else f" (tested: {tested})"
    return {"blender": found["version"] + untested, "cycles": found["backend"], "gpus": devices}, problems


def _packages() -> tuple[dict[str, Any], list[str]]:
    versions, problems = {}, []
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            versions[package] = f"missing ({OPTIONAL[package]})" if package in OPTIONAL else "missing"
            if package in OPTIONAL:
                continue
            problems.append(f"The package {package} is missing. Install it with `pip install {package}`.")
        else:
            versions[package] = _version(module, package)
    return {"packages": versions}, problems


def _version(module: str, package: str) -> str:
    names = [package, *metadata.packages_distributions().get(module, [])]
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "installed, version unknown"


def _memory() -> tuple[dict[str, Any], list[str]]:
    if importlib.util.find_spec("psutil") is None:
        return {"memory": "unknown"}, []
    total, free = memory()
    values = {"memory": f"{_size(total)}, {_size(free)} free"}
    if free < LOW_MEMORY:
        return values, [f"Only {_size(free)} of memory is free. Close other programs, or render smaller scenes."]
    return values, []


def _disk() -> tuple[dict[str, Any], list[str]]:
    values, problems = {}, []
    for name, folder in (("disk", Path.cwd()), ("temporary folder", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        values[name] = f"{folder}, {_size(free)} free"
        if free < LOW_DISK:
            problems.append(f"Only {_size(free)} is free in {folder}. Free some space, or work on another disk.")
    return values, problems


def _plugins() -> tuple[dict[str, Any], list[str]]:
    registry = default()
    problems = [
        f"The plugin '{b.id}' ({b.source}) cannot be used: {b.reason} Fix or uninstall it." for b in registry.broken
    ]
    return {"plugins": len(registry.catalogue())}, problems


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _text(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
