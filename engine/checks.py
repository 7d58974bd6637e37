# SPDX-License-Identifier: GPL-3.0-or-later
"""What single values cannot tell of a recipe: contradictions between its tables, and files that are not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .params import describe
from .places import Place
from .settings import (
    BLENDERPROC_OBJECTS,
    BLENDERPROC_SCENES,
    VARIABLE,
    ClassSettings,
    PluginUse,
    SceneSettings,
    absolute,
    matches,
)

Report = Callable[[Place, str, str], None]

SOURCES = ("models", "collection", "objects", "builtin", "blenderproc")
"""Keys of a class that say where its assets come from."""


def check_recipe(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    """Report what does not fit together.

    Parameters
    ----------
    data : mapping
        The plain values.
    parts : mapping
        What was built of them: the tables, ``class``, ``distractor``, ``models`` (lists with None where an entry has
        problems of its own), ``plugins``, and ``changed``, the plugins that variants change, each with its place.
    report : callable
        Takes table, key and sentence.
    """
    _check_scene(data, parts["scene"], report)
    _check_classes(data, parts, report)
    for key in ("class", "distractor"):
        for index, entry in enumerate(parts[key]):
            if entry is not None:
                _check_entry(entry, (key, index), report)
    if "target" in data and "real" not in data:
        text = 'A target learns from real boxes. Add [real] with annotations = "instances.json", or drop the target.'
        report(("target",), "", text)
    for use, place, twice in _placed(data, parts["plugins"]):
        if twice and use.kind == "metric":
            report(place, "plugin", f"The metric '{use.id}' is listed twice. Keep one of them.")


def check_files(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report, folder: Path) -> None:
    """Report files that are not there; relative paths start at ``folder``. The rest as for :func:`check_recipe`."""
    scene, real = parts["scene"], parts["real"]
    if scene is not None and scene.file:
        _check_file(scene.file, folder, ("scene",), "file", report)
    if scene is not None and scene.dataset:
        _check_folder(scene.dataset, folder, ("scene",), "dataset", report)
    for index, model in enumerate(parts["models"]):
        if model is not None:
            _check_file(model.path, folder, ("scene", "models", index), "path", report)
    for key in ("class", "distractor"):
        for index, entry in enumerate(parts[key]):
            if entry is not None and entry.dataset:
                _check_folder(entry.dataset, folder, (key, index), "dataset", report)
            for pattern in entry.models if entry is not None else ():
                if not any(path.is_file() for path in matches(folder, pattern)):
                    text = f"No file matches '{pattern}' (looked for {absolute(folder, pattern)}). {_remedy(pattern)}"
                    report((key, index), "models", text)
    if real is not None:
        _check_file(real.annotations, folder, ("real",), "annotations", report)
        if real.images:
            _check_folder(real.images, folder, ("real",), "images", report)
    for use, place, _ in _placed(data, parts["plugins"]):
        _check_plugin_paths(use, place, report)
    for place, use in parts["changed"]:
        _check_plugin_paths(use, place, report)


def _check_scene(data: Mapping[str, Any], scene: SceneSettings | None, report: Report) -> None:
    if scene is None:
        return
    rooms = [key for key in ("file", "builtin", "blenderproc") if getattr(scene, key)]
    if len(rooms) > 1:
        text = "A scene has a file, an embedded room or one of a dataset. Keep one of them."
        report(("scene",), rooms[-1], text)
    has_models = isinstance(data.get("scene"), Mapping) and data["scene"].get("models")
    if not (rooms or has_models):
        text = (
            'The recipe has no room. Give file = "room.blend", builtin = "hall", [[scene.models]] tables, or '
            "blenderproc with a dataset."
        )
        report(("scene",) if "scene" in data else (), "", text)
    _check_dataset(scene, ("scene",), report)
    if scene.file and not scene.file.lower().endswith(".blend"):
        text = f"'{scene.file}' is no .blend file. Give other model files as [[scene.models]] tables."
        report(("scene",), "file", text)
    if scene.scale != 1.0 and not scene.file:
        text = "It scales a .blend file, and there is none. Take it out; [[scene.models]] have a scale of their own."
        report(("scene",), "scale", text)


def _check_classes(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    if not parts["class"]:
        text = "The recipe has no class. Add a [[class]] table with a name and models, collection, objects or builtin."
        report((), "", text)
    rows = data.get("class")
    seen: set[str] = set()
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        name = row.get("name") if isinstance(row, Mapping) else None
        if not isinstance(name, str):
            continue
        if not name.strip():
            report(("class", index), "name", "A class needs a name that is not empty.")
        elif name in seen:
            text = f"There is already a class '{name}'. Put all sources of a class into one [[class]] table."
            report(("class", index), "name", text)
        seen.add(name)


def _check_entry(entry: ClassSettings, place: Place, report: Report) -> None:
    owner = f"{str(place[0]).capitalize()} '{entry.name}'"
    if not any(getattr(entry, key) for key in SOURCES):
        report(place, "", f"{owner} has no source. Give models, collection, objects, builtin or blenderproc.")
    _check_dataset(entry, place, report)
    if entry.select and not entry.blenderproc:
        report(place, "select", "It selects from a dataset, and there is none. Give blenderproc and dataset.")
    if entry.height is not None and entry.longest is not None:
        report(place, "longest", f"{owner} has both height and longest. Keep the one that says more.")


def _check_dataset(entry: ClassSettings | SceneSettings, place: Place, report: Report) -> None:
    if entry.blenderproc and not entry.dataset:
        report(place, "dataset", f"The loader '{entry.blenderproc}' needs the folder of its dataset.")
    if entry.dataset and not entry.blenderproc:
        known = BLENDERPROC_SCENES if isinstance(entry, SceneSettings) else BLENDERPROC_OBJECTS
        text = f"A dataset needs its loader of BlenderProc. Give blenderproc, one of {', '.join(known)}."
        report(place, "blenderproc", text)


def _placed(
    data: Mapping[str, Any], plugins: Mapping[str, tuple[PluginUse, ...]]
) -> Iterator[tuple[PluginUse, Place, bool]]:
    """All plugins of the recipe, each with its place and whether the same one stands before it."""
    for kind, uses in plugins.items():
        seen: set[str] = set()
        for use in uses:
            yield use, _place_of(data, kind, use.id, twice=use.id in seen), use.id in seen
            seen.add(use.id)


def _check_plugin_paths(use: PluginUse, place: Place, report: Report) -> None:
    for p in describe(type(use.plugin)):
        value = getattr(use.plugin, p.name)
        if not p.path or not value:
            continue
        for path in [value] if isinstance(value, str) else value:
            if not matches(Path(), path):
                report(place, p.name, f"No file or folder matches {path}. {_remedy(str(path))}")


def _place_of(data: Mapping[str, Any], kind: str, id: str, *, twice: bool) -> Place:
    """Where a plugin stands in the recipe: its first use, or the second one; () where it is a default."""
    tables = data.get(kind)
    if isinstance(tables, Mapping):
        return (kind,)
    indices = [i for i, table in enumerate(tables or []) if isinstance(table, Mapping) and table.get("plugin") == id]
    return (kind, indices[-1 if twice else 0]) if indices else ()


def _check_file(text: str, folder: Path, place: Place, key: str, report: Report) -> None:
    path = absolute(folder, text)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        report(place, key, f"The file {path} {what}. {_remedy(text)}")


def _check_folder(text: str, folder: Path, place: Place, key: str, report: Report) -> None:
    path = absolute(folder, text)
    if not path.is_dir():
        report(place, key, f"There is no folder {path}. {_remedy(text)}")


def _remedy(text: str) -> str:
    """What to do about a path that leads nowhere."""
    unset = [name for name in VARIABLE.findall(text) if name not in os.environ]
    if unset:
        return f"The environment variable {unset[0]} is not set: export {unset[0]}=/path/to/it."
    return "Correct the path; relative ones start at the recipe's folder."
