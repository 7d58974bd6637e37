# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the labels of a sample over the 3D Viewport: boxes, classes, areas, visible shares, rejections."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from .live_boxes import with_edits
from .sample import units_per_metre
from .sample_labels import (
    BACKGROUND,
    REJECTED,
    WHITE,
    Color,
    by_size,
    color_of,
    headline_of,
    label_of,
)

_SIZE = 12
_EDGES = ((0, 1), (1, 3), (3, 2), (2, 0), (4, 5), (5, 7), (7, 6), (6, 4), (0, 4), (1, 5), (2, 6), (3, 7))

Point = tuple[float, float]

_handle: Any = None


@functools.lru_cache(maxsize=4)
def _read(text: str) -> dict[str, Any]:
    return json.loads(text)


def _draw() -> None:
    context = bpy.context
    scene, region, space = context.scene, context.region, context.space_data
    state = scene.twinset_preview
    if not state.is_shown or not state.sample or not space.overlay.show_overlays:
        return
    live = context.window_manager.twinset_live
    message = with_edits(scene, _read(state.sample))
    painter = _Painter(context)
    view = space.region_3d
    is_camera_view = view.view_perspective == "CAMERA" and scene.camera is not None and scene.camera == state.camera
    frame = _camera_frame(scene, region, view) if is_camera_view else None
    if live.show_rejected:
        _draw_rejected(painter, message, region, view)
    if live.show_labels:
        if frame is not None:
            _draw_boxes(painter, message, frame)
        else:
            _draw_solids(painter, message, region, view)
        _draw_headline(painter, message, region, frame)
    painter.flush()


def _camera_frame(scene: bpy.types.Scene, region: Any, view: Any) -> tuple[float, float, float, float] | None:
    """The rectangle of the picture in the region: (left, bottom, width, height) in pixels."""
    camera = scene.camera
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    points = [location_3d_to_region_2d(region, view, corner) for corner in corners]
    if any(p is None for p in points):
        return None
    (left, bottom), (right, top) = np.min(points, axis=0), np.max(points, axis=0)
    return float(left), float(bottom), float(right - left), float(top - bottom)


def _draw_boxes(painter: _Painter, message: Mapping[str, Any], frame: tuple[float, float, float, float]) -> None:
    record = message["record"]
    if record["image"] is None:
        return
    left, bottom, width, height = frame
    across, up = width / record["image"]["width"], height / record["image"]["height"]
    for row in by_size(record):
        x, y, w, h = row["bbox"]
        low, high = (left + x * across, bottom + height - (y + h) * up), (left + (x + w) * across, 0.0)
        high = (high[0], bottom + height - y * up)
        color = color_of(row, record)
        painter.frame(low, high, color, 2.5 if row["main"] else 1.5)
        painter.label((low[0], high[1]), label_of(row, record), color)


def _draw_solids(painter: _Painter, message: Mapping[str, Any], region: Any, view: Any) -> None:
    record = message["record"]
    for row in record["instances"]:
        color = color_of(row, record)
        _draw_solid(painter, row, message, region, view, color, label_of(row, record))


def _draw_rejected(painter: _Painter, message: Mapping[str, Any], region: Any, view: Any) -> None:
    """Draw the last few rejected attempts."""
    for tried in message["record"]["tried"][-3:]:
        for n, entry in enumerate(tried["instances"]):
            if entry["class"]:
                _draw_solid(painter, entry, message, region, view, REJECTED, "" if n else tried["reason"])


def _draw_solid(
    painter: _Painter,
    entry: Mapping[str, Any],
    message: Mapping[str, Any],
    region: Any,
    view: Any,
    color: Color,
    text: str,
) -> None:
    points = [location_3d_to_region_2d(region, view, p) for p in _corners(entry, message)]
    painter.lines(
        [(points[a], points[b]) for a, b in _EDGES if points[a] is not None and points[b] is not None], color, 1.5
    )
    visible = [p for p in points if p is not None]
    if visible and text:
        painter.label((min(p[0] for p in visible), max(p[1] for p in visible)), text, color)


def _corners(entry: Mapping[str, Any], message: Mapping[str, Any]) -> list[list[float]]:
    """The eight corners of an instance's box, in coordinates of the open scene."""
    asset, matrix = message["assets"][entry["shape"]], np.reshape(entry["matrix"], (4, 4))
    ends = np.array([asset["low"], asset["high"]])
    local = np.array([[ends[i][0], ends[j][1], ends[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return (units_per_metre(message) * (local @ matrix[:3, :3].T + matrix[:3, 3])).tolist()


def _draw_headline(painter: _Painter, message: Mapping[str, Any], region: Any, frame: Any) -> None:
    lines = headline_of(message)
    height = painter.line_height
    if frame is not None and frame[1] > (len(lines) + 1) * height:
        at = max(frame[0], 8.0), frame[1] - height
    else:
        at = 12.0, 12.0 + len(lines) * height
    for n, line in enumerate(lines):
        painter.text((at[0], at[1] - n * height), line, REJECTED if n else WHITE)


class _Painter:
    """Draws lines at once, and collects labels to draw them last."""

    def __init__(self, context: bpy.types.Context) -> None:
        self._scale = context.preferences.system.ui_scale
        self._viewport = (context.region.width, context.region.height)
        self._free_width = free_width(context.area, context.region)
        self._labels: list[tuple[Point, str, Color]] = []
        self._taken: list[tuple[float, float, float, float]] = []
        self.line_height = 1.5 * _SIZE * self._scale

    def frame(self, low: Point, high: Point, color: Color, width: float) -> None:
        """A rectangle's outline."""
        corners = [low, (high[0], low[1]), high, (low[0], high[1])]
        self.lines(list(zip(corners, [*corners[1:], corners[0]], strict=True)), color, width)

    def lines(self, pairs: Sequence[tuple[Any, Any]], color: Color, width: float) -> None:
        """Lines between pairs of points."""
        if not pairs:
            return
        shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        points = [(*p[:2], 0.0) for pair in pairs for p in pair]
        gpu.state.blend_set("ALPHA")
        shader.uniform_float("viewportSize", self._viewport)
        shader.uniform_float("lineWidth", width * self._scale)
        shader.uniform_float("color", color)
        batch_for_shader(shader, "LINES", {"pos": points}).draw(shader)
        gpu.state.blend_set("NONE")

    def label(self, corner: Point, text: str, color: Color) -> None:
        """A label above a corner, inside the region and without overlapping others."""
        width, height = self._extent(text)
        # Left of the sidebar, but for a box under it.
        right = self._free_width if corner[0] < self._free_width else self._viewport[0]
        x = min(max(corner[0], 2.0), max(right - width - 2.0, 2.0))
        y = min(corner[1] + 3.0, self._viewport[1] - height - 2.0)
        for _ in range(12):
            box = (x, y, x + width, y + height)
            clash = next((t for t in self._taken if _overlap(t, box)), None)
            if clash is None:
                break
            y = clash[1] - height - 1.0
        self._taken.append((x, y, x + width, y + height))
        self._labels.append(((x, y), text, color))

    def text(self, at: Point, text: str, color: Color) -> None:
        """A label at this position, or left of it where the sidebar would cover it."""
        x = min(at[0], max(self._free_width - self._extent(text)[0] - 2.0, 2.0))
        self._labels.append(((x, at[1]), text, color))

    def flush(self) -> None:
        """Draw all labels, each on a dark background."""
        pad = 4.0 * self._scale
        for (x, y), text, color in self._labels:
            width, height = self._extent(text)
            self._fill((x, y), (x + width, y + height))
            blf.color(0, *color)
            blf.position(0, x + pad, y + 0.3 * height, 0)
            blf.draw(0, text)

    def _fill(self, low: Point, high: Point) -> None:
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        corners = [low, (high[0], low[1]), high, (low[0], high[1])]
        batch = batch_for_shader(shader, "TRIS", {"pos": corners}, indices=((0, 1, 2), (0, 2, 3)))
        gpu.state.blend_set("ALPHA")
        shader.uniform_float("color", BACKGROUND)
        batch.draw(shader)
        gpu.state.blend_set("NONE")

    def _extent(self, text: str) -> tuple[float, float]:
        blf.size(0, _SIZE * self._scale)
        return blf.dimensions(0, text)[0] + 8.0 * self._scale, self.line_height - 1.0


def free_width(area: Any, region: Any) -> float:
    """Width in pixels of the part of a region that the area's sidebar on its right does not cover."""
    sidebar = next((r for r in area.regions if r.type == "UI" and r.width > 1), None)
    if sidebar is None or sidebar.x <= region.x:
        return float(region.width)
    return float(min(sidebar.x - region.x, region.width))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def handles() -> Iterator[Any]:
    """The registered draw handlers."""
    if _handle is not None:
        yield _handle


def register() -> None:
    """Add the draw handler, unless Blender runs in the background."""
    global _handle
    if not bpy.app.background and _handle is None:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    """Remove the draw handler."""
    global _handle
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
