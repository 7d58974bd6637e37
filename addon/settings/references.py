# SPDX-License-Identifier: GPL-3.0-or-later
"""References of settings to objects, materials and classes: they follow renames, and show what is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import bpy

_MAX_AGE = 0.5
"""Seconds for which panels use the names of a scene's objects that they have read."""

_state = {"is_quiet": False}
"""Whether the callbacks of texts and objects do nothing, because both are being set."""

_SPECIAL = re.compile(r"[\[*?]")

_names: dict[str, Any] = {"key": None, "time": 0.0, "names": frozenset(), "matches": {}}


def escape_pattern(name: str) -> str:
    """A name as a pattern that matches only this name: ``[``, ``*`` and ``?`` are escaped."""
    return name if _SPECIAL.search(name) is None else _SPECIAL.sub(r"[\g<0>]", name)


def exact_name(pattern: str) -> str | None:
    """The only name that a pattern matches, or None; the inverse of :func:`escape_pattern`."""
    if _SPECIAL.search(pattern) is None:
        return pattern
    name, at = "", 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "[" and pattern[at + 1 : at + 2] in ("[", "*", "?") and pattern[at + 2 : at + 3] == "]":
            name, at = name + pattern[at + 1], at + 3
        elif letter in "[*?":
            return None
        else:
            name, at = name + letter, at + 1
    return name


def text_of(entry: Any) -> str:
    """The name or pattern of an entry as in a recipe: that of its object, whatever the object is called by now."""
    o = getattr(entry, "object", None)
    return str(entry.value) if o is None else escape_pattern(o.name)


def fill_names(owner: Any, entries: Any, texts: Iterable[str]) -> None:
    """Replace the entries of a list of names of objects; ``owner`` is the scene with the list."""
    texts, found = list(texts), {}
    for o in owner.objects if texts else ():
        if o.name not in found or o.library is None:
            found[o.name] = o
    entries.clear()
    for text in texts:
        entry, o = entries.add(), found.get(exact_name(text) or "")
        if o is not None:
            entry.object = o  # which gives the text as well
        else:
            entry.value = text


def set_object(entry: Any, o: bpy.types.Object) -> None:
    """Choose an object, with its name as the text; for many at once, since the callbacks take as long again."""
    _state["is_quiet"] = True
    try:
        entry.value = escape_pattern(o.name)
        entry.object = o
    finally:
        _state["is_quiet"] = False


def follow_text(entry: Any, context: Any) -> None:
    """Update callback of a text: find the object of this name."""
    if _state["is_quiet"]:
        return
    name = exact_name(entry.value)
    if entry.object is not None and entry.object.name == name:
        return
    found = entry.id_data.objects.get(name) if name else None
    if entry.object != found and (found is not None or not name):
        entry.object = found
    elif entry.object is not None:  # a name that no object has takes the place of one that some object had
        entry.property_unset("object")


def follow_object(entry: Any, context: Any) -> None:
    """Update callback of a chosen object: the text is its name; without one, there is none."""
    if _state["is_quiet"]:
        return
    if entry.object is None:
        if entry.value and exact_name(entry.value) is not None:
            entry.value = ""
    elif entry.value != (text := escape_pattern(entry.object.name)):
        entry.value = text


def following_zone(text: str, material: str) -> tuple[Callable[[Any, Any], None], Callable[[Any, Any], None]]:
    """Update callbacks of a text that names a material or a vertex group, and of the material beside it."""

    def follow_zone(group: Any, context: Any) -> None:
        name, known = getattr(group, text), getattr(group, material)
        if known is not None and known.name == name:
            return
        found = bpy.data.materials.get(name) if name else None
        if found is not None:
            setattr(group, material, found)
        elif known is not None:
            group.property_unset(material)

    def follow_material(group: Any, context: Any) -> None:
        known = getattr(group, material)
        name = "" if known is None else known.name
        if getattr(group, text) != name:
            setattr(group, text, name)

    return follow_zone, follow_material


def follow_class(entry: Any, context: Any) -> None:
    """Update callback of a class's name: what names the class is changed as well."""
    old, entry.former = entry.former, entry.name
    settings = entry.id_data.twinset
    if not old or old == entry.name or any(other.name == old for other in settings.classes):
        return
    if settings.fit_class == old:
        settings.fit_class = entry.name
    for group, field in _fields_with(settings, "class"):
        attribute = field.attributes[0]
        if field.form == "names":
            for named in getattr(group, attribute):
                if named.value == old:
                    named.value = entry.name
        elif getattr(group, attribute) == old:
            setattr(group, attribute, entry.name)


def missing_object(scene: bpy.types.Scene, entry: Any) -> str:
    """The name or pattern of an entry that means no object of the scene; "" if it means some."""
    pattern = text_of(entry)
    if not pattern:
        return ""
    now, key = time.monotonic(), (scene.name_full, len(scene.objects))
    if _names["key"] != key or now - _names["time"] > _MAX_AGE:
        _names.update(key=key, time=now, names=frozenset(o.name for o in scene.objects), matches={})
    name, names, matches = exact_name(pattern), _names["names"], _names["matches"]
    if name is not None:
        return "" if name in names else name
    if pattern not in matches:
        matches[pattern] = any(fnmatchcase(each, pattern) for each in names)
    return "" if matches[pattern] else pattern


def missing_zone(scene: bpy.types.Scene, name: str) -> bool:
    """Whether no mesh of the scene has a material or a vertex group of this name."""
    for o in scene.objects:
        if o.type == "MESH" and (
            name in o.vertex_groups or any(slot.material and slot.material.name == name for slot in o.material_slots)
        ):
            return False
    return bool(name)


def forget_names() -> None:
    """Read the names of objects again at the next call."""
    _names["key"] = None


def _fields_with(settings: Any, means: str) -> Iterator[tuple[Any, Any]]:
    """The groups of all settings with their fields of a meaning, but not the classes themselves."""
    for group in _groups_in(settings, skip=("classes",)):
        for field in getattr(group, "twinset_fields", ()):
            if field.param.means == means and field.form in ("names", "text"):
                yield group, field


def _groups_in(group: Any, skip: tuple[str, ...] = ()) -> Iterator[Any]:
    """All groups inside a group of properties."""
    for p in group.bl_rna.properties:
        if p.identifier == "rna_type" or p.identifier in skip or p.type not in ("POINTER", "COLLECTION"):
            continue
        value = getattr(group, p.identifier)
        for each in value if p.type == "COLLECTION" else [value]:
            if isinstance(each, bpy.types.PropertyGroup):
                yield each
                yield from _groups_in(each)
