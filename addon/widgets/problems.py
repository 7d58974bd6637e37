# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws problems beside the button that they block, with buttons that correct them."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..settings.problems import Problem
from ..translations.catalog import worded
from .layouts import draw_text

_MOST = 8


def draw_shared_problems(layout: bpy.types.UILayout, context: bpy.types.Context, problems: Iterable[Problem]) -> None:
    """Draw one line instead of problems that the panel of samples lists in full."""
    count = len(list(problems))
    if count:
        text = worded("Solve the {} problems above first.", count) if count > 1 else "Solve the problem above first."
        draw_text(layout, context, text, icon="ERROR")


def draw_problems(layout: bpy.types.UILayout, context: bpy.types.Context, problems: Iterable[Problem]) -> None:
    """Draw all problems, each with a button that shows its setting; nothing if there are none."""
    found = list(problems)
    if not found:
        return
    box = layout.box()
    for problem in found[:_MOST]:
        row = box.row()
        draw_text(row.column(), context, problem.text, icon="ERROR", margin=40 if problem.path else 16)
        if problem.operator:
            row.operator(problem.operator, text="", icon="FILE_NEW")
        if problem.path:
            fix = row.operator("twinset.fix_problem", text="", icon="GREASEPENCIL")
            fix.path, fix.field = problem.path, problem.field
    if len(found) > _MOST:
        box.label(text=worded("and {} more", len(found) - _MOST), icon="BLANK1")
