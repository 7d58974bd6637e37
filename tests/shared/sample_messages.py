# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as the background process of the add-on sends them, without that process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy


def make_assets(folder: Path) -> list[dict[str, Any]]:
    """Files with an asset each, as the background process writes them: mesh, material with a picture, modifier."""
    assets = []
    for n in range(3):
        mesh = bpy.data.meshes.new("seat")
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
        material = bpy.data.materials.new("wood")
        material.use_nodes = True
        image = bpy.data.images.new("grain", 4, 4)
        image.pack()
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        mesh.materials.append(material)
        o = bpy.data.objects.new("seat", mesh)
        o.shape_key_add(name="Basis")
        collection = bpy.data.collections.new(f"chair_{n}")
        collection.objects.link(o)
        path = folder / f"asset_{n}.blend"
        bpy.data.libraries.write(str(path), {collection}, fake_user=True)
        assets.append({"file": str(path), "collection": collection.name, "low": [0, 0, 0], "high": [1, 1, 0]})
    return assets


def message(frame: int, assets: list[dict[str, Any]]) -> dict[str, Any]:
    """A sample as the background process sends it: another number of instances and lights for each frame."""
    rows = [
        {
            **{"id": n + 1, "class": "chair", "shape": str((frame + n) % len(assets)), "main": n == 0},
            **{
                "matrix": [1, 0, 0, n, 0, 1, 0, frame, 0, 0, 1, 0, 0, 0, 0, 1],
                "bbox": None,
                "annotated": False,
                "reason": "",
            },
        }
        for n in range(1 + frame % 3)
    ]
    draws: list[dict[str, Any]] = [{"call": "scale_lights", "factor": 0.5 + frame, "tint": [1.0, 0.9, 0.8]}]
    if frame % 2:
        draws.append({"call": "add_light", "position": [0, 0, 2], "power": 9, "color": [1, 1, 1], "radius": 0.1})
        draws.append({"call": "set_exposure", "stops": 1.0})
    if frame % 3:
        draws.append({"call": "set_world", "hdri": None, "color": [1, 0, 0], "strength": 1.0, "rotation": 0.0})
    camera = {"lens": 35, "sensor_width": 36, "near": 0.1, "matrix": [1, 0, 0, 0, 0, 1, 0, -4, 0, 0, 1, 1, 0, 0, 0, 1]}
    record = {
        **{"instances": rows, "camera": camera, "image": {"width": 96 + frame, "height": 72}, "tried": [], "goals": {}},
        **{"draws": {"appearance": draws}},
    }
    hidden = [[o.name, False] for o in bpy.data.objects if o.name.startswith("chair ") and o.type == "MESH"]
    named = {str(n): asset for n, asset in enumerate(assets)}
    return {"event": "sample", "frame": frame, "record": record, "assets": named, "hidden": hidden, "scale": 1.0}
