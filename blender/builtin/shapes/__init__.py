# SPDX-License-Identifier: GPL-3.0-or-later
"""Embedded parametric shapes, so that a first dataset needs no models: chairs, tables, bags and clutter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ....engine.errors import StageError
from .armchairs import ARMCHAIRS
from .bags import BACKPACKS, HANDBAGS, SUITCASES
from .chairs import CHAIRS
from .clutter import CLUTTER
from .materials import Finish, material
from .parts import Parts
from .solid_geometry import Solid, merge
from .tables import GLASS_TABLES, TABLES
from .workpieces import WORKPIECES

if TYPE_CHECKING:
    import bpy

KINDS: dict[str, dict[str, Callable[[], Parts]]] = {
    "chair": CHAIRS,
    "armchair": ARMCHAIRS,
    "any chair": {**CHAIRS, **ARMCHAIRS},
    "table": TABLES,
    "glass table": GLASS_TABLES,
    "any table": {**TABLES, **GLASS_TABLES},
    "bag": {**BACKPACKS, **HANDBAGS, **SUITCASES},
    "backpack": BACKPACKS,
    "handbag": HANDBAGS,
    "suitcase": SUITCASES,
    "clutter": {name: make for shapes in CLUTTER.values() for name, make in shapes.items()},
    **CLUTTER,
    **WORKPIECES,
}
"""Kind to shape name to maker; 'bag' and 'clutter' are all of the kinds that follow them."""


def names(kind: str) -> list[str]:
    """Names of the built-in shapes of a kind."""
    return list(_makers(kind))


def solids(kind: str) -> dict[str, Parts]:
    """Shape name to its finishes and solids, in metres, standing on z = 0; no bpy needed."""
    return {name: make() for name, make in _makers(kind).items()}


def build_shapes(kind: str, scene: bpy.types.Scene) -> list[list[bpy.types.Object]]:
    """Make all built-in shapes of a kind in a scene.

    Parameters
    ----------
    kind : str
        A key of ``KINDS``.
    scene : bpy.types.Scene
        Gets a collection ``Shapes <kind>`` that the objects are linked to.

    Returns
    -------
    list of list of bpy.types.Object
        One list of objects per asset, the first one named like the shape; each asset stands on z = 0 at the origin.

    Raises
    ------
    StageError
        When the kind is unknown.
    """
    import bpy

    collection = bpy.data.collections.new(f"Shapes {kind}")
    makers = _makers(kind)
    scene.collection.children.link(collection)
    assets = []
    for name, make in makers.items():
        by_finish: dict[Finish, list[Solid]] = {}
        for finish, solid in make():
            by_finish.setdefault(finish, []).append(solid)
        made = solid_object(name, {f: merge(s) for f, s in by_finish.items()})
        collection.objects.link(made)
        assets.append([made])
    return assets


def solid_object(name: str, parts: dict[Finish, Solid], *, smooth_below: float = 32.0) -> bpy.types.Object:
    """One object, a material slot per finish; edges sharper than ``smooth_below`` degrees are crisp."""
    import bpy

    merged = merge(parts.values())
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(merged.vertices))
    mesh.vertices.foreach_set("co", merged.vertices.astype(np.float32).ravel())
    mesh.loops.add(len(merged.corners))
    mesh.polygons.add(len(merged.sizes))
    mesh.polygons.foreach_set("loop_start", merged.starts.astype(np.int32))
    mesh.polygons.foreach_set("vertices", merged.corners)
    mesh.update(calc_edges=True)
    slots: list[int] = []
    for index, (finish, solid) in enumerate(parts.items()):
        mesh.materials.append(material(finish, f"{name}.{finish.kind}.{index}"))
        slots.extend([index] * len(solid.sizes))
    mesh.polygons.foreach_set("material_index", slots)
    mesh.polygons.foreach_set("use_smooth", [True] * len(slots))
    mesh.set_sharp_from_angle(angle=np.radians(smooth_below))
    mesh.update()
    return bpy.data.objects.new(name, mesh)


def _makers(kind: str) -> dict[str, Callable[[], Parts]]:
    if kind not in KINDS:
        known = ", ".join(repr(k) for k in KINDS)
        raise StageError(f"There are no built-in shapes of the kind '{kind}'. Kinds: {known}.")
    return KINDS[kind]
