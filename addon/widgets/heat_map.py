# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of where boxes are in the image: the real ones above those of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from . import icons
from .chart import text_color

SCALE = 8.0
_GRID = (48, 64)
"""Rows and columns of a map."""
_BANDWIDTH = 0.05
"""Standard deviation of the blur of a box's centre, as a share of the image."""
_MOST = 4000
_COLORS = np.array([(0.07, 0.08, 0.14), (0.18, 0.24, 0.55), (0.55, 0.22, 0.55), (0.93, 0.42, 0.30), (0.99, 0.87, 0.45)])

Points = Sequence[Sequence[float]]


def density(points: Points | np.ndarray) -> np.ndarray:
    """The density of points (N, 2) in [0, 1]², y downwards, on a grid of 48 rows and 64 columns; its maximum is 1.

    Without points it is 0 everywhere.
    """
    places = np.asarray(points, float).reshape(-1, 2)
    places = places[:: max(1, len(places) // _MOST)]
    if not len(places):
        return np.zeros(_GRID)
    rows, columns = ((np.arange(n) + 0.5) / n for n in _GRID)
    across = np.exp(-((columns[:, None] - places[:, 0]) ** 2) / (2 * _BANDWIDTH**2))
    down = np.exp(-((rows[:, None] - places[:, 1]) ** 2) / (2 * _BANDWIDTH**2))
    out = down @ across.T
    return np.asarray(out / out.max())


def draw_heat_maps(
    layout: bpy.types.UILayout, key: str, maps: Sequence[tuple[str, Points]], scale: float = SCALE
) -> None:
    """Draw maps with their titles below each other; drawn again only after changes."""
    side = int(scale * 20 * bpy.context.preferences.system.ui_scale)
    ink = text_color()
    state = (side, ink, tuple((title, np.asarray(points, np.float32).tobytes()) for title, points in maps))
    layout.template_icon(icon_value=icons.icon_of(key, state, lambda: picture(maps, side, ink)), scale=scale)


def picture(maps: Sequence[tuple[str, Points]], side: int, ink: tuple[float, float, float]) -> np.ndarray:
    """Two maps as (side, side, 4) float32 RGBA, top row first, without a background."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(0.075 * side, 10.0))
    height = int(0.46 * side)
    width = height * _GRID[1] // _GRID[0]
    for number, (title, points) in enumerate(maps):
        top = int(number * 0.5 * side)
        colors = (255 * _colored(density(points))).round().astype(np.uint8)
        image.paste(Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC), (0, top))
        color = tuple(round(255 * v) for v in (*ink, 1.0))
        for line, text in enumerate((title, str(len(points)))):
            draw.text((width + 0.04 * side, top + 0.02 * side + line * 0.1 * side), text, font=font, fill=color)
    pixels = np.array(image, dtype=np.float32) / 255.0
    pixels[..., :3] *= pixels[..., 3:]  # Blender expects premultiplied alpha
    return pixels


def _colored(values: np.ndarray) -> Any:
    """Values (H, W) in [0, 1] as colours (H, W, 3)."""
    at = np.linspace(0, 1, len(_COLORS))
    return np.stack([np.interp(values, at, _COLORS[:, channel]) for channel in range(3)], -1)
