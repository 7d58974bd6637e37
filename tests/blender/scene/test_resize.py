# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that were drawn in another size: all grows alike, and their own cameras see the same picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix  # noqa: E402
from recipes import recipe_text  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate  # noqa: E402
from twinset.blender.geometry.surfaces import robust_bounds, static_meshes  # noqa: E402
from twinset.blender.scene.open_scene import open_scene  # noqa: E402
from twinset.blender.stage import BlenderStage, open_stage  # noqa: E402
from twinset.engine.errors import RecipeError  # noqa: E402
from twinset.engine.recipe.reading import load_recipe  # noqa: E402
from twinset.engine.recipe.settings import OutputSettings, Recipe, RenderSettings, SceneSettings  # noqa: E402
from twinset.engine.recipe.tables.classes import ClassSettings  # noqa: E402

FACTOR = 0.3


def add(name, data=None, location=(0.0, 0.0, 0.0), collection=None):
    o = bpy.data.objects.new(name, data)
    o.location = location
    (collection or bpy.context.scene.collection).objects.link(o)
    return o


def cube(name="Cube"):
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    return mesh


@pytest.fixture
def room(tmp_path) -> Path:
    """A scene with one of everything that can go wrong: keys, parent inverses, instances, constraints, all lamps."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    floor = add("Floor", cube())
    floor.scale, floor.location.z = (8, 8, 0.2), -0.2
    keyed = add("Keyed", cube(), (1, 2, 0))
    for frame in (1, 20):
        keyed.keyframe_insert("location", frame=frame)
        keyed.keyframe_insert("scale", frame=frame)
    parent = add("Parent", None, (-2, 1, 0.5))
    parent.delta_location = (0.25, 0.0, 0.0)
    child = add("Child", cube(), (-2, 1, 0.5))
    child.parent = parent
    child.matrix_parent_inverse = Matrix.Translation((2, -1, -0.5))
    add("Stale", cube(), (3, -2, 0)).matrix_parent_inverse = Matrix.Scale(5.0, 4)
    shown, library = bpy.data.collections.new("Shown"), bpy.data.collections.new("Library")
    scene.collection.children.link(shown)
    shown.instance_offset, library.instance_offset = (-3, -2, 0), (0.5, 0, 0)
    add("Bin", cube(), (-3, -2, 0), shown)
    add("Pot", cube(), collection=library)
    for name, collection, where in (("Bin again", shown, (0, -3, 0)), ("Pot here", library, (2, -3, 0))):
        instance = add(name, None, where)
        instance.instance_type, instance.instance_collection = "COLLECTION", collection
    beside = add("Beside", cube(), (0, 0, 1))
    beside.parent = bpy.data.objects["Bin again"]
    bound = add("Bound", cube(), (0, 1, 0))
    tie = bound.constraints.new("CHILD_OF")
    tie.target = parent
    copied = add("Copied", cube(), (9, 9, 9))
    copied.constraints.new("COPY_LOCATION").target = keyed
    crate = add("Crate", cube(), (0, 0, 0))
    crate.rotation_euler.z = 0.5
    for kind, where in (("POINT", (-1, -1, 3)), ("SPOT", (2, 0, 4)), ("AREA", (0, 2, 4)), ("SUN", (0, 0, 9))):
        light = bpy.data.lights.new(kind, kind)
        light.energy = 1.0 if kind == "SUN" else 120.0
        light.shadow_soft_size = 0.3
        add(kind, light, where)
    bpy.data.lights["POINT"].keyframe_insert("energy", frame=1)
    data = bpy.data.cameras.new("Camera")
    data.clip_start, data.clip_end = 3.0, 40.0
    camera = add("Camera", data, (0, -9, 7))
    camera.rotation_euler = (0.9, 0, 0)
    scene.camera = camera
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), check_existing=False)
    return tmp_path


def recipe(folder: Path, scale: float) -> Recipe:
    return Recipe(
        classes=(ClassSettings(name="crate", objects=["Crate"]),),
        scene=SceneSettings(file="room.blend", scale=scale),
        folder=folder,
        render=RenderSettings(samples=16, denoise=False, device="cpu"),
        output=OutputSettings(width=80, height=60),
    )


def test_every_mesh_grows_about_the_origin(room):
    scenes = []
    for scale in (1.0, FACTOR):
        scene = open_scene(recipe(room, scale))
        scene.frame_set(7)
        scenes.append({m.name: m.mesh.vertices for m in static_meshes(scene, evaluate(scene), set())})
    assert set(scenes[0]) == set(scenes[1]) and {"Bin again/Bin", "Pot here/Pot", "Bound"} < set(scenes[0])
    for name, vertices in scenes[0].items():
        np.testing.assert_allclose(scenes[1][name], vertices * FACTOR, atol=1e-5, err_msg=name)


def test_its_own_camera_sees_the_same(room):
    def shoot(scale: float):
        stage = open_stage(recipe(room, scale))
        assert isinstance(stage, BlenderStage)
        stage.keep(["crate"])
        (pose,) = stage.existing_cameras()
        stage.pose_camera(pose)
        return stage, pose, stage.shoot(seed=3)

    stage, pose, before = shoot(1.0)
    small, near, after = shoot(FACTOR)
    np.testing.assert_allclose(small.bounds, np.array(stage.bounds) * FACTOR, atol=1e-5)
    np.testing.assert_allclose(near.matrix[:3, 3], pose.matrix[:3, 3] * FACTOR, atol=1e-5)
    assert (near.near, near.far) == pytest.approx((0.9, 12.0))
    assert (before.labels.ids == 1).sum() > 30
    # A pixel centre may lie on an edge but for rounding.
    assert (after.labels.ids != before.labels.ids).sum() <= 2
    wrong = ~np.isclose(after.labels.depth, before.labels.depth * FACTOR, rtol=1e-3)
    assert wrong.sum() <= 2
    difference = np.abs(after.image.astype(float) - before.image.astype(float))
    assert before.image.mean() > 30 and difference.mean() < 0.5


def test_only_files_are_scaled(tmp_path):
    (tmp_path / "r.toml").write_text(recipe_text(scene={"builtin": "hall", "scale": 0.5}))
    with pytest.raises(RecipeError, match=r"scale \(line 3\): It scales the scene's file, and there is none"):
        load_recipe(tmp_path / "r.toml")


def test_the_real_bedroom_shrinks(data):
    bounds = []
    for scale in (1.0, 0.4):
        room = SceneSettings(file="megatank58_room.blend", scale=scale)
        scene = open_scene(Recipe(classes=(), scene=room, folder=data / "blend"))
        bounds.append(robust_bounds(static_meshes(scene, evaluate(scene), set())))
    np.testing.assert_allclose(bounds[1], np.array(bounds[0]) * 0.4, atol=1e-5)
