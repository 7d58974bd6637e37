# SPDX-License-Identifier: GPL-3.0-or-later
"""One declared parameter as Blender properties: what it becomes, and how its value gets in and out exactly."""

from __future__ import annotations

import json
import math
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import bpy

from ...engine.float32 import INT_MAX, shortest
from ...engine.plugin.params import Param, describe, plain_value
from ...engine.recipe.writing import toml_value
from .display_names import label_of

_RESERVED = (frozenset(dir(bpy.types.PropertyGroup)) | {"kept"}) - {"name"}
_UNITS = {"m": "DISTANCE", "deg": "ANGLE", "mm": "DISTANCE_CAMERA", "px": "PIXEL", "W": "POWER", "K": "TEMPERATURE"}
_VECTORS = {"m": "TRANSLATION", "deg": "EULER"}

PathOut = Callable[[str | None, str], str]
"""From the text that was imported (None where it is another by now) and the text shown to the text to be written."""


@attrs.frozen
class Field:
    """A parameter and the properties that hold it.

    ``form`` is flag, number, pair, vector, choice, text, names, weights (names, each with a number), collection, or
    literal: the text of a TOML value.
    ``attributes`` are the properties' names; ``switch`` is the checkbox of an optional one, else "".
    """

    param: Param
    kind: Any
    form: str
    attributes: tuple[str, ...]
    switch: str

    @property
    def label(self) -> str:
        """What the artist reads."""
        return label_of(self.param.name)

    @property
    def is_angle(self) -> bool:
        """Whether Blender holds radians where the recipe has degrees."""
        return self.param.unit == "deg" and float in (self.kind, *get_args(self.kind))


def fields_of(cls: type) -> tuple[Field, ...]:
    """The fields of a settings table or plugin, their property names free of clashes."""
    taken = set(_RESERVED)
    return tuple(_field(p, taken) for p in describe(cls))


def definitions(fields: Iterable[Field], names: Mapping[str, type]) -> dict[str, Any]:
    """Blender's property definitions by attribute name.

    Parameters
    ----------
    fields : iterable of Field
    names : mapping
        The PropertyGroup for entries of a list of names, by what they mean; "path" and "folder" for files.
    """
    out: dict[str, Any] = {"kept": bpy.props.StringProperty(options={"HIDDEN"})}
    for field in fields:
        out |= _definitions(field, names)
        if field.switch:
            text = f"Set a value. Off: {_tooltip(field.param)}"
            out[field.switch] = bpy.props.BoolProperty(name=field.label, description=text, update=touched)
    return out


def values_of(group: Any, path_out: PathOut | None = None) -> dict[str, Any]:
    """The values as TOML has them; those that are None are left out.

    What was imported comes out as it went in unless it was changed since, although Blender holds 32 bits of it.
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
    """Set all values from plain ones as TOML has them; what is not given gets its default."""
    kept = {}
    for field in group.twinset_fields:
        p = field.param
        default = None if p.required else plain_value(p.default)
        exact = values.get(p.name, default)
        shown = exact
        if p.path and path_in is not None and exact:
            shown = path_in(exact) if isinstance(exact, str) else [path_in(text) for text in exact]
        _write(group, field, shown)
        held = read(group, field)
        if p.name in values and not _same(held, exact):
            kept[p.name] = [exact, held]
    group.kept = json.dumps(kept, ensure_ascii=False) if kept else ""


def read(group: Any, field: Field) -> Any:
    """The value that the properties of a field show, as TOML has it; None where it is switched off."""
    if field.switch and not getattr(group, field.switch):
        return None
    value = getattr(group, field.attributes[0])
    if field.form in ("number", "pair", "vector"):
        found = list(value) if field.form == "vector" else [getattr(group, name) for name in field.attributes]
        if float in (field.kind, *get_args(field.kind)):
            found = [shortest(v, math.radians if field.is_angle else float) for v in found]
        return found[0] if field.form == "number" else found
    if field.form == "names":
        return [entry.value for entry in value]
    if field.form == "weights":
        return {entry.value: shortest(entry.weight) for entry in value}
    if field.form == "collection":
        return value.name if value is not None else ""
    if field.form == "literal":
        return literal(value)
    return value


def literal(text: str) -> Any:
    """The TOML value that a text says; the text itself where it says none, so that the recipe's check names it."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if text.strip() else None
    except tomllib.TOMLDecodeError:
        return text


_revision = [0]


def touched(group: Any = None, context: Any = None) -> None:
    """Note that a setting has changed; the update callback of all generated properties."""
    _revision[0] += 1


def revision() -> int:
    """A number that grows whenever a setting changes; what undo brings back does not count."""
    return _revision[0]


def _field(p: Param, taken: set[str]) -> Field:
    kind = p.type
    optional = get_origin(kind) in (Union, types.UnionType)
    if optional:
        kind = next(a for a in get_args(kind) if a is not type(None))
    form = _form(p, kind)
    wanted = [f"{p.name}_min", f"{p.name}_max"] if form == "pair" else [p.name]
    names = tuple(_free(name, taken) for name in wanted)
    return Field(p, kind, form, names, _free(f"use_{p.name}", taken) if optional else "")


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
        return "collection" if p.means == "collection" else "text"
    if origin is tuple and args[-1] is not ... and len(set(args)) == 1 and args[0] in (int, float):
        return "pair" if len(args) == 2 else "vector" if 3 <= len(args) <= 32 else "literal"
    if kind == dict[str, float]:
        return "weights"
    return "names" if kind == list[str] and not p.choices else "literal"


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _definitions(field: Field, names: Mapping[str, type]) -> dict[str, Any]:
    p, (first, *_) = field.param, field.attributes
    own: dict[str, Any] = {"name": field.label, "description": _tooltip(p), "update": touched}
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
            pair = own | {"name": f"{field.label} {suffix}", "update": _pushing(name, other, is_low=name == low)}
            out[name] = _number(field, pair, value)
        return out
    if field.form == "vector":
        return {first: _vector(field, own, default)}
    if field.form == "choice":
        items = [(c, label_of(c), "", "NONE", n) for n, c in enumerate(p.choices or get_args(field.kind))]
        return {first: props.EnumProperty(**own, items=items, default=default or items[0][0])}
    if field.form in ("names", "weights"):
        means = (
            field.form
            if field.form == "weights"
            else ("folder" if p.means == "folder" else "path")
            if p.path
            else p.means
        )
        own.pop("update")
        return {first: props.CollectionProperty(**own, type=names.get(means, names[""]))}
    if field.form == "collection":
        return {first: props.PointerProperty(**own, type=bpy.types.Collection)}
    if field.form == "literal":
        text = "" if default is None else toml_value(plain_value(default))
        own["description"] += ". Written as in a recipe: [1, 2]"
        return {first: props.StringProperty(**own, default=text)}
    return {first: text_property(p, own, str(default or ""))}


def text_property(p: Param, own: Mapping[str, Any], default: str = "") -> Any:
    """A string property that browses for files, or suggests what there is, by what the parameter means."""
    from .suggestions import SEARCHES

    if p.path:
        subtype = "DIR_PATH" if p.means == "folder" else "FILE_PATH"
        options = {"PATH_SUPPORTS_BLEND_RELATIVE"}
        return bpy.props.StringProperty(**own, default=default, subtype=subtype, options=options)
    if p.means in SEARCHES:
        found = SEARCHES[p.means]
        return bpy.props.StringProperty(**own, default=default, search=found, search_options={"SUGGESTION"})
    return bpy.props.StringProperty(**own, default=default)


def _number(field: Field, own: Mapping[str, Any], default: float | None) -> Any:
    p = field.param
    kind = float if float in (field.kind, *get_args(field.kind)) else int
    if kind is int:
        bounds = _bounds(p, int)
        subtype = "PIXEL" if p.unit == "px" else "NONE"
        value = _start(field, default, bounds)
        return bpy.props.IntProperty(**own, **bounds, default=int(value), subtype=subtype)
    turn = math.radians if field.is_angle else float
    bounds = {key: turn(value) for key, value in _bounds(p, float).items()}
    subtype = _UNITS.get(p.unit, "FACTOR" if p.min == 0.0 and p.max == 1.0 else "NONE")
    value = _start(field, None if default is None else turn(default), bounds)
    precision = {"DISTANCE": 3, "ANGLE": 1, "DISTANCE_CAMERA": 1, "POWER": 1, "TEMPERATURE": 0}.get(subtype, 3)
    return bpy.props.FloatProperty(
        **own, **bounds, default=value, subtype=subtype, unit=_unit(subtype), precision=precision, step=_step(subtype)
    )


def _start(field: Field, default: float | None, bounds: Mapping[str, Any]) -> float:
    """The default; for what is off by default, a value to begin with when it is switched on."""
    value = default if default is not None else 1 if field.switch else 0
    return min(max(value, bounds.get("min", -math.inf)), bounds.get("max", math.inf))


def _vector(field: Field, own: Mapping[str, Any], default: Any) -> Any:
    size = len(get_args(field.kind))
    values = default or (0,) * size
    if int in get_args(field.kind):
        return bpy.props.IntVectorProperty(**own, **_bounds(field.param, int), size=size, default=values)
    turn = math.radians if field.is_angle else float
    bounds = {key: turn(value) for key, value in _bounds(field.param, float).items()}
    subtype = (
        "COLOR" if field.param.means == "color" else _VECTORS.get(field.param.unit, "NONE") if size == 3 else "NONE"
    )
    unit = {"TRANSLATION": "LENGTH", "EULER": "ROTATION"}.get(subtype, "NONE")
    default = tuple(turn(v) for v in values)
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


def _pushing(name: str, other: str, *, is_low: bool) -> Callable[[Any, Any], None]:
    """An update callback that keeps the ends of a range in order by pushing the other one along."""

    def update(group: Any, context: Any) -> None:
        value, limit = getattr(group, name), getattr(group, other)
        if value > limit if is_low else value < limit:
            setattr(group, other, value)
        touched()

    return update


def _tooltip(p: Param) -> str:
    shown = {"m", "deg", "mm", "px", "W", "K", ""}
    return p.doc + (f" ({p.unit})" if p.unit not in shown else "")


def _write(group: Any, field: Field, value: Any) -> None:
    if field.switch:
        setattr(group, field.switch, value is not None)
    if value is None:
        for name in field.attributes:
            group.property_unset(name)
        return
    turn = math.radians if field.is_angle else lambda v: v
    if field.form in ("number", "pair"):
        is_int = float not in (field.kind, *get_args(field.kind))
        for name, v in zip(field.attributes, value if field.form == "pair" else [value], strict=True):
            setattr(group, name, max(-INT_MAX, min(INT_MAX, int(v))) if is_int else turn(v))
    elif field.form == "vector":
        setattr(group, field.attributes[0], [turn(v) for v in value])
    elif field.form == "names":
        entries = getattr(group, field.attributes[0])
        entries.clear()
        for text in value:
            entries.add().value = text
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


def _same(a: Any, b: Any) -> bool:
    return a == b and type(a) is type(b)
