# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings in files that an older Twinset saved, or one whose plugins had other parameters."""

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
from .properties import VERSION, registry
from .recipe import fill_table, is_set_up, table_of

log = logging.getLogger(__name__)

Table = dict[str, Any]


def _stack_of_target(table: Table) -> Table:
    """Version 0 had one target as a table; now it is a stack like the others, which remembers what is switched off."""
    target = table.get("target")
    return table | {"target": [target] if target else []} if isinstance(target, Mapping | None) else table


STEPS: dict[int, Callable[[Table], Table]] = {0: _stack_of_target}
"""What turns the settings of a version into those of the next."""


def migrate(table: Table, version: int, steps: Mapping[int, Callable[[Table], Table]] | None = None) -> Table:
    """Settings of an older version as this one has them; what no longer fits is left out and told in the log.

    Parameters
    ----------
    table : dict
        As :func:`.recipe.table_of` gives it.
    version : int
        The one that wrote it. A newer one than this is taken as it is.
    steps : mapping, optional
        Version to the function that leads to the next; default is those of this module.
    """
    chosen = STEPS if steps is None else steps
    while version in chosen:
        table, version = chosen[version](table), version + 1
    return _fitting(table)


def saved_text(scene: bpy.types.Scene) -> str:
    """The settings as text that any later version can read, unlike Blender's own storage of properties."""
    return json.dumps({"version": VERSION, "made of": declarations(), "table": table_of(scene)}, ensure_ascii=False)


def declarations() -> int:
    """A number that changes whenever a table or plugin has other parameters than before."""
    import zlib

    classes = [JobSettings, ModelSettings, *TABLES.values(), *LISTS.values(), *registry().catalogue()]
    told = [(cls.__name__, [(p.name, str(p.type), p.choices, p.unit) for p in describe(cls)]) for cls in classes]
    return zlib.crc32(repr(told).encode())


def restore(scene: bpy.types.Scene) -> bool:
    """Fill the panels anew from what was saved, where Blender's own storage may mean something else by now."""
    saved = json.loads(scene.twinset.saved) if scene.twinset.saved else {}
    if not saved or (saved["version"] == VERSION and saved.get("made of") == declarations()):
        return False
    log.info("The settings of scene '%s' were saved by version %s; they are taken over.", scene.name, saved["version"])
    fill_table(scene, migrate(saved["table"], saved["version"]))
    return True


@persistent
def on_save(*_: Any) -> None:
    """Keep the settings of all scenes as text, too."""
    for scene in bpy.data.scenes:
        if scene.library is None and is_set_up(scene):
            scene.twinset.saved = saved_text(scene)


@persistent
def on_load(*_: Any) -> None:
    """Take over what older versions saved."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            try:
                restore(scene)
            except (ValueError, KeyError, TypeError) as error:  # a file from a newer version, or damaged
                log.warning("The older settings of scene '%s' cannot be taken over: %s.", scene.name, error)


def _fitting(table: Table) -> Table:
    out: Table = {}
    for key, values in table.items():
        if key in TABLES and isinstance(values, Mapping):
            out[key] = _fit(TABLES[key], values, f"[{key}]", also=("models",))
            if "models" in values:
                out[key]["models"] = [_fit(ModelSettings, row, "[[scene.models]]") for row in values["models"]]
        elif key in LISTS:
            out[key] = [_fit(LISTS[key], row, f"[[{key}]]") for row in values]
        elif key in KINDS:
            out[key] = [_fit_use(key, use) for use in values]
        else:
            out[key] = values
    return out


def _fit_use(kind: str, use: Mapping[str, Any]) -> Table:
    id = registry().current_id(kind, use["plugin"])
    if id not in registry().ids(kind):
        return dict(use)  # kept as it is until the plugin is there again
    own = ("plugin", "enabled", "weight")
    return _fit(registry().find(kind, id), {**use, "plugin": id}, f"{kind} '{id}'", also=own)


def _fit(cls: type, values: Mapping[str, Any], owner: str, also: tuple[str, ...] = ()) -> Table:
    params = {p.name: p for p in describe(cls)}
    out = {}
    for name, value in current_names(params.values(), values).items():
        if name in also:
            out[name] = value
        elif name not in params:
            log.warning("%s has no '%s' any more; it is left out.", owner, name)
        else:
            try:
                out[name] = plain_value(coerce(params[name], value))
            except (ValueError, OverflowError):
                log.warning("%s: '%s' cannot be %r any more; it has its default.", owner, name, value)
    return out


def register() -> None:
    """Save and read settings with the files."""
    bpy.app.handlers.save_pre.append(on_save)
    bpy.app.handlers.load_post.append(on_load)


def unregister() -> None:
    """Stop that."""
    bpy.app.handlers.save_pre.remove(on_save)
    bpy.app.handlers.load_post.remove(on_load)
