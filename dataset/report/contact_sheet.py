# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a contact sheet: a grid of a dataset's images with boxes, translucent masks and class names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formats import rle_masks
from ..formats.coco import by_image
from .report_dataset import spread

MAX_IMAGES = 24
TILE_WIDTH = 400
GAP = 10
SMALL_BOX = 1200
"""In square pixels of a tile; about twice the area of a name tag."""
HEADER = 64
PAPER = (24, 26, 30)
INK = (236, 238, 242)

# RGB colours after Okabe and Ito, distinguishable with colour blindness, from the most to the least vivid.
COLORS = (
    (255, 159, 28),
    (76, 186, 255),
    (0, 200, 140),
    (250, 110, 190),
    (245, 228, 66),
    (235, 90, 50),
    (110, 120, 255),
    (200, 200, 205),
)


def contact_sheet(
    coco: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], np.ndarray],
    *,
    images: int,
    counts: Mapping[int, int],
) -> np.ndarray | None:
    """Draw a selection of a dataset's images, see :func:`picks`.

    Parameters
    ----------
    coco : mapping
        The images to draw and their annotations, with RLE or polygon segmentations.
    read : callable
        Returns the image (H, W, 3) uint8 RGB of an entry of ``images``.
    images : int
        Number of images in the dataset.
    counts : dict of int to int
        Number of annotations by category id.

    Returns
    -------
    (H, W, 3) uint8 RGB or None
        None for a dataset without images.
    """
    chosen = coco["images"]
    if not chosen:
        return None
    columns = _columns(len(chosen))
    # All tiles have the shape of the first image; others are fitted into it.
    tile_height = max(1, round(TILE_WIDTH * chosen[0]["height"] / chosen[0]["width"]))
    rows = math.ceil(len(chosen) / columns)
    sheet = np.empty((HEADER + rows * (tile_height + GAP), GAP + columns * (TILE_WIDTH + GAP), 3), np.uint8)
    sheet[:] = PAPER
    color_of = {c["id"]: _color(i) for i, c in enumerate(coco["categories"])}
    name_of = {c["id"]: c["name"] for c in coco["categories"]}
    own = by_image(coco["annotations"])
    for index, image in enumerate(chosen):
        tile = _tile(read(image), own.get(image["id"], []), color_of, name_of, tile_height)
        top = HEADER + (index // columns) * (tile_height + GAP)
        left = GAP + (index % columns) * (TILE_WIDTH + GAP)
        sheet[top : top + tile_height, left : left + TILE_WIDTH] = tile
    _header(sheet, coco["categories"], images, counts)
    return sheet


def picks(images: int) -> list[int]:
    """Indices of up to 24 evenly spaced images out of so many."""
    return spread(images, MAX_IMAGES)


def _color(number: int) -> tuple[int, int, int]:
    return COLORS[number % len(COLORS)]


def _columns(count: int) -> int:
    """Columns of a grid that is a little wider than high and has few empty cells."""
    wish = max(1, min(6, math.ceil(math.sqrt(count * 1.2))))
    return min(range(max(1, wish - 1), wish + 1), key=lambda c: (-count % c, wish - c))


def _tile(
    image: np.ndarray,
    annotations: Sequence[Mapping[str, Any]],
    color_of: Mapping[int, tuple[int, int, int]],
    name_of: Mapping[int, str],
    tile_height: int,
) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    scale = min(TILE_WIDTH / width, tile_height / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    boxes = []
    # Large ones first, so that small ones in front of them stay visible.
    for annotation in sorted(annotations, key=lambda a: -a["area"]):
        color = color_of[annotation["category_id"]]
        if annotation.get("segmentation"):
            mask = rle_masks.decode(annotation["segmentation"], height, width).astype(np.float32)
            _tint(picture, cv2.resize(mask, size, interpolation=cv2.INTER_AREA), color)
        x, y, w, h = annotation["bbox"]
        corners = [round(v * scale) for v in (x, y, x + w, y + h)]
        boxes.append((corners, color, name_of[annotation["category_id"]]))
    for (x0, y0, x1, y1), color, _ in boxes:
        cv2.rectangle(picture, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), color, 1)
    # Tags would hide small boxes, so these count as taken.
    taken = [(x0, y0, x1 - x0, y1 - y0) for (x0, y0, x1, y1), _, _ in boxes if (x1 - x0) * (y1 - y0) < SMALL_BOX]
    for corners, color, name in boxes:
        _label(picture, corners, color, name, taken)
    tile = np.empty((tile_height, TILE_WIDTH, 3), np.uint8)
    tile[:] = PAPER
    top, left = (tile_height - size[1]) // 2, (TILE_WIDTH - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = picture
    return tile


def _tint(picture: np.ndarray, mask: np.ndarray, color: Sequence[int]) -> None:
    """Lay a colour over a mask (soft-edged, 0 to 1), and a stronger line along its edge."""
    import cv2

    solid = (mask > 0.5).astype(np.uint8)
    padded = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[0.0])
    edge = solid - cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    alpha = np.maximum(mask * 0.35, edge * 0.8)[..., None]
    picture[:] = np.rint(picture * (1 - alpha) + np.asarray(color) * alpha).astype(np.uint8)


def _label(
    picture: np.ndarray,
    corners: Sequence[int],
    color: Sequence[int],
    name: str,
    taken: list[tuple[int, int, int, int]],
) -> None:
    """Draw a name tag at a free corner of a box; none if all corners are taken."""
    stamp = _text(name, 13)
    h, w = stamp.shape[0] + 4, stamp.shape[1] + 8
    x0, y0, x1, y1 = corners
    height, width = picture.shape[:2]
    if h > height or w > width:
        return
    for x, y in ((x0, y0 - h), (x0, y1), (x1 - w, y0 - h), (x1 - w, y1), (x0, y0), (x0, y1 - h)):
        x, y = min(max(x, 0), width - w), min(max(y, 0), height - h)
        if any(x < a + c and a < x + w and y < b + d and b < y + h for a, b, c, d in taken):
            continue
        taken.append((x, y, w, h))
        picture[y : y + h, x : x + w] = color
        _stamp(picture, stamp, x + 4, y + 2, (16, 16, 18))
        return


def _header(sheet: np.ndarray, categories: Sequence[Mapping[str, Any]], images: int, counts: Mapping[int, int]) -> None:
    parts = [(f"Twinset   {images} images   {sum(counts.values())} boxes", INK)]
    parts += [(f"{c['name']} {counts.get(c['id'], 0)}", _color(i)) for i, c in enumerate(categories)]
    x = GAP
    for text, color in parts:
        stamp = _text(text, 20)
        if x + stamp.shape[1] > sheet.shape[1] - GAP:
            break
        _stamp(sheet, stamp, x, (HEADER - stamp.shape[0]) // 2, color)
        x += stamp.shape[1] + 28


def _text(text: str, height: int) -> np.ndarray:
    """Text as coverage (h, w) in [0, 1], drawn large and reduced, as OpenCV's small letters are rough."""
    import cv2

    factor, font = 4, cv2.FONT_HERSHEY_SIMPLEX
    thickness = max(2, round(height * factor / 11))
    size = cv2.getFontScaleFromHeight(font, round(height * factor * 0.68), thickness)
    (w, h), base = cv2.getTextSize(text, font, size, thickness)
    canvas = np.zeros((h + base + 2 * thickness, w + 2 * thickness), np.uint8)
    cv2.putText(canvas, text, (thickness, h + thickness), font, size, (255.0,), thickness, cv2.LINE_AA)
    shrunk = cv2.resize(
        canvas, (max(1, canvas.shape[1] // factor), max(1, canvas.shape[0] // factor)), interpolation=cv2.INTER_AREA
    )
    return shrunk.astype(np.float32) / 255.0


def _stamp(picture: np.ndarray, coverage: np.ndarray, x: int, y: int, color: Sequence[int]) -> None:
    """Draw text on an image, clipped at its borders."""
    h, w = min(coverage.shape[0], picture.shape[0] - y), min(coverage.shape[1], picture.shape[1] - x)
    if h <= 0 or w <= 0:
        return
    alpha = coverage[:h, :w, None]
    area = picture[y : y + h, x : x + w]
    area[:] = np.rint(area * (1 - alpha) + np.asarray(color) * alpha).astype(np.uint8)
