# SPDX-License-Identifier: GPL-3.0-or-later
"""Small scenes, and what plain Blender renders of them: the referee of Twinset's labels and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from twinset.blender.geometry.evaluated import evaluate
from twinset.blender.geometry.surfaces import SceneMesh, static_meshes
from twinset.blender.render.passes import read_labels, read_picture
from twinset.blender.stage import BlenderStage, open_stage
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.stage import Labels

SIZE = (160, 120)


def new_scene(camera: tuple[float, float, float] = (0.0, -4.0, 0.8), lens: float = 35.0) -> bpy.types.Scene:
    """An empty scene with white light from all around and a camera that looks along +y."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.view_settings.view_transform = "Standard"
    world = bpy.data.worlds.new("World")
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    scene.world = world
    data = bpy.data.cameras.new("Camera")
    data.lens = lens
    holder = add("Camera", data, location=camera)
    holder.rotation_euler = (np.pi / 2, 0.0, 0.0)
    scene.camera = holder
    return scene


def add(name: str, data: Any, *, collection: Any = None, parent: Any = None, **properties: Any) -> bpy.types.Object:
    """A new object."""
    made = bpy.data.objects.new(name, data)
    made.parent = parent
    for key, value in properties.items():
        setattr(made, key, value)
    (collection or bpy.context.scene.collection).objects.link(made)
    return made


def collection(name: str, parent: Any = None) -> bpy.types.Collection:
    """A new collection in the scene."""
    made = bpy.data.collections.new(name)
    (parent or bpy.context.scene.collection).children.link(made)
    return made


def cube(name: str = "cube", material: Any = None) -> bpy.types.Mesh:
    """A cube of 1 m about the origin."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return mesh(name, corners, faces, material)


def mesh(name: str, corners: Any, faces: Any, material: Any = None) -> bpy.types.Mesh:
    """A mesh."""
    made = bpy.data.meshes.new(name)
    made.from_pydata(corners, [], faces)
    if material is not None:
        made.materials.append(material)
    return made


def box(
    name: str, size: Any = (1.0, 1.0, 1.0), location: Any = (0.0, 0.0, 0.0), collection: Any = None
) -> bpy.types.Object:
    """A new box with its origin at its centre."""
    half = np.array(size) / 2
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return add(name, mesh(name, corners.tolist(), faces), collection=collection, location=location)


def floor(name: str = "Floor", size: float = 4.0, z: float = 0.0) -> bpy.types.Object:
    """A new square that faces up."""
    h = size / 2
    return add(name, mesh(name, [(-h, -h, z), (h, -h, z), (h, h, z), (-h, h, z)], [(0, 1, 2, 3)]))


def ball(name: str = "ball", material: Any = None, detail: int = 3) -> bpy.types.Mesh:
    """An icosphere of 0.5 m radius."""
    import bmesh

    made = bpy.data.meshes.new(name)
    shape = bmesh.new()
    bmesh.ops.create_icosphere(shape, subdivisions=detail, radius=0.5)
    shape.to_mesh(made)
    shape.free()
    if material is not None:
        made.materials.append(material)
    return made


def new_material(name: str, color: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Any:
    """A material with nodes."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    made.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1.0)
    return made


def save(folder: Path) -> Path:
    """Save the scene."""
    return save_as(folder / "scene.blend")


def save_as(path: Path) -> Path:
    """Save the scene as a file."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)
    return path


def static_by_name() -> dict[str, SceneMesh]:
    """What renders of the open scene show as meshes."""
    scene = bpy.context.scene
    return {m.name: m for m in static_meshes(scene, evaluate(scene), set())}


def plain_labels(path: Path, ids: Mapping[str, int], change: Callable[[], None] = lambda: None) -> Labels:
    """Ids and depth of named objects in plain Blender, after a change of the file."""
    _open(path)
    scene = bpy.context.scene
    for o in bpy.data.objects:
        o.pass_index = ids.get(o.name, 0)
    change()
    layer = scene.view_layers[0]
    layer.use_pass_object_index = layer.use_pass_z = True
    cycles = scene.cycles
    cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling = 1, False, False
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.image_settings.color_depth = "32"
    return read_labels(_render(path.with_name("plain.exr")))


def plain_picture(path: Path, change: Callable[[], None] = lambda: None, samples: int = 16) -> np.ndarray:
    """The picture (H, W, 3) of plain Blender, after a change of the file."""
    _open(path)
    change()
    scene = bpy.context.scene
    scene.cycles.samples, scene.cycles.use_denoising = samples, False
    scene.render.image_settings.file_format = "PNG"
    return read_picture(_render(path.with_name("plain.png")))


def stage_of(
    path: Path,
    classes: Mapping[str, str],
    *,
    keep: bool = True,
    samples: int = 16,
    alpha_threshold: float | None = None,
) -> BlenderStage:
    """The stage of a saved scene with its own camera; ``classes``: name to the pattern of objects."""
    text = f"images = 1\n[scene]\nfile = '{path.name}'\n[render]\nsamples = {samples}\ndenoise = false\n"
    text += "" if alpha_threshold is None else f"alpha_threshold = {alpha_threshold}\n"
    text += f"[output]\nwidth = {SIZE[0]}\nheight = {SIZE[1]}\n[[placement]]\nplugin = 'keep'\n"
    text += "[[camera]]\nplugin = 'keep'\n"
    for name, pattern in classes.items():
        text += f"[[class]]\nname = '{name}'\nobjects = ['{pattern}']\n"
    stage = open_stage(loads_recipe(text, path.parent, "test"))
    if keep:
        stage.keep(list(classes))
    (camera,) = stage.existing_cameras()
    stage.pose_camera(camera)
    return stage


def _open(path: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False)
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = SIZE
    render.resolution_percentage = 100
    render.dither_intensity = 0.0


def _render(target: Path) -> Path:
    bpy.context.scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True)
    return target
