# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what appearance plugins do to the stage, so that other frames can repeat it."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..recipe.settings import Recipe
from ..recipe.writing import relative
from ..scene.material import Material
from ..stage import Instance, Stage

RECORDED = frozenset(
    {
        "add_lamp",
        "add_light",
        "scale_lights",
        "set_background",
        "set_exposure",
        "set_focus",
        "set_material",
        "set_motion",
        "set_sky",
        "set_world",
    }
)
"""Methods of a stage by which appearances change it."""

_NAMES = frozenset({"target", "slot", "kind"})
"""Arguments whose strings are names; those of all others are files."""


class DrawRecorder:
    """A stage that records every change of world, lights and background, and passes everything on.

    Parameters
    ----------
    stage : Stage
        The stage itself.
    recipe : Recipe
        Files are recorded as it names them, see :func:`named`.

    Attributes
    ----------
    calls : list of dict
        One per change, in order: the method's name under ``call``, and its arguments as JSON values.
    of_layout : list of dict
        Those of them that all views of the layout share.
    """

    def __init__(self, stage: Stage, recipe: Recipe) -> None:
        self._stage = stage
        self._recipe = recipe
        self.calls: list[dict[str, Any]] = []
        self.of_layout: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stage, name)
        return functools.partial(self._record, name, method) if name in RECORDED else method

    def _record(self, name: str, method: Callable[..., None], *arguments: Any, **named_arguments: Any) -> None:
        # By the declaration of Stage, so that a new argument is recorded without a change here.
        bound = inspect.signature(vars(Stage)[name]).bind(self, *arguments, **named_arguments)
        bound.apply_defaults()
        method(*arguments, **named_arguments)
        values = {
            key: value if key in _NAMES and isinstance(value, str) else self._json_value(value)
            for key, value in bound.arguments.items()
            if key != "self"
        }
        self.calls.append({"call": name, **values})

    def _json_value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str | os.PathLike):
            return named(self._recipe, Path(value))
        if isinstance(value, Instance):
            return recorded_target(value)
        if isinstance(value, Material):
            files = {role: named(self._recipe, path) for role, path in value.textures.items()}
            return value.to_json() | ({"textures": files} if files else {})
        return [float(v) for v in value] if isinstance(value, Iterable) else float(value)


def recorded_target(instance: Instance) -> dict[str, Any]:
    """An instance as records name it: by its asset and where it stands, since ids differ between frames."""
    return {"shape": instance.asset.name, "position": [float(x) for x in instance.matrix[:3, 3]]}


def named(recipe: Recipe, path: Path) -> str:
    """A file as the recipe would name it, the same on every machine that the recipe works on.

    By an environment variable where the recipe uses one that leads there (``${DATA}/hall.hdr``), else as seen from the
    recipe's folder; with forward slashes.
    """
    path = Path(path).resolve()
    for variable in recipe.variables:
        root = Path(os.path.expanduser(os.environ.get(variable) or os.devnull)).resolve()
        if path.is_relative_to(root):
            return f"${{{variable}}}/{path.relative_to(root).as_posix()}"
    return relative(str(path), recipe.folder)
