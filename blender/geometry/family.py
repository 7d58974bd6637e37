# SPDX-License-Identifier: GPL-3.0-or-later
"""Children and collections of objects, found for all at once: Blender goes through every object for each question."""

from __future__ import annotations

from collections.abc import Iterable

import bpy


class Families:
    """The children of all objects, as they are when it is made, in Blender's order."""

    def __init__(self) -> None:
        self._children: dict[bpy.types.Object, list[bpy.types.Object]] = {}
        for o in bpy.data.objects:
            if o.parent is not None:
                self._children.setdefault(o.parent, []).append(o)

    def children(self, o: bpy.types.Object) -> list[bpy.types.Object]:
        """The objects whose parent this is."""
        return self._children.get(o, [])

    def with_descendants(self, objects: Iterable[bpy.types.Object]) -> list[bpy.types.Object]:
        """The objects, each followed by all below it, each once."""
        found: dict[bpy.types.Object, None] = {}
        waiting = list(objects)[::-1]
        while waiting:
            o = waiting.pop()
            found.setdefault(o)
            waiting += self.children(o)[::-1]
        return list(found)


def collections_by_object() -> dict[bpy.types.Object, list[bpy.types.Collection]]:
    """The collections that each object is in, those of scenes included; objects in none are missing."""
    found: dict[bpy.types.Object, list[bpy.types.Collection]] = {}
    for collection in (*bpy.data.collections, *(scene.collection for scene in bpy.data.scenes)):
        for o in collection.objects:
            found.setdefault(o, []).append(collection)
    return found
