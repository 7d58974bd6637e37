# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws fields, lists of names and wrapped text in panels."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import blf
import bpy

from ..settings.fields import Field
from ..settings.references import missing_object
from ..translations.catalog import worded

FIRST_FIELDS = 8
"""Number of a plugin's fields that are always shown; the others are in a sub-panel."""

_MAX_NAMES = 8


ADVANCED: dict[str, tuple[str, ...]] = {
    "job": ("empty_share", "views"),
    "class": ("builtin", "blenderproc", "dataset", "select", "exclude", "weights", "up_axis"),
    "goal": ("real", "quantiles", "weight", "candidates", "samples"),
    "model": ("rotation", "scale", "up_axis"),
    "scene": ("scene", "blenderproc", "dataset", "materials", "material_assignments"),
    "sequence": ("clearance", "shake", "shake_distance", "thing_speed", "thing_turn_rate", "shutter"),
    "render": ("bounces", "alpha_threshold", "texture_limit", "max_attempts", "block_size"),
}
"""Fields that few users need, by table of the recipe. Those of ``output`` are all but the first ones."""
ADVANCED["distractor"] = ADVANCED["class"]
_BASIC = {"output": ("width", "height", "format", "quality", "min_visible_share")}


def draw_settings(layout: bpy.types.UILayout, group: Any, key: str, skip: Iterable[str] = ()) -> None:
    """Draw the fields of a table of the recipe: those that most users need, and the others in a closed sub-panel."""
    names = [field.param.name for field in group.twinset_fields if field.param.name not in skip]
    basic = [name for name in names if name in _BASIC.get(key, names) and name not in ADVANCED.get(key, ())]
    advanced = [name for name in names if name not in basic]
    if basic:
        draw_fields(layout, group, only=basic)
    if advanced:
        header, body = layout.panel(f"twinset_advanced_{key}", default_closed=True)
        header.label(text="More Labels and Files" if key == "output" else "Advanced")
        if body:
            draw_fields(body, group, only=advanced)


def draw_fields(layout: bpy.types.UILayout, group: Any, only: Iterable[str] = (), skip: Iterable[str] = ()) -> None:
    """Draw the fields of a generated property group in the order of their declaration."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    for field in group.twinset_fields:
        name = field.param.name
        if name not in skip and (not only or name in only):
            _draw_field(layout, group, field)


def draw_plugin(layout: bpy.types.UILayout, group: Any, id: str) -> None:
    """Draw the fields of a plugin: the first ones, and the others in a sub-panel."""
    names = [field.param.name for field in group.twinset_fields]
    if not names:
        layout.label(text="No Settings", icon="CHECKMARK")
        return
    shown = names if len(names) <= FIRST_FIELDS + 2 else names[:FIRST_FIELDS]
    draw_fields(layout, group, only=shown)
    if len(shown) < len(names):
        header, body = layout.panel(f"twinset_more_{id}", default_closed=True)
        header.label(text="More")
        if body:
            draw_fields(body, group, skip=shown)


def draw_text(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE", margin: int = 0
) -> None:
    """Draw a text with line breaks that fit the panel, less a margin in pixels."""
    scale = context.preferences.system.ui_scale
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    margins = (90 if icon != "NONE" else 60) + margin
    width = context.region.width - margins * scale if context.region else 400.0
    text = bpy.app.translations.pgettext_iface(text)
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(_lines(text, max(width, 100.0 * scale))):
        column.label(text=line, icon=icon if number == 0 or icon == "NONE" else "BLANK1")


def _lines(text: str, width: float) -> list[str]:
    """A text in lines of at most a width in pixels; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and blf.dimensions(0, longer)[0] > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw_field(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    first = field.attributes[0]
    if field.form in ("names", "weights", "numbers"):
        _draw_names(layout, group, field)
    elif field.switch:
        row = layout.row(heading=field.label, align=True)
        row.prop(group, field.switch, text="")
        values = row.row(align=True)
        values.active = getattr(group, field.switch)
        for name in field.attributes:
            values.prop(group, name, text="")
    elif field.form == "pair":
        column = layout.column(align=True)
        column.prop(group, first, text=f"{worded(field.label)} {worded('Min')}")
        column.prop(group, field.attributes[1], text="Max")
    elif field.form == "zone" and getattr(group, field.attributes[1]) is not None:
        layout.prop_search(group, field.attributes[1], bpy.data, "materials", text=field.label)
    elif field.form == "choices":
        layout.column(heading=field.label).prop(group, first)
    else:
        layout.prop(group, first)
        if field.form == "collection":
            _draw_missing_collection(layout, group, field)


def _draw_names(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    attribute = field.attributes[0]
    entries = getattr(group, attribute)
    path = f"{group.path_from_id()}.{attribute}"
    if field.switch:
        layout.prop(group, field.switch, text=field.label)
        if not getattr(group, field.switch):
            return
    column = layout.column(align=True)
    for index, entry in enumerate(list(entries)[:_MAX_NAMES]):
        row = column.row(align=True)
        label = field.label if index == 0 else " "
        missing = hasattr(entry, "object") and missing_object(group.id_data, entry)
        if hasattr(entry, "object") and (entry.object is not None or (entry.value and missing)):
            choice = row.row(align=True)
            choice.alert = bool(missing)
            choice.prop_search(entry, "object", group.id_data, "objects", text=label)
        else:
            row.prop(entry, "value", text=label)
        if field.form == "weights":
            row.prop(entry, "weight", text="")
        remove = row.operator("twinset.name_remove", text="", icon="REMOVE")
        remove.path, remove.index = path, index
        if missing:
            note = column.row(heading=" ")
            note.alert = True
            note.label(text=worded("Missing: {}", missing), icon="ERROR")
    split = column.split(factor=0.4, align=True)
    heading = split.row()
    heading.alignment = "RIGHT"
    hidden = len(entries) - _MAX_NAMES
    heading.label(text=field.label if not len(entries) else worded("and {} more", hidden) if hidden > 0 else "")
    row = split.row(align=True)
    row.operator("twinset.name_add", text="Add", icon="ADD").path = path
    if field.param.means == "object":
        row.operator("twinset.name_add_selected", text="", icon="RESTRICT_SELECT_OFF").path = path


def _draw_missing_collection(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    """Draw the name of a collection in the recipe that is missing in this file."""
    kept = json.loads(group.kept).get(field.param.name) if group.kept else None
    if kept and kept[1] == "" and getattr(group, field.attributes[0]) is None:
        row = layout.row(heading=" ")
        row.alert = True
        row.label(text=worded("Missing collection: {}", kept[0]), icon="ERROR")
