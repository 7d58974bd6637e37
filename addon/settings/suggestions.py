# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggestions of text fields: classes, objects and zones of the scene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bpy

from .real_annotations import categories
from .references import escape_pattern

LIMIT = 200
"""Maximum number of suggestions."""


def search_classes(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Classes of the scene, then categories of the real annotations."""
    settings = group.id_data.twinset
    return _matching((*(c.name for c in settings.classes), *categories(settings.real.annotations)), typed)


def search_objects(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Objects of the scene, as patterns that match exactly one name."""
    return _matching(
        (escape_pattern(o.name) for o in group.id_data.objects if o.type in ("MESH", "EMPTY", "CURVE")), typed
    )


def search_zones(group: Any, context: bpy.types.Context, typed: str) -> list[str]:
    """Materials and vertex groups of the scene's meshes."""
    return _matching(sorted(set(_zones(group.id_data))), typed)


SEARCHES = {"class": search_classes, "object": search_objects, "zone": search_zones}


def _zones(scene: bpy.types.Scene) -> Iterator[str]:
    for o in scene.objects:
        if o.type == "MESH":
            yield from (group.name for group in o.vertex_groups)
            yield from (slot.material.name for slot in o.material_slots if slot.material)


def _matching(names: Iterable[str], typed: str) -> list[str]:
    matches: dict[str, None] = {}
    for name in names:
        if typed.lower() in name.lower():
            matches[name] = None
            if len(matches) >= LIMIT:
                break
    return list(matches)
