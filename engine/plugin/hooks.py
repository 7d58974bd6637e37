# SPDX-License-Identifier: GPL-3.0-or-later
"""The optional hooks of plugins: which there are, which a plugin defines, and mistakes in their declaration."""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Iterator, Sequence
from typing import Any

from .kinds import BASES, METHODS, FittedTarget, Plugin
from .renames import warn

FORMER_HOOKS = {
    "placement": {"first": "runs_first", "site": "offer_site"},
    "appearance": {"by_frame": "uses_goals"},
    "camera": {"reach": "reachable_boxes", "arrange": "place_and_pose"},
    "effect": {},
    "target": {},
    "metric": {"from_labels": "measures_probes", "complete": "dataset_columns", "summarise": "dataset_summary"},
    "filter": {"early": "judges_probes", "open": "open_gate"},
    "writer": {},
}
"""By kind, the names that hooks had in the release before; they are still understood, with a note in the log."""


def hooks_of(kind: str) -> dict[str, Any]:
    """The optional hooks of a kind by name, in the order of their declaration, each with its default."""
    declared = {**vars(BASES[kind]), **vars(Plugin)}
    return {name: value for name, value in declared.items() if name[0] != "_" and name != METHODS[kind]}


def all_hooks() -> dict[str, list[str]]:
    """Every hook with the kinds that have it."""
    out: dict[str, list[str]] = {}
    for kind in BASES:
        for name in hooks_of(kind):
            out.setdefault(name, []).append(kind)
    return out


def add_defaults(cls: type, kind: str, label: str) -> frozenset[str]:
    """Give a class the hooks of its kind that it does not define; returns the names of those that it does define.

    ``label`` names the plugin in the note about hooks that have a former name.
    """
    for old, new in FORMER_HOOKS[kind].items():
        value = _own(cls, old)
        if _own(cls, new) is None and (callable(value) or isinstance(value, bool | property)):
            warn(label, old, new)
            setattr(cls, new, value)
    defined = []
    for name, default in hooks_of(kind).items():
        if _own(cls, name) is not None:
            defined.append(name)
        elif not issubclass(cls, BASES[kind]):
            setattr(cls, name, default)
    return frozenset(defined)


def defines(plugin: Any, hook: str) -> bool:
    """Whether a plugin (class or instance) defines a hook itself instead of leaving it at the default."""
    return hook in plugin.plugin_hooks


def flags_of(plugin: Any) -> set[str]:
    """The hooks of a plugin (class or instance) that are True as class attributes."""
    return {name for name in hooks_of(plugin.plugin_kind) if getattr(plugin, name) is True}


def lacks_method(cls: type, method: str) -> bool:
    """Whether a class leaves a method to the base classes of plugins, which do not implement it."""
    return not callable(_own(cls, method))


def hook_problem(cls: type, kind: str, parameters: set[str]) -> str:
    """What is wrong with the hooks that a plugin class defines, as one sentence; "" where nothing is."""
    known, elsewhere = hooks_of(kind), all_hooks()
    for name, value in _public(cls):
        if name in parameters or name == METHODS[kind] or name in FORMER_HOOKS[kind]:
            continue
        if kind == "target" and name in vars(FittedTarget):  # a target may be its own fit
            continue
        if name in known:
            with_drawn = name == "source_pixels" and value is not known[name] and _own(cls, "draw") is not None
            more = ("drawn",) if with_drawn else ()
            if problem := _form_problem(name, value, known[name], more):
                return problem
        elif name in elsewhere:
            return f"'{name}' is a hook of {' and '.join(elsewhere[name])} plugins; a {kind} plugin has no such hook."
        elif close := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            return f"it has no hook '{name}'. Did you mean '{close[0]}'?"
    return ""


def _form_problem(name: str, value: Any, default: Any, more: Sequence[str] = ()) -> str:
    if isinstance(default, types.FunctionType):
        wanted = [*(p for p in inspect.signature(default).parameters if p != "self"), *more]
        if not callable(value):
            return f"its hook '{name}' must be a method {name}({', '.join(wanted)})."
        try:
            inspect.signature(value).bind(*([None] * (len(wanted) + 1)))
        except TypeError:
            return f"its hook '{name}' must take ({', '.join(wanted)}). It takes {_arguments(value)} instead."
    elif isinstance(default, tuple):
        if not isinstance(value, list | tuple | property):
            return f"its hook '{name}' must be a tuple. Got {value!r} instead."
    elif not isinstance(value, type(default) | property):
        return f"its hook '{name}' must be of type {type(default).__name__}. Got {value!r} instead."
    return ""


def _arguments(function: Any) -> str:
    names = [str(p) for p in inspect.signature(function).parameters.values()]
    return f"({', '.join(names[1:])})"


def _public(cls: type) -> Iterator[tuple[str, Any]]:
    """The public attributes that a class or its own bases define."""
    for base in _own_classes(cls):
        yield from ((name, value) for name, value in list(vars(base).items()) if not name.startswith(("_", "plugin_")))


def _own(cls: type, name: str) -> Any:
    """What a class, or a base of its own, says of a name; None where only the base classes of plugins do."""
    for base in _own_classes(cls):
        if name in vars(base):
            value = vars(base)[name]
            inherited = any(value is hooks_of(kind).get(name) and callable(value) for kind in BASES)
            return None if inherited else value
    return None


def _own_classes(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base is not object and base not in (Plugin, *BASES.values())]


def attempts_per_draw(target: Any, fitted: Any) -> int:
    """After how many failed attempts a frame gets other goals: the target's hook, or what it was called before."""
    former = getattr(fitted, "tries", 0)  # where targets of the release before declare it
    if target.attempts_per_draw or not isinstance(former, int) or not former:
        return int(target.attempts_per_draw)
    warn(f"target '{target.plugin_id}'", "tries", "attempts_per_draw")
    return former
