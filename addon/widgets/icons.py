# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated icons for panels: redrawn only after changes, and not saved in the .blend file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

_icons: Any = None
_shown: dict[str, Hashable] = {}


def icon_of(key: str, state: Hashable, draw: Callable[[], np.ndarray]) -> int:
    """The icon with this key.

    Parameters
    ----------
    key : str
    state : hashable
        Everything that the icon depends on; it is redrawn if this differs from the last call.
    draw : callable
        Returns the pixels (side, side, 4) float32 RGBA, top row first. Its exceptions are passed on.
    """
    import bpy.utils.previews

    global _icons
    if _icons is None:
        _icons = bpy.utils.previews.new()
    if key not in _shown or _shown[key] != state:
        pixels = draw()
        preview = _icons[key] if key in _icons else _icons.new(key)
        preview.image_size = pixels.shape[1], pixels.shape[0]
        preview.image_pixels_float.foreach_set(pixels[::-1].ravel())
        _shown[key] = state
    return int(_icons[key].icon_id)


def register() -> None:
    """Nothing to do: icons are created when they are first drawn."""


def unregister() -> None:
    """Free the icons."""
    global _icons
    if _icons is not None:
        import bpy.utils.previews

        bpy.utils.previews.remove(_icons)
        _icons = None
    _shown.clear()
