# SPDX-License-Identifier: GPL-3.0-or-later
"""The files outside of a .blend that it refers to, as Blender sees them once it is open."""

from __future__ import annotations

import os
from glob import escape, glob
from pathlib import Path

import bpy

MISSING = "twinset_missing"
"""Property of images whose file was missing, and which were replaced: where it should have been."""


def linked_files() -> tuple[Path, ...]:
    """Pictures, libraries, fonts, volumes and caches that the open scene and all that was added to it refer to.

    Those that are missing count too. Sounds and scripts, which do not show, and what comes with Blender do not.
    """
    mute = [*bpy.data.sounds, *bpy.data.texts]
    silent = {_absolute(bpy.path.abspath(each.filepath, library=each.library)) for each in mute if each.filepath}
    found = [*bpy.utils.blend_paths(absolute=True), *(str(i[MISSING]) for i in bpy.data.images if MISSING in i)]
    own = Path(bpy.utils.resource_path("LOCAL"))
    paths = {path for text in found for path in _tiles(_absolute(text))}
    return tuple(sorted(p for p in paths if p not in silent and not p.is_relative_to(own) and not p.is_dir()))


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(text))


def _tiles(path: Path) -> list[Path]:
    """The files of a picture in tiles; the file itself for any other."""
    pattern = escape(str(path)).replace("<UDIM>", "[1-9][0-9][0-9][0-9]").replace("<UVTILE>", "u*_v*")
    return [path] if pattern == escape(str(path)) else [Path(found) for found in glob(pattern)] or [path]
