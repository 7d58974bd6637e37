# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings whose parameters are partly declared elsewhere, such as the output's by label passes and writers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs

from .params import MORE, Param, unknown

T = TypeVar("T")


def more_params(declared: Callable[[], Iterable[Param]]) -> Any:
    """Declare a field for the values of parameters that are declared elsewhere; see :func:`takes_more_params`.

    ``declared`` lists these parameters. They count as the class's own, at the place of the field, which is a dict of
    those values that are not the defaults.
    """
    return attrs.field(factory=dict, kw_only=True, metadata={MORE: declared})


def takes_more_params(cls: type[T]) -> type[T]:
    """Class decorator: the parameters of a :func:`more_params` field are keyword arguments and attributes, too."""
    fields: tuple[attrs.Attribute, ...] = attrs.fields(cls)  # type: ignore[arg-type]
    field = next(f for f in fields if MORE in f.metadata)
    own = {f.name for f in fields}
    plain_init = cls.__init__

    def declared() -> dict[str, Any]:
        return {p.name: p.default for p in field.metadata[MORE]()}

    @functools.wraps(plain_init)
    def init(self: T, *values: Any, **named: Any) -> None:
        more = named.pop(field.name, {}) | {key: named.pop(key) for key in set(named) - own}
        defaults = declared() if more else {}
        if not more.keys() <= defaults.keys():
            raise TypeError(unknown(f"{cls.__name__} has no parameter", min(more.keys() - defaults.keys()), defaults))
        named[field.name] = {key: value for key, value in more.items() if value != defaults[key]}
        plain_init(self, *values, **named)

    def get(self: T, name: str) -> Any:
        # Neither ``_`` nor the field itself is there while a copy is being made.
        if not name.startswith("_") and name != field.name:
            more = getattr(self, field.name)
            if name in more:
                return more[name]
            defaults = declared()
            if name in defaults:
                return defaults[name]
        raise AttributeError(f"{cls.__name__} has no attribute '{name}'")

    cls.__init__ = init  # type: ignore[assignment]
    cls.__getattr__ = get  # type: ignore[attr-defined]
    return cls
