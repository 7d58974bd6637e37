# SPDX-License-Identifier: GPL-3.0-or-later
"""Histograms as icons for panels: real and synthetic values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import bpy
import numpy as np

from . import icons

SCALE = 13.0
"""Height of a chart in rows of a panel; the icon is square, as all of Blender's icons."""

REAL, SYNTH = (0.62, 0.66, 0.72), (0.91, 0.42, 0.36)
COMPONENTS = ((0.30, 0.63, 0.78), (0.93, 0.62, 0.33), (0.52, 0.74, 0.40), (0.66, 0.53, 0.84), (0.85, 0.46, 0.60))
_SUPERSAMPLING = 3
_MARGINS = (0.02, 0.02, 0.09, 0.13)
"""Left, right, bottom and top, as shares of the side."""


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


@attrs.frozen
class Chart:
    """The content of a chart.

    Attributes
    ----------
    edges : (K + 1,) float
        Bin edges on the horizontal axis.
    real : (K,) float
        Filled bars: share per bin.
    synth : (K,) float, optional
        Outlined bars in front of those.
    curves : sequence of ((M,), (M,)) float
        Lines: x and y.
    ticks : sequence of (float, str)
        Positions and labels on the horizontal axis.
    title, note : str
        Text above the plot, on the left and on the right.
    """

    edges: tuple[float, ...] = attrs.field(converter=_floats)
    real: tuple[float, ...] = attrs.field(converter=_floats)
    synth: tuple[float, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(_floats))
    curves: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    ticks: tuple[tuple[float, str], ...] = ()
    title: str = ""
    note: str = ""


def draw_chart(layout: bpy.types.UILayout, key: str, chart: Chart, scale: float = SCALE) -> None:
    """Draw a chart in a panel; the icon with this key is redrawn only after changes."""
    layout.template_icon(icon_value=icon_of(key, chart, scale), scale=scale)


def icon_of(key: str, chart: Chart, scale: float = SCALE) -> int:
    """The icon of a chart, at the resolution at which it is shown."""
    side = int(scale * 20 * bpy.context.preferences.system.ui_scale)
    ink = text_color()
    shown = (chart.edges, chart.real, chart.synth, _hashable(chart.curves), chart.ticks, chart.title, chart.note)
    return icons.icon_of(key, (shown, side, ink), lambda: picture(chart, side, ink))


def picture(chart: Chart, side: int, ink: tuple[float, float, float]) -> np.ndarray:
    """The chart as (side, side, 4) float32 RGBA, premultiplied, top row first, without a background."""
    from PIL import Image, ImageDraw

    fine = side * _SUPERSAMPLING
    image = Image.new("RGBA", (fine, fine))
    draw = ImageDraw.Draw(image)
    left, right, bottom, top = (m * fine for m in _MARGINS)
    edges = np.asarray(chart.edges)
    span = max(float(edges[-1] - edges[0]), 1e-12)
    highest = max(1e-12, *chart.real, *(chart.synth or ()), *(float(np.max(y)) for _, y in chart.curves if len(y)))

    def x(value: Any) -> Any:
        return left + (np.asarray(value) - edges[0]) / span * (fine - left - right)

    def y(value: Any) -> Any:
        return fine - bottom - np.asarray(value) / highest * (fine - bottom - top)

    gap = 0.5 * _SUPERSAMPLING
    for low, high, share in zip(edges[:-1], edges[1:], chart.real, strict=True):
        if share > 0:
            draw.rectangle((x(low) + gap, y(share), x(high) - gap, y(0)), fill=_bytes(REAL, 0.85))
    if chart.synth is not None:
        steps = np.repeat(edges, 2)[1:-1]
        heights = np.repeat(np.asarray(chart.synth), 2)
        line = [(x(edges[0]), y(0)), *zip(x(steps), y(heights), strict=True), (x(edges[-1]), y(0))]
        _line(draw, line, SYNTH, 2.2)
    for n, (across, up) in enumerate(chart.curves):
        is_sum = n == len(chart.curves) - 1
        color = ink if is_sum else COMPONENTS[n % len(COMPONENTS)]
        _line(draw, list(zip(x(across), y(up), strict=True)), color, 1.8 if is_sum else 1.4)
    draw.line((left, y(0), fine - right, y(0)), fill=_bytes(ink, 0.6), width=_SUPERSAMPLING)
    for value, _ in chart.ticks:
        draw.line((x(value), y(0), x(value), y(0) + 0.012 * fine), fill=_bytes(ink, 0.6), width=_SUPERSAMPLING)
    image = image.resize((side, side), Image.Resampling.BOX)
    _draw_text(image, chart, side, ink, lambda value: float(x(value)) / _SUPERSAMPLING)
    pixels = np.array(image, dtype=np.float32) / 255.0
    pixels[..., :3] *= pixels[..., 3:]  # Blender expects premultiplied alpha
    return pixels


def _draw_text(image: Any, chart: Chart, side: int, ink: tuple[float, float, float], x: Any) -> None:
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(image)
    # Text of less than ten pixels is illegible.
    large, small = (ImageFont.load_default(size=max(share * side, 10.0)) for share in (0.046, 0.042))
    left, right, bottom, _ = (m * side for m in _MARGINS)
    draw.text((left, 0.01 * side), chart.title, font=large, fill=_bytes(ink, 1.0))
    draw.text((side - right, 0.01 * side), chart.note, font=large, fill=_bytes(ink, 1.0), anchor="ra")
    for value, text in chart.ticks:
        width = draw.textlength(text, font=small)
        position = min(max(x(value) - width / 2, 0), side - width)
        draw.text((position, side - bottom + 0.02 * side), text, font=small, fill=_bytes(ink, 0.8))


def _line(draw: Any, points: list[tuple[float, float]], color: tuple[float, float, float], width: float) -> None:
    draw.line(
        [(float(a), float(b)) for a, b in points],
        fill=_bytes(color, 1.0),
        width=round(width * _SUPERSAMPLING),
        joint="curve",
    )


def _bytes(color: tuple[float, float, float], alpha: float) -> tuple[int, ...]:
    return tuple(round(255 * v) for v in (*color, alpha))


def _hashable(curves: Sequence[Any]) -> tuple[Any, ...]:
    return tuple((tuple(map(float, a)), tuple(map(float, b))) for a, b in curves)


def text_color() -> tuple[float, float, float]:
    """The colour of text in the user's theme."""
    theme = bpy.context.preferences.themes
    if not len(theme):
        return (0.85, 0.85, 0.85)
    r, g, b = theme[0].user_interface.wcol_regular.text[:3]
    return round(r, 3), round(g, 3), round(b, 3)
