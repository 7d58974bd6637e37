# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of assets with other proportions: names, meshes, keypoints, weights, and what the scene shows itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from twinset.blender.geometry.evaluated import read_mesh  # noqa: E402
from twinset.blender.scene.assets.loading import LoadedAsset, load_assets  # noqa: E402
from twinset.engine.errors import StageError  # noqa: E402
from twinset.engine.recipe.settings import Recipe, SceneSettings  # noqa: E402
from twinset.engine.recipe.tables.classes import ClassSettings, DistractorSettings  # noqa: E402

LEG, WIDTH, HEIGHT = 0.08, 0.8, 0.7


@pytest.fixture(autouse=True)
def empty() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


def table(name: str, location: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bpy.types.Object:
    """A top on four legs in two materials, with an empty at the foot of a leg."""
    corners, faces, slots = [], [], []

    def block(low: Sequence[float], size: Sequence[float], slot: int) -> None:
        first = len(corners)
        corners.extend(
            (np.array(low) + np.array(size) * (x, y, z)).tolist() for z in (0, 1) for y in (0, 1) for x in (0, 1)
        )
        own = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
        faces.extend(tuple(first + k for k in face) for face in own)
        slots.extend([slot] * 6)

    for x in (0.0, WIDTH - LEG):
        for y in (0.0, WIDTH - LEG):
            block((x, y, 0.0), (LEG, LEG, HEIGHT - 0.06), 0)
    block((0.0, 0.0, HEIGHT - 0.06), (WIDTH, WIDTH, 0.06), 1)
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], faces)
    mesh.polygons.foreach_set("material_index", slots)
    for kind in ("steel", "glass"):
        mesh.materials.append(bpy.data.materials.get(kind) or bpy.data.materials.new(kind))
    made = bpy.data.objects.new(name, mesh)
    foot = bpy.data.objects.new("foot", None)
    foot.parent, foot.location = made, (LEG, LEG, 0.0)
    made.location = location
    for o in (made, foot):
        bpy.context.scene.collection.objects.link(o)
    return made


def load(*classes: ClassSettings, distractors: Sequence[DistractorSettings] = ()) -> list[LoadedAsset]:
    recipe = Recipe(classes=classes, distractors=tuple(distractors), scene=SceneSettings(), folder=Path().resolve())
    bpy.context.view_layer.update()
    return load_assets(bpy.context.scene, recipe)


def tables(**keys: object) -> ClassSettings:
    return ClassSettings(name="table", objects=["Desk*"], **{"shape_variants": 3, **keys})


def test_variants_take_the_place_of_their_asset_and_keep_its_outer_size() -> None:
    table("Desk")
    loaded = load(tables(thickness=(0.4, 0.6), stretch=(1.0, 1.0)))
    placed = [e for e in loaded if not e.variant_of]
    assert [e.asset.name for e in placed] == [f"Desk variant {k}" for k in (1, 2, 3)]
    for entry in placed:
        (part,) = [p for p in entry.parts if p.solid]
        seen = read_mesh(part.data, part.matrix)
        np.testing.assert_allclose(seen.vertices, entry.asset.mesh.vertices, atol=1e-6)
        np.testing.assert_allclose(entry.asset.size, (WIDTH, WIDTH, HEIGHT), atol=1e-6)
        assert [m.name for m in part.data.materials] == ["steel", "glass"]
        leg = np.ptp(seen.vertices[:8], axis=0)
        assert 0.4 * LEG <= leg[0] <= 0.6 * LEG and np.isclose(leg[0], leg[1])
    legs = {round(float(np.ptp(e.asset.mesh.vertices[:8, 0])), 6) for e in placed}
    assert len(legs) == 3


def test_stretch_changes_the_size_and_wanted_heights_are_still_met() -> None:
    table("Desk")
    free = [e.asset.size for e in load(tables(stretch=(0.7, 1.4))) if not e.variant_of]
    assert np.ptp([size[0] / size[2] for size in free]) > 0.02
    bpy.ops.wm.read_factory_settings(use_empty=True)
    table("Desk")
    bound = [e.asset.size[2] for e in load(tables(stretch=(0.7, 1.4), height=(0.75, 0.75))) if not e.variant_of]
    np.testing.assert_allclose(bound, 0.75, atol=1e-6)


def test_a_variant_has_the_same_shape_in_every_job() -> None:
    shapes = []
    for others in (["Desk"], ["Ahead", "Desk"]):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        for name in others:
            table(name)
        first = [ClassSettings(name="other", objects=["Ahead"], shape_variants=2)] if len(others) > 1 else []
        loaded = load(*first, tables(shape_variants=2 + len(others)))
        shapes.append({e.asset.name: e.asset.mesh.vertices for e in loaded if e.asset.class_name == "table"})
    for name in ("Desk variant 1", "Desk variant 3"):
        np.testing.assert_array_equal(shapes[0][name], shapes[1][name])


def test_the_scene_keeps_what_it_shows_and_hides_it_once() -> None:
    desk = table("Desk", (2.0, 1.0, 0.0))
    loaded = load(tables())
    kept = [e for e in loaded if e.original_matrices]
    assert [(e.asset.name, e.variant_of) for e in kept] == [("Desk", "Desk variant 1")]
    np.testing.assert_allclose(np.ptp(kept[0].asset.mesh.vertices[:8], axis=0)[:2], LEG, atol=1e-6)
    np.testing.assert_allclose(kept[0].original_matrix[:2, 3], (2.0 + WIDTH / 2, 1.0 + WIDTH / 2), atol=1e-6)
    assert [o for e in loaded for o in e.sources] == [desk]


def test_keypoints_move_with_the_part_that_they_are_at() -> None:
    table("Desk", (0.3, -0.2, 0.0))
    for entry in load(tables(keypoints=["foot"], thickness=(0.4, 0.6))):
        low = entry.asset.mesh.vertices[:8].min(0)
        leg = np.ptp(entry.asset.mesh.vertices[:8], axis=0)
        np.testing.assert_allclose(
            entry.asset.keypoints["foot"].position, low + np.array([leg[0], leg[1], 0.0]), atol=1e-6
        )


def test_variants_are_excluded_and_weighed_by_their_names_or_that_of_their_asset() -> None:
    table("Desk")
    table("Desk low", (3.0, 0.0, 0.0))
    settings = tables(exclude=["Desk variant 2", "Desk low"], weights={"Desk": 2.0, "*variant 3": 5.0})
    placed = {e.asset.name: e.asset.weight for e in load(settings) if not e.variant_of}
    assert placed == {"Desk variant 1": 2.0, "Desk variant 3": 5.0}
    bpy.ops.wm.read_factory_settings(use_empty=True)
    table("Desk")
    with pytest.raises(StageError, match="has no assets left"):
        load(tables(exclude=["*variant ?"]))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    table("Desk")
    with pytest.raises(StageError, match="there is no asset"):
        load(tables(exclude=["Desk variant 4"]))


@pytest.mark.parametrize("up", ["y", "-x"])
def test_models_that_lie_are_cut_across_their_own_axes(up: str) -> None:
    desk = table("Desk")
    turn = {"y": (np.pi / -2, 0.0, 0.0), "-x": (0.0, np.pi / -2, 0.0)}[up]
    desk.rotation_euler = turn
    loaded = [e for e in load(tables(up_axis=up, thickness=(0.5, 0.5), stretch=(1.0, 1.0))) if not e.variant_of]
    for entry in loaded:
        np.testing.assert_allclose(sorted(entry.asset.size), (HEIGHT, WIDTH, WIDTH), atol=1e-5)
        assert np.isclose(entry.asset.size[2], HEIGHT, atol=1e-5)
        np.testing.assert_allclose(np.ptp(entry.asset.mesh.vertices[:8], axis=0)[:2], LEG / 2, atol=1e-5)


def test_distractors_and_built_in_shapes_have_variants_and_leave_no_mesh_behind() -> None:
    loaded = load(
        ClassSettings(name="chair", builtin="chair", shape_variants=2),
        distractors=[DistractorSettings(builtin="book", shape_variants=2)],
    )
    assert all(" variant " in e.asset.name for e in loaded) and {e.asset.class_name for e in loaded} == {"chair", ""}
    used = {part.data for e in loaded for part in e.parts}
    assert {m for m in bpy.data.meshes if m not in used and not m.users} == set()
