# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour of boxes in words: the median colour of their middle half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

COLOR = "color"
"""The column of these names."""

_DARK, _LIGHT = 25.0, 75.0
"""Lightness L* below which a colour without hue is called dark, and above which it is called light."""

_GREY_CHROMA = 10.0
_HUES = ((20.0, "pink"), (50.0, "red"), (75.0, "orange"), (105.0, "yellow"), (165.0, "green"), (230.0, "cyan"))
_HUES_END = ((300.0, "blue"), (340.0, "purple"), (360.0, "pink"))


def color_name(lab: Iterable[float]) -> str:
    """The name of a CIE Lab colour: dark, grey or light without hue, otherwise its hue."""
    lightness, a, b = lab
    if np.hypot(a, b) < _GREY_CHROMA:
        return "dark" if lightness < _DARK else "light" if lightness > _LIGHT else "grey"
    hue = np.degrees(np.arctan2(b, a)) % 360
    return next(name for end, name in (*_HUES, *_HUES_END) if hue <= end)


def box_colors(picture: np.ndarray, boxes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The colour of each annotation of an RGB picture (H, W, 3), by its id."""
    import cv2

    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    height, width = picture.shape[:2]
    out = {}
    for box in boxes:
        x, y, w, h = box["bbox"]
        left, right = (int(np.clip(round(x + k * w), 0, width - 1)) for k in (0.25, 0.75))
        top, bottom = (int(np.clip(round(y + k * h), 0, height - 1)) for k in (0.25, 0.75))
        core = lab[top : max(bottom, top + 1), left : max(right, left + 1)].reshape(-1, 3)
        out[int(box["id"])] = color_name(np.median(core, axis=0))
    return out
