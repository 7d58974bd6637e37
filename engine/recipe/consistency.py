# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a whole recipe: contradictions between its tables, and missing files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..output.label_pass import asked_passes, example_line
from ..plugin.hooks import defines
from ..plugin.params import describe, unknown
from ..scene.keypoint import keypoint_name, skeleton_pairs
from .paths import ENVIRONMENT_VARIABLE, absolute_path, matching_files
from .settings import BLENDERPROC_SCENES, GoalSettings, ModelSettings, PluginUse, SceneSettings
from .tables.classes import BLENDERPROC_OBJECTS, ClassSettings
from .toml_lines import KeyPath

Report = Callable[[KeyPath, str, str], None]

SOLVED = ("bbox_area", "aspect", "center_x", "center_y")
"""Columns that targets and cameras control."""

SCENE_SUFFIXES = (".blend", ".glb", ".gltf", ".usd", ".usda", ".usdc", ".usdz", ".fbx", ".obj")

SOURCES = ("models", "collection", "objects", "builtin", "blenderproc")
"""Keys of a class that name sources of its assets."""


def check_recipe(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    """Report contradictions between the tables of a recipe.

    Parameters
    ----------
    data : mapping
        The plain values.
    parts : mapping
        What was built of them: the tables, ``class``, ``distractor``, ``models`` (lists with None where an entry has
        problems of its own), ``rooms`` likewise, ``plugins``, and ``changed``, the plugins that variants and rooms
        change, each with its key path.
    report : callable
        Takes table, key and sentence.
    """
    _check_rooms(data, parts, report)
    _check_classes(data, parts, report)
    for key in ("class", "distractor"):
        for index, entry in enumerate(parts[key]):
            if entry is not None:
                _check_entry(entry, (key, index), report)
    _check_split(data, parts, report)
    for index, goal in enumerate(parts["goal"]):
        if goal is not None:
            _check_goal(goal, ("goal", index), parts, report)
    _check_groups(parts, report)
    if "target" in data and "real" not in data:
        text = 'A target learns from real boxes. Add [real] with annotations = "instances.json", or remove the target.'
        report(("target",), "", text)
    for use, key_path, is_repeated in _plugin_tables(data, parts["plugins"]):
        if is_repeated and use.kind == "metric":
            report(key_path, "plugin", f"The metric '{use.id}' is listed twice. Remove one of them.")
        if use.kind == "writer" and parts.get("output") is not None:
            _check_labels(use, key_path, parts["output"], report)


def check_paths(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report, folder: Path) -> None:
    """Report files that are not there; relative paths start at ``folder``. The rest as for :func:`check_recipe`."""
    real = parts["real"]
    for key_path, scene, models in _scenes(parts):
        if scene.file:
            is_pattern = key_path[0] == "room" and any(p.is_file() for p in matching_files(folder, scene.file))
            if not is_pattern:
                _check_file(scene.file, folder, key_path, "file", report)
        for key in ("dataset", "materials"):
            if getattr(scene, key):
                _check_folder(getattr(scene, key), folder, key_path, key, report)
        for index, model in enumerate(models):
            if model is not None:
                _check_file(model.path, folder, (*key_path, "models", index), "path", report)
    for key in ("class", "distractor"):
        for index, entry in enumerate(parts[key]):
            if entry is not None and entry.dataset:
                _check_folder(entry.dataset, folder, (key, index), "dataset", report)
            for pattern in entry.models if entry is not None else ():
                if not any(path.is_file() for path in matching_files(folder, pattern)):
                    text = (
                        f"No file matches '{pattern}' (looked for {absolute_path(folder, pattern)}). {_remedy(pattern)}"
                    )
                    report((key, index), "models", text)
    for index, goal in enumerate(parts["goal"]):
        if goal is not None and goal.real and not matching_files(folder, goal.real):
            report(
                ("goal", index), "real", f"There is nothing at {absolute_path(folder, goal.real)}. {_remedy(goal.real)}"
            )
    if parts["camera_model"] is not None and parts["camera_model"].file:
        _check_file(parts["camera_model"].file, folder, ("camera_model",), "file", report)
    if real is not None:
        _check_file(real.annotations, folder, ("real",), "annotations", report)
        if real.images:
            _check_folder(real.images, folder, ("real",), "images", report)
    for use, key_path, _ in _plugin_tables(data, parts["plugins"]):
        _check_plugin_paths(use, key_path, report)
    for key_path, use in parts["changed"]:
        _check_plugin_paths(use, key_path, report)


def _scenes(parts: Mapping[str, Any]) -> Iterator[tuple[KeyPath, SceneSettings, Sequence[ModelSettings | None]]]:
    """Key path, settings and models of the scene, or of each room."""
    if not parts["rooms"] and parts["scene"] is not None:
        yield ("scene",), parts["scene"], parts["models"]
    for index, room in enumerate(parts["rooms"]):
        if room is not None:
            yield ("room", index), room, room.models


def _check_rooms(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    if parts["rooms"] and "scene" in data:
        report(
            ("scene",), "", "A recipe has one [scene] or several [[room]] tables. Turn the scene into one of the rooms."
        )
    for key_path, scene, models in _scenes(parts):
        _check_scene(key_path if key_path[0] in data else (), scene, bool(models), report)
    known_names: set[str] = set()
    for index, room in enumerate(parts["rooms"]):
        if room is None:
            continue
        if room.name and room.name in known_names:
            report(("room", index), "name", f"There is already a room '{room.name}'. Give this one another name.")
        known_names.add(room.name)


def _check_scene(key_path: KeyPath, scene: SceneSettings, has_models: bool, report: Report) -> None:
    models = "[[room.models]]" if "room" in key_path else "[[scene.models]]"
    rooms = [key for key in ("file", "builtin", "blenderproc") if getattr(scene, key)]
    if len(rooms) > 1:
        report(key_path, rooms[-1], "A scene has a file, a built-in room or a dataset. Remove the others.")
    if not (rooms or has_models):
        text = (
            f'The recipe has no room. Give file = "room.blend", builtin = "hall", {models} tables, or '
            "blenderproc with a dataset."
        )
        report(key_path, "", text)
    _check_dataset(scene, key_path, report)
    if bool(scene.materials) != bool(scene.material_assignments):
        text = 'Give materials, a folder, and material_assignments, such as ["Floor*: wood*"]; one needs the other.'
        report(key_path, "materials" if scene.materials else "material_assignments", text)
    for entry in scene.material_assignments:
        if not all(part.strip() for part in (entry.rpartition(":")[0], entry.rpartition(":")[2])):
            report(
                key_path,
                "material_assignments",
                f"'{entry}' must name objects and their textures, such as 'Floor*: wood*'.",
            )
    if scene.file and not scene.file.lower().endswith(SCENE_SUFFIXES):
        text = f"'{scene.file}' is no scene that Blender reads. Give a file of {', '.join(SCENE_SUFFIXES)}."
        report(key_path, "file", text)
    if scene.frame is not None and scene.frames is not None:
        report(key_path, "frames", "A scene shows one frame of its animation or several. Remove 'frame' or 'frames'.")
    if scene.frames is not None and scene.frames[0] > scene.frames[1]:
        report(key_path, "frames", f"It must be [first, last]. It is {list(scene.frames)}.")
    if scene.scale != 1.0 and not scene.file:
        text = f"It scales the scene's file, and there is none. Remove it; {models} have their own scale."
        report(key_path, "scale", text)


def _check_split(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    """Whether the assets of the parts can be kept apart."""
    if parts["split"] is None or not parts["split"].shares:
        return
    for index, use in enumerate(parts["plugins"]["placement"]):
        if use.plugin.repeats_recorded_frames:
            text = "It repeats recorded frames, so it cannot keep to the parts of [split]. Remove one of the two."
            report(("placement", index), "plugin", text)
    if len(parts["rooms"]) < 2:
        return
    for key in ("class", "distractor") if parts["split"].distractors else ("class",):
        for index, entry in enumerate(parts[key]):
            own = next((name for name in ("collection", "objects") if entry and getattr(entry, name)), "")
            if own:
                text = "It differs between rooms, so [split] cannot keep its shapes apart. Give models instead."
                report((key, index), own, text)


def _check_groups(parts: Mapping[str, Any], report: Report) -> None:
    """Whether the images are whole sequences, and blocks whole numbers of them."""
    if parts["sequence"] is None or parts["render"] is None or None in parts["rig"] or parts["job"] is None:
        return
    names = [each.name for each in parts["rig"] if each.name]
    if len(set(names)) < len(names):
        report(("rig",), "", "Two cameras of the rig have the same name. Rename one.")
    size = parts["sequence"].length * (1 + len(parts["rig"]))
    if parts["job"].views > 1:
        _check_views(parts["job"].views, size, parts, report)
        return
    images, block = parts["job"].images, parts["render"].block_size
    what = f"{size} frames, of {parts['sequence'].length} moments and {1 + len(parts['rig'])} cameras"
    if images % size:
        near = max(1, round(images / size)) * size
        report((), "images", f"A sequence is {what}. Ask for a multiple, such as {near}. Got {images} instead.")
    if block % size:
        near = max(1, round(block / size)) * size
        report(("render",), "block_size", f"A block holds whole sequences of {what}. Set it to {near}. Got {block}.")


def _check_views(views: int, size: int, parts: Mapping[str, Any], report: Report) -> None:
    """Whether a layout can have several views, and blocks hold whole numbers of layouts."""
    if size > 1:
        table = "sequence" if parts["sequence"].length > 1 else "rig"
        report((), "views", f"Images share a layout by views or by [{table}], not by both. Remove one of the two.")
    for index, use in enumerate(parts["plugins"].get("camera", ())):
        if defines(use.plugin, "place_and_pose"):
            text = f"The camera '{use.id}' makes a layout for each image. Set views to 1, or use another camera."
            report(("camera", index), "plugin", text)
    for index, use in enumerate(parts["plugins"].get("placement", ())):
        if use.plugin.repeats_recorded_frames:
            text = "It repeats recorded frames, each with its own camera. Set views to 1, or remove it."
            report(("placement", index), "plugin", text)
    block = parts["render"].block_size
    if block % views:
        near = max(1, round(block / views)) * views
        report(
            ("render",), "block_size", f"A block holds whole layouts of {views} views. Set it to {near}. Got {block}."
        )


def _check_classes(data: Mapping[str, Any], parts: Mapping[str, Any], report: Report) -> None:
    if not parts["class"]:
        text = "The recipe has no class. Add a [[class]] table with a name and models, collection, objects or builtin."
        report((), "", text)
    tables = data.get("class")
    known_names: set[str] = set()
    for index, table in enumerate(tables if isinstance(tables, list) else []):
        name = table.get("name") if isinstance(table, Mapping) else None
        if not isinstance(name, str):
            continue
        if not name.strip():
            report(("class", index), "name", "The name of a class must not be empty.")
        elif name in known_names:
            text = f"There is already a class '{name}'. Put all sources of a class into one [[class]] table."
            report(("class", index), "name", text)
        known_names.add(name)


def _check_goal(goal: GoalSettings, key_path: KeyPath, parts: Mapping[str, Any], report: Report) -> None:
    names = [entry.name for entry in parts["class"] if entry is not None]
    if goal.class_name and goal.class_name not in names:
        report(key_path, "class_name", unknown("The recipe has no class", goal.class_name, names))
    if goal.quantiles and goal.real:
        report(key_path, "quantiles", "A goal has either real or quantiles. Remove one of them.")
    elif goal.quantiles and list(goal.quantiles) != sorted(goal.quantiles):
        text = f"The 'quantiles' of goal '{goal.column}' must be five numbers in ascending order. Got {goal.quantiles}."
        report(key_path, "quantiles", text)
    elif not goal.quantiles and not goal.real and parts["real"] is None:
        report(key_path, "", f"Goal '{goal.column}' has no values. Give real or quantiles, or a table [real].")
    for use in parts["plugins"].get("target", ()):
        if goal.column in SOLVED and goal.class_name in ("", *use.plugin.handled_classes(names)):
            text = f"The target '{use.id}' already controls boxes. Remove the goal '{goal.column}' or the target."
            report(key_path, "column", text)
    is_repeated = [other for other in parts["goal"][: int(key_path[-1])] if other is not None]
    if any((o.column, o.class_name) == (goal.column, goal.class_name) for o in is_repeated):
        report(key_path, "column", f"There is already a goal '{goal.column}' for the same boxes. Remove one of them.")


def _check_entry(entry: ClassSettings, key_path: KeyPath, report: Report) -> None:
    owner = f"{str(key_path[0]).capitalize()} '{entry.name}'"
    if not any(getattr(entry, key) for key in SOURCES):
        report(key_path, "", f"{owner} has no source. Give models, collection, objects, builtin or blenderproc.")
    _check_dataset(entry, key_path, report)
    if entry.select and not entry.blenderproc:
        report(key_path, "select", "It selects from a dataset, and there is none. Give blenderproc and dataset.")
    if entry.height is not None and entry.longest_side is not None:
        report(key_path, "longest_side", f"{owner} has both height and longest_side. Remove one of them.")
    names = [keypoint_name(text) for text in entry.keypoints]
    if entry.keypoints and key_path[0] == "distractor":
        report(key_path, "keypoints", "Distractors are not annotated, so they have no keypoints. Remove them.")
    if len(set(names)) < len(names):
        report(key_path, "keypoints", f"{owner} has two keypoints of one name. Give each another one.")
    try:
        skeleton_pairs(entry.skeleton, names)
    except ValueError as error:
        report(key_path, "skeleton", str(error))


def _check_dataset(entry: ClassSettings | SceneSettings, key_path: KeyPath, report: Report) -> None:
    if entry.blenderproc and not entry.dataset:
        report(key_path, "dataset", f"The loader '{entry.blenderproc}' needs the folder of its dataset.")
    if entry.dataset and not entry.blenderproc:
        known = BLENDERPROC_SCENES if isinstance(entry, SceneSettings) else BLENDERPROC_OBJECTS
        text = f"A dataset needs its loader of BlenderProc. Give blenderproc, one of {', '.join(known)}."
        report(key_path, "blenderproc", text)


def _plugin_tables(
    data: Mapping[str, Any], plugins: Mapping[str, tuple[PluginUse, ...]]
) -> Iterator[tuple[PluginUse, KeyPath, bool]]:
    """All plugins of the recipe, each with its key path and whether the same one comes before it."""
    for kind, uses in plugins.items():
        known_names: set[str] = set()
        for use in uses:
            yield use, _table_path(data, kind, use.id, is_repeated=use.id in known_names), use.id in known_names
            known_names.add(use.id)


def _check_labels(use: PluginUse, key_path: KeyPath, output: Any, report: Report) -> None:
    """Whether ``[output]`` has the label passes that a writer needs."""
    asked = {each.key for each, _ in asked_passes(output)}
    for key in use.plugin.uses_labels:
        if key not in asked:
            text = f"The writer '{use.id}' needs {example_line(key)} in [output]. Add it, or remove the writer."
            report(key_path, "plugin", text)


def _check_plugin_paths(use: PluginUse, key_path: KeyPath, report: Report) -> None:
    for p in describe(type(use.plugin)):
        value = getattr(use.plugin, p.name)
        if not p.path or not value:
            continue
        for path in [value] if isinstance(value, str) else value:
            if not matching_files(Path(), path):
                report(key_path, p.name, f"No file or folder matches {path}. {_remedy(str(path))}")


def _table_path(data: Mapping[str, Any], kind: str, id: str, *, is_repeated: bool) -> KeyPath:
    """Key path of a plugin's first use in the recipe, or of the second one; () if it is a default."""
    tables = data.get(kind)
    if isinstance(tables, Mapping):
        return (kind,)
    indices = [i for i, table in enumerate(tables or []) if isinstance(table, Mapping) and table.get("plugin") == id]
    return (kind, indices[-1 if is_repeated else 0]) if indices else ()


def _check_file(text: str, folder: Path, key_path: KeyPath, key: str, report: Report) -> None:
    path = absolute_path(folder, text)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        report(key_path, key, f"The file {path} {what}. {_remedy(text)}")


def _check_folder(text: str, folder: Path, key_path: KeyPath, key: str, report: Report) -> None:
    path = absolute_path(folder, text)
    if not path.is_dir():
        report(key_path, key, f"There is no folder {path}. {_remedy(text)}")


def _remedy(text: str) -> str:
    """How to correct a path that does not exist."""
    unset = [name for name in ENVIRONMENT_VARIABLE.findall(text) if name not in os.environ]
    if unset:
        return f"The environment variable {unset[0]} is not set: export {unset[0]}=/path/to/it."
    return "Correct the path; relative ones start at the recipe's folder."
