# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses of assets against plain Blender: labels, contact and bounding boxes of what the evaluated pose shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs Blender")

from mathutils import Matrix  # noqa: E402
from plain_blender import add, box, floor, new_scene, plain_labels, save  # noqa: E402
from twinset.blender.geometry.evaluated import evaluate  # noqa: E402
from twinset.blender.stage import BlenderStage, open_stage  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402


def arm() -> bpy.types.Object:
    """A bar of 1 m on two bones, the upper of which bends over 40 frames, with a shape key and a property."""
    data = bpy.data.armatures.new("Rig")
    rig = add("Rig", data)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    lower, upper = data.edit_bones.new("lower"), data.edit_bones.new("upper")
    lower.head, lower.tail = (0, 0, 0), (0, 0, 0.5)
    upper.head, upper.tail, upper.parent = (0, 0, 0.5), (0, 0, 1.0), lower
    bpy.ops.object.mode_set(mode="OBJECT")
    rings, faces = [], []
    for k in range(11):
        rings += [(x, y, 0.1 * k) for x, y in ((-0.05, -0.05), (0.05, -0.05), (0.05, 0.05), (-0.05, 0.05))]
    for k in range(10):
        a = 4 * k
        faces += [(a + i, a + (i + 1) % 4, a + 4 + (i + 1) % 4, a + 4 + i) for i in range(4)]
    faces += [(3, 2, 1, 0), (40, 41, 42, 43)]
    mesh = bpy.data.meshes.new("Bar")
    mesh.from_pydata(rings, [], faces)
    bar = add("Bar", mesh, parent=rig)
    for name, chosen in (("lower", range(24)), ("upper", range(20, 44))):
        bar.vertex_groups.new(name=name).add(list(chosen), 1.0, "REPLACE")
    bar.modifiers.new("Armature", "ARMATURE").object = rig
    bar.shape_key_add(name="Basis")
    wide = bar.shape_key_add(name="Wide")
    for point in wide.data[40:]:
        point.co = (point.co[0] * 4, point.co[1] * 4, point.co[2])
    bone = rig.pose.bones["upper"]
    bone.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (40, 1.4)):
        bone.rotation_euler = (0.0, 0.0, angle)
        bone.keyframe_insert("rotation_euler", frame=frame)
    rig.animation_data.action.name = "Bend"
    bone.rotation_euler = (0, 0, 0)
    return rig


def door() -> bpy.types.Object:
    """A cabinet with a door that turns about its edge, and a drawer; they declare their ranges themselves."""
    cabinet = box("Cabinet", (0.6, 0.4, 0.8), (0, 0, 0.4))
    leaf = box("Leaf", (0.5, 0.02, 0.3), (0.25, 0, 0))
    leaf.data.transform(Matrix.Translation((0.25, 0, 0)))
    leaf.parent, leaf.location = cabinet, (-0.25, -0.22, -0.2)
    leaf["twinset_rotation_z"] = [-90.0, -10.0]
    drawer = box("Drawer", (0.5, 0.3, 0.2))
    drawer.parent, drawer.location = cabinet, (0, -0.06, 0.2)
    drawer["twinset_location_y"] = [-0.25, 0.0]
    return cabinet


def stage_of(folder: Path, settings: str, objects: str = "Rig") -> BlenderStage:
    path = save(folder)
    text = f"""[scene]\nfile = "{path.name}"\n[[class]]\nname = "thing"\nobjects = ["{objects}"]\n{settings}
[[placement]]\nplugin = "on_surface"\nsurfaces = ["Floor"]\n[[camera]]\nplugin = "orbit"
[render]\ndevice = "cpu"\n[output]\nwidth = 160\nheight = 120\n"""
    return open_stage(loads_recipe(text, folder, "recipe.toml"))


def test_labels_of_poses_are_those_of_plain_blender(tmp_path):
    new_scene((0.0, -2.2, 0.6))
    floor()
    arm()
    stage = stage_of(tmp_path, 'poses = 4\njoints = ["Bar.Wide: 0.0, 1.0", "lower.rotation_x: -20, 20"]')
    poses = stage.info()["poses"]
    assert list(poses) == [f"Rig pose {k}" for k in (1, 2, 3, 4)]
    assert len({p["frame"] for p in poses.values()}) == 4
    shown: list[tuple[dict[str, Any], np.ndarray]] = []
    for asset in stage.assets["thing"]:
        stage.clear()
        stage.place(asset, stage._loaded[asset.name].modelled_matrix)
        stage.pose_camera(stage.existing_cameras()[0])
        shown.append((poses[asset.name], stage.probe(1.0).ids > 0))
    for values, ids in shown:

        def pose(values: dict[str, Any] = values) -> None:
            whole = int(np.floor(values["frame"]))
            bpy.context.scene.frame_set(whole, subframe=values["frame"] - whole)
            bpy.data.objects["Bar"].data.shape_keys.key_blocks["Wide"].value = values["Bar.Wide"]
            lower = bpy.data.objects["Rig"].pose.bones["lower"]
            lower.rotation_mode = "XYZ"
            lower.rotation_euler = (np.radians(values["lower.rotation_x"]), 0, 0)

        truth = plain_labels(tmp_path / "scene.blend", {"Bar": 1}, pose).ids == 1
        assert truth.sum() > 200
        assert (ids != truth).sum() == 0


def test_bounds_and_contact_are_those_of_the_pose(tmp_path):
    new_scene()
    floor()
    arm()
    stage = stage_of(tmp_path, "poses = 5")
    heights = [asset.size[2] for asset in stage.assets["thing"]]
    angles = [1.4 * (p["frame"] - 1) / 39 for p in stage.info()["poses"].values()]
    assert max(heights) - min(heights) > 0.1 and max(angles) < 1.4
    for asset in stage.assets["thing"]:
        low, high = asset.bounds
        assert low[2] == pytest.approx(0.0, abs=1e-6)
        assert (low[:2] + high[:2]) / 2 == pytest.approx(np.zeros(2), abs=1e-6)
        matrix = np.eye(4)
        matrix[2, 3] = 0.001
        assert stage.collides(asset, matrix) == ""
        matrix[2, 3] = -0.001
        assert stage.collides(asset, matrix) == "Floor"


def test_parts_declare_their_ranges_by_custom_properties(tmp_path):
    new_scene()
    floor()
    door()
    stage = stage_of(tmp_path, "poses = 6", "Cabinet")
    for values in stage.info()["poses"].values():
        assert set(values) == {"Leaf.rotation_z", "Drawer.location_y"}
        assert -90 <= values["Leaf.rotation_z"] <= -10 and -0.25 <= values["Drawer.location_y"] <= 0
    for asset in stage.assets["thing"]:
        values = stage.info()["poses"][asset.name]
        # The leaf of 0.5 m turns about its edge at the front, which is 0.22 m from the middle; its thickness is 2 cm.
        angle = np.radians(-values["Leaf.rotation_z"])
        front = max(0.22 + 0.5 * np.sin(angle) + 0.01 * np.cos(angle), 0.21 - values["Drawer.location_y"])
        assert asset.size[1] == pytest.approx(0.2 + front, abs=1e-4)


def test_an_action_is_drawn_by_name_and_recipes_override_custom_properties(tmp_path):
    new_scene()
    floor()
    rig = arm()
    fixed = bpy.data.actions["Bend"].copy()
    fixed.name, fixed.use_fake_user = "Crouch", True
    rig["twinset_location_z"] = [0.0, 0.5]
    joint = 'joints = ["Rig.location_z: 0.1, 0.1"]'
    stage = stage_of(tmp_path, f'poses = 12\npose_actions = ["Bend", "Crouch"]\npose_frames = [10, 20]\n{joint}')
    poses = stage.info()["poses"].values()
    assert {p["action"] for p in poses} == {"Bend", "Crouch"}
    assert all(10 <= p["frame"] <= 20 and p["Rig.location_z"] == 0.1 for p in poses)


def test_what_drivers_drive_follows_a_property(tmp_path):
    new_scene()
    floor()
    lid = box("Lid", (0.4, 0.3, 0.02), (0, 0, 0.5))
    lid["open"] = 0.0
    curve = lid.driver_add("location", 2)
    variable = curve.driver.variables.new()
    variable.name, variable.targets[0].id, variable.targets[0].data_path = "o", lid, '["open"]'
    curve.driver.expression = "1 + 2 * o"
    base = box("Base", (0.4, 0.3, 0.02), (0, 0, 0.0))
    base.parent = add("Laptop", None)
    lid.parent = base.parent
    stage = stage_of(tmp_path, 'poses = 3\njoints = ["Lid.open: 0.0, 1.0"]', "Laptop")
    for asset in stage.assets["thing"]:
        opened = stage.info()["poses"][asset.name]["Lid.open"]
        assert asset.size[2] == pytest.approx(1 + 2 * opened + 0.02, abs=1e-4)


def test_the_scene_is_as_before_and_its_own_instance_stays(tmp_path):
    new_scene()
    floor()
    arm()
    stage = stage_of(tmp_path, "poses = 2")
    assert [a.name for a in stage.assets["thing"]] == ["Rig pose 1", "Rig pose 2"]
    assert [i.asset.name for i in stage.keep(["thing"])] == ["Rig"]
    again = stage_of(tmp_path, "poses = 2")
    assert again.info()["poses"] == stage.info()["poses"]
    evaluate(bpy.context.scene)
    assert bpy.data.objects["Rig"].pose.bones["upper"].rotation_euler[2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('joints = ["Leg.rotation_z: 0, 1"]', "there is no part with the channel 'Leg.rotation_z'"),
        ('joints = ["Bar: 0, 1"]', "must be 'PART.CHANNEL: LOWEST, HIGHEST'"),
        ('pose_actions = ["Walk"]', "there is no animation 'Walk'"),
    ],
)
def test_unknown_names_are_refused(tmp_path, settings, problem):
    new_scene()
    floor()
    arm()
    with pytest.raises(StageError, match=problem):
        stage_of(tmp_path, f"poses = 2\n{settings}")


def test_what_cannot_pose_is_refused(tmp_path):
    new_scene()
    floor()
    box("Rig")
    with pytest.raises(StageError, match="cannot pose"):
        stage_of(tmp_path, "poses = 2")
    with pytest.raises(StageError, match="both poses and shape_variants"):
        stage_of(tmp_path, "poses = 2\nshape_variants = 2")


def test_models_from_gltf_pose_too(tmp_path):
    """Bones, shape keys and custom properties come with the file."""
    new_scene()
    arm()
    bpy.data.objects["Bar"]["twinset_rotation_x"] = [5.0, 30.0]
    bpy.ops.export_scene.gltf(filepath=str(tmp_path / "arm.glb"), export_extras=True, export_animations=True)
    new_scene()
    floor()
    path = save(tmp_path)
    text = f"""[scene]\nfile = "{path.name}"\n[[class]]\nname = "thing"\nmodels = ["arm.glb"]\nposes = 4
joints = ["Bar.Wide: 0, 1"]\n[[placement]]\nplugin = "on_surface"\nsurfaces = ["Floor"]\n"""
    stage = open_stage(loads_recipe(text, tmp_path, "recipe.toml"))
    poses = stage.info()["poses"]
    assert all({"frame", "Bar.Wide"} <= set(p) for p in poses.values()) and len(poses) == 4
    assert np.ptp([p["frame"] for p in poses.values()]) > 5
    angles = np.array([1.4 * (p["frame"] - 1) / 39 for p in poses.values()])
    # The upper half of the bar leans to the side by the angle; without it, the bar is 1 m high.
    heights = np.array([a.size[2] for a in stage.assets["thing"]])
    assert np.argmin(heights) == np.argmax(angles) and heights.max() > 0.9 > heights.min()
    assert not [o for o in bpy.data.objects if o.type == "ARMATURE"]
