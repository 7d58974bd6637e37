# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders whose Python files may run as plugins: those that the user named, not those that a recipe names alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "TWINSET_PLUGINS"
"""Environment variable that names such folders, parted as in PATH; so processes that are started know them as well."""


def trusted() -> list[Path]:
    """The folders that the user named."""
    return [_whole(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]


def trust(folders: Iterable[Path | str]) -> None:
    """Let the plugins in these folders, and in folders below them, run in this process and those that it starts."""
    known = trusted()
    new = [folder for folder in map(_whole, folders) if folder not in known]
    if new:
        os.environ[VARIABLE] = os.pathsep.join(map(str, [*known, *dict.fromkeys(new)]))


def is_trusted(folder: Path) -> bool:
    """Whether the user named this folder, or one above it."""
    whole = _whole(folder)
    return any(whole.is_relative_to(named) for named in trusted())


def refusal(folder: Path) -> str:
    """What to say of a folder that the user did not name."""
    return (
        f"The Python files in {folder} would run as plugins. If you trust them, allow it by `--plugins {folder}`, or "
        f"name the folder in the environment variable {VARIABLE}; in Blender's window, in the add-on's preferences."
    )


def _whole(folder: Path | str) -> Path:
    # Links count as what they lead to, so that nobody can put another folder in the place of one that was named.
    return Path(os.path.realpath(Path(folder).expanduser()))
