# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators tell the user: why they are disabled, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from ...engine.errors import RecipeError
from ..settings.problems import Problem, in_words
from ..settings.recipe import is_set_up


def problems_of_error(error: Exception) -> list[str]:
    """The messages of an expected error."""
    return error.problems if isinstance(error, RecipeError) else [str(error)]


def report_error(operator: Any, error: Exception, scene: Any = None) -> set[str]:
    """Report an expected error, all of it; returns what ``execute`` is to return."""
    scene = scene or bpy.context.scene
    return report_problems(operator, [in_words(scene, text) for text in problems_of_error(error)])


def report_problems(operator: Any, problems: Sequence[Problem]) -> set[str]:
    """Report problems, all of them; returns what ``execute`` is to return."""
    operator.report({"ERROR"}, "\n".join(problem.text for problem in problems))
    return {"CANCELLED"}


def is_editable(operator: Any, context: Any) -> bool:
    """For ``poll``: whether the scene's settings can be changed; a linked scene's cannot."""
    if context.scene.library is not None:
        file = Path(context.scene.library.filepath).name
        operator.poll_message_set(f"This scene is linked: open {file} to change it")
        return False
    return True


def has_recipe(operator: Any, context: Any) -> bool:
    """For ``poll``: whether the scene has settings."""
    if not is_set_up(context.scene):
        operator.poll_message_set("Set up the dataset first: Properties > Output > Twinset")
        return False
    return True


def can_render(operator: Any, context: Any) -> bool:
    """For ``poll``: whether the scene can be previewed and rendered."""
    problem = ""
    if context.scene is None:
        problem = "There is no scene"
    elif not is_set_up(context.scene) or not context.scene.twinset.classes:
        problem = "Mark some objects as a class first"
    if problem:
        operator.poll_message_set(problem)
    return not problem
