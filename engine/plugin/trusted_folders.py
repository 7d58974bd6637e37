# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders whose Python files may run as plugins: the user must name them; naming them in a recipe is not enough."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

VARIABLE = "TWINSET_PLUGINS"
"""Environment variable with these folders, separated as in PATH; child processes inherit it."""


def trusted() -> list[Path]:
    """The folders that the user named."""
    return [_whole(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]


def trust(folders: Iterable[Path | str]) -> None:
    """Allow plugins in these folders, and in folders below them, to run in this process and its child processes."""
    known = trusted()
    new = [folder for folder in map(_whole, folders) if folder not in known]
    if new:
        os.environ[VARIABLE] = os.pathsep.join(map(str, [*known, *dict.fromkeys(new)]))


def is_trusted(folder: Path) -> bool:
    """Whether the user named this folder, or one above it."""
    whole = _whole(folder)
    return any(whole.is_relative_to(named) for named in trusted())


def refusal(folder: Path) -> str:
    """The message about a folder that the user did not name."""
    return (
        f"The Python files in {folder} would run as plugins. If you trust them, allow it by `--plugins {folder}`, or "
        f"name the folder in the environment variable {VARIABLE}; in Blender's window, in the add-on's preferences."
    )


def _whole(folder: Path | str) -> Path:
    # Links are resolved, so that nobody can replace a named folder by another one.
    return Path(os.path.realpath(os.path.expanduser(folder)))
