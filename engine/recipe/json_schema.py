# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schema of recipes, made of the same declarations that check them."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from ..plugin.contract import KINDS
from ..plugin.params import Param, describe
from ..plugin.registry import Registry, default, former_id, summary
from .extending import ExtendingSettings
from .settings import LISTS, TABLES, JobSettings, ModelSettings, Room, Variant
from .variants import CHANGEABLE, own_keys

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """The schema (draft 2020-12) of a recipe, all plugins in sight included, for editors and other programs."""
    registry = registry or default()
    properties = _properties(ExtendingSettings) | _properties(JobSettings)
    for key, cls in TABLES.items():
        properties[key] = _object(cls)
    properties["scene"]["properties"]["models"] = {"type": "array", "items": _object(ModelSettings)}
    for key, cls in LISTS.items():
        properties[key] = {"type": "array", "items": _object(cls)}
    for kind in KINDS:
        items = {"oneOf": _options(kind, registry)} if registry.ids(kind) else {}
        properties[kind] = items if kind == "target" else {"type": "array", "items": items}
    properties["class"]["minItems"] = 1
    properties["variant"] = {"type": "array", "items": _changing(Variant, registry)}
    properties["room"] = {"type": "array", "items": _changing(Room, registry)}
    properties["room"]["items"]["properties"]["models"] = properties["scene"]["properties"]["models"]
    return {
        "$schema": DIALECT,
        "title": "Twinset recipe",
        "type": "object",
        "properties": properties,
        "anyOf": [
            {"required": ["extends"]},
            {"required": ["class"], "oneOf": [{"required": ["scene"]}, {"required": ["room"]}]},
        ],
        "additionalProperties": False,
    }


def _object(cls: type) -> dict[str, Any]:
    required = [p.name for p in describe(cls) if p.required]
    schema = {"type": "object", "description": summary(cls), "properties": _properties(cls)}
    return schema | ({"required": required} if required else {}) | {"additionalProperties": False}


def plugin_schema(cls: type) -> dict[str, Any]:
    """The schema of a plugin's table in a recipe."""
    schema = _object(cls)
    own: dict[str, Any] = {"plugin": {"const": cls.plugin_id}}  # type: ignore[attr-defined]
    if cls.plugin_kind == "camera":  # type: ignore[attr-defined]
        own["weight"] = {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 1.0,
            "description": "Share of the frames among cameras",
        }
    schema["properties"] = own | schema["properties"]
    schema["required"] = ["plugin", *schema.get("required", [])]
    return schema


def _options(kind: str, registry: Registry) -> list[dict[str, Any]]:
    """The schemas of all plugins of a kind; those that were renamed are there by their old id, too."""
    out = []
    for cls in (registry.find(kind, id) for id in registry.ids(kind)):
        schema = plugin_schema(cls)
        out.append(schema)
        if former_id(cls):
            properties = schema["properties"] | {"plugin": {"const": former_id(cls)}}
            out.append(schema | {"properties": properties, "deprecated": True})
    return out


def _changing(cls: type, registry: Registry) -> dict[str, Any]:
    """A variant or room: its own keys, and for each kind a table by plugin, or by its number, of parameters."""
    schema = _object(cls)
    for kind in CHANGEABLE:
        plugins = {}
        for id in registry.ids(kind):
            plugin = registry.find(kind, id)
            own = _named_properties((*describe(plugin), *own_keys(kind)))
            plugins[id] = {"type": "object", "properties": own, "additionalProperties": False}
            if former_id(plugin):
                plugins[former_id(plugin)] = plugins[id] | {"description": f"Now '{id}'", "deprecated": True}
        schema["properties"][kind] = {
            "type": "object",
            "properties": plugins,
            "patternProperties": {"^[1-9][0-9]*$": {"anyOf": list(plugins.values())} if plugins else {}},
            "additionalProperties": False,
        }
    return schema


def _properties(cls: type) -> dict[str, Any]:
    return _named_properties(describe(cls))


def _named_properties(params: Iterable[Param]) -> dict[str, Any]:
    """The properties by name; old spellings are deprecated properties of their own."""
    out: dict[str, Any] = {}
    for p in params:
        out[p.name] = _property(p)
        if p.formerly:
            out[p.formerly] = _value(p, p.type) | {"description": f"Now '{p.name}'", "deprecated": True}
    return out


def _property(p: Param) -> dict[str, Any]:
    unit = f" ({p.unit})" if p.unit else ""
    schema = _value(p, p.type) | {"description": p.doc + unit}
    if p.default is not attrs.NOTHING and p.default is not None:
        schema["default"] = list(p.default) if isinstance(p.default, tuple) else p.default
    return schema


def _value(p: Param, kind: Any) -> dict[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _value(p, next(a for a in args if a is not type(None)))
    if origin is Literal:
        return {"enum": list(args)}
    if origin is list or (origin is tuple and args[-1] is ...):
        return {"type": "array", "items": _value(p, args[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_value(p, a) for a in args], "minItems": len(args), "items": False}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(p, args[1])}
    if kind is str:
        return {"type": "string"} | ({"enum": list(p.choices)} if p.choices else {})
    if kind is bool:
        return {"type": "boolean"}
    low = {} if p.min is None else {"exclusiveMinimum" if p.min_exclusive else "minimum": p.min}
    high = {} if p.max is None else {"maximum": p.max}
    return {"type": "integer" if kind is int else "number"} | low | high
