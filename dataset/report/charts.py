# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts as inline SVG, styled by the page, so that they follow light and dark mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ...alignment.columns.registry import find_column
from .markup import short, tag

WIDTH, HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 6.0, 314.0, 12.0, 124.0
_GAUGE_END = 4.0
"""So many times the critical value is shown by a gauge; what lies beyond ends in an arrow."""


def svg(width: float, height: float, name: str, *children: Any, class_: str = "chart") -> Element:
    """An SVG element with one sentence for screen readers."""
    view = f"0 0 {short(width)} {short(height)}"
    return tag("svg", tag("title", name), *children, viewBox=view, role="img", aria_label=name, class_=class_)


def histogram(column: str, compared: Mapping[str, Any], middles: tuple[float, float]) -> Element:
    """Real and synthetic histogram of a column; hovering over a bin shows its numbers.

    Parameters
    ----------
    column : str
        Its name.
    compared : mapping
        ``edges`` (n + 1,), ``real`` (n,) and ``synth`` (n,), from a comparison.
    middles : (float, float)
        The two medians, marked below the axis.
    """
    declared = find_column(column)
    if declared.kind == "flag":
        shares = {side: [1 - yes_share(compared, side), yes_share(compared, side)] for side in ("real", "synth")}
        compared, middles = {"edges": [0, 1, 2], "categories": ["no", "yes"], **shares}, (math.nan, math.nan)
    edges, real, synth = (np.asarray(compared[key], dtype=float) for key in ("edges", "real", "synth"))
    first, last = shown_bins(real, synth)
    edges, real, synth = edges[first : last + 1], real[first:last], synth[first:last]
    top = max(float(real.max(initial=0)), float(synth.max(initial=0)), 1e-9)
    x = _scale(edges[0], edges[-1], _LEFT, _RIGHT)
    y = _scale(0.0, top, _BOTTOM, _TOP)
    steps = [(x(edges[i]), x(edges[i + 1]), y(real[i]), y(synth[i])) for i in range(len(real))]
    bars = "".join(f"M{short(a)} {_BOTTOM:g}V{short(r)}H{short(b)}V{_BOTTOM:g}Z" for a, b, r, _ in steps)
    line = f"M{short(steps[0][0])} {_BOTTOM:g}" + "".join(f"V{short(s)}H{short(b)}" for _, b, _, s in steps)
    percent, names = declared.kind == "share", compared.get("categories")
    if names:
        labels = list(names[first:last])
    else:
        labels = [f"{_value(lo, percent)} to {_value(hi, percent)}" for lo, hi in pairwise(edges)]
    hovers = [
        tag(
            "rect",
            tag("title", f"{what}: real {r:.1%}, synthetic {s:.1%}"),
            x=a,
            y=_TOP,
            width=b - a,
            height=_BOTTOM - _TOP,
            class_="hover",
        )
        for (a, b, _, _), what, r, s in zip(steps, labels, real, synth, strict=True)
    ]
    marks = [
        tag("path", d=f"M{short(x(m))} {_BOTTOM + 1:g}l-4 7h8Z", class_=f"mark {name}")
        for m, name in zip(middles, ("real", "synth"), strict=True)
        if edges[0] <= m <= edges[-1]
    ]
    name = f"Histogram of {declared.heading.lower()}, real against synthetic"
    if names:
        name += ": " + ", ".join(names[:12]) + (" and others" if len(names) > 12 else "")
    return svg(
        WIDTH,
        HEIGHT,
        name,
        tag("path", d=f"M{_LEFT:g} {_TOP:g}H{_RIGHT:g}", class_="grid"),
        tag("path", d=bars, class_="bars real"),
        tag("path", d=line + f"V{_BOTTOM:g}", class_="line synth"),
        tag("path", d=f"M{_LEFT:g} {_BOTTOM:g}H{_RIGHT:g}", class_="axis"),
        *marks,
        *(_names(names, x, edges, first) if names else _ticks(float(edges[0]), float(edges[-1]), x, percent)),
        tag("text", f"{top:.0%}", x=_RIGHT, y=_TOP - 3, text_anchor="end"),
        *hovers,
    )


def yes_share(compared: Mapping[str, Any], side: str) -> float:
    """Share of a side's boxes with yes, in a yes-or-no column."""
    edges = np.asarray(compared["edges"], dtype=float)
    return float(np.asarray(compared[side])[(edges[:-1] + edges[1:]) / 2 > 0.5].sum())


def gauge(value: float, interval: Sequence[float], chance: float) -> Element:
    """A distance with its interval, relative to the critical value, which is the vertical line."""
    width, height = 130.0, 18.0
    x = _scale(0.0, _GAUGE_END, 3.0, width - 9.0)
    ratio = value / chance if chance > 0 else math.inf
    low, high = (min(v / chance if chance > 0 else math.inf, _GAUGE_END) for v in interval)
    dot = tag("circle", cx=x(ratio), cy=height / 2, r=4.0, class_="dot")
    if ratio > _GAUGE_END:
        dot = tag("path", d=f"M{short(width - 9)} 4l8 5l-8 5Z", class_="dot")
    description = f"{ratio:.1f} times the critical value" if math.isfinite(ratio) else "no common bin"
    return svg(
        width,
        height,
        description,
        tag("path", d=f"M3 9H{short(width - 9)}", class_="grid"),
        tag("path", d=f"M{short(x(min(low, _GAUGE_END)))} 9H{short(x(high))}", class_="reach"),
        tag("path", d=f"M{short(x(1.0))} 1V17", class_="floor"),
        dot,
        class_="gauge",
    )


def heat_map(x: np.ndarray, y: np.ndarray, kind: str, name: str, peak: float) -> Element:
    """A heat map of box centres in the image, on a grid of 16 by 12 cells.

    Parameters
    ----------
    x, y : (N,) float
        Centres in image units.
    kind : str
        ``real`` or ``synth``: the colour.
    name : str
        The sentence for screen readers.
    peak : float
        The share that gets the full colour, see :func:`centre_shares`.
    """
    shares = centre_shares(x, y)
    rows, columns = shares.shape
    size = 20.0
    cells = [
        tag(
            "rect",
            tag("title", f"{shares[r, c]:.1%} of the boxes"),
            x=c * size,
            y=r * size,
            width=size,
            height=size,
            fill_opacity=short(max(0.06, min(1.0, (shares[r, c] / peak) ** 0.7))),
        )
        for r in range(rows)
        for c in range(columns)
        if shares[r, c] > 0
    ]
    frame = tag("rect", x=0.5, y=0.5, width=columns * size - 1, height=rows * size - 1, class_="frame")
    return svg(columns * size, rows * size, name, tag("g", *cells, class_=f"heat {kind}"), frame)


def centre_shares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Shares of all boxes (12, 16) by the position of their centres in the image."""
    counts = np.histogram2d(np.clip(y, 0, 1), np.clip(x, 0, 1), bins=(12, 16), range=((0, 1), (0, 1)))[0]
    return counts / max(counts.sum(), 1.0)


def area_against_y(real: tuple[np.ndarray, np.ndarray], synth: tuple[np.ndarray, np.ndarray]) -> Element:
    """All boxes as dots: area on a logarithmic axis, vertical position downwards. Each side is (area, centre y)."""
    areas = np.concatenate([real[0], synth[0]])
    low, high = math.log10(max(float(areas.min()), 1e-7)), math.log10(max(float(areas.max()), 1e-6))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    width, bottom = 320.0, 216.0
    x, y = _scale(low, high, 34.0, width - 8), _scale(0.0, 1.0, 8.0, bottom)
    decades = []
    for power in range(low, high + 1):
        decades.append(tag("path", d=f"M{short(x(power))} 8V{bottom:g}", class_="grid"))
        decades.append(_tick(x(power), bottom + 15, f"{10.0 ** (power + 2):g}%"))
    name = "All boxes by area and vertical position in the image, real and synthetic"
    return svg(
        width,
        240.0,
        name,
        *decades,
        tag("text", "top", x=0.0, y=16.0),
        tag("text", "bottom", x=0.0, y=bottom),
        *(
            tag("path", d=_dots(x(np.log10(np.maximum(a, 1e-7))), y(np.clip(c, 0, 1))), class_=f"dots {kind}")
            for (a, c), kind in ((synth, "synth"), (real, "real"))
        ),
    )


def scatter(
    real: np.ndarray, synth: np.ndarray, name: str, marks: Sequence[tuple[float, float, str, str]] = ()
) -> Element:
    """A scatter plot of points (n, 2) of two kinds; ``marks`` are numbered points (x, y, number, kind) on top."""
    both = np.concatenate([real, synth])
    # Outliers are moved to the border, as they would squeeze all other points together.
    low, high = np.quantile(both, 0.01, axis=0), np.quantile(both, 0.99, axis=0)
    pad = np.maximum((high - low) * 0.08, 1e-9)
    x = _scale(low[0] - pad[0], high[0] + pad[0], 10.0, 510.0)
    y = _scale(low[1] - pad[1], high[1] + pad[1], 330.0, 10.0)

    def place(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.clip(x(points[:, 0]), 10.0, 510.0), np.clip(y(points[:, 1]), 10.0, 330.0)

    numbers = []
    for px, py, text, kind in marks:
        (cx,), (cy,) = place(np.array([[px, py]]))
        numbers.append(tag("circle", cx=float(cx), cy=float(cy), r=8.0, class_=f"mark {kind}"))
        numbers.append(tag("text", text, x=float(cx), y=float(cy) + 3.6, text_anchor="middle", class_="number"))
    return svg(
        520.0,
        340.0,
        name,
        tag("rect", x=0.5, y=0.5, width=519.0, height=339.0, class_="frame"),
        tag("path", d=_dots(*place(synth)), class_="dots synth"),
        tag("path", d=_dots(*place(real)), class_="dots real"),
        *numbers,
    )


def bar(share: float, kind: str = "synth") -> Element:
    """A bar for a table cell, next to the number it shows."""
    rect = tag("rect", x=0, y=0, width=short(100 * min(max(share, 0.0), 1.0)), height=10, class_=f"fill {kind}")
    ends = {"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria_hidden": "true"}
    return tag("svg", rect, class_="bar", **ends)


def shown_bins(real: np.ndarray, synth: np.ndarray) -> tuple[int, int]:
    """Index of the first non-empty bin, and of the one after the last; at least four bins."""
    used = np.flatnonzero((real > 0) | (synth > 0))
    if not len(used):
        return 0, len(real)
    first, last = int(used[0]), int(used[-1]) + 1
    while last - first < min(4, len(real)):
        first, last = max(first - 1, 0), min(last + 1, len(real))
    return first, last


def _scale(low: float, high: float, start: float, end: float) -> Callable[[Any], Any]:
    factor = (end - start) / ((high - low) or 1.0)
    return lambda value: start + (value - low) * factor


def _dots(x: np.ndarray, y: np.ndarray) -> str:
    """Points as lines of zero length with round caps, which take a tenth of the bytes of circles."""
    return "".join(f"M{short(float(a), 1)} {short(float(b), 1)}h0" for a, b in zip(x, y, strict=True))


def _ticks(low: float, high: float, x: Callable[[Any], Any], percent: bool) -> list[Element]:
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-12) / 2))
    step = next((s for s in (step, 2 * step, 5 * step, 10 * step) if (high - low) / s <= 5), 10 * step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_tick(x(k * step), HEIGHT - 6.0, _value(k * step, percent)) for k in range(first, last + 1)]


def _names(names: Sequence[str], x: Callable[[Any], Any], edges: np.ndarray, first: int) -> list[Element]:
    """The first and last category under their bins; hovering shows the others."""
    return [_tick(x((edges[k] + edges[k + 1]) / 2), HEIGHT - 6.0, names[first + k]) for k in (0, len(edges) - 2)]


def _tick(x: float, y: float, text: str) -> Element:
    anchor = "start" if x < 24 else "end" if x > WIDTH - 24 else "middle"
    return tag("text", text, x=float(x), y=y, text_anchor=anchor)


def _value(value: float, percent: bool) -> str:
    return (
        f"{100 * value:.3g}%"
        if percent
        else "0"
        if abs(value) < 1e-12
        else f"{value:.3g}"
        if abs(value) < 1000
        else f"{value:.0f}"
    )
