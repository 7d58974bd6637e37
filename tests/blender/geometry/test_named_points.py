# SPDX-License-Identifier: GPL-3.0-or-later
"""Keypoints of assets in Blender: empties, bones and vertex groups, where they are after modifiers and scaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from mathutils import Matrix, Vector  # noqa: E402
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_of  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.engine.errors import RecipeError, StageError  # noqa: E402

WANTED = ["tip", "top", "arm: tail", "place: 0.1, 0, 0.2"]


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box of 0.4 x 0.4 x 1 m turned by 90 degrees, on a floor, posed by an armature, with an empty at its corner."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_plane_add(size=8.0)
    bpy.context.object.name = "Floor"
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    figure = bpy.context.object
    figure.name = "Figure"
    figure.data.transform(Matrix.Translation((0, 0, 0.5)) @ Matrix.Diagonal((0.4, 0.4, 1.0, 1.0)))
    top = figure.vertex_groups.new(name="top")
    for vertex in figure.data.vertices:
        if vertex.co.z > 0.5:
            top.add([vertex.index], 1.0 if vertex.co.x > 0 else 0.5, "REPLACE")
    tip = bpy.data.objects.new("tip.001", None)
    tip.parent, tip.location = figure, (0.2, 0.2, 1.0)
    bpy.context.collection.objects.link(tip)
    armature = bpy.data.objects.new("Skeleton", bpy.data.armatures.new("Skeleton"))
    bpy.context.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("arm")
    bone.head, bone.tail = (0.0, 0.0, 0.5), (0.0, 0.0, 0.9)
    bpy.ops.object.mode_set(mode="OBJECT")
    armature.pose.bones["arm"].matrix = Matrix.Translation((0.1, 0.0, 0.5)) @ Matrix.Rotation(np.pi / 2, 4, "Y")
    figure.modifiers.new("rig", "ARMATURE").object = armature
    for o in (figure, armature):
        o.matrix_world = Matrix.Translation((1.0, 2.0, 0.0)) @ Matrix.Rotation(np.pi / 2, 4, "Z")
    path = tmp_path_factory.mktemp("points") / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def recipe(scene_file: Path, keypoints: list[str], **more: object):
    figure = {"name": "figure", "objects": ["Figure"], "keypoints": keypoints, "height": [2.0, 2.0], **more}
    return recipe_of(
        scene_file.parent,
        scene=str(scene_file),
        classes=[figure],
        placements=[on_floor()],
        cameras=[orbit(3.0, 4.0)],
        render={**ONE_SAMPLE, "device": "cpu"},
        size=(64, 48),
    )


def test_empties_bones_and_groups_are_found_where_they_are(scene_file: Path) -> None:
    stage = open_stage(recipe(scene_file, WANTED))
    (asset,) = stage.assets["figure"]
    points = asset.keypoints
    assert list(points) == ["tip", "top", "arm", "place"]
    # Twice as high as in the file; the asset's frame keeps the object's turn in the scene.
    turn = Matrix.Rotation(np.pi / 2, 3, "Z")
    mean = (4 / 6 * 0.2 - 2 / 6 * 0.2, 0.0, 1.0)  # the corners in front count twice
    # A bone lies along its own y: the posed one's tail is 0.4 m from its head.
    for name, own in (("tip", (0.2, 0.2, 1.0)), ("top", mean), ("arm", (0.1, 0.4, 0.5))):
        np.testing.assert_allclose(points[name].position, 2 * np.array(turn @ Vector(own)), atol=1e-5)
    np.testing.assert_allclose(points["place"].position, (0.1, 0.0, 0.2))
    assert points["tip"].depth == points["top"].depth == 0.0
    assert points["place"].depth == pytest.approx(0.2)  # to the bottom


def test_unknown_ones_are_named_with_the_known(scene_file: Path) -> None:
    with pytest.raises(StageError, match=r"'figure', keypoints: no asset has .* 'topp'\. Did you mean 'top'\?"):
        open_stage(recipe(scene_file, ["topp"]))
    with pytest.raises(RecipeError, match="'top - hand' is no edge between two keypoints"):
        recipe(scene_file, ["top"], skeleton=["top - hand"])
    with pytest.raises(RecipeError, match="two keypoints of one name"):
        recipe(scene_file, ["arm", "arm: tail"])
