# SPDX-License-Identifier: GPL-3.0-or-later
"""How fields, lists and sentences look in a panel."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from typing import Any

import blf
import bpy

from ..settings.fields import Field

FIRST = 8
"""Fields of a plugin that are shown at once; the rest folds away."""

_LONG_LIST = 8


def draw_fields(layout: bpy.types.UILayout, group: Any, only: Iterable[str] = (), skip: Iterable[str] = ()) -> None:
    """The fields of a generated group, one below the other, in the order of their declaration."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    for field in group.twinset_fields:
        name = field.param.name
        if name not in skip and (not only or name in only):
            _draw_field(layout, group, field)


def draw_plugin(layout: bpy.types.UILayout, group: Any, id: str) -> None:
    """The fields of a plugin: the first ones, and the others where the artist unfolds them."""
    names = [field.param.name for field in group.twinset_fields]
    if not names:
        layout.label(text="Nothing to set", icon="CHECKMARK")
        return
    at_once = names if len(names) <= FIRST + 2 else names[:FIRST]
    draw_fields(layout, group, only=at_once)
    if len(at_once) < len(names):
        header, body = layout.panel(f"twinset_more_{id}", default_closed=True)
        header.label(text="More")
        if body:
            draw_fields(body, group, skip=at_once)


def draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """A sentence, broken into lines that fit the panel."""
    scale = context.preferences.system.ui_scale
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    letter = blf.dimensions(0, text)[0] / max(len(text), 1) or 6.0
    margins = 90 if icon != "NONE" else 60
    letters = int((context.region.width / scale - margins) * scale / letter) if context.region else 60
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, max(letters, 20))):
        column.label(text=line, icon=icon if number == 0 or icon == "NONE" else "BLANK1")


def draw_list(layout: bpy.types.UILayout, settings: Any, key: str, attribute: str, list_class: str) -> None:
    """A list of entries with its buttons; the caller adds what adds an entry."""
    entries = getattr(settings, attribute)
    row = layout.row()
    rows = 4 if len(entries) > 1 else 2
    row.template_list(list_class, key, settings, attribute, settings, f"{key}_index", rows=rows, maxrows=8)
    column = row.column(align=True)
    draw_add(column, key)
    remove = column.operator("twinset.entry_remove", text="", icon="REMOVE")
    remove.key = key
    if len(entries) > 1:
        column.separator()
        for direction, icon in (("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN")):
            move = column.operator("twinset.entry_move", text="", icon=icon)
            move.key, move.direction = key, direction


def draw_add(layout: bpy.types.UILayout, key: str) -> None:
    """The button that adds an entry: a menu of plugins for a stack, else the entry itself."""
    menu = f"TWINSET_MT_add_{key}"
    if hasattr(bpy.types, menu):
        layout.menu(menu, text="", icon="ADD")
    else:
        layout.operator("twinset.entry_add", text="", icon="ADD").key = key


def _draw_field(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    first = field.attributes[0]
    if field.form in ("names", "weights"):
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
        column.prop(group, first, text=f"{field.label} Min")
        column.prop(group, field.attributes[1], text="Max")
    else:
        layout.prop(group, first)
        if field.form == "collection":
            _draw_lost(layout, group, field)


def _draw_names(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    attribute = field.attributes[0]
    entries = getattr(group, attribute)
    path = f"{group.path_from_id()}.{attribute}"
    if field.switch:
        layout.prop(group, field.switch, text=field.label)
        if not getattr(group, field.switch):
            return
    column = layout.column(align=True)
    for index, entry in enumerate(list(entries)[:_LONG_LIST]):
        row = column.row(align=True)
        row.prop(entry, "value", text=field.label if index == 0 else " ")
        if field.form == "weights":
            row.prop(entry, "weight", text="")
        remove = row.operator("twinset.name_remove", text="", icon="REMOVE")
        remove.path, remove.index = path, index
    split = column.split(factor=0.4, align=True)
    heading = split.row()
    heading.alignment = "RIGHT"
    hidden = len(entries) - _LONG_LIST
    heading.label(text=field.label if not len(entries) else f"and {hidden} more" if hidden > 0 else "")
    row = split.row(align=True)
    row.operator("twinset.name_add", text="Add", icon="ADD").path = path
    if field.param.means == "object":
        row.operator("twinset.name_add_selected", text="", icon="RESTRICT_SELECT_OFF").path = path


def _draw_lost(layout: bpy.types.UILayout, group: Any, field: Field) -> None:
    """The name of a collection that a recipe asked for and this file lacks."""
    kept = json.loads(group.kept).get(field.param.name) if group.kept else None
    if kept and kept[1] == "" and getattr(group, field.attributes[0]) is None:
        row = layout.row(heading=" ")
        row.alert = True
        row.label(text=f"No collection '{kept[0]}' in this file", icon="ERROR")
