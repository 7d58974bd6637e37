# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a scene from being previewed or rendered, in the words of the panels, and where it is corrected."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import bpy

from ...engine.errors import RecipeError
from ...engine.plugin.contract import KINDS
from ...engine.recipe.settings import LISTS, TABLES
from ..missing_packages import missing_packages, missing_packages_message
from .display_names import label_of
from .fields import read
from .properties import list_attribute, parameters_of
from .real_annotations import categories
from .recipe import is_set_up, recipe_of, table_of
from .references import missing_object, missing_zone

_MAX_AGE = 5.0
"""Seconds after which files are looked for again."""

_PREFIX = re.compile(r"^\[+(?P<key>[\w.]+)\]+(?: (?P<field>[\w.]+))?(?: \(line \d+\))?: ")
_PARAMETER = re.compile(r"^The '(\w+)' parameter of \w+ (?:'([^']+)'|\[\w+\])")
_OWNER = re.compile(
    r"(?:\b(?:Class|Placement|Camera|Appearance|Effect|Target|Metric|Filter|Writer|of \w+) )'([^']+)'", re.I
)
_TITLES = {
    "camera_model": "Calibrated Camera",
    "class": "Classes",
    "output": "Images and Labels",
    "rig": "Camera Rig",
    "scene": "Room",
    "sequence": "Sequences",
    "split": "Train, Validate, Test",
}
_TITLES |= {"goal": "Additional Goals", "distractor": "Distractors", "render": "Rendering", "real": "Real Dataset"}
_TITLES |= {"metric": "Metrics", "filter": "Filters", "scene.models": "Room > Additional Models"}

_cache: dict[str, Any] = {"key": "", "time": 0.0, "problems": ()}


@attrs.frozen
class Problem:
    """A problem, and how it is corrected.

    ``path`` is that of the group of settings in the scene and ``field`` its field, ``operator`` that of an operator;
    each is "" for none.
    """

    text: str
    path: str = ""
    field: str = ""
    operator: str = ""


def problems_of(scene: bpy.types.Scene, *, is_saved: bool = False) -> list[Problem]:
    """Everything that keeps the scene from being previewed; from being rendered by others, if it must be saved.

    Checked again after changes, and every few seconds for files.
    """
    if not is_set_up(scene):
        return [Problem("Set up the dataset first.")]
    key = json.dumps([bpy.data.filepath, scene.name, len(scene.objects), table_of(scene)])
    now = time.monotonic()
    if _cache["key"] != key or now - _cache["time"] > _MAX_AGE:
        _cache.update(key=key, problems=tuple(_check(scene)), time=now)
    found = list(_cache["problems"])
    if is_saved and not bpy.data.filepath and scene.twinset.room == "THIS":
        found.insert(0, Problem("Save the file first: the recipe refers to it."))
    return found


def forget_problems() -> None:
    """Check again at the next call, for example after loading other plugins."""
    _cache.update(key="", time=0.0)


def in_words(scene: bpy.types.Scene, message: str) -> Problem:
    """A message about the recipe in the words of the panels, with the field that it is about."""
    found = _PREFIX.match(message)
    if found is None:
        return Problem(message)
    key, field, text = found["key"], found["field"] or "", message[found.end() :]
    owner = _OWNER.search(text)
    title = _TITLES.get(key, label_of(key))
    group, name = _group_of(scene, key, owner[1] if owner else "")
    text = re.sub(r" Correct the path; relative ones start at the recipe's folder\.$", "", text)
    text = re.sub(r"^Class '(.*)' has no source\..*", r"Class '\1' has no objects.", text)
    text = re.sub(r"^\w+ '[\w-]+': 'surfaces' must name at least one object\.", "No surface is marked.", text)
    parameter = _PARAMETER.match(text)
    if parameter is not None:
        field = parameter[1]
        text = label_of(field) + text[parameter.end() :]
    text = re.sub(r"^(?:\w+ '[\w-]+'|Table \[\w+\]): ", "", text)
    text = re.sub(r"'(\w+)'", lambda m: f"'{label_of(m[1])}'" if _has_field(group, m[1]) else m[0], text)
    where = f"{title} > {name}" if name and not text.startswith("Class '") else title
    return Problem(f"{where}: {text}", _path_of(group), field if _has_field(group, field) else "")


def _check(scene: bpy.types.Scene) -> Iterator[Problem]:
    settings = scene.twinset
    missing = missing_packages_message(missing_packages())
    if missing:
        yield Problem(missing)
    if not len(settings.classes):
        yield Problem("Mark the objects to detect as a class: select them and press New Class.")
    targets = [use for use in settings.targets if use.enabled]
    if targets and not settings.real.annotations:
        yield Problem(
            "Choose the COCO file of your real photos, or turn off the target.", "twinset.real", "annotations"
        )
    yield from _classes_without_boxes(scene, targets)
    lost = list(_missing_references(scene))
    yield from lost
    places = {problem.path for problem in lost}
    for message in _messages(scene):
        problem = in_words(scene, message)
        if "has no class" in message and not len(settings.classes):
            continue
        if problem.path in places and "has no objects" in problem.text:
            continue
        if targets and not settings.real.annotations and message.startswith(("[real]", "[target]", "[[target]]")):
            continue
        yield problem


def _classes_without_boxes(scene: bpy.types.Scene, targets: Sequence[Any]) -> Iterator[Problem]:
    """Classes whose boxes a target is to match, and of which the photos have none."""
    real = set(categories(scene.twinset.real.annotations))
    own = [entry.name for entry in scene.twinset.classes]
    for use in targets if real else ():
        group = parameters_of(use)
        if not hasattr(group, "classes"):
            continue
        for name in [entry.value for entry in group.classes] or own:
            if name in own and name not in real:
                text = (
                    f"The photos have no boxes of '{name}'. Rename the class, or name the others in Target > Classes."
                )
                yield Problem(text, _path_of(group), "classes")


def _messages(scene: bpy.types.Scene) -> Sequence[str]:
    try:
        # The settings can be valid before the file is saved; operators that need the file check for it.
        blend = Path(bpy.data.filepath or "untitled.blend")
        recipe_of(scene, blend=blend, check_files=True)
    except RecipeError as error:
        own = str(Path(bpy.data.filepath or "untitled.blend").resolve())
        return [message for message in error.problems if own not in message]
    return []


def _missing_references(scene: bpy.types.Scene) -> Iterator[Problem]:
    """Objects and collections that settings name and the scene does not have."""
    settings = scene.twinset
    is_here = settings.room == "THIS"
    for group, title, enabled in _groups(settings):
        for field in group.twinset_fields if enabled else ():
            value = getattr(group, field.attributes[0])
            if field.form == "names" and field.param.means == "object" and is_here:
                for entry in value:
                    name = missing_object(scene, entry)
                    if name:
                        text = (
                            f"{title} > {field.label}: there is no object '{name}' in this scene. Choose another one."
                        )
                        yield Problem(text, _path_of(group), field.param.name)
            elif field.form == "zone" and is_here and missing_zone(scene, read(group, field)):
                text = f"{title} > {field.label}: no mesh of this scene has a material or vertex group of this name."
                yield Problem(text, _path_of(group), field.param.name)
            elif field.form == "collection" and value is None and group.kept and is_here:
                kept = json.loads(group.kept).get(field.param.name)
                if kept and kept[1] == "":
                    text = f"{title}: there is no collection '{kept[0]}' in this file. Choose another one."
                    yield Problem(text, _path_of(group), field.param.name)


def _groups(settings: Any) -> Iterator[tuple[Any, str, bool]]:
    """All groups of settings, with the names of their panels, and whether they are used."""
    for key in TABLES:
        yield getattr(settings, key), _TITLES.get(key, label_of(key)), True
    for key in LISTS:
        for entry in getattr(settings, list_attribute(key)):
            name = getattr(entry, "name", "")
            yield (
                entry,
                f"{_TITLES.get(key, label_of(key))} > {name}" if name else _TITLES.get(key, label_of(key)),
                True,
            )
    for kind in KINDS:
        for use in getattr(settings, list_attribute(kind)):
            group = parameters_of(use)
            if group is not None:
                yield group, f"{_TITLES.get(kind, label_of(kind))} > {label_of(use.plugin)}", use.enabled


def _group_of(scene: bpy.types.Scene, key: str, owner: str) -> tuple[Any, str]:
    """The group of settings that a message is about, and its name in the panel."""
    settings = scene.twinset
    if key in TABLES:
        return getattr(settings, key), ""
    if key == "scene.models":
        return (settings.models[0] if len(settings.models) == 1 else None), ""
    if key in LISTS:
        entries = getattr(settings, list_attribute(key))
        found = next((entry for entry in entries if getattr(entry, "name", "") == owner), None)
        return found, owner
    if key in KINDS:
        uses = [use for use in getattr(settings, list_attribute(key)) if use.enabled]
        found = next((use for use in uses if use.plugin == owner), uses[0] if len(uses) == 1 else None)
        return (None, "") if found is None else (parameters_of(found), label_of(found.plugin))
    return None, ""


def _has_field(group: Any, name: str) -> bool:
    return any(field.param.name == name for field in getattr(group, "twinset_fields", ()))


def _path_of(group: Any) -> str:
    return "" if group is None else str(group.path_from_id())
