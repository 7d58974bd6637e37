# SPDX-License-Identifier: GPL-3.0-or-later
"""Icons made of numbers, for panels: drawn again only when what they show has changed, and kept out of the file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

_icons: Any = None
_shown: dict[str, Hashable] = {}


def icon_of(key: str, state: Hashable, draw: Callable[[], np.ndarray]) -> int:
    """The icon at a place that ``key`` names.

    Parameters
    ----------
    key : str
    state : hashable
        All that the icon depends on; it is drawn where this is another than last time.
    draw : callable
        Gives the pixels (side, side, 4) float32 RGBA, top row first. What it raises comes out, and nothing changes.
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
    """Nothing to add: icons are made when they are first shown."""


def unregister() -> None:
    """Free the icons."""
    global _icons
    if _icons is not None:
        import bpy.utils.previews

        bpy.utils.previews.remove(_icons)
        _icons = None
    _shown.clear()
