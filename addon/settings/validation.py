# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of a scene's settings, and the next steps after setting up a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import RecipeError
from .properties import parameters_of
from .recipe import recipe_of, table_of

_cache: dict[str, Any] = {"table": "", "problems": []}


def recipe_problems(scene: bpy.types.Scene) -> list[str]:
    """Problems of the scene's settings; validated again only after a change."""
    table = json.dumps([bpy.data.filepath, scene.name, table_of(scene)])
    if _cache["table"] != table:
        _cache["table"] = table
        try:
            # The settings can be valid before the file is saved; operators that need the file check for it.
            recipe_of(scene, blend=Path(bpy.data.filepath or "untitled.blend"))
            _cache["problems"] = []
        except RecipeError as error:
            _cache["problems"] = error.problems
    return _cache["problems"]


def next_steps(scene: bpy.types.Scene) -> list[str]:
    """What the user still has to do in a scene that was just set up, in order."""
    settings = scene.twinset
    steps = []
    if not len(settings.classes):
        steps.append("Select the objects to detect in the 3D Viewport, then use Sidebar (N) > Twinset > New Class.")
    without_surfaces = [use for use in settings.placements if use.enabled and _needs_surfaces(parameters_of(use))]
    if without_surfaces:
        steps.append("Select the objects to place them on, then use Sidebar (N) > Twinset > Surface.")
    if any(use.enabled for use in settings.targets) and not settings.real.annotations:
        steps.append("Choose the COCO file of your real photos in Real Dataset, or remove the target.")
    return steps


def _needs_surfaces(group: Any) -> bool:
    return hasattr(group, "surfaces") and not len(group.surfaces)


def clear_cache() -> None:
    """Validate again at the next call, for example after loading other plugins."""
    _cache.update(table="", problems=[])
