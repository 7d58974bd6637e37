# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of instances and fixed objects: changed on single objects while a picture is rendered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import bpy
import numpy as np

from ...engine.errors import StageError
from ...engine.plugin.params import unknown
from ...engine.scene.material import Material, MaterialSlot
from .material_nodes import changed_material, color_input, main_shader

_USABLE_UV = (1e-3, 1e4)
"""Range of the area of the UV map over that of the faces, in 1/m². Below it are atlases of single colours."""


class MaterialChanges:
    """The material slots that a frame changes.

    The changes are there only while :meth:`applied`: Cycles copies a mesh for objects with materials of their own,
    which moves the last bit of depths, so labels are rendered without them.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[bpy.types.Object, int], bpy.types.Material] = {}
        self._materials: list[bpy.types.Material] = []

    def slots(self, objects: Sequence[bpy.types.Object]) -> tuple[MaterialSlot, ...]:
        """The materials of objects that make up one target, as their author made them, the largest first."""
        faces: dict[str, _Faces] = {}
        for o in objects:
            for number, (area, uv_area) in enumerate(_face_areas(o.data)):
                material = _own(o, number)
                found = faces.setdefault(_name(material), _Faces(material))
                found.area += area * _scale(o) ** 2
                found.uv_area += uv_area
        total = sum(f.area for f in faces.values()) or 1.0
        order = sorted((name for name in faces if faces[name].area > 0.0), key=lambda n: (-faces[n].area, n))
        return tuple(_slot(name, faces[name], total) for name in order)

    def set(self, objects: Sequence[bpy.types.Object], slot: str, change: Material, label: str) -> None:
        """Change all faces of these objects that have the material ``slot``; ``label`` names them in errors.

        Raises StageError where there is none, or a texture cannot be read.
        """
        every = [(o, number) for o in objects for number in range(len(_face_areas(o.data)))]
        places = [place for place in every if _name(_own(*place)) == slot]
        if not places:
            raise StageError(unknown(f"{label} has no material", slot, sorted({_name(_own(*p)) for p in every})))
        made: dict[tuple[float, float], bpy.types.Material] = {}
        for place in places:
            key = round(_scale(place[0]), 9), round(_uv_density(*place), 6)
            if key not in made:
                made[key] = changed_material(_own(*place), change, *key)
                self._materials.append(made[key])
            self._slots[place] = made[key]

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Show the changes inside the context."""
        before: list[tuple[bpy.types.Object, int, str, bpy.types.Material | None]] = []
        added: list[bpy.types.Mesh] = []
        try:
            for (o, number), material in self._slots.items():
                if not len(o.data.materials):
                    o.data.materials.append(None)
                    added.append(o.data)
                slot = o.material_slots[number]
                before.append((o, number, slot.link, slot.material if slot.link == "OBJECT" else None))
                slot.link = "OBJECT"
                slot.material = material
            yield
        finally:
            for o, number, link, original in reversed(before):
                slot = o.material_slots[number]
                slot.material = original
                slot.link = link
            for mesh in added:
                mesh.materials.clear()

    def drop(self, objects: Iterable[bpy.types.Object] | None = None) -> None:
        """Forget the changes of some objects, or all of them."""
        if objects is not None:
            gone = set(objects)
            self._slots = {place: made for place, made in self._slots.items() if place[0] not in gone}
            return
        self._slots.clear()
        if self._materials:
            bpy.data.batch_remove(self._materials)
            self._materials.clear()


@attrs.define
class _Faces:
    material: Any
    area: float = 0.0
    uv_area: float = 0.0


def _own(o: bpy.types.Object, number: int) -> bpy.types.Material | None:
    return o.material_slots[number].material if number < len(o.material_slots) else None


def _name(material: bpy.types.Material | None) -> str:
    return "" if material is None else str(material.name_full)


def _slot(name: str, faces: _Faces, total: float) -> MaterialSlot:
    shader = main_shader(faces.material)
    color: tuple[float, float, float] | None = (0.8, 0.8, 0.8)
    roughness, metallic = 0.5, 0.0
    if shader is not None:
        socket = color_input(shader)
        color = None if socket is None or socket.links else tuple(socket.default_value[:3])
        roughness, metallic = (_number(shader, n, d) for n, d in (("Roughness", 0.5), ("Metallic", 0.0)))
    elif faces.material is not None:
        color = tuple(faces.material.diffuse_color[:3])
    has_uv = _USABLE_UV[0] < faces.uv_area / max(faces.area, 1e-12) < _USABLE_UV[1]
    return MaterialSlot(name, color, roughness, metallic, faces.area / total, has_uv)


def _number(shader: bpy.types.Node, name: str, otherwise: float) -> float:
    socket = shader.inputs.get(name)
    return otherwise if socket is None else float(socket.default_value)


def _scale(o: bpy.types.Object) -> float:
    """Metres per unit of an object's own coordinates: the mean over its axes."""
    return float(abs(np.linalg.det(np.array(o.matrix_world)[:3, :3])) ** (1 / 3))


def _uv_density(o: bpy.types.Object, number: int) -> float:
    """How often the UV square fits into a metre of the faces of one slot; 0 where the UV map is of no use."""
    area, uv_area = _face_areas(o.data)[number]
    share = uv_area / max(area * _scale(o) ** 2, 1e-12)
    return float(np.sqrt(share)) if _USABLE_UV[0] < share < _USABLE_UV[1] else 0.0


_areas: dict[tuple[int, str, int], list[tuple[float, float]]] = {}


def _face_areas(mesh: bpy.types.Mesh) -> list[tuple[float, float]]:
    """For each slot of a mesh, or one without slots: the area of its faces, and that of these faces in the UV map."""
    key = (mesh.session_uid, mesh.name_full, len(mesh.polygons))
    if key not in _areas:
        if len(_areas) > 4096:
            _areas.clear()
        _areas[key] = _measured(mesh)
    return _areas[key]


def _measured(mesh: bpy.types.Mesh) -> list[tuple[float, float]]:
    count = len(mesh.polygons)
    slot, area = np.zeros(count, np.int32), np.zeros(count, np.float32)
    mesh.polygons.foreach_get("material_index", slot)
    mesh.polygons.foreach_get("area", area)
    slots = max(1, len(mesh.materials))
    slot = np.clip(slot, 0, slots - 1)
    uv_area = np.zeros(count)
    layer = mesh.uv_layers.active
    if layer is not None and len(layer.uv):
        flat = np.zeros(2 * len(layer.uv), np.float32)
        layer.uv.foreach_get("vector", flat)
        uv = flat.reshape(-1, 2).astype(float)
        start, length = np.zeros(count, np.int32), np.zeros(count, np.int32)
        mesh.polygons.foreach_get("loop_start", start)
        mesh.polygons.foreach_get("loop_total", length)
        # The shoelace formula over the corners of all faces at once.
        face = np.repeat(np.arange(count), length)
        following = np.arange(len(face)) + 1
        following[start + length - 1] = start
        cross = uv[:, 0] * uv[following, 1] - uv[:, 1] * uv[following, 0]
        uv_area = np.abs(np.bincount(face, cross[: len(face)], count)) / 2
    return [(float(area[slot == k].sum()), float(uv_area[slot == k].sum())) for k in range(slots)]
