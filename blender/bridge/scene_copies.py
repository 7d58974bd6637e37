# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a script's objects for the bridge's working scene, and the data-blocks of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
from mathutils import Matrix


def copy_object(o: bpy.types.Object, parent: bpy.types.Object | None = None) -> bpy.types.Object:
    """A static copy at the current place of an object, without animation and constraints; mesh data are shared."""
    copy = o.copy()
    matrix = o.matrix_world.copy()
    copy.animation_data_clear()
    copy.constraints.clear()
    copy.parent = parent
    copy.matrix_parent_inverse = Matrix.Identity(4)
    copy.delta_location, copy.delta_rotation_euler, copy.delta_scale = (0, 0, 0), (0, 0, 0), (1, 1, 1)
    copy.matrix_world = matrix
    copy.hide_render = copy.hide_viewport = False
    return copy


@contextmanager
def exchanged_names(pairs: Sequence[tuple[bpy.types.Object, bpy.types.Object]]) -> Iterator[None]:
    """Inside the context the second object of each pair has the name of the first, which patterns of plugins match."""
    names = [first.name for first, _ in pairs]
    for (first, second), name in zip(pairs, names, strict=True):
        first.name = "Twinset original"
        second.name = name
    try:
        yield
    finally:
        for (first, second), name in zip(pairs, names, strict=True):
            second.name = "Twinset copy"
            first.name = name


def data_blocks() -> set[bpy.types.ID]:
    """All data-blocks of the types that solving may add."""
    kinds = ("scenes", "collections", "objects", "meshes", "cameras", "lights", "worlds", "images", "materials")
    return {block for kind in kinds for block in getattr(bpy.data, kind)}


def is_alive(block: bpy.types.ID) -> bool:
    """Whether a data-block still exists: removing one may remove others."""
    try:
        return bool(block.name)
    except ReferenceError:
        return False
