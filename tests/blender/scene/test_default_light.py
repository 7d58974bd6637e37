# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that scenes without any are given."""

from __future__ import annotations

import logging

import pytest

bpy = pytest.importorskip("bpy")

from plain_blender import box, floor  # noqa: E402
from twinset.blender.scene.default_light import add_default_light  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.mark.parametrize(
    "lit",
    [
        "none",
        "lamp",
        "lamp in an instance",
        "lamp in a hidden instance",
        "world",
        "emission",
        "black world",
        "default world",
    ],
)
def test_light_is_added_only_where_there_is_none(lit, caplog):
    o = floor()
    scene = bpy.context.scene
    if lit == "lamp":
        scene.collection.objects.link(bpy.data.objects.new("L", bpy.data.lights.new("L", "POINT")))
    elif "instance" in lit:
        library = bpy.data.collections.new("Lamp")
        library.objects.link(bpy.data.objects.new("L", bpy.data.lights.new("L", "POINT")))
        instance = bpy.data.objects.new("Lamp", None)
        instance.instance_type, instance.instance_collection = "COLLECTION", library
        instance.hide_render = "hidden" in lit
        scene.collection.objects.link(instance)
    elif "world" in lit:
        scene.world = bpy.data.worlds.new("W")
        scene.world.use_nodes = True
        background = scene.world.node_tree.nodes["Background"].inputs
        background["Strength"].default_value = float(lit != "black world")
        if lit != "default world":
            background["Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    elif lit == "emission":
        material = bpy.data.materials.new("E")
        material.use_nodes = True
        material.node_tree.nodes["Principled BSDF"].inputs["Emission Color"].default_value = (1, 1, 1, 1)
        material.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value = 5
        o.data.materials.append(material)
    dark = lit in {"none", "lamp in a hidden instance", "black world", "default world"}
    with caplog.at_level(logging.WARNING):
        assert add_default_light(scene) == dark
    assert ("no light" in caplog.text) == dark
    assert not add_default_light(scene)


def test_a_closed_room_gets_a_lamp_inside():
    box("Room", (4, 4, 3), (0, 0, 1.5))
    scene = bpy.context.scene
    assert add_default_light(scene)
    (lamp,) = [o for o in scene.objects if o.type == "LIGHT"]
    assert 2 < lamp.location.z < 3 and not lamp.visible_camera
