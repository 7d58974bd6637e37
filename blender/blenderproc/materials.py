# SPDX-License-Identifier: GPL-3.0-or-later
"""Assigns Poly Haven textures, which BlenderProc loads as materials, to objects of the room."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np

from ...dataset.formats.blenderproc_sources import find_materials
from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.recipe.settings import SceneSettings
from ...engine.rng import stream
from .adapter import blenderproc, call_loader

SIDE = 2.0
"""Width in metres that a texture covers, as for most of Poly Haven's textures."""


def assign_materials(scene: bpy.types.Scene, settings: SceneSettings, folder: Path, seed: int) -> None:
    """Assign a texture, box-projected, to each mesh object that a pattern of ``material_assignments`` matches.

    Which of the pattern's textures is used depends only on ``seed`` and the object's name.

    Raises
    ------
    StageError
        BlenderProc cannot be imported, an object or texture does not exist, or a texture cannot be loaded.
    """
    materials: dict[Path, bpy.types.Material] = {}
    textures_by_pattern = find_materials(settings, folder)
    bpy.context.view_layer.update()
    with blenderproc() as bproc:
        for pattern, folders in textures_by_pattern.items():
            objects = [o for o in scene.objects if o.type == "MESH" and fnmatchcase(o.name, pattern)]
            if not objects:
                names = sorted(o.name for o in scene.objects if o.type == "MESH")
                problem = "[scene] material_assignments: the room has no object named"
                raise StageError(unknown(problem, pattern, names[:40]))
            for o in objects:
                textures = folders[int(stream(seed, "materials", o.name).integers(len(folders)))]
                if textures not in materials:
                    materials[textures] = _load(bproc, textures)
                _assign(o, materials[textures])


def _load(bproc: Any, textures: Path) -> bpy.types.Material:
    addon = "node_wrangler"
    was_enabled = addon_utils.check(addon)[1]

    def load() -> Any:
        # This loads all textures whose name begins with it.
        return bproc.loader.load_haven_mat(str(textures.parent), used_assets=[textures.name])

    try:
        loaded = call_loader(load)
    except RuntimeError as error:
        raise StageError(f"{textures}: {error}. Download the texture again.") from error
    finally:
        if not was_enabled:
            addon_utils.disable(addon)
    for material in loaded:
        if material.blender_obj["asset_name"] == textures.name:
            return material.blender_obj
    raise StageError(f"{textures} could not be loaded as a material: its files are not named as in Poly Haven.")


def _assign(o: bpy.types.Object, material: bpy.types.Material) -> None:
    if o.data.users > 1:
        o.data = o.data.copy()
    mesh = o.data
    mesh.materials.clear()
    mesh.materials.append(material)
    matrix = np.array(o.matrix_world)
    points = np.empty(len(mesh.vertices) * 3)
    mesh.vertices.foreach_get("co", points)
    points = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    layer = mesh.uv_layers.new(name="Twinset", do_init=False)
    if layer is None:
        layer = mesh.uv_layers[0]  # a mesh has at most eight
    layer.active = layer.active_render = True
    uv = np.zeros((len(mesh.loops), 2))
    for polygon in mesh.polygons:
        corners = points[list(polygon.vertices)]
        # Newell's method: the area vector, whatever the number of corners.
        normal = np.cross(corners, np.roll(corners, -1, 0)).sum(0)
        across = [axis for axis in range(3) if axis != int(np.abs(normal).argmax())]
        uv[list(polygon.loop_indices)] = corners[:, across] / SIDE
    layer.data.foreach_set("uv", uv.ravel())
    mesh.update()
