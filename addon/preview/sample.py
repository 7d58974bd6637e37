# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a sample in the open scene, and restores the scene exactly."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...blender.scene import lighting
from ...blender.scene.ownership import OWNED
from ...engine.errors import StageError
from ...engine.recipe.paths import absolute_path

log = logging.getLogger(__name__)

NAME = "Twinset preview"
ASSET_FOLDER_PREFIX = "twinset-preview-"
"""Of the folders with the assets of samples. After undo, libraries from there lack the custom property."""


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
        _remove_sample(scene)
    else:
        _store_original(scene)
    _hide(scene, layer, message["hidden"])
    collection = bpy.data.collections.new(NAME)
    scene.collection.children.link(collection)
    state.collection = collection
    record, scale = message["record"], units_per_metre(message)
    for entry in (*record["instances"], *record.get("bystanders", ())):
        _add_instance(collection, entry, message["assets"], scale)
    if record["image"] is not None:
        _add_camera(scene, collection, record, scale)
        _change_lighting(scene, record["draws"]["appearance"], folder, scale)
    state.is_shown, state.frame = True, message["frame"]
    state.sample = json.dumps({**message, "hidden": []}, ensure_ascii=False)


def restore(scene: bpy.types.Scene) -> bool:
    """Restore the scene as it was before the first sample; returns whether a sample was shown."""
    state = scene.twinset_preview
    if not state.is_shown:
        return False
    _remove_sample(scene)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = state.resolution_before
    render.pixel_aspect_x, render.pixel_aspect_y = state.aspect_before
    for entry in state.hidden:
        _unhide(scene, entry)
    remove_assets()
    scene.property_unset("twinset_preview")
    return True


def remove_assets() -> None:
    """Remove the libraries that samples are linked from, with all their data."""
    for library in [x for x in bpy.data.libraries if x.get(OWNED) or ASSET_FOLDER_PREFIX in x.filepath]:
        bpy.data.libraries.remove(library)


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


def _remove_sample(scene: bpy.types.Scene) -> None:
    """Remove the objects and lighting of a sample; hidden objects and the resolution stay for the next one."""
    state = scene.twinset_preview
    lighting.restore(scene, lighting.LightingState(state.world_before, state.is_transparent_before))
    scene.camera = state.camera_before
    if state.collection is not None:
        for o in list(state.collection.objects):
            data = o.data if o.type == "CAMERA" else None
            if o == state.camera or o.get(OWNED):
                bpy.data.objects.remove(o)
                if data is not None and data.users == 0:
                    bpy.data.cameras.remove(data)
            elif not scene.collection.objects.get(o.name):
                # An object that the user has moved to this collection.
                scene.collection.objects.link(o)
        bpy.data.collections.remove(state.collection)


def _hide(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, names: Sequence[Sequence[Any]]) -> None:
    """Hide the objects that renders do not show: the source objects of classes, and those that the recipe hides."""
    state = scene.twinset_preview
    wanted = {(name, bool(linked)) for name, linked in names}
    known = {entry.object for entry in state.hidden}
    # Objects that were just removed leave None in the list.
    for o in filter(None, layer.objects):
        if (o.name, o.library is not None) not in wanted or o in known or o.hide_render:
            continue
        entry = state.hidden.add()
        entry.object, entry.eye, entry.render = o, o.hide_get(view_layer=layer), o.hide_render
        o.hide_set(True, view_layer=layer)
        if o.library is None:
            o.hide_render = True


def _unhide(scene: bpy.types.Scene, entry: Any) -> None:
    o = entry.object
    if o is None:
        return
    if o.library is None:
        o.hide_render = entry.render
    for layer in scene.view_layers:
        if o.name in layer.objects and not entry.eye:
            o.hide_set(False, view_layer=layer)


def _add_instance(
    collection: bpy.types.Collection,
    entry: Mapping[str, Any],
    assets: Mapping[str, Mapping[str, Any]],
    scale: float,
) -> None:
    holder = bpy.data.objects.new(f"{entry.get('class') or 'distractor'} {entry['id']}", None)
    holder[OWNED] = True
    holder.empty_display_size = 0.05
    holder.instance_type = "COLLECTION"
    holder.instance_collection = _linked_collection(assets[entry["shape"]])
    holder.matrix_world = _matrix(np.diag([scale, scale, scale, 1.0]) @ np.reshape(entry["matrix"], (4, 4)))
    collection.objects.link(holder)


def _linked_collection(asset: Mapping[str, Any]) -> bpy.types.Collection:
    """The collection of an asset's file, linked if it is not yet."""
    path, name = asset["file"], asset["collection"]
    for collection in bpy.data.collections:
        if collection.name == name and collection.library is not None and collection.library.filepath == path:
            return collection
    before = set(bpy.data.libraries)
    with bpy.data.libraries.load(path, link=True) as (_, linked):
        linked.collections = [name]
    for library in set(bpy.data.libraries) - before:
        library[OWNED] = True
    return linked.collections[0]


def _add_camera(
    scene: bpy.types.Scene, collection: bpy.types.Collection, record: Mapping[str, Any], scale: float
) -> None:
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
    collection.objects.link(camera)
    scene.camera = state.camera = camera
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = image["width"], image["height"], 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0


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
