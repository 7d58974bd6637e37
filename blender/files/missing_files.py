# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the best of broken files: missing textures become neutral, missing libraries are counted."""

from __future__ import annotations

import logging
from pathlib import Path

import bpy

from .linked_files import MISSING

log = logging.getLogger(__name__)

_GREY = (0.5, 0.5, 0.5, 1.0)
_FLAT_NORMAL = (0.5, 0.5, 1.0, 1.0)


def replace_missing_images() -> int:
    """Turn images whose file is missing or empty into plain grey ones, which would otherwise render magenta.

    Normal maps become flat. Says how many there were in the log.

    Returns
    -------
    int
        How many images were replaced.
    """
    missing = [image for image in bpy.data.images if _is_missing(image)]
    if not missing:
        return 0
    normal_maps = _normal_maps()
    names = [Path(bpy.path.basename(image.filepath) or image.name).name for image in missing]
    for image in missing:
        image[MISSING] = bpy.path.abspath(image.filepath, library=image.library)
        color = _FLAT_NORMAL if image in normal_maps else _GREY
        image.source = "GENERATED"
        image.generated_type = "BLANK"
        image.generated_width = image.generated_height = 4
        image.generated_color = color
    log.warning("%d image files are missing and are replaced by plain grey: %s.", len(missing), _some(names))
    return len(missing)


def report_missing_libraries() -> int:
    """Say in the log how many linked files are missing. Their objects are absent from the stage.

    Returns
    -------
    int
        How many libraries are missing.
    """
    missing = [
        library.filepath
        for library in bpy.data.libraries
        if not Path(bpy.path.abspath(library.filepath, library=library.parent)).is_file()
    ]
    if missing:
        names = [bpy.path.basename(path) for path in missing]
        log.warning("%d linked files are missing; what they held is not in the scene: %s.", len(missing), _some(names))
    return len(missing)


def _is_missing(image: bpy.types.Image) -> bool:
    if image.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"} or image.packed_file or not image.filepath:
        return False
    text = bpy.path.abspath(image.filepath, library=image.library)
    for token, tile in (("<UDIM>", "1001"), ("<UVTILE>", "u1_v1")):
        text = text.replace(token, tile)
    path = Path(text)
    if not path.is_file():
        # Nothing on disk, yet pixels in memory: painted, or unpacked by an importer.
        return not (image.source == "FILE" and image.is_dirty)
    return path.stat().st_size == 0


def _normal_maps() -> set[bpy.types.Image]:
    trees = [m.node_tree for m in bpy.data.materials if m.node_tree is not None] + list(bpy.data.node_groups)
    return {
        link.from_node.image
        for tree in trees
        for link in tree.links
        if link.to_node.type == "NORMAL_MAP" and link.from_node.type == "TEX_IMAGE" and link.from_node.image is not None
    }


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
