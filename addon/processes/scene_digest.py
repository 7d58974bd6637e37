# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of all that a scene's pictures depend on except the recipe: whether a copy of it is up to date."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...blender.scene.lighting import original_exposure
from ...blender.scene.ownership import OWNED

_IGNORED = frozenset(
    (
        # Names and relations of data, which are in the digest elsewhere.
        *("rna_type", "original", "session_uid", "is_evaluated", "tag", "users", "is_runtime_data", "id_type"),
        *("objects", "collection", "animation_data", "node_tree", "compositing_node_group", "sequence_editor"),
        *("view_layers", "library", "override_library", "asset_data", "preview", "is_missing"),
        # What only the window shows, and what belongs to Twinset.
        *("cursor", "tool_settings", "timeline_markers", "keying_sets", "keying_sets_all", "display", "grease_pencil"),
        *("active_clip", "transform_orientation_slots", "uvedit_aspect", "custom_view_layers", "twinset"),
        *("twinset_preview", "depsgraph", "is_nla_tweakmode", "show_subframe", "bake", "motion_blur_shutter_curve"),
    )
)
_SIMPLE = (str, int, float, bool, type(None))

_state: dict[str, Any] = {"changes": 0, "own": False}


def scene_digest(context: bpy.types.Context) -> str:
    """The digest of a scene as it is without a shown sample.

    It has the scene's settings with those of its view layers, names, transforms and visibility of all objects, files of
    pictures and libraries as they are on disk, and a number that grows with every change of other data.
    """
    scene = context.scene
    context.view_layer.update()  # which counts changes that are not evaluated yet
    own = _own(scene)
    digest = hashlib.sha256(repr((_state["changes"], _settings(scene), *_layers(scene), *_files(own))).encode())
    digest.update(repr(list(_names(scene, own))).encode())
    digest.update(_transforms(own))
    return digest.hexdigest()


def change_count() -> int:
    """A number that grows with every change of the scene's data."""
    return int(_state["changes"])


@contextlib.contextmanager
def own_changes(context: bpy.types.Context) -> Iterator[None]:
    """Changes in the context are those of a shown sample, which copies are without."""
    context.view_layer.update()
    _state["own"] = True
    try:
        yield
        context.view_layer.update()  # which notices them now
    finally:
        _state["own"] = False


def _settings(scene: bpy.types.Scene) -> list[Any]:
    """All settings of a scene, with those that a sample replaces as they were before it."""
    state, values = scene.twinset_preview, dict(_properties(scene, depth=3))
    values["exposure"] = original_exposure(scene)
    values["camera"], values["world"] = _name(scene.camera), _name(scene.world)
    if state.is_shown:
        values["camera"], values["world"] = _name(state.camera_before), _name(state.world_before)
        values["render"] |= dict(
            zip(("resolution_x", "resolution_y", "resolution_percentage"), state.resolution_before, strict=True)
        )
        values["render"] |= dict(zip(("pixel_aspect_x", "pixel_aspect_y"), state.aspect_before, strict=True))
        values["render"]["film_transparent"] = state.is_transparent_before
    values["view_settings"].pop("exposure", None)
    return sorted(values.items())


def _properties(owner: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Names and values of an owner's properties: data-blocks as names, groups of properties as dictionaries."""
    for p in owner.bl_rna.properties:
        if p.identifier in _IGNORED:
            continue
        value = getattr(owner, p.identifier)
        if isinstance(value, bpy.types.ID):
            yield p.identifier, _name(value)
        elif isinstance(value, _SIMPLE):
            yield p.identifier, value
        elif p.type == "POINTER":
            if depth:
                yield p.identifier, dict(_properties(value, depth - 1))
        elif p.type == "COLLECTION":
            if depth and len(value) < 100:
                yield p.identifier, [dict(_properties(entry, depth - 1)) for entry in value]
        elif isinstance(value, set):
            yield p.identifier, sorted(value)
        else:
            yield p.identifier, np.array(value).tolist()


def _layers(scene: bpy.types.Scene) -> Iterator[Any]:
    """Settings of view layers, and of the collections in them."""
    for layer in scene.view_layers:
        yield layer.name, layer.use, layer.samples, _name(layer.material_override), _name(layer.world_override)
        collections = [layer.layer_collection]
        while collections:
            each = collections.pop()
            if each.collection != scene.twinset_preview.collection:
                yield each.name, each.exclude, each.holdout, each.indirect_only, each.hide_viewport
                yield each.collection.hide_render, each.collection.hide_viewport
                collections += each.children


def _own(scene: bpy.types.Scene) -> set[Any]:
    """The data that a sample has added."""
    state = scene.twinset_preview
    if not state.is_shown:
        return set()
    own = {entry.block for entry in state.blocks} | {state.collection}
    blocks = (*bpy.data.objects, *bpy.data.lights, *bpy.data.worlds, *bpy.data.images)
    own |= {block for block in blocks if block.get(OWNED)}
    return own | {o for o in bpy.data.objects if o.type == "LIGHT" and o.data in own}


def _names(scene: bpy.types.Scene, own: set[Any]) -> Iterator[Any]:
    """Names of objects, and of materials and vertex groups that recipes name; and the objects' visibility."""
    before = {entry.object: (entry.viewport, entry.render) for entry in scene.twinset_preview.hidden}
    for o in scene.objects:
        if o not in own:
            yield o.name, _name(o.data), *before.get(o, (o.hide_viewport, o.hide_render))
            if o.type == "MESH" and len(o.vertex_groups):
                yield [group.name for group in o.vertex_groups]
    for blocks in (bpy.data.materials, bpy.data.collections):
        yield [block.name for block in blocks if block not in own]


def _files(own: set[Any]) -> Iterator[Any]:
    """Files of pictures and libraries that are outside the .blend file, with their time and size."""
    for block in (*bpy.data.images, *bpy.data.libraries):
        if block.filepath and block not in own and getattr(block, "packed_file", None) is None:
            path = Path(bpy.path.abspath(block.filepath, library=block.library))
            with contextlib.suppress(OSError):
                status = path.stat()
                yield str(path), status.st_mtime_ns, status.st_size


def _transforms(own: set[Any]) -> bytes:
    """Transforms of all objects but those of the sample."""
    objects = bpy.data.objects
    matrices = np.empty((len(objects), 16), np.float32)
    objects.foreach_get("matrix_basis", matrices.reshape(-1))
    return bytes(matrices[np.array([o not in own for o in objects], bool)].tobytes())


def _name(block: Any) -> str:
    return "" if block is None else str(block.name_full)


@persistent
def _on_change(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Count changes of data; those of the scene itself, such as settings and cursor, are in the digest."""
    if _state["own"]:
        return
    state = scene.twinset_preview
    own = set() if state.collection is None else {o.name for o in state.collection.objects}
    for update in depsgraph.updates:
        if not isinstance(update.id, bpy.types.Scene | bpy.types.Screen) and update.id.name not in own:
            _state["changes"] += 1
            return


@persistent
def _on_undo(*_: Any) -> None:
    """Undo and redo may change anything, and tell nothing."""
    _state["changes"] += 1


def register() -> None:
    """Count changes from now on."""
    bpy.app.handlers.depsgraph_update_post.append(_on_change)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post, bpy.app.handlers.load_post):
        handlers.append(_on_undo)


def unregister() -> None:
    """Remove the handlers."""
    bpy.app.handlers.depsgraph_update_post.remove(_on_change)
    for handlers in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post, bpy.app.handlers.load_post):
        handlers.remove(_on_undo)
