# SPDX-License-Identifier: GPL-3.0-or-later
"""What a text field suggests while the artist types: classes, objects, zones of the scene at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bpy

MOST = 200
"""Suggestions shown at once."""


def search_classes(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Classes of the scene, then categories of the real annotations."""
    settings = group.id_data.twinset
    from .real_annotations import categories

    return _matching((*(c.name for c in settings.classes), *categories(settings.real.annotations)), typed)


def search_objects(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Objects of the scene that could be meant, as patterns that match just them."""
    return _matching((escaped(o.name) for o in group.id_data.objects if o.type in ("MESH", "EMPTY", "CURVE")), typed)


def search_zones(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Materials and vertex groups of the scene's meshes."""
    return _matching(sorted(set(_zones(group.id_data))), typed)


SEARCHES = {"class": search_classes, "object": search_objects, "zone": search_zones}


def escaped(name: str) -> str:
    """A name as a pattern that matches nothing else: ``[``, ``*`` and ``?`` mean themselves."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in name)


def _zones(scene: bpy.types.Scene) -> Iterator[str]:
    for o in scene.objects:
        if o.type == "MESH":
            yield from (group.name for group in o.vertex_groups)
            yield from (slot.material.name for slot in o.material_slots if slot.material)


def _matching(names: Iterable[str], typed: str) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        if typed.lower() in name.lower():
            found[name] = None
            if len(found) >= MOST:
                break
    return list(found)
