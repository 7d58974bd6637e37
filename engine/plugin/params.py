# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed, bounded, documented parameters: declared once on a class, used by TOML, schema, panels and docs."""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import attrs

Range = tuple[float, float]
"""A closed interval (low, high); draws are uniform in it unless a plugin says otherwise."""

Meaning = Literal["", "class", "object", "collection", "zone", "folder", "color"]

Direction = Literal["+", "-", "?"]
"""Which way a parameter moves a column."""

_KEY = "twinset"

_MAX_LISTED = 60
"""Known names that a message lists: scenes have thousands of objects."""

MORE = "twinset.more"
"""Key in a field's metadata: lists parameters that count as the class's own, see :mod:`.more_params`."""


@attrs.frozen
class Param:
    """One declared parameter, as TOML, JSON schema, Blender properties and docs see it."""

    name: str
    type: Any
    default: Any
    doc: str
    min: float | None = None
    max: float | None = None
    soft_min: float | None = None
    soft_max: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    min_exclusive: bool = False
    path: bool = False
    means: str = ""
    formerly: str = ""
    moves: Mapping[str, str] = attrs.field(factory=dict)
    unused_with: str = ""

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is attrs.NOTHING

    @property
    def interval(self) -> str:
        """The allowed values in mathematical notation, such as ``[0, inf)``."""
        low = "(-inf" if self.min is None else f"{'(' if self.min_exclusive else '['}{self.min:g}"
        high = "inf)" if self.max is None else f"{self.max:g}]"
        return f"{low}, {high}"

    def expected(self) -> str:
        """What a value must be, in words, for error sentences and docs."""
        if self.choices:
            return "one of " + ", ".join(repr(c) for c in self.choices)
        name = _type_name(self.type)
        bounded = self.min is not None or self.max is not None
        return f"{name} in {self.interval}" if bounded else name


def param(
    default: Any = attrs.NOTHING,
    *,
    doc: str,
    min: float | None = None,
    max: float | None = None,
    soft_min: float | None = None,
    soft_max: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    min_exclusive: bool = False,
    path: bool = False,
    means: Meaning = "",
    formerly: str = "",
    moves: Mapping[str, Direction] | None = None,
    unused_with: str = "",
) -> Any:
    """Declare a parameter of a frozen attrs class.

    Parameters
    ----------
    default : value, optional
        Left out, the parameter is required. Lists and dicts are copied for each instance.
    doc : str
        One sentence for tooltips and reference pages.
    min, max : float, optional
        Hard bounds, for a number or for each element of a range or list.
    soft_min, soft_max : float, optional
        Bounds of a slider.
    unit : str
        ``m``, ``deg``, ``mm``, ``px``; shown, never converted.
    choices : tuple of str
        The allowed strings.
    min_exclusive : bool
        Whether ``min`` itself is refused.
    path : bool
        The string (or each string of a list) is a file, a folder or a glob pattern. In a recipe it starts at the
        recipe's folder; plugins get it as an absolute path.
    means : str
        What the string (or each string of a list) names, or what the vector is, so that it can be picked from what is
        there: a ``class``, ``object`` or ``collection``, a ``zone`` (vertex group or material), a ``folder``, a
        ``color``.
    formerly : str
        The name it had in the release before; see :mod:`.renames`.
    moves : mapping of str to str, optional
        The metadata columns that it moves, from which reports derive their advice: ``"+"`` where higher values of the
        parameter give higher ones of the column, ``"-"`` where they give lower ones, ``"?"`` where it depends. A column
        of boxes stands for the same statistic of images, too (``brightness`` for ``image_brightness``).
    unused_with : str
        A kind of plugin: where the recipe has one, the parameter is not used.
    """
    if not isinstance(moves or {}, Mapping):
        raise TypeError(
            f"'moves' must map columns to '+', '-' or '?', such as {{'depth': '+'}}. Got {moves!r} instead."
        )
    metadata = {
        _KEY: {
            "doc": doc,
            "min": min,
            "max": max,
            "soft_min": soft_min,
            "soft_max": soft_max,
            "unit": unit,
            "choices": tuple(choices),
            "min_exclusive": min_exclusive,
            "path": path,
            "means": means,
            "formerly": formerly,
            "moves": dict(moves or {}),
            "unused_with": unused_with,
        }
    }
    if isinstance(default, list):
        return attrs.field(factory=lambda: list(default), metadata=metadata)
    if isinstance(default, dict):
        return attrs.field(factory=lambda: dict(default), metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


def describe(cls: type) -> list[Param]:
    """The parameters declared on ``cls``, in order."""
    out: list[Param] = []
    for entry in _described(cls):
        out += [entry] if isinstance(entry, Param) else entry()
    return out


@functools.cache
def _described(cls: type) -> tuple[Param | Callable[[], Iterable[Param]], ...]:
    hints = typing.get_type_hints(cls)
    out: list[Param | Callable[[], Iterable[Param]]] = []
    for field in attrs.fields(cls):
        if MORE in field.metadata:
            out.append(field.metadata[MORE])
        if _KEY not in field.metadata:
            continue
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        out.append(Param(name=field.name, type=hints[field.name], default=default, **field.metadata[_KEY]))
    return tuple(out)


def build(cls: type, values: Mapping[str, Any], owner: str) -> tuple[Any, list[str]]:
    """Make an instance of ``cls`` from plain values as TOML gives them.

    Parameters
    ----------
    cls : type
        A frozen attrs class whose fields are declared with :func:`param`.
    values : mapping
        Parameter name to plain value.
    owner : str
        Who owns the parameters, for sentences: ``camera 'close_up'``.

    Returns
    -------
    (instance or None, list of str)
        The instance, or None and one sentence per problem.
    """
    instance, problems = parse(cls, values, owner)
    return instance, [p.text for p in problems]


@attrs.frozen
class Problem:
    """One sentence about the parameter ``key``; "" where it is about all of them together."""

    key: str
    text: str


def parse(cls: type, values: Mapping[str, Any], owner: str) -> tuple[Any, list[Problem]]:
    """Like :func:`build`, each problem with the parameter that it is about."""
    params = {p.name: p for p in describe(cls)}
    former = {p.formerly: p.name for p in params.values() if p.formerly and {p.name, p.formerly} <= set(values)}
    problems = []
    clean: dict[str, Any] = {}
    for name in values:
        if name in former:
            text = f"'{name}' is the old name of '{former[name]}'; remove one of the two."
            problems.append(Problem(name, text))
        elif name not in params:
            problems.append(Problem(name, unknown(f"{_capital(owner)} has no parameter", name, params)))
    for name, p in params.items():
        if name not in values:
            if p.required:
                problems.append(Problem(name, f"{_capital(owner)} needs the parameter '{name}': {p.expected()}."))
            continue
        try:
            clean[name] = coerce(p, values[name])
        except (ValueError, OverflowError):
            got = shorten(values[name])
            text = f"The '{name}' parameter of {owner} must be {p.expected()}. Got {got} instead."
            problems.append(Problem(name, text))
    if problems:
        return None, problems
    try:
        return cls(**clean), []
    except ValueError as error:
        return None, [Problem("", f"{_capital(owner)}: {error}")]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentences for a name that is not known: ``what 'name'``, the closest match, and known ones."""
    import difflib  # slow to import, and only mistakes need it

    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    shown = ", ".join(names[:_MAX_LISTED]) or "none"
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return f"{what} '{name}'.{hint} Known ones: {shown}{more}."


def shorten(value: Any, limit: int = 80) -> str:
    """``repr(value)``, cut where it is long: values in messages must not flood the screen."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def coerce(p: Param, value: Any) -> Any:
    """``value`` as the type of ``p``; ValueError where it does not fit type, bounds or choices."""
    return _coerce(p, p.type, value)


def plain(instance: Any) -> dict[str, Any]:
    """The parameters of an instance as TOML values; those that are None are left out."""
    out = {}
    for p in describe(type(instance)):
        value = getattr(instance, p.name)
        if value is not None:
            out[p.name] = plain_value(value)
    return out


def plain_value(value: Any) -> Any:
    """A value of a parameter as TOML has it: tuples become lists."""
    if isinstance(value, tuple | list):
        return [plain_value(v) for v in value]
    if isinstance(value, Mapping):
        return {k: plain_value(v) for k, v in value.items()}
    return value


def _coerce(p: Param, kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(kind) if a is not type(None)]
        if value is None:
            return None
        return _coerce(p, inner[0], value)
    if origin is Literal:
        if value not in get_args(kind):
            raise ValueError(value)
        return value
    if origin is tuple:
        return _coerce_tuple(p, get_args(kind), value)
    if origin is list:
        if not isinstance(value, list | tuple):
            raise ValueError(value)
        return [_coerce(p, get_args(kind)[0], v) for v in value]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(value)
        return {str(k): _coerce(p, get_args(kind)[1], v) for k, v in value.items()}
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(value)
        return value
    if kind in (int, float):
        return _coerce_number(p, kind, value)
    if kind is str:
        if not isinstance(value, str) or (p.choices and value not in p.choices) or (p.path and "\0" in value):
            raise ValueError(value)
        return value
    raise TypeError(f"parameter '{p.name}' has the unsupported type {kind!r}")


def _coerce_tuple(p: Param, kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or (kinds[-1] is not ... and len(value) != len(kinds)):
        raise ValueError(value)
    element_kinds = [kinds[0]] * len(value) if kinds[-1] is ... else kinds
    out = tuple(_coerce(p, k, v) for k, v in zip(element_kinds, value, strict=True))
    if kinds == (float, float) and out[0] > out[1]:
        raise ValueError(value)
    return out


def _coerce_number(p: Param, kind: type, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    if kind is int and value != int(value):
        raise ValueError(value)
    too_low = p.min is not None and (value <= p.min if p.min_exclusive else value < p.min)
    if too_low or (p.max is not None and value > p.max):
        raise ValueError(value)
    return kind(value)


def _type_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _type_name(next(a for a in get_args(kind) if a is not type(None)))
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in get_args(kind))
    if kind == Range:
        return "a pair [low, high] of floats"
    if origin is tuple:
        args = get_args(kind)
        return f"{'a list of' if args[-1] is ... else len(args)} {_plural(args[0])}"
    if origin is list:
        return f"a list of {_plural(get_args(kind)[0])}"
    if origin is dict:
        return "a table"
    return {bool: "true or false", int: "an int", float: "a float", str: "a string"}.get(kind, str(kind))


def _plural(kind: Any) -> str:
    return {bool: "booleans", int: "ints", float: "floats", str: "strings"}.get(
        kind, f"values, each {_type_name(kind)}"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
