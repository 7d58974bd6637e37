# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators tell the user: why they are disabled, and what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...engine.errors import RecipeError
from ..settings.recipe import is_set_up


def problems_of_error(error: Exception) -> list[str]:
    """The messages of an expected error."""
    return error.problems if isinstance(error, RecipeError) else [str(error)]


def report_error(operator: Any, error: Exception) -> set[str]:
    """Report an expected error; returns what ``execute`` is to return."""
    first, *others = problems_of_error(error)
    operator.report({"ERROR"}, f"{first} (and {len(others)} more)" if others else first)
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
