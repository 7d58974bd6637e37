# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and glob patterns of recipes: made absolute, expanded to files, and changed all at once."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from ..errors import DataError
from ..plugin.params import describe
from ..regular_files import real_path

T = TypeVar("T")

MAX_LOOKED_AT = 200_000
"""Files and folders that a pattern may lead through."""

ENVIRONMENT_VARIABLE = re.compile(r"\$\{?(\w+)")
"""An environment variable in a path."""


def absolute_path(folder: Path, text: str) -> Path:
    """A path as a recipe in ``folder`` writes it, made absolute; ``~`` and environment variables are expanded."""
    return real_path(folder / os.path.expanduser(os.path.expandvars(text)))


def matching_files(folder: Path, pattern: str) -> list[Path]:
    """Files that match a path or glob pattern; an existing path matches itself, whatever its name.

    They are sorted by their unresolved paths, capitals first, in the same order on every machine.

    Raises
    ------
    DataError
        If the pattern looks at more than ``MAX_LOOKED_AT`` files and folders.
    """
    path = absolute_path(folder, pattern)
    if path.exists():
        return [path]
    _check_pattern(absolute_pattern(folder, pattern), pattern)
    paths = sorted(map(Path, glob.glob(absolute_pattern(folder, pattern), recursive=True)), key=lambda p: p.parts)
    return [real_path(p) for p in paths]


def absolute_pattern(folder: Path, text: str) -> str:
    """A path or pattern as a recipe in ``folder`` writes it, made absolute.

    Only ``text`` can be a pattern: brackets in the name of ``folder``, such as ``scenes [old]``, are literal.
    """
    path = absolute_path(folder, text)
    text = os.path.expandvars(text)
    if path.exists() or not glob.has_magic(text):
        return str(path)
    return os.path.normpath(os.path.join(glob.escape(str(folder)), os.path.expanduser(text)))


def _check_pattern(pattern: str, text: str) -> None:
    """Raise DataError if a pattern, such as ``/**/*.glb``, leads through too many files and folders."""
    if not glob.has_magic(pattern):
        return
    parts = Path(pattern).parts
    first = next(k for k, part in enumerate(parts) if glob.has_magic(part))
    depth = len(parts) - first - 1 if "**" not in parts else sys.maxsize
    looked_at = 0
    for above, folders, names in os.walk(os.path.join(*parts[:first]), followlinks=True):
        looked_at += len(folders) + len(names)
        if len(Path(above).parts) - first >= depth:
            folders.clear()
        if looked_at > MAX_LOOKED_AT:
            raise DataError(
                f"The pattern '{text}' leads through more than {MAX_LOOKED_AT:,} files and folders. Name a folder "
                "nearer to the files."
            )


def map_paths(instance: T, change: Callable[[str], str]) -> T:
    """A copy of settings or a plugin with ``change`` applied to all paths that are not empty."""
    changed: dict[str, Any] = {}
    for p in describe(type(instance)):
        value = getattr(instance, p.name)
        if not p.path or not value:
            continue
        changed[p.name] = change(value) if isinstance(value, str) else type(value)(change(v) for v in value)
    return attrs.evolve(instance, **changed) if changed else instance  # type: ignore[misc]
