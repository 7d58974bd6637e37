# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes from glTF and USD with their materials, lights and cameras, and frames of a scene's own animation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs Blender")

from plain_blender import add, box, floor, new_material, new_scene, save  # noqa: E402
from twinset.blender.stage import open_stage  # noqa: E402
from twinset.engine.recipe.reading import loads_recipe  # noqa: E402

CLASS = '[[class]]\nname = "chair"\nbuiltin = "chair"\n'


def room() -> None:
    """A floor, a red cupboard, a lamp and a camera."""
    new_scene()
    floor("Floor", 6.0).data.materials.append(new_material("oak", (0.4, 0.25, 0.1)))
    box("Cupboard", (0.5, 0.4, 1.0), (1, 1, 0.5)).data.materials.append(new_material("red", (0.8, 0.05, 0.02)))
    lamp = bpy.data.lights.new("Lamp", "POINT")
    lamp.energy = 100.0
    add("Lamp", lamp, location=(0, 0, 2.2))


@pytest.mark.parametrize("suffix", [".glb", ".usdc"])
def test_scenes_of_other_programs_keep_materials_lights_and_cameras(tmp_path: Path, suffix: str):
    room()
    path = tmp_path / f"room{suffix}"
    if suffix == ".glb":
        bpy.ops.export_scene.gltf(filepath=str(path), export_cameras=True, export_lights=True)
    elif bpy.app.build_options.usd:
        bpy.ops.wm.usd_export(filepath=str(path))
    else:
        pytest.skip("this Blender has no USD")
    stage = open_stage(loads_recipe(f'[scene]\nfile = "room{suffix}"\n{CLASS}', tmp_path, "recipe.toml"))
    low, high = stage.bounds
    assert low == pytest.approx([-3, -3, 0], abs=1e-3) and high[2] == pytest.approx(1.0, abs=1e-3)
    (camera,) = stage.existing_cameras()
    assert camera.position == pytest.approx([0, -4, 0.8], abs=1e-3)
    assert camera.matrix[:3, 2] == pytest.approx([0, -1, 0], abs=1e-3)
    (slot,) = stage.material_slots("Cupboard")
    assert slot.base_color == pytest.approx((0.8, 0.05, 0.02), abs=0.02)
    lamps = [o for o in bpy.context.scene.objects if o.type == "LIGHT"]
    assert len(lamps) == 1 and lamps[0].matrix_world.translation[2] == pytest.approx(2.2, abs=1e-3)


def test_a_frame_of_the_scene_moves_what_things_stand_on(tmp_path: Path):
    new_scene()
    table = box("Table", (1.0, 1.0, 0.1), (0, 0, 0.5))
    for frame, height in ((1, 0.5), (11, 1.5)):
        table.location[2] = height
        table.keyframe_insert("location", frame=frame)
    bpy.context.scene.frame_set(1)
    path = save(tmp_path)
    tops = []
    for frame in ("", "frame = 11\n"):
        stage = open_stage(loads_recipe(f'[scene]\nfile = "{path.name}"\n{frame}{CLASS}', tmp_path, "recipe.toml"))
        tops.append(float(stage.surfaces(["Table"])[0].corners[..., 2].max()))
        hit = stage.cast(np.array([[0.0, 0.0, 5.0]]), np.array([[0.0, 0.0, -1.0]]))
        assert hit.distance[0] == pytest.approx(5.0 - tops[-1], abs=1e-5)
    assert tops == pytest.approx([0.55, 1.55], abs=1e-5)
