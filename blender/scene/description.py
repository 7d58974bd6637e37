# SPDX-License-Identifier: GPL-3.0-or-later
"""What recipes can refer to in a scene: its collections, surfaces, cameras and lights."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..geometry.evaluated import evaluate
from ..geometry.standing_levels import standing_levels
from ..geometry.surfaces import robust_bounds, static_meshes
from .default_light import only_glows


def describe_scene(scene: bpy.types.Scene) -> dict[str, Any]:
    """What a recipe can refer to in a scene.

    Returns
    -------
    dict
        ``collections``: name to names of all objects; ``surfaces``: up to 20 of (object name, up-facing area in m²,
        lowest and highest z of that part), largest first; ``levels``: see :func:`.standing_levels`;
        ``cameras``, ``lights``: names; ``size``: extent in metres; ``top``: its highest z; ``only_glows``: see
        :func:`.default_light.only_glows`; ``boxes``: bounding box (low
        (3,), high (3,)) of each top-level object with its children; ``roots``: object name to the name of its topmost
        parent.
    """
    meshes = static_meshes(scene, evaluate(scene), set())
    boxes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for m in meshes:
        corners = m.mesh.vertices[m.mesh.triangles].reshape(-1, 3)
        low, high = boxes.get(m.aliases[-1], (corners[0], corners[0]))
        boxes[m.aliases[-1]] = (np.minimum(low, corners.min(0)), np.maximum(high, corners.max(0)))
    bounds = robust_bounds(meshes)
    upward: dict[str, list[float]] = {}
    for m in meshes:
        corners = m.mesh.vertices[m.mesh.triangles]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = np.linalg.norm(cross, axis=1) / 2
        up = cross[:, 2] > 0.95 * 2 * areas
        if not up.any() or areas[up].sum() <= 0:
            continue
        heights = corners[up][:, :, 2]
        entry = upward.setdefault(m.object, [0.0, np.inf, -np.inf])
        entry[0] += float(areas[up].sum())
        entry[1], entry[2] = min(entry[1], float(heights.min())), max(entry[2], float(heights.max()))
    ranked = sorted(upward.items(), key=lambda item: (-item[1][0], item[0]))[:20]
    low, high = bounds
    return {
        "collections": {c.name: [o.name for o in c.all_objects] for c in scene.collection.children_recursive},
        "surfaces": [(name, *values) for name, values in ranked],
        "levels": standing_levels(scene, meshes, boxes, bounds),
        "cameras": sorted(o.name for o in scene.objects if o.type == "CAMERA"),
        "lights": sorted(o.name for o in scene.objects if o.type == "LIGHT" and not o.hide_render),
        "size": (high - low).tolist(),
        "top": float(high[2]),
        "only_glows": only_glows(scene),
        "boxes": boxes,
        "roots": {m.object: m.aliases[-1] for m in meshes},
    }
