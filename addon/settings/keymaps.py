# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the add-on, which the preferences list and change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

# Keymap, its space, operator, key, modifiers, values of the operator's properties.
_KEYS: tuple[tuple[str, str, str, str, tuple[str, ...], dict[str, Any]], ...] = (
    ("Object Mode", "EMPTY", "wm.call_menu_pie", "W", ("ctrl", "shift"), {"name": "TWINSET_MT_pie"}),
    ("Object Mode", "EMPTY", "twinset.preview_sample", "PAGE_UP", ("shift",), {"step": -1}),
    ("Object Mode", "EMPTY", "twinset.preview_sample", "PAGE_DOWN", ("shift",), {"step": 1}),
    ("Window", "EMPTY", "twinset.quit", "Q", ("ctrl",), {}),
)

_added: list[tuple[Any, Any]] = []


def draw_keys(layout: Any, context: Any) -> None:
    """Draw the keys for the preferences, as the user has set them."""
    import rna_keymap_ui

    user = context.window_manager.keyconfigs.user
    for keymap, item in _user_items(user):
        layout.context_pointer_set("keymap", keymap)
        rna_keymap_ui.draw_kmi([], user, keymap, item, layout, 0)


def _user_items(user: Any) -> Iterator[tuple[Any, Any]]:
    for keymap_name, _, operator, _, _, values in _KEYS:
        keymap = user.keymaps.get(keymap_name) if user is not None else None
        for item in keymap.keymap_items if keymap is not None else ():
            if item.idname == operator and all(getattr(item.properties, k, None) == v for k, v in values.items()):
                yield keymap, item
                break


def register() -> None:
    """Add the keys; in the background there are none."""
    config = bpy.context.window_manager.keyconfigs.addon
    if config is None:
        return
    for name, space, operator, key, modifiers, values in _KEYS:
        keymap = config.keymaps.new(name=name, space_type=space)
        item = keymap.keymap_items.new(operator, key, "PRESS", head=True, **dict.fromkeys(modifiers, True))
        for property_name, value in values.items():
            setattr(item.properties, property_name, value)
        _added.append((keymap, item))


def unregister() -> None:
    """Remove the keys."""
    for keymap, item in _added:
        keymap.keymap_items.remove(item)
    _added.clear()
