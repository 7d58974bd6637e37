# SPDX-License-Identifier: GPL-3.0-or-later
"""What init stands things on in scenes as people make them: whole rooms as one mesh, backdrops, slats of a desk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.scene.usual_sizes import estimate_scale, room_scale
from twinset.headless.cli import app
from twinset.headless.commands.generate.surface_choice import choose_surfaces, describe
from typer.testing import CliRunner, Result

Init = Callable[..., dict]


@attrs.frozen
class Level:
    surface: str
    area: float
    low: float = 0.0
    covered: float = 0.0
    enclosed: float = 0.0
    objects: int = 0
    broad: float = 1.0

    @property
    def high(self) -> float:
        return self.low


def box(size: tuple[float, float, float], low: tuple[float, float, float] = (0.0, 0.0, 0.0)):
    return np.array(low, dtype=float), np.array(low, dtype=float) + size


ROOM = {"Cube.003": box((5, 4, 2.6)), "Cube.004": box((1.5, 1, 0.7)), "Cube.005": box((0.5, 0.5, 0.9))}


def test_a_floor_under_a_roof_beats_a_backdrop_however_large_or_well_named() -> None:
    levels = [
        Level("Ground", 24e6, -0.02),
        Level("Cube.003", 20.0, 0.0, covered=1.0, enclosed=1.0, objects=2),
        Level("Cube.003", 20.0, 2.6),
    ]
    choice = choose_surfaces(levels, {**ROOM, "Ground": box((4900, 4900, 0))})
    assert choice.names == ("Cube.003",) and choice.height_range == (-0.05, 0.05)
    assert choice.reasons == (
        "Cube.003 (20 m² at z 0.00 m: under a ceiling, walls on 100% of its sides, 2 objects on it)",
    )
    assert any(phrase.startswith("Ground (2.4e+07 m²") and "far larger" in phrase for phrase in choice.runners_up)
    assert any(phrase.startswith("Cube.003 (20 m² at z 2.60 m: no ceiling)") for phrase in choice.runners_up)


def test_out_of_doors_the_ground_is_the_ground() -> None:
    levels = [Level("Plane", 900.0, objects=6), Level("Cube.003", 20.0, 2.6)]
    assert choose_surfaces(levels, {**ROOM, "Plane": box((30, 30, 0))}).names == ("Plane",)


def test_tops_of_walls_and_of_lone_things_are_no_floor() -> None:
    choice = choose_surfaces([Level("Wall", 2.9, 2.9, broad=0.0)], {"Wall": box((10, 9, 2.9))})
    assert choice.names == () and choice.runners_up == () and not choice.has_floor
    desk = {"Slat (Desk)": box((2, 4, 0.08), (0, 0, 0.7)), "Leg": box((0.1, 0.1, 0.7))}
    choice = choose_surfaces([Level("Slat (Desk)", 4.7, 0.78, objects=3)], desk)
    assert choice.names == ("Slat (Desk)",) and not choice.has_floor  # as a piece of furniture
    assert choose_surfaces([Level("Cube", 4.0, 2.0)], {"Cube": box((2, 2, 2))}).names == ()
    assert "no ceiling" in describe(Level("Cube", 4.0, 2.0))


def test_one_slat_does_not_scale_a_room() -> None:
    desk = {"Slat (Desk)": box((2, 4, 0.08)), "Leg (Desk)": box((0.05, 0.05, 0.7)), "Speaker": box((0.7, 0.6, 0.9))}
    assert estimate_scale(desk) is None
    # A chair of the right size contradicts a desk of a hundredth.
    assert estimate_scale({"Chair": box((0.5, 0.5, 0.9)), "Desk": box((0.014, 0.007, 0.0074))}) is None
    several = {f"Chair.{k:03d}": box((50, 50, 90)) for k in range(3)} | {"Door": box((90, 5, 205))}
    found = estimate_scale(several)
    assert found is not None and found.scale == pytest.approx(0.01, rel=0.1)
    assert found.support == "4 objects agree: Chair.000, Chair.001, Chair.002, Door"
    # A bed with a high headboard is the only witness, and not far off.
    assert estimate_scale({"Bed": box((1.6, 2.0, 1.5))}) is None
    lone = estimate_scale({"Bed": box((4.0, 5.0, 2.4))})
    assert lone is not None and lone.support == "only Bed says so"


def test_a_room_without_known_names_is_scaled_by_its_height() -> None:
    found = room_scale(190.0, ["chair", "cup"])
    assert found is not None and found.scale == 0.014 and "no object of a known kind" in found.support
    assert room_scale(3.1, ["chair"]) is None and room_scale(190.0, ["car", "person"]) is None


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """Runs init on the open scene of Blender, and returns its result as JSON."""
    pytest.importorskip("bpy")
    monkeypatch.chdir(tmp_path)
    boxes = [{"id": k, "image_id": 0, "category_id": 1, "bbox": [5, 5, 20 + k, 30], "area": 600} for k in range(4)]
    images = [{"id": 0, "file_name": "0.jpg", "width": 100, "height": 100}]
    real = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}
    (tmp_path / "real.json").write_text(json.dumps(real))

    def run(scene: str) -> dict:
        done: Result = CliRunner().invoke(app, ["init", scene, "real.json", "-o", "r.toml", "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    return run


def mesh(name: str, vertices: list, faces: list) -> None:
    import bpy

    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices, [], faces)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, data))


def slab(low: tuple, high: tuple, first: int = 0) -> tuple[list, list]:
    (a, b, c), (x, y, z) = low, high
    vertices = [(a, b, c), (x, b, c), (x, y, c), (a, y, c), (a, b, z), (x, b, z), (x, y, z), (a, y, z)]
    faces = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    return vertices, [tuple(k + first for k in face) for face in faces]


def test_a_room_of_one_mesh_beside_a_backdrop(init: Init, tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    parts = [
        ((0, 0, -0.2), (5, 4, 0)),
        ((0, 0, 2.6), (5, 4, 2.8)),
        ((-0.1, 0, 0), (0, 4, 2.6)),
        ((5, 0, 0), (5.1, 4, 2.6)),
    ]
    vertices, faces = [], []
    for low, high in parts:
        more, own = slab(low, high, len(vertices))
        vertices, faces = vertices + more, faces + own
    mesh("Cube", vertices, faces)
    mesh("Plane", [(-300, -300, -0.3), (300, -300, -0.3), (300, 300, -0.3), (-300, 300, -0.3)], [(0, 1, 2, 3)])
    for k, x in enumerate((1.0, 2.5, 4.0)):
        mesh(f"Cube.{k + 1:03d}", *slab((x, 2, 0), (x + 0.6, 2.6, 0.7)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), check_existing=False)
    result = init("room.blend")
    assert result["surfaces"] == ["Cube"] and result["classes"] == ["chair"] and result["scale"] == 1.0
    assert "under a ceiling" in result["surface_reasons"][0] and "3 objects on it" in result["surface_reasons"][0]
    assert any(p.startswith("Plane") and "far larger than what is on it" in p for p in result["runners_up"])
    (placement,) = load_recipe(tmp_path / "r.toml").plugins["placement"]
    low, high = placement.plugin.surface_height_range
    assert low < 0.0 < high < 2.6
    assert "Give models instead of the built-in shapes of chair" in result["todo"][-1]


def test_a_floor_that_looks_down_is_found(init: Init, tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh("Plane", [(-3, -3, 0), (3, -3, 0), (3, 3, 0), (-3, 3, 0)], [(3, 2, 1, 0)])
    mesh("Cube", *slab((0, 0, 0), (0.6, 0.6, 0.7)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), check_existing=False)
    assert init("room.blend")["surfaces"] == ["Plane"]


def test_a_scene_without_a_floor_is_a_sentence(init: Init, tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh("Wall", *slab((0, 0, 0), (6, 0.1, 2.9)))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), check_existing=False)
    result = init("room.blend")
    assert result["surfaces"] == [] and any("shows no floor" in sentence for sentence in result["todo"])


def test_a_scene_that_only_glows_gets_lamps(init: Init, tmp_path: Path) -> None:
    import bpy

    for strength, expected in ((0.0, 0), (3.0, 1)):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        mesh("Floor", [(-3, -3, 0), (3, -3, 0), (3, 3, 0), (-3, 3, 0)], [(0, 1, 2, 3)])
        mesh("Screen", *slab((0, 0, 0.7), (0.6, 0.02, 1.0)))
        glow = bpy.data.materials.new("Glow")
        glow.use_nodes = True
        glow.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value = strength
        bpy.data.meshes["Screen"].materials.append(glow)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "room.blend"), check_existing=False)
        (tmp_path / "r.toml").unlink(missing_ok=True)
        init("room.blend")
        lamps = [use for use in load_recipe(tmp_path / "r.toml").plugins["appearance"] if use.id == "lights"]
        assert len(lamps) == expected
        assert all(use.plugin.extra_range == (2, 4) and use.plugin.extra_height_range[1] < 2.7 for use in lamps)


def test_a_model_file_is_a_scene_too(init: Init, tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh("Floor", [(-3, -3, 0), (3, -3, 0), (3, 3, 0), (-3, 3, 0)], [(0, 1, 2, 3)])
    bpy.ops.export_scene.gltf(filepath=str(tmp_path / "room.glb"))
    assert init("room.glb")["surfaces"] == ["Floor"]
    (model,) = load_recipe(tmp_path / "r.toml").models
    assert model.path == "room.glb"
