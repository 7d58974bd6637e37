# SPDX-License-Identifier: GPL-3.0-or-later
"""Search spaces over parameters of a recipe: ``camera.orbit.distance=1:8:log/6``, parsed and sampled."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Sequence
from typing import Any, get_args, get_origin

import attrs

from ..errors import RecipeError
from ..plugin.params import Param, coerce, plain_value, shorten
from ..plugin.renames import warn
from .variants import Plugins, UnknownUseError, current_key, parameter

_SPAN = re.compile(r"([^:,\[\]/]+):([^:,\[\]/]+)(:log)?(?:/(\d+))?")
_FORMS = "Write LOW:HIGH, LOW:HIGH:log, LOW:HIGH/LEVELS, A,B,C or a TOML array of values."


@attrs.frozen
class Axis:
    """One varied parameter.

    Attributes
    ----------
    key : str
        ``kind.plugin.parameter``.
    kind : str
        ``number``; ``int``; ``range`` or ``ints``, whose values are parts of the interval; ``choice``.
    low, high : float
        The interval; not of choices.
    log : bool
        Whether equal factors are equal steps.
    choices : tuple
        The values of a choice.
    levels : int
        Number of values in a grid; 0 leaves it open.
    """

    key: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    levels: int = 0

    @property
    def size(self) -> int | None:
        """Number of different values; None if it is unlimited."""
        if self.kind == "choice":
            return len(self.choices)
        return int(self.high - self.low) + 1 if self.kind in ("int", "ints") else None

    def value(self, u: float, width: float) -> Any:
        """The value at ``u`` in [0, 1); intervals take the part ``width`` of the whole around it."""
        if self.kind == "choice":
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        count = int(self.high - self.low) + 1
        if self.kind == "int":
            return int(self.low) + min(int(u * count), count - 1)
        start = min(max(u - width / 2, 0.0), 1.0 - width)
        if self.kind == "ints":
            first = min(int(start * count + 1e-9), count - 1)
            return [int(self.low) + first, int(self.low) + max(first, math.ceil((start + width) * count - 1e-9) - 1)]
        if self.kind == "range":
            return [self._at(start), self._at(start + width)]
        return self._at(u)

    def _at(self, u: float) -> float:
        if self.log:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + u * (self.high - self.low)
        # Four digits are as precise as probes can measure; the ends stay within the bounds.
        return min(max(float(f"{value:.4g}"), self.low), self.high)


def read_axes(texts: Sequence[str], plugins: Plugins) -> list[Axis]:
    """The axes of ``key=values`` texts.

    Raises
    ------
    RecipeError
        With one sentence per text that cannot be used.
    """
    axes: list[Axis] = []
    problems = []
    for text in texts:
        try:
            axis = _read(text, plugins)
        except ValueError as error:
            problems.append(f"--vary {text}: {error}")
            continue
        if any(axis.key == other.key for other in axes):
            problems.append(f"--vary {text}: '{axis.key}' is varied already. Give all its values in one --vary.")
        axes.append(axis)
    if problems:
        raise RecipeError(problems)
    return axes


def _read(text: str, plugins: Plugins) -> Axis:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise ValueError(f"it has no values. {_FORMS}")
    try:
        p, old, key = parameter(plugins, key), key, current_key(plugins, key)
    except UnknownUseError as error:
        raise ValueError(str(error)) from None
    if key != old:
        warn("--vary", old, key)
    kind = _kind(p)
    span = _SPAN.fullmatch(values)
    if span and kind != "choice":
        return _span(key, p, kind, span)
    choices = tuple(_checked(p, value) for value in _listed(values, kind))
    if len(choices) < 2:
        raise ValueError(f"{values} is a single value. {_FORMS}")
    return Axis(key, "choice", choices=choices)


def _span(key: str, p: Param, kind: str, span: re.Match[str]) -> Axis:
    try:
        low, high = float(span[1]), float(span[2])
    except ValueError:
        raise ValueError(f"'{span[0]}' is not an interval of numbers. {_FORMS}") from None
    if not low < high or not math.isfinite(high - low):
        raise ValueError(f"the interval {span[1]}:{span[2]} must be ascending.")
    levels = int(span[4] or 0)
    if span[4] and levels < 2:
        raise ValueError("a grid needs at least two levels.")
    log = bool(span[3])
    if log and low <= 0:
        raise ValueError("a log scale needs a lower end above 0.")
    if kind in ("int", "ints"):
        if low != int(low) or high != int(high):
            raise ValueError(f"'{p.name}' takes whole numbers.")
        log = False
    for end in (low, high):
        _checked(p, [end, end] if kind in ("range", "ints") else end)
    axis = Axis(key, kind, low, high, log, levels=levels)
    return attrs.evolve(axis, levels=min(levels, axis.size)) if axis.size else axis


def _listed(text: str, kind: str) -> list[Any]:
    """The values of a TOML array, or of ``a,b,c``; those of intervals are ``low:high``."""
    if text.startswith("["):
        try:
            return list(tomllib.loads(f"x = {text}")["x"])
        except tomllib.TOMLDecodeError:
            raise ValueError(f"'{text}' is not a TOML array.") from None
    return [_scalar(part.strip(), kind) for part in text.split(",")]


def _scalar(text: str, kind: str) -> Any:
    if kind in ("range", "ints") and ":" in text:
        return [_scalar(part, "") for part in text.split(":")]
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _checked(p: Param, value: Any) -> Any:
    try:
        return plain_value(coerce(p, value))
    except (ValueError, OverflowError):
        raise ValueError(f"'{p.name}' must be {p.expected()}. Got {shorten(value)} instead.") from None


def _kind(p: Param) -> str:
    kind = p.type
    if get_origin(kind) is not tuple and type(None) in get_args(kind):
        kind = next(a for a in get_args(kind) if a is not type(None))
    pair = get_args(kind) if get_origin(kind) is tuple else ()
    if pair == (float, float):
        return "range"
    if pair == (int, int):
        return "ints"
    return "number" if kind is float else "int" if kind is int else "choice"
