# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads scenes of datasets as the room with BlenderProc."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...dataset.formats.blenderproc_sources import SourceScene, check_models, find_scene
from ...engine.errors import StageError
from ...engine.recipe.settings import SceneSettings
from .adapter import blenderproc, call_loader

log = logging.getLogger(__name__)


def load_scene(scene: bpy.types.Scene, settings: SceneSettings, folder: Path) -> None:
    """Load a scene of a dataset into an empty scene, with objects named by category; metres, z up.

    Render settings are not changed.

    Raises
    ------
    StageError
        BlenderProc cannot be imported, or the scene does not exist or cannot be loaded.
    """
    source = find_scene(settings, folder)
    check_models(source.files)
    original = [(owner, name, getattr(owner, name)) for owner, names in _changed_settings(scene) for name in names]
    current_frame = scene.frame_current
    warnings: list[str] = []
    try:
        with blenderproc() as bproc:
            warnings = call_loader(lambda: _LOADERS[settings.blenderproc](bproc, scene, source)) or []
    except RuntimeError as error:
        raise StageError(f"The scene {source.name} of {settings.dataset}: {error}. Complete the dataset.") from error
    finally:
        scene.frame_set(current_frame)
        for owner, name, value in original:
            setattr(owner, name, value)
    for warning in warnings:
        log.warning("%s: %s", source.name, warning)
    if not any(o.type == "MESH" and len(o.data.polygons) for o in scene.objects):
        raise StageError(f"The scene {source.name} of {settings.dataset} has no mesh with faces. Choose another one.")


def _changed_settings(scene: bpy.types.Scene) -> list[tuple[Any, tuple[str, ...]]]:
    """Settings that loaders of scenes with cameras change: owner and property names."""
    render = ("resolution_x", "resolution_y", "pixel_aspect_x", "pixel_aspect_y")
    return [(scene.render, render), (scene, ("frame_start", "frame_end"))]


def _front3d(bproc: Any, scene: bpy.types.Scene, source: SourceScene) -> list[str]:
    house = json.loads(source.paths["house"].read_text(encoding="utf-8"))
    labels = _Labels(bproc.utility.resolve_resource("front_3D/3D_front_mapping.csv"))
    entities = bproc.loader.load_front3d(
        str(source.paths["house"]), str(source.paths["models"]), str(source.paths["textures"]), labels
    )
    objects = [entity.blender_obj for entity in entities]
    # The loader leaves furniture that no room uses at the origin.
    bpy.data.batch_remove([o for o in scene.objects if o.type == "MESH" and o not in set(objects)])
    _join_parts([o for o in objects if "room_id" in o])
    known = {o["uid"] for o in objects if "uid" in o}
    placed = {child["ref"] for room in house["scene"]["room"] for child in room["children"]}
    missing = [piece for piece in house["furniture"] if piece["uid"] in placed - known]
    _face_as_declared([o for o in objects if "uid" not in o], [m for m in house["mesh"] if "material" in m])
    return [f"{len(missing)} kinds of furniture have no model and are left out."] if missing else []


def _face_as_declared(objects: list[bpy.types.Object], meshes: list[dict[str, Any]]) -> None:
    """Orient the faces of floors and walls as the file declares: the loader's exchange of y and z has flipped them."""
    for o, mesh in zip(objects, meshes, strict=True):
        declared = np.array(mesh["normal"], float).reshape(-1, 3)[:, [0, 2, 1]]
        alignment = sum(float(np.dot(p.normal, declared[list(p.vertices)].sum(0))) * p.area for p in o.data.polygons)
        if alignment < 0.0:
            o.data.flip_normals()


def _replica(bproc: Any, scene: bpy.types.Scene, source: SourceScene) -> None:
    folder = source.paths["folder"]
    if "segmented" not in source.paths:
        bproc.loader.load_replica(str(folder.parent), folder.name)
        return
    entities = bproc.loader.load_replica_segmented_mesh(str(folder.parent), folder.name)
    # The loader does not use the vertex colours.
    colors = bproc.material.create("Replica")
    colors.map_vertex_color(entities[0].get_mesh().vertex_colors[0].name)
    for entity in entities:
        entity.add_material(colors)


def _matterport3d(bproc: Any, scene: bpy.types.Scene, source: SourceScene) -> None:
    file = source.paths["file"]
    house, floor = bproc.loader.load_matterport3d(str(file.parent), file.stem)
    house.set_name("House")
    floor.set_name("Floor")


def _bop(bproc: Any, scene: bpy.types.Scene, source: SourceScene) -> None:
    from mathutils import Matrix

    models, folder = source.paths["models"], source.paths["folder"]
    split, _, kind = folder.parent.name.partition("_")
    guide = bpy.data.objects.new("Guide", bpy.data.cameras.new("Guide"))
    scene.collection.objects.link(guide)
    scene.camera = guide
    # The loader sets the intrinsics for the first frame only; camera poses have keyframes from frame 0.
    scene.frame_start = scene.frame_end = 0
    bproc.loader.load_bop_scene(
        str(source.paths["base"]),
        int(folder.name),
        model_type=models.name.partition("_")[2],
        cam_type=kind,
        split=split,
        object_model_unit="mm",
    )
    # World coordinates are those of the first camera, with y down: rotate them so that this camera is level.
    upright = Matrix(((1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, 0), (0, 0, 0, 1)))
    for frame in range(scene.frame_end):
        scene.frame_set(frame)
        data = guide.data.copy()
        data.animation_data_clear()
        data.name = f"{folder.name}_{frame:06d}"
        camera = bpy.data.objects.new(data.name, data)
        camera.matrix_world = upright @ guide.matrix_world
        scene.collection.objects.link(camera)
    scene.frame_set(0)
    for o in [o for o in scene.objects if o.type == "MESH"]:
        matrix = upright @ o.matrix_world
        o.animation_data_clear()
        o.matrix_world = matrix
    bpy.data.objects.remove(guide)
    scene.camera = next(o for o in scene.objects if o.type == "CAMERA")


def _join_parts(objects: list[bpy.types.Object]) -> None:
    """Parent the objects of each piece of furniture to an Empty: a model may consist of several objects."""
    rows = [(o["room_id"], o["uid"], *(round(v, 5) for row in o.matrix_basis for v in row)) for o in objects]
    order = sorted(range(len(objects)), key=lambda i: (rows[i], i))
    for _, group in groupby(order, key=rows.__getitem__):
        parts = [objects[i] for i in group]
        if len(parts) == 1:
            continue
        name = parts[0].name
        for part in parts:
            part.name = f"Part of {name}"
        holder = bpy.data.objects.new(name, None)
        parts[0].users_collection[0].objects.link(holder)
        for part in parts:
            part.parent = holder


class _Labels:
    """Category ids: those of BlenderProc's table, and new ones for categories that are not in it."""

    def __init__(self, table: str) -> None:
        with open(table, encoding="utf-8") as file:
            self._ids = {row["name"]: int(row["id"]) for row in csv.DictReader(file)}

    def id_from_label(self, label: str) -> int:
        return self._ids.setdefault(label, max(self._ids.values()) + 1)


_LOADERS: dict[str, Callable[[Any, bpy.types.Scene, SourceScene], list[str] | None]] = {
    "front3d": _front3d,
    "replica": _replica,
    "matterport3d": _matterport3d,
    "bop": _bop,
}
