# SPDX-License-Identifier: GPL-3.0-or-later
"""Skies, lamps and exposure on Blender: where their light comes from, and that all is given back exactly."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.scene import lighting  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402


@pytest.fixture
def scene():
    """A camera and a black world, in a file with nothing else."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 8
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 48, 32
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("artist's")
    return scene


def counts():
    return {name: len(getattr(bpy.data, name)) for name in ("worlds", "lights", "objects", "node_groups")}


NO_LAMP = {"color": (1.0, 1.0, 1.0), "size": 0.05}


def pixels(scene, folder):
    scene.render.filepath = str(folder / "picture.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return cv2.imread(str(folder / "picture.png")).astype(float)


def lit_walls(scene, folder):
    """Brightness of an upright plate that faces +y, +x, -y and -x in turn."""
    mesh = bpy.data.meshes.new("plate")
    mesh.from_pydata([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], [], [(0, 1, 2, 3)])
    plate = bpy.data.objects.new("plate", mesh)
    scene.collection.objects.link(plate)
    levels = []
    for turn in (180.0, 90.0, 0.0, 270.0):
        plate.rotation_euler = (0.0, 0.0, math.radians(turn))
        facing = np.array([math.sin(math.radians(turn)), -math.cos(math.radians(turn)), 0.0])
        scene.camera.location = (3 * facing).tolist()
        scene.camera.rotation_euler = (math.pi / 2, 0.0, math.radians(turn))
        levels.append(float(pixels(scene, folder)[12:20, 20:28].mean()))
    bpy.data.objects.remove(plate)
    return levels


def test_the_sun_shines_from_its_azimuth(scene, tmp_path):
    state, before = lighting.capture(scene), counts()
    lighting.set_sky(scene, sun_elevation=20.0, sun_azimuth=90.0, strength=0.03, air=1.0, dust=1.0, sun_disc=True)
    levels = lit_walls(scene, tmp_path)
    assert int(np.argmax(levels)) == 1 and levels[1] > levels[3] + 50
    lighting.restore(scene, state)
    assert counts() | {"objects": 0} == before | {"objects": 0}


def test_a_colour_after_a_sky(scene, tmp_path):
    lighting.set_sky(scene, sun_elevation=20.0, sun_azimuth=0.0, strength=0.1, air=1.0, dust=1.0, sun_disc=False)
    lighting.set_world(scene, hdri=None, color=(0.0, 1.0, 0.0), strength=1.0, rotation=0.0)
    assert pixels(scene, tmp_path).mean((0, 1)) == pytest.approx((0, 255, 0), abs=1)


def test_exposure_is_set_and_given_back(scene):
    scene.view_settings.exposure = 0.25
    state = lighting.capture(scene)
    lighting.set_exposure(scene, 1.0)
    lighting.set_exposure(scene, -2.0)
    assert scene.view_settings.exposure == pytest.approx(-1.75)
    lighting.restore(scene, state)
    assert scene.view_settings.exposure == 0.25 and "twinset_exposure" not in scene


def test_lamps_shine_in_their_direction_and_go(scene):
    state, before = lighting.capture(scene), counts()

    def lamp(kind, **values):
        direction = values.pop("direction", (0.0, 1.0, 0.0))
        lighting.add_lamp(scene, kind, position=(0, 0, 0), direction=direction, power=9.0, **NO_LAMP, **values)

    lamp("spot", angle=30.0)
    lamp("area", length=0.4)
    lamp("point")
    made = [o for o in scene.objects if o.name.startswith("Twinset lamp")]
    assert sorted(o.data.type for o in made) == ["AREA", "POINT", "SPOT"]
    bpy.context.view_layer.update()
    for o in made:
        # Lamps shine along their own -z.
        shines = -np.array(o.rotation_quaternion.to_matrix())[:, 2]
        assert shines == pytest.approx((0.0, 1.0, 0.0), abs=1e-6)
    assert next(o.data for o in made if o.data.type == "SPOT").spot_size == pytest.approx(math.radians(30.0))
    lighting.restore(scene, state)
    assert counts() == before


def test_ies_files_are_checked(scene, tmp_path):
    (tmp_path / "no.ies").write_text("nothing")
    (tmp_path / "lamp.ies").write_text(
        "IESNA:LM-63-2002\nTILT=NONE\n1 1000 1 3 1 1 2 0 0 0\n1 1 10\n0 45 90\n0\n1000 500 0\n"
    )
    given = {"position": (0, 0, 0), "direction": (0, 0, -1), "power": 9.0, **NO_LAMP}
    for name, message in (("no.ies", "no IES file"), ("gone.ies", "cannot be read")):
        with pytest.raises(StageError, match=message):
            lighting.add_lamp(scene, "point", ies=tmp_path / name, **given)
    before = len(bpy.data.lights)
    lighting.add_lamp(scene, "point", ies=tmp_path / "lamp.ies", **given)
    assert len(bpy.data.lights) == before + 1
    lighting.remove_animation(scene)
    lighting.restore(scene, lighting.LightingState(scene.world, False))
    assert len(bpy.data.lights) == before
