# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's property definitions for declared parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import bpy

from ...engine.float32 import INT_MAX
from ...engine.plugin.params import Param, plain_value
from ...engine.recipe.writing import toml_value
from .display_names import label_of
from .fields import Field
from .references import following_zone
from .suggestions import SEARCHES

_UNITS = {"m": "DISTANCE", "deg": "ANGLE", "mm": "DISTANCE_CAMERA", "px": "PIXEL", "W": "POWER", "K": "TEMPERATURE"}
_VECTORS = {"m": "TRANSLATION", "deg": "EULER"}


def property_definitions(
    fields: Iterable[Field], names: Mapping[str, type], follow_name: Callable[[Any, Any], None] | None = None
) -> dict[str, Any]:
    """Blender's property definitions by attribute name.

    Parameters
    ----------
    fields : iterable of Field
    names : mapping
        The PropertyGroup for entries of a list, by what its names mean; "path" and "folder" for files.
    follow_name : callable, optional
        Update callback of the field ``name``, which finds the value before the last change in ``former``.
    """
    out: dict[str, Any] = {"kept": bpy.props.StringProperty(options={"HIDDEN"})}
    for field in fields:
        if field.param.name == "name" and follow_name is not None:
            own = {"name": field.label, "description": _tooltip(field.param), "update": follow_name}
            out |= {"name": text_property(field.param, own), "former": bpy.props.StringProperty(options={"HIDDEN"})}
        else:
            out |= _field_definitions(field, names)
        if field.switch:
            text = f"Use this setting. {_tooltip(field.param)}"
            out[field.switch] = bpy.props.BoolProperty(name=field.label, description=text)
    return out


def text_property(p: Param, own: Mapping[str, Any], default: str = "") -> Any:
    """A string property with a file browser, or with suggestions, depending on what the parameter means."""
    if p.path:
        subtype = "DIR_PATH" if p.means == "folder" else "FILE_PATH"
        options = {"PATH_SUPPORTS_BLEND_RELATIVE"}
        return bpy.props.StringProperty(**own, default=default, subtype=subtype, options=options)
    if p.means in SEARCHES:
        search = SEARCHES[p.means]
        return bpy.props.StringProperty(**own, default=default, search=search, search_options={"SUGGESTION"})
    return bpy.props.StringProperty(**own, default=default)


def _field_definitions(field: Field, names: Mapping[str, type]) -> dict[str, Any]:
    p, (first, *_) = field.param, field.attributes
    own: dict[str, Any] = {"name": field.label, "description": _tooltip(p)}
    default = None if p.required or p.default is None else p.default
    props = bpy.props
    if field.form == "flag":
        return {first: props.BoolProperty(**own, default=bool(default))}
    if field.form == "number":
        return {first: _number(field, own, default)}
    if field.form == "pair":
        low, high = field.attributes
        values = (None, None) if default is None else default
        out = {}
        for name, other, suffix, value in ((low, high, "Min", values[0]), (high, low, "Max", values[1])):
            pair = own | {"name": f"{field.label} {suffix}", "update": _keeping_order(name, other, is_low=name == low)}
            out[name] = _number(field, pair, value)
        return out
    if field.form == "vector":
        return {first: _vector(field, own, default)}
    if field.form == "choice":
        items = [(c, label_of(c), "", "NONE", n) for n, c in enumerate(p.choices or get_args(field.kind))]
        return {first: props.EnumProperty(**own, items=items, default=default or items[0][0])}
    if field.form == "choices":
        items = [(c, label_of(c), "", "NONE", 1 << n) for n, c in enumerate(p.choices)]
        return {first: props.EnumProperty(**own, items=items, default=set(default or ()), options={"ENUM_FLAG"})}
    if field.form == "numbers":
        return {first: props.CollectionProperty(**own, type=names["float" if float in get_args(field.kind) else "int"])}
    if field.form in ("names", "weights"):
        means = p.means
        if field.form == "weights":
            means = "weights"
        elif p.path:
            means = "folder" if p.means == "folder" else "path"
        return {first: props.CollectionProperty(**own, type=names.get(means, names[""]))}
    if field.form == "collection":
        return {first: props.PointerProperty(**own, type=bpy.types.Collection)}
    if field.form == "literal":
        text = "" if default is None else toml_value(plain_value(default))
        own["description"] += ". Use TOML syntax, such as [1, 2]"
        return {first: props.StringProperty(**own, default=text)}
    if field.form == "zone":
        material = field.attributes[1]
        follow_zone, follow_material = following_zone(first, material)
        pointer = props.PointerProperty(**own, type=bpy.types.Material, update=follow_material)
        return {first: text_property(p, own | {"update": follow_zone}, str(default or "")), material: pointer}
    return {first: text_property(p, own, str(default or ""))}


def _number(field: Field, own: Mapping[str, Any], default: float | None) -> Any:
    p = field.param
    kind = float if float in (field.kind, *get_args(field.kind)) else int
    if kind is int:
        bounds = _bounds(p, int)
        subtype = "PIXEL" if p.unit == "px" else "NONE"
        value = _initial_value(field, default, bounds)
        return bpy.props.IntProperty(**own, **bounds, default=int(value), subtype=subtype)
    to_property = math.radians if field.is_angle else float
    bounds = {key: to_property(value) for key, value in _bounds(p, float).items()}
    subtype = _UNITS.get(p.unit, "FACTOR" if p.min == 0.0 and p.max == 1.0 else "NONE")
    value = _initial_value(field, None if default is None else to_property(default), bounds)
    precision = {"DISTANCE": 3, "ANGLE": 1, "DISTANCE_CAMERA": 1, "POWER": 1, "TEMPERATURE": 0}.get(subtype, 3)
    return bpy.props.FloatProperty(
        **own, **bounds, default=value, subtype=subtype, unit=_unit(subtype), precision=precision, step=_step(subtype)
    )


def _initial_value(field: Field, default: float | None, bounds: Mapping[str, Any]) -> float:
    """The default; for a parameter that is off by default, the value that it has when it is switched on."""
    value = default if default is not None else 1 if field.switch else 0
    return min(max(value, bounds.get("min", -math.inf)), bounds.get("max", math.inf))


def _vector(field: Field, own: Mapping[str, Any], default: Any) -> Any:
    size = len(get_args(field.kind))
    values = default or (0,) * size
    if int in get_args(field.kind):
        return bpy.props.IntVectorProperty(**own, **_bounds(field.param, int), size=size, default=values)
    to_property = math.radians if field.is_angle else float
    bounds = {key: to_property(value) for key, value in _bounds(field.param, float).items()}
    subtype = (
        "COLOR" if field.param.means == "color" else _VECTORS.get(field.param.unit, "NONE") if size == 3 else "NONE"
    )
    unit = {"TRANSLATION": "LENGTH", "EULER": "ROTATION"}.get(subtype, "NONE")
    default = tuple(to_property(v) for v in values)
    return bpy.props.FloatVectorProperty(**own, **bounds, size=size, default=default, subtype=subtype, unit=unit)


def _bounds(p: Param, kind: type) -> dict[str, Any]:
    low, high = p.min, p.max
    if low is not None and p.min_exclusive:
        low = low + (1 if kind is int else 1e-6)
    limits = {"min": low, "max": high, "soft_min": p.soft_min, "soft_max": p.soft_max}
    if kind is int:
        return {k: max(-INT_MAX, min(INT_MAX, int(v))) for k, v in limits.items() if v is not None}
    return {k: float(v) for k, v in limits.items() if v is not None}


def _unit(subtype: str) -> str:
    units = {"DISTANCE": "LENGTH", "ANGLE": "ROTATION", "DISTANCE_CAMERA": "CAMERA"}
    return units.get(subtype, subtype if subtype in ("POWER", "TEMPERATURE") else "NONE")


def _step(subtype: str) -> int:
    return {"ANGLE": 500, "TEMPERATURE": 10000, "POWER": 500, "DISTANCE_CAMERA": 100}.get(subtype, 5)


def _keeping_order(name: str, other: str, *, is_low: bool) -> Callable[[Any, Any], None]:
    """An update callback of one end of a range that moves the other end to keep minimum <= maximum."""

    def update(group: Any, context: Any) -> None:
        value, limit = getattr(group, name), getattr(group, other)
        if value > limit if is_low else value < limit:
            setattr(group, other, value)

    return update


def _tooltip(p: Param) -> str:
    # Blender shows the other units with the value.
    return p.doc + (f" ({p.unit})" if p.unit and p.unit not in _UNITS else "")
