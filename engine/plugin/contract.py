# SPDX-License-Identifier: GPL-3.0-or-later
"""The one declaration of a plugin, and what becomes of the errors that it raises."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import attrs

from ..errors import PluginError, TwinsetError
from .hooks import add_defaults
from .kinds import BASES
from .results import Rejected

log = logging.getLogger(__name__)

CONTRACT = 1
"""Version of the contract between engine and plugins."""

KINDS = tuple(BASES)

T = TypeVar("T", bound=type)


def plugin(kind: str, *, id: str | None = None, contract: int = CONTRACT, formerly: str = "") -> Callable[[T], T]:
    """Declare a class as a plugin: ``@plugin("camera")``.

    The class becomes a frozen attrs class whose fields are its parameters (see :func:`..params.param`). Its id is
    ``id`` or the name of the module that defines it; its first docstring line is its one-line description. Optional
    hooks that it does not define get the defaults of its kind, see :mod:`.kinds`.
    ``formerly`` is the id that it had in an earlier release: recipes may still use it, and the plugin keeps the random
    streams of that id.
    """
    if kind not in KINDS:
        raise PluginError(f"'{kind}' is not a kind of plugin. Kinds: {', '.join(KINDS)}.")

    def decorate(cls: T) -> T:
        own_id = id or cls.__module__.rsplit(".", 1)[-1]
        hooks = add_defaults(cls, kind, f"{kind} '{own_id}'")
        frozen = attrs.frozen(cls)
        frozen.plugin_kind = kind  # type: ignore[attr-defined]
        frozen.plugin_id = own_id  # type: ignore[attr-defined]
        frozen.plugin_hooks = hooks  # type: ignore[attr-defined]
        frozen.plugin_contract = contract  # type: ignore[attr-defined]
        frozen.plugin_formerly = formerly  # type: ignore[attr-defined]
        return frozen

    return decorate


@contextlib.contextmanager
def attribute_errors_to(plugin: Any) -> Iterator[None]:
    """Turn unexpected exceptions of a plugin into a PluginError that names it, its file and line.

    A MemoryError passes unchanged: it is not the plugin's mistake, and another process or machine may have enough.
    """
    try:
        yield
    except (TwinsetError, Rejected, MemoryError):
        raise
    except Exception as error:
        kind, id = getattr(plugin, "plugin_kind", ""), getattr(plugin, "plugin_id", repr(plugin))
        log.info("The %s plugin '%s' failed:", kind, id, exc_info=True)
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f"The {kind} plugin '{id}' failed with {type(error).__name__}: {error} ({place.filename}, line "
            f"{place.lineno}). Repair it or remove it from the recipe; --verbose shows the full traceback."
        ) from error
