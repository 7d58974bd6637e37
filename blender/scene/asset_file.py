# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes one asset, as it is rendered, to a .blend file that other Blender windows can link."""

from __future__ import annotations

from pathlib import Path

import bpy

from .assets import LoadedAsset


def write_asset(loaded: LoadedAsset, path: Path) -> str:
    """Write an asset's plain meshes with their materials as one collection around the asset's origin.

    Returns
    -------
    str
        The collection's name in the file; the asset's own where that was free in the opened scene.
    """
    from mathutils import Matrix

    collection = bpy.data.collections.new(loaded.asset.name)
    objects = []
    try:
        for mesh, local in loaded.parts:
            part = bpy.data.objects.new(mesh.name, mesh)
            part.matrix_world = Matrix(local.tolist())
            collection.objects.link(part)
            objects.append(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Pictures of materials lie where the opened file says, seen from elsewhere.
        bpy.data.libraries.write(str(path), {collection}, path_remap="ABSOLUTE", fake_user=True, compress=False)
        return str(collection.name)
    finally:
        for part in objects:
            bpy.data.objects.remove(part)
        bpy.data.collections.remove(collection)
