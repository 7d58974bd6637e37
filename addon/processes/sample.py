# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a sample in the open scene, and puts the scene back exactly."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...blender.scene import lighting
from ...engine.errors import StageError
from ...engine.recipe.settings import absolute

log = logging.getLogger(__name__)

NAME = "Twinset preview"
ASSETS = "twinset-preview-"
"""How folders begin that hold the assets of samples; undo brings back what was linked from there without our mark."""

_OWN = "twinset_own"


def show_sample(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, message: Mapping[str, Any], folder: Path) -> None:
    """Show a sample in place of the one shown before; the first one notes how the scene was.

    Parameters
    ----------
    scene : bpy.types.Scene
    layer : bpy.types.ViewLayer
        The layer in which the sources of classes are hidden.
    message : mapping
        The ``sample`` event of ``twinset preview --serve``.
    folder : Path
        Where file names of the recipe start.
    """
    state = scene.twinset_preview
    if state.is_shown:
        _take_back_frame(scene)
    else:
        _remember(scene)
    _hide(scene, layer, message["hidden"])
    collection = bpy.data.collections.new(NAME)
    scene.collection.children.link(collection)
    state.collection = collection
    record, factor = message["record"], factor_of(message)
    for entry in (*record["instances"], *record.get("bystanders", ())):
        _add_instance(collection, entry, message["assets"], factor)
    if record["image"] is not None:
        _add_camera(scene, collection, record, factor)
        _change_lighting(scene, record["draws"]["appearance"], folder, factor)
    state.is_shown, state.frame = True, message["frame"]
    state.sample = json.dumps({**message, "hidden": []}, ensure_ascii=False)


def restore(scene: bpy.types.Scene) -> bool:
    """Put everything back as it was before the first sample; whether there was anything to put back."""
    state = scene.twinset_preview
    if not state.is_shown:
        return False
    _take_back_frame(scene)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = state.resolution_before
    render.pixel_aspect_x, render.pixel_aspect_y = state.aspect_before
    for entry in state.hidden:
        _unhide(scene, entry)
    remove_assets()
    scene.property_unset("twinset_preview")
    return True


def remove_assets() -> None:
    """Take the files that samples are linked to out of the open one, with all that came from them."""
    for library in [x for x in bpy.data.libraries if x.get(_OWN) or ASSETS in x.filepath]:
        bpy.data.libraries.remove(library)


def factor_of(message: Mapping[str, Any]) -> float:
    """How many units of the open scene a metre of the sample is: a recipe may scale its copy of the scene."""
    return 1.0 / float(message.get("scale", 1.0))


def shown_sample(scene: bpy.types.Scene) -> dict[str, Any] | None:
    """The sample that a scene shows, as it came."""
    state = scene.twinset_preview
    return json.loads(state.sample) if state.is_shown and state.sample else None


def _remember(scene: bpy.types.Scene) -> None:
    state, render = scene.twinset_preview, scene.render
    state.camera_before = scene.camera
    state.world_before = scene.world
    state.resolution_before = render.resolution_x, render.resolution_y, render.resolution_percentage
    state.aspect_before = render.pixel_aspect_x, render.pixel_aspect_y
    state.is_transparent_before = render.film_transparent


def _take_back_frame(scene: bpy.types.Scene) -> None:
    """Remove what one sample has brought; what hides and sizes stay for the next one."""
    state = scene.twinset_preview
    lighting.restore(scene, lighting.LightingState(state.world_before, state.is_transparent_before))
    scene.camera = state.camera_before
    if state.collection is not None:
        for o in list(state.collection.objects):
            data = o.data if o.type == "CAMERA" else None
            if o == state.camera or o.get(_OWN):
                bpy.data.objects.remove(o)
                if data is not None and data.users == 0:
                    bpy.data.cameras.remove(data)
            elif not scene.collection.objects.get(o.name):
                # The artist's own, moved in here meanwhile.
                scene.collection.objects.link(o)
        bpy.data.collections.remove(state.collection)


def _hide(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, names: Sequence[Sequence[Any]]) -> None:
    """Hide what the render does not show: the sources of classes, and what the recipe hides."""
    state = scene.twinset_preview
    wanted = {(name, bool(linked)) for name, linked in names}
    known = {entry.object for entry in state.hidden}
    # Objects that were just removed leave empty places behind.
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
    factor: float,
) -> None:
    holder = bpy.data.objects.new(f"{entry.get('class') or 'distractor'} {entry['id']}", None)
    holder[_OWN] = True
    holder.empty_display_size = 0.05
    holder.instance_type = "COLLECTION"
    holder.instance_collection = _linked(assets[entry["shape"]])
    holder.matrix_world = _matrix(np.diag([factor, factor, factor, 1.0]) @ np.reshape(entry["matrix"], (4, 4)))
    collection.objects.link(holder)


def _linked(asset: Mapping[str, Any]) -> bpy.types.Collection:
    """The collection of an asset's file, linked once."""
    path, name = asset["file"], asset["collection"]
    for found in bpy.data.collections:
        if found.name == name and found.library is not None and found.library.filepath == path:
            return found
    before = set(bpy.data.libraries)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.collections = [name]
    for library in set(bpy.data.libraries) - before:
        library[_OWN] = True
    return wanted.collections[0]


def _add_camera(
    scene: bpy.types.Scene, collection: bpy.types.Collection, record: Mapping[str, Any], factor: float
) -> None:
    pose, image, state = record["camera"], record["image"], scene.twinset_preview
    data = bpy.data.cameras.new(NAME)
    data.sensor_fit = "HORIZONTAL"
    data.lens, data.sensor_width = pose["lens"], pose["sensor_width"]
    data.clip_start, data.clip_end = pose["near"] * factor, 10_000.0 * factor
    # What lies beyond the picture is dimmed, so that one sees what comes out.
    data.passepartout_alpha = 0.8
    camera = bpy.data.objects.new(NAME, data)
    camera[_OWN] = True
    matrix = np.reshape(pose["matrix"], (4, 4)).astype(float)
    matrix[:3, 3] *= factor
    camera.matrix_world = _matrix(matrix)
    collection.objects.link(camera)
    scene.camera = state.camera = camera
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = image["width"], image["height"], 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0


def _change_lighting(scene: bpy.types.Scene, calls: Sequence[Mapping[str, Any]], folder: Path, factor: float) -> None:
    """Repeat what appearance plugins did to world, lights and background."""
    for noted in calls:
        arguments = {k: v for k, v in noted.items() if k != "call"}
        for key in ("hdri", "image"):
            if arguments.get(key):
                arguments[key] = absolute(folder, arguments[key])
        if "radius" in arguments:
            # In a scene drawn larger a lamp shines from further away, so it takes more to be as bright.
            arguments["position"] = [factor * x for x in arguments["position"]]
            arguments["radius"], arguments["power"] = factor * arguments["radius"], factor**2 * arguments["power"]
        change = getattr(lighting, noted["call"], None)
        try:
            if change is not None:
                change(scene, **arguments)
        except StageError as error:
            log.warning("%s", error)


def _matrix(values: np.ndarray) -> Any:
    from mathutils import Matrix

    return Matrix(values.tolist())
