# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures with their boxes, in a panel or in an Image Editor. They are not saved in the .blend file."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..preview.sample_labels import BACKGROUND, by_size, color_of, label_of
from ..processes.redraw import redraw_panels
from . import icons

NAME = "Twinset picture"
SIDE = 384
"""Size of a picture in a panel, in pixels."""


_latest: dict[str, Any] = {"path": None, "pixels": None, "worker": None}
"""The picture that was read last, and the thread that reads the next one."""


def draw_picture(layout: bpy.types.UILayout, path: Path, record: Mapping[str, Any], scale: float = 11.0) -> None:
    """Draw a picture with its boxes in a panel.

    Each is read once, by a thread: decoding a large one takes longer than the window may wait. Until it is there, the
    previous one is shown.
    """
    worker = _latest["worker"]
    if _latest["path"] != path and (worker is None or not worker.is_alive()):
        _latest["worker"] = threading.Thread(target=_read, args=(path, record), name="twinset-picture", daemon=True)
        _latest["worker"].start()
        if not bpy.app.timers.is_registered(_redraw_when_read):
            bpy.app.timers.register(_redraw_when_read, first_interval=0.05)
    if _latest["path"] is None:
        layout.label(text="Reading Picture...", icon="SORTTIME")
    elif _latest["pixels"] is None:
        layout.label(text="Cannot Read Picture", icon="ERROR")
    else:
        icon = icons.icon_of(NAME, _latest["path"], lambda: _latest["pixels"])
        layout.template_icon(icon_value=icon, scale=scale)


def _read(path: Path, record: Mapping[str, Any]) -> None:
    try:
        pixels = on_square(with_boxes(path, record, SIDE), SIDE)
    except OSError:
        pixels = None
    _latest["pixels"] = pixels
    _latest["path"] = path


def _redraw_when_read() -> float | None:
    if _latest["worker"] is not None and _latest["worker"].is_alive():
        return 0.05
    redraw_panels()
    return None


def with_boxes(path: Path, record: Mapping[str, Any], max_side: int = 0) -> Any:
    """A PIL image with the boxes of a record; ``max_side`` limits its width and height in pixels, 0 does not."""
    from PIL import Image, ImageDraw, ImageFont

    with Image.open(path) as opened:
        width, height = opened.size
        if max_side:
            # Decode large JPEG files at a fraction of their size, to keep the window responsive.
            opened.draft("RGB", (max_side, max_side))
        image = opened.convert("RGB")
    if max_side:
        image.thumbnail((max_side, max_side))
    across, up = image.width / width, image.height / height
    draw = ImageDraw.Draw(image, "RGBA")
    size = max(11, image.height // 40)
    font = ImageFont.load_default(size=size)
    for row in by_size(record):
        if not row["annotated"]:
            continue
        x, y, w, h = row["bbox"]
        low, high = (x * across, y * up), ((x + w) * across - 1, (y + h) * up - 1)
        color = tuple(round(255 * v) for v in color_of(row, record))
        draw.rectangle(
            (*low, max(low[0], high[0]), max(low[1], high[1])), outline=color, width=1 if max_side >= SIDE else 2
        )
        if not max_side:
            text = label_of(row, record)
            left, top = min(low[0], max(0.0, image.width - draw.textlength(text, font=font) - 6)), low[1] - size - 5
            top = top if top > 0 else low[1] + 2
            background = tuple(round(255 * v) for v in BACKGROUND)
            draw.rectangle((left, top, left + draw.textlength(text, font=font) + 6, top + size + 4), fill=background)
            draw.text((left + 3, top + 1), text, font=font, fill=color)
    return image


def show_picture(context: bpy.types.Context, path: Path, record: Mapping[str, Any]) -> None:
    """Show a picture with its boxes in an open Image Editor, or in a new window."""
    target = Path(bpy.app.tempdir) / "twinset_picture.png"
    with_boxes(path, record).save(target)
    image = next((i for i in bpy.data.images if i.get("twinset_shown")), None)
    if image is None:
        image = bpy.data.images.load(str(target))
        image.name = NAME
        image["twinset_shown"] = True
    else:
        image.filepath = str(target)
        image.reload()
    if context.window is None:
        return
    area = next((a for a in context.screen.areas if a.type == "IMAGE_EDITOR"), None)
    if area is None:
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image
    region = next(r for r in area.regions if r.type == "WINDOW")
    window = next(w for w in context.window_manager.windows if area in w.screen.areas[:])
    with context.temp_override(window=window, area=area, region=region):
        bpy.ops.image.view_all(fit_view=True)


def is_shown() -> bool:
    """Whether the file has a picture of :func:`show_picture`."""
    return any(i.get("twinset_shown") for i in bpy.data.images)


def remove_picture() -> None:
    """Remove the picture from the file."""
    for image in [i for i in bpy.data.images if i.get("twinset_shown")]:
        bpy.data.images.remove(image)


def on_square(image: Any, side: int) -> np.ndarray:
    """The picture centred on a transparent square, (side, side, 4) float32."""
    out = np.zeros((side, side, 4), np.float32)
    top, left = (side - image.height) // 2, (side - image.width) // 2
    out[top : top + image.height, left : left + image.width, :3] = np.asarray(image, dtype=np.float32) / 255.0
    out[top : top + image.height, left : left + image.width, 3] = 1.0
    return out
