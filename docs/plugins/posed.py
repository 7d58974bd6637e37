# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture of docs/recipes/poses.md, a cabinet and a laptop in random poses: ``python docs/plugins/posed.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
from PIL import Image
from twinset.blender.stage import open_stage
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.stage import CameraPose

OUT = Path(__file__).resolve().parents[1] / "images" / "poses.jpg"

RECIPE = """
[scene]
file = "furniture.blend"
[[class]]
name = "cabinet"
objects = ["Cabinet"]
poses = 4
joints = ["Door left.rotation_z: -100, 0", "Door right.rotation_z: 0, 100"]
[[class]]
name = "laptop"
objects = ["Laptop"]
poses = 4
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
[render]
samples = 32
[output]
width = 300
height = 240
"""


def material(name: str, color: Sequence[float]) -> bpy.types.Material:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = 0.45
    return made


def box(
    name: str,
    size: Sequence[float],
    middle: Sequence[float],
    look: bpy.types.Material,
    parent: bpy.types.Object | None = None,
    at: Sequence[float] = (0.0, 0.0, 0.0),
) -> bpy.types.Object:
    """A box around ``middle``, seen from its origin, which is at ``at``."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * size + middle
    data = bpy.data.meshes.new(name)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    data.from_pydata(corners.tolist(), [], faces)
    data.materials.append(look)
    made = bpy.data.objects.new(name, data)
    made.parent, made.location = parent, at
    bpy.context.scene.collection.objects.link(made)
    return made


def furnish() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    wood, light, grey, dark = (
        material("wood", (0.35, 0.17, 0.07)),
        material("light", (0.75, 0.7, 0.6)),
        material("grey", (0.5, 0.5, 0.52)),
        material("dark", (0.02, 0.02, 0.03)),
    )
    box("Floor", (8.0, 8.0, 0.1), (0, 0, -0.05), material("floor", (0.6, 0.6, 0.58)))
    cabinet = bpy.data.objects.new("Cabinet", None)
    bpy.context.scene.collection.objects.link(cabinet)
    for x in (-0.49, 0.49):
        box("Side", (0.02, 0.4, 0.9), (x, 0, 0.45), wood, cabinet)
    for z in (0.01, 0.6, 0.89):
        box("Board", (0.96, 0.4, 0.02), (0, 0, z), wood, cabinet)
    box("Back", (1.0, 0.02, 0.9), (0, 0.21, 0.45), wood, cabinet)
    for name, side in (("Door left", -1), ("Door right", 1)):
        door = box(name, (0.48, 0.02, 0.56), (-side * 0.245, 0, 0), light, cabinet, (side * 0.49, -0.215, 0.305))
        box(f"{name} handle", (0.015, 0.03, 0.12), (-side * 0.44, -0.02, 0.1), dark, door)
    for name, x in (("Drawer left", -0.245), ("Drawer right", 0.245)):
        drawer = box(name, (0.46, 0.02, 0.24), (0, 0, 0), light, cabinet, (x, -0.215, 0.745))
        box(f"{name} box", (0.42, 0.34, 0.01), (0, 0.18, -0.08), wood, drawer)
        for side in (-0.205, 0.205):
            box(f"{name} side", (0.01, 0.34, 0.14), (side, 0.18, -0.02), wood, drawer)
        box(f"{name} handle", (0.12, 0.03, 0.015), (0, -0.02, 0.0), dark, drawer)
        drawer["twinset_location_y"] = [-0.3, 0.0]
    laptop = box("Laptop", (0.34, 0.24, 0.018), (0, 0, 0.009), grey)
    box("Keys", (0.29, 0.12, 0.002), (0, 0.04, 0.019), dark, laptop)
    lid = box("Lid", (0.34, 0.24, 0.008), (0, -0.12, 0.004), grey, laptop, (0, 0.12, 0.021))
    box("Screen", (0.31, 0.2, 0.001), (0, -0.125, -0.0006), dark, lid)
    lid["twinset_rotation_x"] = [-135.0, 0.0]
    world = bpy.data.worlds.new("World")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.8
    bpy.context.scene.world = world
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 2.5, (0.7, 0.3, 0.5)
    bpy.context.scene.collection.objects.link(sun)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        furnish()
        bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/furniture.blend")
        stage = open_stage(loads_recipe(RECIPE, Path(folder), "recipe.toml"))
        rows = []
        for name, distance in (("cabinet", 2.6), ("laptop", 0.95)):
            pictures = []
            for asset in stage.assets[name]:
                stage.clear()
                stage.place(asset, np.eye(4))
                target = np.array([0.0, 0.0, asset.size[2] / 2])
                along = np.array([-0.55, 0.75, -0.42])
                along /= np.linalg.norm(along)
                matrix = np.eye(4)
                yaw, pitch = np.arctan2(along[1], along[0]), np.arcsin(along[2])
                matrix[:3, :3] = look_rotation(np.array([yaw]), np.array([pitch]), np.zeros(1))[0]
                matrix[:3, 3] = target - distance * along
                stage.pose_camera(CameraPose(matrix, 45.0, *stage.resolution))
                pictures.append(stage.shoot(0).image)
            rows.append(np.concatenate(pictures, 1))
        Image.fromarray(np.concatenate(rows)).save(OUT, quality=82, optimize=True)


if __name__ == "__main__":
    main()
