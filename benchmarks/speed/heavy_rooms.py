# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes rooms of so many polygons or textures: ``python heavy_rooms.py polygons 4.9 room.blend``, or ``textures 200``.

The polygons are in 24 different bodies along the walls. The textures are PNG files of 2048 x 2048 pixels beside the
file, one for each of as many panels.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np

WIDTH, LENGTH, HEIGHT = 8.0, 7.0, 3.0
BODIES = 24
TEXTURE = 2048


def material(name: str, color: Any) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = 0.6
    return made


def add(name: str, vertices: np.ndarray, quads: np.ndarray, surface: bpy.types.Material) -> bpy.types.Object:
    """A mesh of quads (n, 4) in the scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.loops.add(quads.size)
    mesh.loops.foreach_set("vertex_index", quads.astype(np.int32).ravel())
    mesh.polygons.add(len(quads))
    mesh.polygons.foreach_set("loop_start", np.arange(0, quads.size, 4, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.materials.append(surface)
    made = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(made)
    return made


def plate(name: str, size: Any, location: Any, rotation: Any, surface: bpy.types.Material) -> bpy.types.Object:
    """A rectangle that faces up before its rotation, with the whole texture on it."""
    corners = np.array([(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)]) * (*size, 1.0)
    made = add(name, corners, np.arange(4)[None], surface)
    made.location, made.rotation_euler = location, rotation
    made.data.uv_layers.new().uv.foreach_set("vector", np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32))
    return made


def body(name: str, rings: int, location: Any, surface: bpy.types.Material) -> None:
    """A knobbly sphere of 2 * rings² polygons."""
    across = 2 * rings
    u, v = np.meshgrid(np.linspace(0, 2 * math.pi, across, endpoint=False), np.linspace(0.05, math.pi - 0.05, rings))
    radius = 0.3 * (1 + 0.05 * np.sin(9 * u) * np.sin(7 * v))
    vertices = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], -1) * radius[..., None]
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(across), indexing="ij")
    right = (j + 1) % across
    quads = np.stack([i * across + j, (i + 1) * across + j, (i + 1) * across + right, i * across + right], -1)
    add(name, vertices.reshape(-1, 3), quads.reshape(-1, 4), surface).location = location


def empty_room() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    plate("Floor", (WIDTH, LENGTH), (0, 0, 0), (0, 0, 0), material("floor", (0.4, 0.3, 0.2)))
    plate("Ceiling", (WIDTH, LENGTH), (0, 0, HEIGHT), (math.pi, 0, 0), material("ceiling", (0.8, 0.8, 0.8)))
    paint = material("paint", (0.7, 0.7, 0.65))
    for side, turn in ((1, math.pi / 2), (-1, -math.pi / 2)):
        plate("Wall", (WIDTH, HEIGHT), (0, side * LENGTH / 2, HEIGHT / 2), (turn, 0, 0), paint)
        plate("Wall", (HEIGHT, LENGTH), (side * WIDTH / 2, 0, HEIGHT / 2), (0, -turn, 0), paint)
    for x, y in ((-2.0, -1.5), (2.0, 1.5)):
        lamp = bpy.data.lights.new("Lamp", "AREA")
        lamp.energy, lamp.size = 200.0, 1.0
        holder = bpy.data.objects.new("Lamp", lamp)
        holder.location = (x, y, HEIGHT - 0.05)
        bpy.context.scene.collection.objects.link(holder)


def along_the_walls(k: int, count: int) -> tuple[float, float, float]:
    angle = 2 * math.pi * k / count
    return (WIDTH / 2 - 0.5) * math.cos(angle), (LENGTH / 2 - 0.5) * math.sin(angle), 0.3 + 0.9 * (k % 3)


def room_of_polygons(millions: float) -> None:
    empty_room()
    rng = np.random.default_rng(0)
    rings = 1 + math.isqrt(round(millions * 1e6 / BODIES / 2))
    for k in range(BODIES):
        body(f"Body {k}", rings, along_the_walls(k, BODIES), material(f"body {k}", rng.uniform(0.1, 0.9, 3)))


def room_of_textures(count: int, folder: Path) -> None:
    """Panels, each with a picture of its own."""
    import cv2

    empty_room()
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        path = folder / f"texture_{k:03d}.png"
        coarse = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (TEXTURE, TEXTURE), interpolation=cv2.INTER_NEAREST))
        surface = material(f"panel {k}", (1.0, 1.0, 1.0))
        node = surface.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(path))
        surface.node_tree.links.new(node.outputs[0], surface.node_tree.nodes["Principled BSDF"].inputs["Base Color"])
        x, y, z = along_the_walls(k, count)
        plate(f"Panel {k}", (0.3, 0.3), (x, y, z), (math.pi / 2, 0, math.atan2(y, x) - math.pi / 2), surface)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("polygons", "textures"))
    parser.add_argument("count", type=float, help="millions of polygons, or textures")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    if given.kind == "polygons":
        room_of_polygons(given.count)
    else:
        room_of_textures(int(given.count), given.file.with_suffix(""))
    given.file.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(given.file.resolve()), compress=False, relative_remap=False)


if __name__ == "__main__":
    main()
