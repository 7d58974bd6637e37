# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the classes and the room of a scene have their real size, and the settings that give it to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import bpy
import numpy as np

from ...engine.scene.usual_sizes import estimate_scale, room_scale, usual_size
from ..processes.scene_digest import change_count
from ..settings.properties import parameters_of
from ..settings.recipe import is_set_up
from ..translations.catalog import worded

TOLERANCE = 1.3
"""Factor by which a class may be outside its usual sizes without a remark: there are large chairs."""

_MOST_OBJECTS = 20_000
"""In larger scenes only the sizes of classes are checked."""

_GEOMETRY = ("MESH", "CURVE", "SURFACE", "FONT", "META")

Box = tuple[np.ndarray, np.ndarray]

_cache: dict[str, Any] = {"key": None, "advice": ()}


@attrs.frozen
class SizeAdvice:
    """A size that is probably wrong, and the setting that corrects it.

    ``owner`` is a class, or "" for the room. ``field`` is ``height``, ``longest_side`` or ``scale``, and ``value`` its
    value in metres, or the factor.
    """

    owner: str
    text: str
    field: str
    value: tuple[float, ...]


def size_advice(scene: bpy.types.Scene) -> tuple[SizeAdvice, ...]:
    """What should be corrected, the room first; measured again after changes of the scene."""
    if not is_set_up(scene):
        return ()
    settings = scene.twinset
    sizes = [(e.name, e.use_height, e.use_longest_side, _count(e), len(e.objects)) for e in settings.classes]
    key = (scene.session_uid, change_count(), len(scene.objects), settings.scene.scale, settings.sizes_kept, *sizes)
    key = (*key, tuple(o.name_full for o in _marked(scene)), scene.unit_settings.scale_length)
    if _cache["key"] != key:
        _cache.update(key=key, advice=tuple(a for a in _advice(scene) if a.owner not in kept_sizes(scene)))
    return _cache["advice"]


def _count(entry: Any) -> tuple[str, int]:
    collection = entry.collection
    return ("", 0) if collection is None else (collection.name_full, len(collection.objects))


def kept_sizes(scene: bpy.types.Scene) -> set[str]:
    """The classes, and "" for the room, whose sizes the user has confirmed."""
    return set(scene.twinset.sizes_kept.split("\n")[1:])


def keep_size(scene: bpy.types.Scene, owner: str) -> None:
    """Note that a size is right as it is."""
    if owner not in kept_sizes(scene):
        scene.twinset.sizes_kept += f"\n{owner}"


def apply_advice(scene: bpy.types.Scene, advice: SizeAdvice) -> None:
    """Change the setting that advice is about."""
    if advice.field == "scale":
        scene.twinset.scene.scale = advice.value[0]
        return
    for entry in scene.twinset.classes:
        if entry.name == advice.owner:
            setattr(entry, f"use_{advice.field}", True)
            # Each end moves the other one where it is beyond it.
            for end, value in zip(("max", "min", "max"), (*advice.value[::-1], advice.value[1]), strict=True):
                setattr(entry, f"{advice.field}_{end}", value)


def _advice(scene: bpy.types.Scene) -> Iterable[SizeAdvice]:
    settings = scene.twinset
    unit = settings.scene.scale  # renders take a Blender unit as a metre, whatever the scene's units are
    members = {entry.name: _members(scene, entry) for entry in settings.classes}
    wanted = {o for objects in members.values() for o in objects}
    is_room = settings.room == "THIS" and len(scene.objects) <= _MOST_OBJECTS
    boxes = {o: (low * unit, high * unit) for o, (low, high) in root_boxes(scene, None if is_room else wanted).items()}
    if is_room:
        named = {o.name: box for o, box in boxes.items() if o not in wanted}
        found = estimate_scale(named) or room_scale(_room_height(scene, boxes, wanted), list(members))
        units = scene.unit_settings
        if found is None and units.system != "NONE" and abs(units.scale_length - 1.0) > 1e-6 and unit == 1.0:
            text = worded(
                "Room: the scene's unit is {:g} m, but renders take one unit as one metre.", units.scale_length
            )
            yield SizeAdvice("", text, "scale", (units.scale_length,))
        if found is not None:
            scale = float(f"{settings.scene.scale * found.scale:.2g}")
            text = f"Room: {found.description}."
            yield SizeAdvice("", text, "scale", (scale,))
    for entry in settings.classes:
        usual = usual_size(entry.name)
        if usual is None or entry.use_height or entry.use_longest_side:
            continue
        key, (low, high) = usual
        sizes = [box[1] - box[0] for o, box in boxes.items() if o in members[entry.name]]
        if not sizes:
            continue
        size = float(np.median([each[2] if key == "height" else each.max() for each in sizes]))
        if size and not low / TOLERANCE <= size <= high * TOLERANCE:
            text = worded(
                "{}: {:.3g} m high here, usually {:g} to {:g} m."
                if key == "height"
                else "{}: {:.3g} m long here, usually {:g} to {:g} m.",
                *(entry.name, size, low, high),
            )
            yield SizeAdvice(entry.name, text, key, (low, high))


def root_boxes(scene: bpy.types.Scene, wanted: set[Any] | None = None) -> dict[bpy.types.Object, Box]:
    """Bounding boxes of top-level objects with their children, in Blender units: lowest and highest corner (3,).

    ``wanted`` limits them to these objects; default is all that have some geometry.
    """
    objects, corners, matrices = _extents(scene.objects if wanted is None else _with_children(wanted))
    if not objects:
        return {}
    placed = np.einsum("nij,nkj->nki", matrices[:, :3, :3], corners) + matrices[:, None, :3, 3]
    out: dict[bpy.types.Object, Box] = {}
    for o, low, high in zip(objects, placed.min(1), placed.max(1), strict=True):
        while o.parent is not None and (wanted is None or o not in wanted):
            o = o.parent
        known = out.get(o)
        out[o] = (low, high) if known is None else (np.minimum(low, known[0]), np.maximum(high, known[1]))
    return out


def _extents(objects: Any) -> tuple[list[bpy.types.Object], np.ndarray, np.ndarray]:
    """The objects that have some geometry: corners of their own boxes (N, 8, 3), and their matrices (N, 4, 4)."""
    if isinstance(objects, list):
        found = [o for o in objects if o.type in _GEOMETRY]
        corners = np.array([o.bound_box for o in found], float).reshape(-1, 8, 3)
        return found, corners, np.array([o.matrix_world for o in found], float).reshape(-1, 4, 4)
    # All objects of a scene at once: a hundred times as fast.
    boxes, matrices = np.empty((len(objects), 8, 3), np.float32), np.empty((len(objects), 4, 4), np.float32)
    objects.foreach_get("bound_box", boxes.reshape(-1))
    objects.foreach_get("matrix_world", matrices.reshape(-1))
    has_geometry = np.array([o.type in _GEOMETRY for o in objects], bool)
    found = [o for o, is_wanted in zip(objects, has_geometry, strict=True) if is_wanted]
    return found, boxes[has_geometry].astype(float), matrices[has_geometry].swapaxes(1, 2).astype(float)


def _with_children(objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
    return list(dict.fromkeys(part for o in objects for part in (o, *o.children_recursive)))


def _members(scene: bpy.types.Scene, entry: Any) -> set[bpy.types.Object]:
    """The objects of the scene that a class consists of."""
    objects = {each.object for each in entry.objects if each.object is not None}
    return objects | (set(entry.collection.objects) if entry.collection is not None else set())


def _room_height(scene: bpy.types.Scene, boxes: Mapping[Any, Box], assets: set[Any]) -> float:
    """Height in metres from the lowest marked surface to the top of the room; 0 without a surface."""
    roots = {_root(o) for o in _marked(scene)}
    floors = [boxes[o][0][2] for o in roots if o in boxes]
    tops = [high[2] for o, (_, high) in boxes.items() if o not in assets]
    return float(max(tops) - min(floors)) if floors and tops else 0.0


def _marked(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The objects that placements use as surfaces."""
    groups = [parameters_of(use) for use in scene.twinset.placements]
    return [e.object for group in groups if hasattr(group, "surfaces") for e in group.surfaces if e.object]


def _root(o: bpy.types.Object) -> bpy.types.Object:
    while o.parent is not None:
        o = o.parent
    return o
