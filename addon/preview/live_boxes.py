# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes of a shown sample that follow what the user does with its objects and its camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np

from .sample import INSTANCE, units_per_metre

_TOLERANCE = 1e-4
"""From this difference between matrices on, an object counts as moved; Blender stores 32-bit floats."""
_MANY = 256
"""So many points are projected as they are; more are reduced to their convex hull, which has the same box."""

_points: dict[int, np.ndarray] = {}


def edited_rows(scene: bpy.types.Scene, message: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The rows of the sample's instances that look different now, by id; with ``bbox`` None where they are out of view.

    Without an edit there are none: the recorded boxes are exact, and also show what covers what.
    """
    state = scene.twinset_preview
    record = message["record"]
    if record["image"] is None or state.collection is None:
        return {}
    scale = units_per_metre(message)
    holders = holders_of(state.collection)
    camera = state.camera
    has_view_changed = camera is not None and _differs(camera.matrix_world, record["camera"]["matrix"], scale, 1.0)
    out = {}
    for row in record["instances"]:
        holder = holders.get(row["id"])
        if holder is None:
            out[row["id"]] = {**row, "bbox": None, "visible_share": None, "reason": "removed"}
        elif has_view_changed or _differs(holder.matrix_world, row["matrix"], scale, scale):
            box = projected_box(scene, camera, holder) if camera is not None else None
            placed = (np.diag([1 / scale] * 3 + [1.0]) @ np.array(holder.matrix_world)).ravel().tolist()
            reason = "" if box else "out of view"
            out[row["id"]] = {**row, "bbox": box, "matrix": placed, "visible_share": None, "reason": reason}
    return out


def with_edits(scene: bpy.types.Scene, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sample as it looks now."""
    rows = edited_rows(scene, message)
    if not rows:
        return message
    record = message["record"]
    instances = [rows.get(row["id"], row) for row in record["instances"]]
    return {**message, "record": {**record, "instances": instances}, "is_edited": True}


def holders_of(collection: bpy.types.Collection) -> dict[int, bpy.types.Object]:
    """The objects that show instances, by the id of the instance."""
    return {o[INSTANCE]: o for o in collection.objects if INSTANCE in o}


def projected_box(scene: bpy.types.Scene, camera: bpy.types.Object, holder: bpy.types.Object) -> list[float] | None:
    """The box [x, y, w, h] in pixels of what an object shows, clipped to the image; None if it is out of view.

    Parts in front of which something else stands count as well.
    """
    render = scene.render
    width, height = render.resolution_x, render.resolution_y
    points = asset_points(holder.instance_collection)
    if not len(points):
        return None
    projection = np.array(camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=width, y=height))
    view = np.linalg.inv(np.array(camera.matrix_world.normalized()))
    clip = np.c_[points, np.ones(len(points))] @ (projection @ view @ np.array(holder.matrix_world)).T
    clip = clip[clip[:, 3] > camera.data.clip_start]  # what is behind the camera has no place in the image
    if not len(clip):
        return None
    x = (clip[:, 0] / clip[:, 3] + 1.0) / 2.0 * width
    y = (1.0 - clip[:, 1] / clip[:, 3]) / 2.0 * height
    low, high = np.clip([x.min(), y.min()], 0, (width, height)), np.clip([x.max(), y.max()], 0, (width, height))
    if (high - low).min() <= 0:
        return None
    return [*low.tolist(), *(high - low).tolist()]


def asset_points(collection: bpy.types.Collection | None) -> np.ndarray:
    """Points (N, 3) of an asset in its own frame that have the same boxes as all its vertices."""
    if collection is None:
        return np.zeros((0, 3))
    if collection.session_uid not in _points:
        parts = [_vertices(o) for o in collection.all_objects if o.type == "MESH"]
        points = np.concatenate(parts) if parts else np.zeros((0, 3))
        _points[collection.session_uid] = _hull(points) if len(points) > _MANY else points
    return _points[collection.session_uid]


def own_matrix(o: bpy.types.Object) -> np.ndarray:
    """The transform of an object that is in no scene, for which Blender computes none."""
    matrix = np.array(o.matrix_parent_inverse @ o.matrix_basis)
    return matrix if o.parent is None else own_matrix(o.parent) @ matrix


def _vertices(o: bpy.types.Object) -> np.ndarray:
    vertices = np.empty((len(o.data.vertices), 3), np.float32)
    o.data.vertices.foreach_get("co", vertices.reshape(-1))
    matrix = own_matrix(o)
    return vertices @ matrix[:3, :3].T + matrix[:3, 3]


def _hull(points: np.ndarray) -> np.ndarray:
    try:
        from scipy.spatial import ConvexHull, QhullError
    except ImportError:
        return points
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:  # flat
        return points


def _differs(matrix: Any, recorded: Any, scale: float, size: float) -> bool:
    """Whether a transform is not the recorded one; ``scale`` is that of positions and ``size`` that of shapes."""
    wanted = np.array(recorded, float).reshape(4, 4)
    wanted[:3, 3] *= scale
    wanted[:3, :3] *= size
    return bool(np.abs(np.array(matrix) - wanted).max() > _TOLERANCE * max(1.0, np.abs(wanted).max()))


def instances_shown(scene: bpy.types.Scene) -> Iterator[tuple[bpy.types.Object, bpy.types.Collection]]:
    """The objects of the shown sample with the assets that they show."""
    collection = scene.twinset_preview.collection
    if collection is not None:
        for o in holders_of(collection).values():
            if o.instance_collection is not None and not o.hide_get():
                yield o, o.instance_collection


def forget(*_: Any) -> None:
    """Forget the points of assets, for example after loading another file."""
    _points.clear()
