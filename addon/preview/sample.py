# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a sample in the open scene; ``blender/scene/shown_sample.py`` removes it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...blender.render.film import PinholeCanvas
from ...blender.scene import lighting
from ...blender.scene.ownership import OWNED
from ...blender.scene.shown_sample import hide, remove_sample, restore
from ...engine.errors import StageError
from ...engine.recipe.paths import absolute_path
from ...engine.scene.intrinsics import Intrinsics

log = logging.getLogger(__name__)

NAME = "Twinset preview"
INSTANCE = "twinset_instance"
"""Custom property of the objects that show instances: the id of the instance."""


def show_sample(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, message: Mapping[str, Any], folder: Path) -> None:
    """Show a sample and remove the previous one; the first one stores the original state of the scene.

    Parameters
    ----------
    scene : bpy.types.Scene
    layer : bpy.types.ViewLayer
        The view layer in which the source objects of classes are hidden.
    message : mapping
        The ``sample`` event of ``twinset preview --serve``.
    folder : Path
        Folder that relative paths of the recipe start from.
    """
    state = scene.twinset_preview
    if state.is_shown:
        remove_sample(scene)
    else:
        _store_original(scene)
        state.is_shown = True
    try:
        _show(scene, layer, message, folder)
    except Exception:
        restore(scene)
        raise
    state.frame = message["frame"]
    state.sample = json.dumps({**message, "hidden": []}, ensure_ascii=False)


def _show(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, message: Mapping[str, Any], folder: Path) -> None:
    wanted = {(name, bool(linked)) for name, linked in message["hidden"]}
    # Objects that were just removed leave None in the list.
    hide(scene, layer, [o for o in layer.objects if o is not None and (o.name, o.library is not None) in wanted])
    scene.twinset_preview.collection = collection = bpy.data.collections.new(NAME)
    record, scale = message["record"], units_per_metre(message)
    for entry in (*record["instances"], *record.get("bystanders", ())):
        _add_instance(scene, entry, message["assets"][entry["shape"]], scale)
    if record["image"] is not None:
        _add_camera(scene, record, scale)
    # Once it holds all objects: Blender goes through all objects of a scene when one is linked in it.
    scene.collection.children.link(collection)
    if record["image"] is not None:
        _change_lighting(scene, record["draws"]["appearance"], folder, scale)


def units_per_metre(message: Mapping[str, Any]) -> float:
    """Units of the open scene per metre of the sample: a recipe may scale its copy of the scene."""
    return 1.0 / float(message.get("scale", 1.0))


def shown_sample(scene: bpy.types.Scene) -> dict[str, Any] | None:
    """The message with the sample that a scene shows; None if it shows none."""
    state = scene.twinset_preview
    return json.loads(state.sample) if state.is_shown and state.sample else None


def _store_original(scene: bpy.types.Scene) -> None:
    state, render = scene.twinset_preview, scene.render
    state.camera_before = scene.camera
    state.world_before = scene.world
    state.resolution_before = render.resolution_x, render.resolution_y, render.resolution_percentage
    state.aspect_before = render.pixel_aspect_x, render.pixel_aspect_y
    state.is_transparent_before = render.film_transparent


def _add_instance(scene: bpy.types.Scene, entry: Mapping[str, Any], asset: Mapping[str, Any], scale: float) -> None:
    holder = bpy.data.objects.new(f"{entry.get('class') or 'distractor'} {entry['id']}", None)
    holder[OWNED] = True
    if "bbox" in entry:  # a bystander has none
        holder[INSTANCE] = entry["id"]
    holder.empty_display_size = 0.05
    holder.instance_type = "COLLECTION"
    holder.instance_collection = _asset_collection(scene, asset)
    holder.matrix_world = _matrix(np.diag([scale, scale, scale, 1.0]) @ np.reshape(entry["matrix"], (4, 4)))
    scene.twinset_preview.collection.objects.link(holder)


def _asset_collection(scene: bpy.types.Scene, asset: Mapping[str, Any]) -> bpy.types.Collection:
    """The collection of an asset's file, appended if it is not in this scene's sample yet.

    It becomes part of the open file, as the scene's state notes: undo keeps local data consistent, and linked data not.
    """
    state = scene.twinset_preview
    for known in state.assets:
        if known.file == asset["file"] and known.collection is not None:
            return known.collection
    before, libraries = _uids(), set(bpy.data.libraries)
    with bpy.data.libraries.load(asset["file"], link=False) as (_, wanted):
        wanted.collections = [asset["collection"]]
    for block in [block for block in _blocks() if block.library is not None and block.session_uid not in before]:
        block.make_local()  # what the asset itself has linked
    for library in set(bpy.data.libraries) - libraries:  # which are left without any data
        bpy.data.libraries.remove(library)
    for block in _blocks():
        if block.session_uid not in before:
            state.blocks.add().block = block
    known = state.assets.add()
    known.file, known.collection = asset["file"], wanted.collections[0]
    return known.collection


def _blocks() -> Iterator[bpy.types.ID]:
    """All data-blocks of the open file but shape keys, which belong to their meshes."""
    for name in dir(bpy.data):
        blocks = getattr(bpy.data, name)
        if name not in ("shape_keys", "all_ids") and isinstance(blocks, bpy.types.bpy_prop_collection):
            yield from blocks


def _uids() -> set[int]:
    return {block.session_uid for block in _blocks()}


def _add_camera(scene: bpy.types.Scene, record: Mapping[str, Any], scale: float) -> None:
    pose, image, state = record["camera"], record["image"], scene.twinset_preview
    data = bpy.data.cameras.new(NAME)
    data.sensor_fit = "HORIZONTAL"
    data.lens, data.sensor_width = pose["lens"], pose["sensor_width"]
    data.clip_start, data.clip_end = pose["near"] * scale, 10_000.0 * scale
    # Darken the viewport outside the picture.
    data.passepartout_alpha = 0.8
    camera = bpy.data.objects.new(NAME, data)
    camera[OWNED] = True
    matrix = np.reshape(pose["matrix"], (4, 4)).astype(float)
    matrix[:3, 3] *= scale
    camera.matrix_world = _matrix(matrix)
    state.collection.objects.link(camera)
    scene.camera = state.camera = camera
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = image["width"], image["height"], 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    if "intrinsics" in pose:
        _set_optics(data, render, pose["intrinsics"])


def _set_optics(data: Any, render: Any, optics: Mapping[str, Any]) -> None:
    """Give the camera the optics of a record, without their distortion, which the viewport cannot show."""
    width, height = render.resolution_x, render.resolution_y
    focal, center = tuple(optics["focal"]), tuple(optics["center"])
    PinholeCanvas(Intrinsics(width, height, (focal[0], focal[1]), (center[0], center[1]))).aim(data, render)


def _change_lighting(scene: bpy.types.Scene, calls: Sequence[Mapping[str, Any]], folder: Path, scale: float) -> None:
    """Apply the changes of appearance plugins to world, lights and background."""
    for call in calls:
        arguments = {k: v for k, v in call.items() if k != "call"}
        for key in ("hdri", "image", "ies"):
            if arguments.get(key):
                arguments[key] = absolute_path(folder, arguments[key])
        if "position" in arguments:
            # In a scene of a larger scale a light is farther away, and needs more power for the same brightness.
            arguments["position"] = [scale * x for x in arguments["position"]]
            lengths = [key for key in ("radius", "size", "length") if key in arguments]
            arguments |= {key: scale * arguments[key] for key in lengths} | {"power": scale**2 * arguments["power"]}
        change = lighting.CHANGES.get(call["call"])
        try:
            if change is not None:
                change(scene, **arguments)
        except StageError as error:
            log.warning("%s", error)


def _matrix(values: np.ndarray) -> Any:
    from mathutils import Matrix

    return Matrix(values.tolist())
