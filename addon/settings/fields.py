# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared parameters as Blender properties: their names and forms, and how values are read and written exactly."""

from __future__ import annotations

import json
import math
import tomllib
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import bpy

from ...engine.float32 import INT_MAX, shortest_decimal
from ...engine.plugin.params import Param, describe, plain_value
from ...engine.recipe.writing import toml_value
from .display_names import label_of
from .references import fill_names, text_of

_RESERVED = (frozenset(dir(bpy.types.PropertyGroup)) | {"kept", "former"}) - {"name"}

PathOut = Callable[[str | None, str], str]
"""Gives the path to write from the imported one (None if it was changed since) and the one that the panel shows."""


@attrs.frozen
class Field:
    """A parameter and the properties that store it.

    ``form`` is flag, number, pair, vector, choice, choices (several of them), text, names, numbers, weights (names with
    numbers), collection, zone (a text, and the material of this name), or literal (a TOML value as text).
    ``attributes`` are the names of the properties; ``switch`` is that of the checkbox of an optional parameter, or "".
    """

    param: Param
    kind: Any
    form: str
    attributes: tuple[str, ...]
    switch: str

    @property
    def label(self) -> str:
        """The label in the panel."""
        return label_of(self.param.name)

    @property
    def is_angle(self) -> bool:
        """Whether the property is in radians and the recipe in degrees."""
        return self.param.unit == "deg" and float in (self.kind, *get_args(self.kind))


def fields_of(cls: type) -> tuple[Field, ...]:
    """The fields of a settings table or plugin, with unique property names."""
    taken = set(_RESERVED)
    return tuple(_field(p, taken) for p in describe(cls))


def values_of(group: Any, path_out: PathOut | None = None) -> dict[str, Any]:
    """The values as in TOML, without those that are None.

    Imported values are returned exactly unless they were changed since, although Blender stores 32-bit floats.
    """
    kept = json.loads(group.kept) if group.kept else {}
    out = {}
    for field in group.twinset_fields:
        name = field.param.name
        shown = read(group, field)
        exact = kept[name][0] if name in kept and kept[name][1] == shown else shown
        if field.param.path and path_out is not None and shown:
            exact = _paths_out(exact if name in kept and kept[name][1] == shown else None, shown, path_out)
        elif field.param.path:
            exact = shown
        if exact is not None:
            out[name] = exact
    return out


def fill(group: Any, values: Mapping[str, Any], path_in: Callable[[str], str] | None = None) -> None:
    """Set all properties from values as in TOML; those that are not given get their defaults."""
    kept = {}
    for field in group.twinset_fields:
        p = field.param
        default = None if p.required else plain_value(p.default)
        exact = values.get(p.name, default)
        shown = exact
        if p.path and path_in is not None and exact:
            shown = path_in(exact) if isinstance(exact, str) else [path_in(text) for text in exact]
        _write(group, field, shown)
        stored = read(group, field)
        if p.name in values and not _is_same(stored, exact):
            kept[p.name] = [exact, stored]
    group.kept = json.dumps(kept, ensure_ascii=False) if kept else ""


def read(group: Any, field: Field) -> Any:
    """The value of a field's properties, as in TOML; None if it is switched off."""
    if field.switch and not getattr(group, field.switch):
        return None
    value = getattr(group, field.attributes[0])
    if field.form in ("number", "pair", "vector"):
        values = list(value) if field.form == "vector" else [getattr(group, name) for name in field.attributes]
        if float in (field.kind, *get_args(field.kind)):
            values = [shortest_decimal(v, math.radians if field.is_angle else float) for v in values]
        return values[0] if field.form == "number" else values
    if field.form == "choices":
        return [choice for choice in field.param.choices if choice in value]
    if field.form == "names":
        return [text_of(entry) for entry in value]
    if field.form == "numbers":
        return [shortest_decimal(e.value) if float in get_args(field.kind) else e.value for e in value]
    if field.form == "weights":
        return {entry.value: shortest_decimal(entry.weight) for entry in value}
    if field.form == "zone":
        material = getattr(group, field.attributes[1])
        return value if material is None else material.name
    if field.form == "collection":
        return value.name if value is not None else ""
    if field.form == "literal":
        return literal(value)
    return value


def literal(text: str) -> Any:
    """Parse a TOML value; returns the text itself if it is invalid, so that the recipe's check reports it."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if text.strip() else None
    except tomllib.TOMLDecodeError:
        return text


def _field(p: Param, taken: set[str]) -> Field:
    kind = p.type
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional:
        kind = next(a for a in get_args(kind) if a is not type(None))
    form = _form(p, kind)
    attributes = [f"{p.name}_min", f"{p.name}_max"] if form == "pair" else [p.name]
    if form == "zone":
        attributes.append(f"{p.name}_material")
    names = tuple(_unique_name(name, taken) for name in attributes)
    return Field(p, kind, form, names, _unique_name(f"use_{p.name}", taken) if optional else "")


def _form(p: Param, kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if kind is bool:
        return "flag"
    if kind in (int, float):
        return "number"
    if origin is Literal and all(isinstance(a, str) and a for a in args):
        return "choice"
    if kind is str:
        if p.choices and all(p.choices):
            return "choice"
        return p.means if p.means in ("collection", "zone") else "text"
    if origin is tuple and args[-1] is not ... and len(set(args)) == 1 and args[0] in (int, float):
        return "pair" if len(args) == 2 else "vector" if 3 <= len(args) <= 32 else "literal"
    if kind == dict[str, float]:
        return "weights"
    if kind == list[float] or (kind == list[int] and p.unit):
        return "numbers"
    if kind == list[str]:
        return "choices" if p.choices else "names"
    return "literal"


def _unique_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _write(group: Any, field: Field, value: Any) -> None:
    if field.switch:
        setattr(group, field.switch, value is not None)
    if value is None:
        for name in field.attributes:
            group.property_unset(name)
        return
    to_property = math.radians if field.is_angle else lambda v: v
    if field.form in ("number", "pair"):
        is_int = float not in (field.kind, *get_args(field.kind))
        for name, v in zip(field.attributes, value if field.form == "pair" else [value], strict=True):
            setattr(group, name, max(-INT_MAX, min(INT_MAX, int(v))) if is_int else to_property(v))
    elif field.form == "vector":
        setattr(group, field.attributes[0], [to_property(v) for v in value])
    elif field.form == "choices":
        setattr(group, field.attributes[0], set(value) & set(field.param.choices))
    elif field.form == "names":
        entries = getattr(group, field.attributes[0])
        if field.param.means == "object" and not field.param.path:
            fill_names(group.id_data, entries, value)
            return
        entries.clear()
        for text in value:
            entries.add().value = text
    elif field.form == "numbers":
        entries = getattr(group, field.attributes[0])
        entries.clear()
        for number in value:
            is_int = float not in get_args(field.kind)
            entries.add().value = max(-INT_MAX, min(INT_MAX, int(number))) if is_int else number
    elif field.form == "weights":
        entries = getattr(group, field.attributes[0])
        entries.clear()
        for text, weight in value.items():
            entry = entries.add()
            entry.value, entry.weight = text, weight
    elif field.form == "collection":
        setattr(group, field.attributes[0], bpy.data.collections.get(value))
    elif field.form == "literal":
        setattr(group, field.attributes[0], toml_value(value))
    else:
        setattr(group, field.attributes[0], value)


def _paths_out(exact: Any, shown: Any, path_out: PathOut) -> Any:
    if isinstance(shown, str):
        return path_out(exact, shown)
    return [path_out(None if exact is None else exact[n], text) for n, text in enumerate(shown)]


def _is_same(a: Any, b: Any) -> bool:
    return a == b and type(a) is type(b)
