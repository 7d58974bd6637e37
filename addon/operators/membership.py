# SPDX-License-Identifier: GPL-3.0-or-later
"""Links many objects to collections and unlinks them, in a time that does not grow with the square of their number."""

# Blender goes through all objects of a scene whenever one is linked to, or unlinked from, a collection in it. While
# many are changed, the collection is outside the scene, and a copy of it keeps the objects' selection and visibility.

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import bpy

_FEW = 20
"""So many objects are changed one by one."""

_FLAGS = ("exclude", "holdout", "indirect_only", "hide_viewport")


def link_all(objects: Iterable[bpy.types.Object], collection: bpy.types.Collection) -> int:
    """Link those objects to a collection that are not in it yet; returns their number."""
    present = set(collection.objects)
    new = [o for o in dict.fromkeys(objects) if o not in present]
    with _out_of_scenes(collection, len(new)):
        for o in new:
            collection.objects.link(o)
    return len(new)


def unlink_all(
    objects: Iterable[bpy.types.Object], collection: bpy.types.Collection, scene: bpy.types.Scene
) -> set[bpy.types.Object]:
    """Unlink those objects from a collection that are in it; those without another are linked to the scene.

    Returns
    -------
    set of bpy.types.Object
        The objects that were in the collection.
    """
    present = set(collection.objects)
    gone = [o for o in dict.fromkeys(objects) if o in present]
    if not gone:
        return set()
    kept = {o for other in _collections() if other != collection for o in other.objects}
    lonely = [o for o in gone if o not in kept]
    home = scene.collection
    if len(lonely) > _FEW:
        home = bpy.data.collections.new("Unmarked")
    with _out_of_scenes(collection, len(gone)):
        for o in lonely:
            home.objects.link(o)
        if home != scene.collection:
            scene.collection.children.link(home)
        for o in gone:
            collection.objects.unlink(o)
    return set(gone)


def _collections() -> Iterator[bpy.types.Collection]:
    yield from bpy.data.collections
    yield from (scene.collection for scene in bpy.data.scenes)


@contextlib.contextmanager
def _out_of_scenes(collection: bpy.types.Collection, number: int) -> Iterator[None]:
    """Take a collection out of all scenes meanwhile, if many of its objects are going to change."""
    parents = [parent for parent in _collections() if collection.name in parent.children and parent.library is None]
    if number <= _FEW or not parents:
        yield
        return
    layers = [layer for scene in bpy.data.scenes for layer in scene.view_layers]
    states = [_state_of(layer.layer_collection) for layer in layers]
    active = [layer.active_layer_collection.collection for layer in layers]
    keeper = collection.copy()
    for parent in parents:
        parent.children.link(keeper)
        parent.children.unlink(collection)
    try:
        yield
    finally:
        for parent in parents:
            parent.children.link(collection)
        for layer, state in zip(layers, states, strict=True):
            _set_state(layer.layer_collection, state)
        bpy.data.collections.remove(keeper)
        for layer, was in zip(layers, active, strict=True):
            found = next((each for each in _descendants(layer.layer_collection) if each.collection == was), None)
            if found is not None and found != layer.active_layer_collection:
                layer.active_layer_collection = found


def _descendants(layer_collection: Any) -> Iterator[Any]:
    yield layer_collection
    for child in layer_collection.children:
        yield from _descendants(child)


def _state_of(layer_collection: Any) -> dict[str, Any]:
    """What a view layer does with its collections, by their names."""
    own = {flag: getattr(layer_collection, flag) for flag in _FLAGS}
    return {"flags": own, "children": {child.name: _state_of(child) for child in layer_collection.children}}


def _set_state(layer_collection: Any, state: dict[str, Any]) -> None:
    for flag, value in state["flags"].items():
        if getattr(layer_collection, flag) != value:
            setattr(layer_collection, flag, value)
    for child in layer_collection.children:
        if child.name in state["children"]:
            _set_state(child, state["children"][child.name])
