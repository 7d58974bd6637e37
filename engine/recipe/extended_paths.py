# SPDX-License-Identifier: GPL-3.0-or-later
"""Relative paths of extended recipes, which start at the folder of the file that states them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..plugin.contract import KINDS
from ..plugin.params import Param, describe
from ..plugin.registry import Registry
from .extending import Places
from .paths import absolute_pattern
from .settings import LISTS, TABLES, JobSettings, ModelSettings, Room
from .toml_lines import KeyPath
from .variants import CHANGEABLE


def make_paths_absolute(data: dict[str, Any], places: Places, registry: Registry) -> None:
    """Make the paths absolute, in place, that other files than the recipe itself state."""
    for key_path, table, params in _tables(data, registry):
        for p in params:
            layer = places.find((*key_path, p.name)).layer
            if not p.path or p.name not in table or layer is places.top:
                continue
            value = table[p.name]
            if isinstance(value, str):
                table[p.name] = _absolute(value, layer.folder)
            elif isinstance(value, list):
                table[p.name] = [_absolute(one, layer.folder) if isinstance(one, str) else one for one in value]


def _absolute(text: str, folder: Any) -> str:
    """The path; one that starts with ``~`` or an environment variable stays as written."""
    return text if not text or text[0] in "~$" or os.path.isabs(text) else absolute_pattern(folder, text)


def _tables(data: Mapping[str, Any], registry: Registry) -> Iterator[tuple[KeyPath, dict[str, Any], Iterable[Param]]]:
    """Each table whose keys are declared: key path, values, declarations."""
    yield (), data, describe(JobSettings)  # type: ignore[misc]
    for key, cls in (*TABLES.items(), *LISTS.items(), ("room", Room)):
        for key_path, table in _each(data, (key,)):
            yield key_path, table, describe(cls)
            for model_path, model in _each(table, ("models",)) if key in ("scene", "room") else ():
                yield (*key_path, *model_path), model, describe(ModelSettings)
    for kind in KINDS:
        for key_path, table in _each(data, (kind,)):
            yield key_path, table, _params(registry, kind, table.get("plugin"))
    for owner in ("room", "variant"):
        for owner_path, changes in _each(data, (owner,)):
            for kind in CHANGEABLE:
                for which, table in changes.get(kind, {}).items() if isinstance(changes.get(kind), dict) else ():
                    if isinstance(table, dict):
                        yield (*owner_path, kind, which), table, _params(registry, kind, _plugin(data, kind, which))


def _each(table: Mapping[str, Any], key_path: tuple[str]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    value = table.get(key_path[0])
    if isinstance(value, dict):
        yield key_path, value
    for number, one in enumerate(value if isinstance(value, list) else ()):
        if isinstance(one, dict):
            yield (*key_path, number), one


def _plugin(data: Mapping[str, Any], kind: str, which: str) -> Any:
    """The plugin that a variant means by id or number."""
    uses = [table for _, table in _each(data, (kind,))]
    if which.isascii() and which.isdigit() and 1 <= int(which) <= len(uses):
        return uses[int(which) - 1].get("plugin")
    return which


def _params(registry: Registry, kind: str, id: Any) -> list[Param]:
    return describe(registry.find(kind, id)) if id in registry.ids(kind) else []
