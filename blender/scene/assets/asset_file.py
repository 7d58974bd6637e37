# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an asset to a .blend file that can be linked."""

from __future__ import annotations

from pathlib import Path

import bpy

from .loading import LoadedAsset


def write_asset(loaded: LoadedAsset, path: Path) -> str:
    """Write what an asset consists of as one collection, in the asset's frame.

    Returns
    -------
    str
        The collection's name in the file: the asset's, or with a suffix if the opened scene has such a collection.
    """
    from mathutils import Matrix

    collection = bpy.data.collections.new(loaded.asset.name)
    objects = []
    try:
        for each in loaded.parts:
            part = each.copy(each.data.name)
            part.matrix_world = Matrix(each.matrix.tolist())
            collection.objects.link(part)
            objects.append(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Relative image paths start at the opened file, not at the one that is written.
        bpy.data.libraries.write(str(path), {collection}, path_remap="ABSOLUTE", fake_user=True, compress=False)
        return str(collection.name)
    finally:
        for part in objects:
            bpy.data.objects.remove(part)
        bpy.data.collections.remove(collection)
