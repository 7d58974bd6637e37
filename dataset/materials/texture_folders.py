# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds texture sets in folders, by the file names of Poly Haven and ambientCG."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from ...engine.errors import DataError
from ...engine.recipe.paths import absolute_path

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".exr")

_ROLES = {
    "color": ("diff", "diffuse", "color", "col", "albedo", "basecolor"),
    "roughness": ("rough", "roughness"),
    "metallic": ("metal", "metalness", "metallic"),
    "normal": ("nor_gl", "normalgl"),
    "displacement": ("disp", "displacement", "height"),
}
_RESOLUTION = re.compile(r"[_-]\d+k(?:[_-]?(?:jpg|png|exr))?$", re.IGNORECASE)
"""Poly Haven's ``_2k`` at the end of names; ambientCG's ``_2K-JPG`` is in the middle and part of the set's name."""


@attrs.frozen
class TextureSet:
    """Images of a material by role, see :class:`...engine.scene.material.Material`; ``name`` is that of the files."""

    name: str
    files: Mapping[str, Path]


def texture_sets(base: Path, folders: Sequence[str], owner: str) -> tuple[TextureSet, ...]:
    """The texture sets in folders and their subfolders, sorted by path.

    Names such as ``bark_diff_2k.jpg``, ``bark_nor_gl_2k.exr`` (Poly Haven) and ``Bricks01_2K-JPG_Color.jpg``,
    ``Bricks01_2K-JPG_NormalGL.jpg`` (ambientCG) are recognised; a set needs a colour.

    Raises
    ------
    DataError
        If a folder is missing or has no texture set.
    """
    found: list[TextureSet] = []
    for folder in folders:
        path = absolute_path(base, folder)
        if not path.is_dir():
            raise DataError(f"The folder {path} of {owner} is missing. Correct the path, or create the folder.")
        sets = _sets(path, path.stat().st_mtime_ns)
        if not sets:
            raise DataError(
                f"The folder {path} of {owner} has no texture. Files must be named as by Poly Haven (wood_diff_2k.jpg) "
                "or ambientCG (Wood01_2K-JPG_Color.jpg)."
            )
        found += sets
    return tuple(found)


@functools.lru_cache(maxsize=64)
def _sets(folder: Path, changed: int) -> tuple[TextureSet, ...]:
    files: dict[tuple[str, str], dict[str, Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        name, role = split_name(path.stem)
        if role:
            # Poly Haven's downloads have maps in a subfolder 'textures'; a set's files share a folder.
            files.setdefault((path.parent.relative_to(folder).as_posix(), name), {}).setdefault(role, path)
    return tuple(TextureSet(name, roles) for (_, name), roles in sorted(files.items()) if "color" in roles)


def split_name(stem: str) -> tuple[str, str]:
    """The set's name and the role of an image by its file's name without suffix; role "" if it has none."""
    plain = _RESOLUTION.sub("", stem)
    for role, endings in _ROLES.items():
        for ending in endings:
            match = re.search(rf"[_-]{ending}$", plain, re.IGNORECASE)
            if match:
                return plain[: match.start()], role
    return plain, ""
