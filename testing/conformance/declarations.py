# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a plugin's declaration: hooks, levers, and parameters in TOML, JSON schema, Blender and error messages."""

from __future__ import annotations

import difflib
import importlib
import json
import math
import tomllib
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from ...alignment.columns.registry import columns as known_columns
from ...engine.float32 import INT_MAX, shortest_decimal, to_float32
from ...engine.plugin.columns import declared_columns
from ...engine.plugin.hooks import hook_problem
from ...engine.plugin.params import (
    Param,
    Range,
    describe,
    parse,
    plain,
    plain_value,
    shorten,
)
from ...engine.recipe.json_schema import plugin_schema
from ...engine.recipe.writing import toml_value

_STANDINS = {"object": "Floor", "class": "chair", "zone": "zone"}
_UNITS = {"metre": "m", "meter": "m", "degree": "deg", "millimetre": "mm", "millimeter": "mm", "pixel": "px"}
_WRONG = {bool: "text", int: "text", float: "text", str: 5}


def owner(cls: type) -> str:
    """A plugin's name in messages: ``metric 'depth'``."""
    return f"{cls.plugin_kind} '{cls.plugin_id}'"  # type: ignore[attr-defined]


def fill(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the test stage: those given, and names of its objects and classes for required ones that are not."""
    out = dict(values)
    for p in describe(cls):
        if p.required and p.name not in out and (guess := _guess(p)) is not None:
            out[p.name] = guess
    return out


def documented(cls: type) -> str:
    """What is missing in the documentation of a plugin, as one sentence; "" if nothing is."""
    first = (cls.__doc__ or "").strip().split("\n")[0]
    if len(first.split()) < 3:
        return "its docstring must begin with a line that says what it does, in more than two words."
    for p in describe(cls):
        if len(p.doc.split()) < 2 or p.doc.strip().lower() == p.name.replace("_", " ").lower():
            return f"the doc of its parameter '{p.name}' must say what it does. It says {p.doc!r}."
        for word, unit in _UNITS.items():
            if f"in {word}" in p.doc.lower() and not p.unit:
                return f"the doc of its parameter '{p.name}' is in {word}s; declare unit={unit!r} instead."
    return ""


def hooks_and_levers(cls: type) -> str:
    """What is wrong with the hooks of a plugin, and with what its parameters move, as one sentence; "" for nothing."""
    params = describe(cls)
    problem = hook_problem(cls, cls.plugin_kind, {p.name for p in params})  # type: ignore[attr-defined]
    if problem:
        return problem
    known = {column.name: column for column in known_columns()}
    columns = list(known)
    for column in declared_columns(cls):
        if known.get(column.name, column).definition != column.definition:
            return f"its column '{column.name}' has the name of a built-in column. Rename it."
    for p in params:
        for name in p.moves:
            plain_name = name.removeprefix("image_")
            close = difflib.get_close_matches(plain_name, columns, n=1, cutoff=0.8)
            if plain_name not in columns and close:
                return f"its parameter '{p.name}' moves a column '{name}'. Did you mean '{close[0]}'?"
    return ""


def through_toml(cls: type, values: Mapping[str, Any]) -> str:
    """Whether each allowed value comes back from TOML as it was."""
    for instance in _variants(cls, values):
        text = "".join(f"{name} = {toml_value(value)}\n" for name, value in plain(instance).items())
        again, problems = parse(cls, tomllib.loads(text), owner(cls))
        if problems or again != instance:
            problem = problems[0].text if problems else f"It reads {again} instead."
            return f"its parameters do not come back from TOML as they went in: {shorten(text)}. {problem}"
    return ""


def through_schema(cls: type, values: Mapping[str, Any]) -> str:
    """Whether the JSON schema takes each allowed value, and refuses what the declaration refuses."""
    schema = plugin_schema(cls)
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"its JSON schema cannot be written ({error}); defaults and bounds must be finite plain values."
    try:
        jsonschema: Any = importlib.import_module("jsonschema")  # for tests alone: Twinset itself does without
    except ImportError:
        return ""
    validator = jsonschema.Draft202012Validator(schema)
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"its JSON schema is invalid: {error.message}."
    head = {"plugin": cls.plugin_id}  # type: ignore[attr-defined]
    for instance in _variants(cls, values):
        for problem in validator.iter_errors(head | plain(instance)):
            return f"its JSON schema refuses what it allows: {problem.message}."
    base = next(_variants(cls, values), None)
    for p, value in _refused(cls):
        finite = not any(isinstance(v, float) and not math.isfinite(v) for v in _leaves(value))
        if base is not None and finite and validator.is_valid(head | plain(base) | {p.name: value}):
            return f"its JSON schema takes {p.name} = {value!r}, which it does not allow."
    return ""


def through_blender(cls: type) -> str:
    """Whether defaults and bounds are what Blender's properties can hold: 32-bit floats and ints."""
    for p in describe(cls):
        kinds = _kinds(p.type)
        limits = [v for v in (p.min, p.soft_min, p.soft_max, p.max) if v is not None]
        if limits != sorted(limits):
            return f"the bounds of its parameter '{p.name}' must rise from min over soft_min and soft_max to max."
        if p.choices and not all(p.choices):
            return f"the choices of its parameter '{p.name}' must not be empty strings."
        default = [] if p.required or p.default is None else list(_leaves(p.default))
        numbers = [v for v in (*limits, *default) if isinstance(v, int | float) and not isinstance(v, bool)]
        if kinds == {int}:
            for value in numbers:
                if abs(value) > INT_MAX or value != int(value):
                    return f"the numbers of its parameter '{p.name}' must be whole and within 2^31 - 1. Got {value!r}."
        elif float in kinds:
            for value in numbers:
                held = math.radians if p.unit == "deg" else float
                shown = shortest_decimal(to_float32(held(value)), held)
                if shown != value:
                    return f"its parameter '{p.name}' has the number {value!r}; Blender holds 32 bits of it: {shown!r}."
    return ""


def refusals(cls: type, values: Mapping[str, Any]) -> str:
    """Whether bad values end in a sentence that names plugin, parameter, and what is allowed."""
    name = owner(cls)
    for p, value in _refused(cls):
        problem = _sentence(cls, {**values, p.name: value}, p.name)
        expected = f"The '{p.name}' parameter of {name} must be {p.expected()}. Got "
        if not problem.startswith(expected):
            return f"with {p.name} = {shorten(value)} it must say: {expected}... It says: {problem or 'nothing'}"
    for p, value in _allowed(cls):
        problem = _sentence(cls, {**values, p.name: value}, p.name)
        if problem.startswith("!"):
            return f"{p.name} = {shorten(value)} is within its bounds and raises {problem[1:]}. Raise ValueError."
        if problem and (len(problem.split()) < 6 or not problem.rstrip().endswith((".", "!"))):
            return f"it refuses {p.name} = {shorten(value)} without a whole sentence: {problem!r}."
    strange = _sentence(cls, {**values, "no_such_parameter": 1}, "no_such_parameter")
    if "has no parameter 'no_such_parameter'" not in strange:
        return f"it takes a parameter that it does not have, or says: {strange or 'nothing'}"
    return ""


def _sentence(cls: type, values: Mapping[str, Any], about: str) -> str:
    try:
        problems = parse(cls, values, owner(cls))[1]
    except Exception as error:  # what any plugin's own check may raise
        return f"!{type(error).__name__}: {error}"
    return next((p.text for p in problems if p.key == about), problems[0].text if problems else "")


def _guess(p: Param) -> Any:
    if p.path:
        return None
    if p.choices:
        leaf: Any = p.choices[0]
    elif p.means in _STANDINS:
        leaf = _STANDINS[p.means]
    else:
        return None
    return [leaf] if get_origin(p.type) is list else leaf


def _variants(cls: type, values: Mapping[str, Any]) -> Iterator[Any]:
    """Instances: of the values, and with each parameter at each of its bounds and choices, where it builds."""
    for changed in ({}, *({p.name: value} for p, value in _allowed(cls))):
        try:
            instance, problems = parse(cls, {**values, **changed}, owner(cls))
        except Exception:  # what a plugin's own check may raise; another check says so
            continue
        if not problems:
            yield instance


def _allowed(cls: type) -> Iterator[tuple[Param, Any]]:
    for p in describe(cls):
        kind = _inner(p.type)
        if get_origin(kind) is Literal:
            leaves: list[Any] = list(get_args(kind))
        elif bool in _kinds(kind):
            leaves = [False, True]
        elif str in _kinds(kind):
            leaves = list(p.choices) or ['"quoted" \\ and ünïcode']
        else:
            low = None if p.min is None or p.min_exclusive else p.min
            leaves = [v for v in (low, p.soft_min, p.soft_max, p.max) if v is not None]
        for leaf in leaves:
            if not (p.path or p.means):
                yield p, _filled_with(kind, int(leaf) if _kinds(kind) == {int} else leaf)


def _refused(cls: type) -> Iterator[tuple[Param, Any]]:
    for p in describe(cls):
        kind = _inner(p.type)
        inner = _kinds(kind)
        leaf_kind = next(iter(inner)) if len(inner) == 1 else None
        if leaf_kind is None or get_origin(kind) is dict:
            continue
        if leaf_kind in _WRONG:
            yield p, _filled_with(kind, _WRONG[leaf_kind])
        if leaf_kind in (int, float):
            if p.min is not None:
                yield p, _filled_with(kind, p.min if p.min_exclusive else p.min - 1)
            if p.max is not None:
                yield p, _filled_with(kind, p.max + 1)
        if leaf_kind is float:
            yield p, _filled_with(kind, math.nan)
        if p.choices:
            yield p, _filled_with(kind, "no such choice")


def _inner(kind: Any) -> Any:
    """The type of an optional parameter's value."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(a for a in get_args(kind) if a is not type(None))
    return kind


def _kinds(kind: Any) -> set[Any]:
    """The scalar types that a type is made of."""
    kind = _inner(kind)
    if get_origin(kind) is Literal:
        return {Literal}
    args = [a for a in get_args(kind) if a is not ...]
    return set().union(*(_kinds(a) for a in args)) if args else {kind}


def _filled_with(kind: Any, leaf: Any) -> Any:
    """A plain value of a type all of whose scalars are ``leaf``."""
    kind, origin, args = _inner(kind), get_origin(_inner(kind)), get_args(_inner(kind))
    if origin is list or (origin is tuple and args[-1] is ...):
        return [_filled_with(args[0], leaf)]
    if origin is tuple or kind == Range:
        return [_filled_with(a, leaf) for a in args]
    if origin is dict:
        return {"key": _filled_with(args[1], leaf)}
    return leaf


def _leaves(value: Any) -> Iterator[Any]:
    value = plain_value(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def missing(cls: type, values: Mapping[str, Any]) -> str:
    """Which values the test stage still needs, as one sentence; "" if the plugin can be built."""
    for p in describe(cls):
        if p.default is attrs.NOTHING and p.name not in values:
            return (
                f"its parameter '{p.name}' has no default: give {p.expected()} that works on the tiny stage, "
                f"as values={{'{p.name}': ...}} or --set {p.name}=..."
            )
    problems = parse(cls, values, owner(cls))[1]
    return problems[0].text if problems else ""
