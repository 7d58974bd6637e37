# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels side by side with a title each, and what is drawn into them; small JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 256, 192
TITLE = 20
PAPER, INK = (24, 26, 30), (236, 238, 242)
GOOD, BAD, GOAL = (0, 200, 140), (235, 90, 50), (255, 255, 255)

Panel = tuple[str, np.ndarray]


def save(path: Path, panels: Sequence[Panel], most: int = 58_000) -> int:
    """Write panels in one row, as good as fits into ``most`` bytes; returns the size."""
    height, width = panels[0][1].shape[:2]
    sheet = Image.new("RGB", (len(panels) * (width + 6) - 6, height + TITLE), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (title, picture) in enumerate(panels):
        left = number * (width + 6)
        sheet.paste(Image.fromarray(picture), (left, TITLE))
        draw.text((left + 2, 3), title, INK, ImageFont.load_default(12))
    for quality in range(90, 40, -5):
        sheet.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= most:
            break
    return path.stat().st_size


def tinted(picture: np.ndarray, mask: np.ndarray, color: Sequence[int], alpha: float = 0.4) -> np.ndarray:
    """A colour laid over a mask, with its edge."""
    out = picture.astype(float)
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    for where, share in ((mask, alpha), (edge, 0.9)):
        out[where] = (1 - share) * picture[where] + share * np.array(color)
    return out.astype(np.uint8)


def boxed(picture: np.ndarray, bbox: Sequence[float], color: Sequence[int], text: str = "") -> np.ndarray:
    """A box [x, y, w, h] in pixels, and lines of text beside it."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    x, y, w, h = bbox
    draw.rectangle((x, y, x + w - 1, y + h - 1), outline=tuple(color))
    if text:
        _tag(draw, text, x, y, h, image.size, color)
    return np.array(image)


def _tag(
    draw: ImageDraw.ImageDraw, text: str, x: float, y: float, h: float, size: tuple[int, int], color: Sequence[int]
) -> None:
    font = ImageFont.load_default(11)
    x0, y0, x1, y1 = draw.multiline_textbbox((0, 0), text, font, spacing=2)
    width, height = x1 - x0 + 6, y1 - y0 + 6
    top = y - height if y >= height else y + h if y + h + height <= size[1] else y + 1
    left = min(max(x, 0), size[0] - width)
    draw.rectangle((left, top, left + width, top + height), fill=(16, 16, 18), outline=tuple(color))
    draw.multiline_text((left + 3 - x0, top + 3 - y0), text, INK, font, spacing=2)


def crossed(picture: np.ndarray) -> np.ndarray:
    """The picture, grey and crossed out: it was refused."""
    out = np.repeat((picture.mean(2, keepdims=True) * 0.6).astype(np.uint8), 3, 2)
    height, width = out.shape[:2]
    for ends in (((4, 4), (width - 5, height - 5)), ((4, height - 5), (width - 5, 4))):
        cv2.line(out, *ends, BAD, 2, cv2.LINE_AA)
    return np.ascontiguousarray(out)


def colored(values: np.ndarray) -> np.ndarray:
    """A map (H, W) as colours, near bright; what is infinite stays dark."""
    seen = np.isfinite(values)
    low, high = np.percentile(values[seen], [1, 99])
    scaled = np.clip((high - np.where(seen, values, high)) / max(high - low, 1e-9), 0, 1)
    shown = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    shown[~seen] = PAPER
    return shown


def chart(width: float, height: float) -> tuple[object, object]:
    """A figure of so many panels' size in matplotlib, and its axes."""
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    figure, axes = pyplot.subplots(figsize=(width * WIDTH / 100, height * HEIGHT / 100), dpi=100, layout="constrained")
    axes.tick_params(labelsize=7)
    return figure, axes


def drawn(figure: object) -> np.ndarray:
    """A figure as pixels."""
    from matplotlib import pyplot

    figure.canvas.draw()  # type: ignore[attr-defined]
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    pyplot.close(figure)  # type: ignore[arg-type]
    return pixels
