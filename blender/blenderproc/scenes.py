# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of datasets as the room, loaded by BlenderProc into the current scene."""

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
from .adapter import blenderproc, call

log = logging.getLogger(__name__)


def load_scene(scene: bpy.types.Scene, settings: SceneSettings, folder: Path) -> None:
    """Bring a scene of a dataset into an empty one, its objects named by what they are; metres, z up.

    Render settings stay what they were.

    Raises
    ------
    StageError
        BlenderProc cannot be imported, the dataset has no such scene, or it cannot be loaded.
    """
    found = find_scene(settings, folder)
    check_models(found.files)
    before = [(owner, name, getattr(owner, name)) for owner, names in _settings(scene) for name in names]
    now = scene.frame_current
    said: list[str] = []
    try:
        with blenderproc() as bproc:
            said = call("loader", lambda: _LOADERS[settings.blenderproc](bproc, scene, found)) or []
    except RuntimeError as error:
        raise StageError(f"The scene {found.name} of {settings.dataset}: {error}. Complete the dataset.") from error
    finally:
        scene.frame_set(now)
        for owner, name, value in before:
            setattr(owner, name, value)
    for sentence in said:
        log.warning("%s: %s", found.name, sentence)
    if not any(o.type == "MESH" and len(o.data.polygons) for o in scene.objects):
        raise StageError(f"The scene {found.name} of {settings.dataset} has no mesh with faces. Choose another one.")


def _settings(scene: bpy.types.Scene) -> list[tuple[Any, tuple[str, ...]]]:
    """What loaders of scenes with cameras set besides: owner, and names."""
    render = ("resolution_x", "resolution_y", "pixel_aspect_x", "pixel_aspect_y")
    return [(scene.render, render), (scene, ("frame_start", "frame_end"))]


def _front3d(bproc: Any, scene: bpy.types.Scene, found: SourceScene) -> list[str]:
    house = json.loads(found.paths["house"].read_text(encoding="utf-8"))
    labels = _Labels(bproc.utility.resolve_resource("front_3D/3D_front_mapping.csv"))
    things = bproc.loader.load_front3d(
        str(found.paths["house"]), str(found.paths["models"]), str(found.paths["textures"]), labels
    )
    objects = [thing.blender_obj for thing in things]
    # Furniture that no room uses stays at the origin.
    bpy.data.batch_remove([o for o in scene.objects if o.type == "MESH" and o not in set(objects)])
    _join_parts([o for o in objects if "room_id" in o])
    known = {o["uid"] for o in objects if "uid" in o}
    placed = {child["ref"] for room in house["scene"]["room"] for child in room["children"]}
    lacking = [piece for piece in house["furniture"] if piece["uid"] in placed - known]
    _face_as_declared([o for o in objects if "uid" not in o], [m for m in house["mesh"] if "material" in m])
    return [f"{len(lacking)} kinds of furniture have no model and are left out."] if lacking else []


def _face_as_declared(objects: list[bpy.types.Object], meshes: list[dict[str, Any]]) -> None:
    """Turn the faces of floors and walls the way that the house says: exchanging y and z has turned them over."""
    for o, mesh in zip(objects, meshes, strict=True):
        declared = np.array(mesh["normal"], float).reshape(-1, 3)[:, [0, 2, 1]]
        against = sum(float(np.dot(p.normal, declared[list(p.vertices)].sum(0))) * p.area for p in o.data.polygons)
        if against < 0.0:
            o.data.flip_normals()


def _replica(bproc: Any, scene: bpy.types.Scene, found: SourceScene) -> None:
    folder = found.paths["folder"]
    if "segmented" not in found.paths:
        bproc.loader.load_replica(str(folder.parent), folder.name)
        return
    things = bproc.loader.load_replica_segmented_mesh(str(folder.parent), folder.name)
    # It leaves the colours of the vertices to whoever needs them.
    colors = bproc.material.create("Replica")
    colors.map_vertex_color(things[0].get_mesh().vertex_colors[0].name)
    for thing in things:
        thing.add_material(colors)


def _matterport3d(bproc: Any, scene: bpy.types.Scene, found: SourceScene) -> None:
    file = found.paths["file"]
    house, floor = bproc.loader.load_matterport3d(str(file.parent), file.stem)
    house.set_name("House")
    floor.set_name("Floor")


def _bop(bproc: Any, scene: bpy.types.Scene, found: SourceScene) -> None:
    from mathutils import Matrix

    models, folder = found.paths["models"], found.paths["folder"]
    split, _, kind = folder.parent.name.partition("_")
    guide = bpy.data.objects.new("Guide", bpy.data.cameras.new("Guide"))
    scene.collection.objects.link(guide)
    scene.camera = guide
    # Blender's camera keeps the first frame's intrinsics; poses are keyed from frame 0 on.
    scene.frame_start = scene.frame_end = 0
    bproc.loader.load_bop_scene(
        str(found.paths["base"]),
        int(folder.name),
        model_type=models.name.partition("_")[2],
        cam_type=kind,
        split=split,
        object_model_unit="mm",
    )
    # The world is the first camera's frame, which has y down; turned so that this camera looks level.
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
        stands = upright @ o.matrix_world
        o.animation_data_clear()
        o.matrix_world = stands
    bpy.data.objects.remove(guide)
    scene.camera = next(o for o in scene.objects if o.type == "CAMERA")


def _join_parts(objects: list[bpy.types.Object]) -> None:
    """Put the parts of each piece of furniture under an Empty: a model of several objects comes as that many."""
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
    """Ids of categories: BlenderProc's own ones, and the next ones for categories that its table lacks."""

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
