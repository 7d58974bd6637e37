# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogues of Blender's Asset Browser: their names as classes, and the file that defines them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path

from ...dataset.atomic_files import write_atomic
from ...engine.scene.usual_sizes import name_similarity

FILE = "blender_assets.cats.txt"
"""Blender's name for the file, beside the .blend files of a library."""

ROOT = "Twinset"
"""The catalogue above those of classes."""

_NAMESPACE = uuid.UUID("6d1b8a3e-5a0f-4c57-9f0e-2f7c6a5d9b10")
_HEADER = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"


def class_of_catalog(catalog: str, known: Iterable[str]) -> str:
    """The class that a catalogue holds: the known one of this name, or the catalogue's own name in lower case.

    Parameters
    ----------
    catalog : str
        Its simple name, such as ``Furniture-Office Chairs``; its last part counts.
    known : iterable of str
        Classes of the scene and of the real photos, the most likely ones first.
    """
    name = catalog.rpartition("/")[2].rpartition("-")[2].strip() or catalog.strip()
    score, _, best = max(((name_similarity(k, name), -n, k) for n, k in enumerate(known)), default=(0.0, 0, ""))
    return best if score >= 0.95 else name.lower()


def catalog_id(class_name: str) -> str:
    """The UUID of a class's catalogue, the same in all files."""
    return str(uuid.uuid5(_NAMESPACE, class_name))


def define_catalogs(folder: Path, class_names: Iterable[str]) -> None:
    """Add the catalogues of classes to the file in a folder, which is created if there is none.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = _HEADER
    present = {line.partition(":")[0] for line in text.splitlines()}
    new = [name for name in dict.fromkeys(class_names) if catalog_id(name) not in present]
    if not new:
        return
    clean = {name: name.replace(":", " ").replace("/", " ").strip() for name in new}
    lines = [f"{catalog_id(name)}:{ROOT}/{clean[name]}:{ROOT}-{clean[name]}" for name in new]
    write_atomic(path, (text.rstrip("\n") + "\n" + "\n".join(lines) + "\n").encode())
