# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts settings that were saved by an older version, or with other parameters of plugins."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...engine.plugin.contract import KINDS
from ...engine.plugin.params import coerce, describe, plain_value
from ...engine.plugin.renames import current_names
from ...engine.recipe.settings import LISTS, TABLES, JobSettings, ModelSettings
from .plugins import registry
from .properties import VERSION
from .recipe import fill_table, is_set_up, table_of

log = logging.getLogger(__name__)

Table = dict[str, Any]


def _stack_of_target(table: Table) -> Table:
    """Version 0 had one target as a table; now it is a stack like the others, with entries that can be disabled."""
    target = table.get("target")
    return table | {"target": [target] if target else []} if isinstance(target, Mapping | None) else table


def _unchanged(table: Table) -> Table:
    """Version 1 had names of objects only; filling in the table finds the objects."""
    return table


STEPS: dict[int, Callable[[Table], Table]] = {0: _stack_of_target, 1: _unchanged}
"""Version to the function that converts its settings to those of the next version."""


def migrate(table: Table, version: int, steps: Mapping[int, Callable[[Table], Table]] | None = None) -> Table:
    """Convert settings of an older version; values that are no longer valid are left out with a warning in the log.

    Parameters
    ----------
    table : dict
        As :func:`.recipe.table_of` gives it.
    version : int
        The version that saved it. Those of newer versions are not converted.
    steps : mapping, optional
        As ``STEPS``, which is the default.
    """
    chosen = STEPS if steps is None else steps
    while version in chosen:
        table, version = chosen[version](table), version + 1
    return _without_invalid(table)


def current_spelling(table: Mapping[str, Any]) -> Table:
    """The same table with the current names of plugins and parameters, for presets of an older version."""
    out: Table = {}
    for key, values in table.items():
        if key in KINDS:
            rows = [values] if isinstance(values, Mapping) else values
            out[key] = [_current_use(key, use) for use in rows]
        elif key in TABLES and isinstance(values, Mapping):
            out[key] = current_names(describe(TABLES[key]), values)
        else:
            out[key] = values
    return out


def _current_use(kind: str, use: Mapping[str, Any]) -> Table:
    id = registry().current_id(kind, use["plugin"])
    params = describe(registry().find(kind, id)) if id in registry().ids(kind) else []
    return current_names(params, {**use, "plugin": id})


def saved_text(scene: bpy.types.Scene) -> str:
    """The settings as text that all later versions can read, unlike Blender's storage of properties."""
    return json.dumps({"version": VERSION, "made of": declarations(), "table": table_of(scene)}, ensure_ascii=False)


def declarations() -> int:
    """A checksum that changes whenever the parameters of a table or plugin change."""
    import zlib

    classes = [JobSettings, ModelSettings, *TABLES.values(), *LISTS.values(), *registry().catalogue()]
    parameters = [(cls.__name__, [(p.name, str(p.type), p.choices, p.unit) for p in describe(cls)]) for cls in classes]
    return zlib.crc32(repr(parameters).encode())


def restore(scene: bpy.types.Scene) -> bool:
    """Load the saved text if it is from another version or other parameters: Blender's storage may be wrong then."""
    saved = json.loads(scene.twinset.saved) if scene.twinset.saved else {}
    if not saved or (saved["version"] == VERSION and saved.get("made of") == declarations()):
        return False
    log.info("Converting the settings of scene '%s', which were saved in version %s.", scene.name, saved["version"])
    fill_table(scene, migrate(saved["table"], saved["version"]))
    return True


@persistent
def on_save(*_: Any) -> None:
    """Store the settings of all scenes as text."""
    for scene in bpy.data.scenes:
        if scene.library is None and is_set_up(scene):
            scene.twinset.saved = saved_text(scene)


@persistent
def on_load(*_: Any) -> None:
    """Convert settings that older versions saved."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            try:
                restore(scene)
            except (ValueError, KeyError, TypeError) as error:  # a file from a newer version, or damaged
                log.warning("The settings of scene '%s' cannot be converted: %s.", scene.name, error)


def _without_invalid(table: Table) -> Table:
    out: Table = {}
    for key, values in table.items():
        if key in TABLES and isinstance(values, Mapping):
            out[key] = _valid_values(TABLES[key], values, f"[{key}]", also=("models",))
            if "models" in values:
                out[key]["models"] = [_valid_values(ModelSettings, row, "[[scene.models]]") for row in values["models"]]
        elif key in LISTS:
            out[key] = [_valid_values(LISTS[key], row, f"[[{key}]]") for row in values]
        elif key in KINDS:
            out[key] = [_valid_use(key, use) for use in values]
        else:
            out[key] = values
    return out


def _valid_use(kind: str, use: Mapping[str, Any]) -> Table:
    id = registry().current_id(kind, use["plugin"])
    if id not in registry().ids(kind):
        return dict(use)  # kept unchanged until the plugin is available again
    own = ("plugin", "enabled", "weight")
    return _valid_values(registry().find(kind, id), {**use, "plugin": id}, f"{kind} '{id}'", also=own)


def _valid_values(cls: type, values: Mapping[str, Any], owner: str, also: tuple[str, ...] = ()) -> Table:
    params = {p.name: p for p in describe(cls)}
    out = {}
    for name, value in current_names(params.values(), values).items():
        if name in also:
            out[name] = value
        elif name not in params:
            log.warning("%s no longer has '%s'; it is left out.", owner, name)
        else:
            try:
                out[name] = plain_value(coerce(params[name], value))
            except (ValueError, OverflowError):
                log.warning("%s: %r is no longer valid for '%s'; the default is used.", owner, value, name)
    return out


def register() -> None:
    """Add the handlers for saving and loading files."""
    bpy.app.handlers.save_pre.append(on_save)
    bpy.app.handlers.load_post.append(on_load)


def unregister() -> None:
    """Remove the handlers."""
    bpy.app.handlers.save_pre.remove(on_save)
    bpy.app.handlers.load_post.remove(on_load)
