# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces missing textures by neutral ones and reports missing libraries."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import bpy

from .linked_files import MISSING

log = logging.getLogger(__name__)

_GREY = (0.5, 0.5, 0.5, 1.0)
_FLAT_NORMAL = (0.5, 0.5, 1.0, 1.0)


def replace_missing_images() -> int:
    """Replace images whose file is missing or empty, which Blender would render magenta, by plain grey ones.

    Normal maps become flat. A warning in the log gives their number.

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
    log.warning("%d image files are missing and were replaced by plain grey: %s.", len(missing), _shortened(names))
    return len(missing)


def report_missing_libraries() -> int:
    """Log a warning that names all linked files that are missing; their objects are not in the scene.

    Returns
    -------
    int
        How many libraries are missing.
    """
    names = missing_libraries()
    if names:
        log.warning(
            "%d linked files are missing, and their objects are not in the scene: %s.", len(names), ", ".join(names)
        )
    return len(names)


def missing_libraries() -> list[str]:
    """Names of linked files that are missing, each once."""
    return list(dict.fromkeys(bpy.path.basename(each.filepath) for each in bpy.data.libraries if _is_lost(each)))


def libraries_missed_by(objects: Iterable[bpy.types.Object]) -> list[str]:
    """Names of the missing linked files that some objects, their data or what they instance come from."""
    blocks = [block for o in objects for block in (o, o.data, o.instance_collection) if block is not None]
    lost = [block.library for block in blocks if block.library is not None and _is_lost(block.library)]
    return list(dict.fromkeys(bpy.path.basename(library.filepath) for library in lost))


def _is_lost(library: bpy.types.Library) -> bool:
    return not Path(bpy.path.abspath(library.filepath, library=library.parent)).is_file()


def _is_missing(image: bpy.types.Image) -> bool:
    if image.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"} or image.packed_file or not image.filepath:
        return False
    text = bpy.path.abspath(image.filepath, library=image.library)
    for token, tile in (("<UDIM>", "1001"), ("<UVTILE>", "u1_v1")):
        text = text.replace(token, tile)
    path = Path(text)
    if not path.is_file():
        # Not on disk but in memory: painted, or unpacked by an importer.
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


def _shortened(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
