# SPDX-License-Identifier: GPL-3.0-or-later
"""The external files that the open .blend refers to."""

from __future__ import annotations

import os
from glob import escape, glob
from pathlib import Path

import bpy

MISSING = "twinset_missing"
"""Custom property of images that were replaced because their file was missing: its path."""


def linked_files() -> tuple[Path, ...]:
    """Image, library, font, volume and cache files that the open file refers to, including missing ones.

    Sounds and texts, which do not affect renders, and Blender's own files are left out.
    """
    unrendered = [*bpy.data.sounds, *bpy.data.texts]
    excluded = {
        _absolute(bpy.path.abspath(each.filepath, library=each.library)) for each in unrendered if each.filepath
    }
    paths = [*bpy.utils.blend_paths(absolute=True), *(str(i[MISSING]) for i in bpy.data.images if MISSING in i)]
    own = Path(bpy.utils.resource_path("LOCAL"))
    files = {path for text in paths for path in _tiles(_absolute(text))}
    return tuple(sorted(p for p in files if p not in excluded and not p.is_relative_to(own) and not p.is_dir()))


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(text))


def _tiles(path: Path) -> list[Path]:
    """The files of a tiled image (UDIM); the path itself for any other."""
    pattern = escape(str(path)).replace("<UDIM>", "[1-9][0-9][0-9][0-9]").replace("<UVTILE>", "u*_v*")
    return [path] if pattern == escape(str(path)) else [Path(name) for name in glob(pattern)] or [path]
