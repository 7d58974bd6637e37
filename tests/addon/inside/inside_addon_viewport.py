# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_addon.py: boxes that follow edits, masks, zones, cameras and maps of positions."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "shared"))
from sample_messages import make_assets, message

NAME = "bl_ext.user_default.twinset"


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


live_boxes, masks, frusta, heat_map, sample = (
    part("addon.preview.live_boxes"),
    part("addon.preview.masks"),
    part("addon.preview.frusta"),
    part("addon.widgets.heat_map"),
    part("addon.preview.sample"),
)


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    """A scene that shows a sample of three triangles in front of a camera that looks along the y axis."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    assets = make_assets(tmp_path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    shown = message(2, assets)
    # It looks along +y from 6 m away, upright.
    shown["record"]["camera"]["matrix"] = [1, 0, 0, 0.5, 0, 0, -1, -6, 0, 1, 0, 0.5, 0, 0, 0, 1]
    for n, row in enumerate(shown["record"]["instances"]):
        # The triangles stand upright in the plane y = 0.
        row["matrix"] = [1, 0, 0, n - 1, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
        row["annotated"] = True
    scene = bpy.context.scene
    part("addon.settings.presets").set_up(scene)
    sample.show_sample(scene, bpy.context.view_layer, shown, tmp_path)
    bpy.context.view_layer.update()
    return scene


def holders(scene: bpy.types.Scene) -> dict[int, bpy.types.Object]:
    return live_boxes.holders_of(scene.twinset_preview.collection)


def pinhole_box(points: np.ndarray, message: Any) -> list[float]:
    """The box of world points by the formula of a pinhole at (0.5, -6, 0.5) that looks along y."""
    image, camera = message["record"]["image"], message["record"]["camera"]
    focal = camera["lens"] / camera["sensor_width"] * image["width"]
    depth = points[:, 1] + 6
    x = image["width"] / 2 + focal * (points[:, 0] - 0.5) / depth
    y = image["height"] / 2 - focal * (points[:, 2] - 0.5) / depth
    x, y = np.clip(x, 0, image["width"]), np.clip(y, 0, image["height"])
    return [x.min(), y.min(), x.max() - x.min(), y.max() - y.min()]


def test_an_untouched_sample_keeps_its_recorded_boxes(scene: bpy.types.Scene) -> None:
    shown = sample.shown_sample(scene)
    assert live_boxes.edited_rows(scene, shown) == {}
    assert live_boxes.with_edits(scene, shown) is shown
    assert sorted(holders(scene)) == [1, 2, 3]


def test_boxes_follow_moved_turned_and_scaled_objects(scene: bpy.types.Scene) -> None:
    shown = sample.shown_sample(scene)
    triangle = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 0)])
    o = holders(scene)[2]
    o.location += o.location.__class__((0.3, 1.0, 0.2))
    o.scale = (0.5, 0.7, 1.0)
    o.rotation_euler.y += 0.4
    bpy.context.view_layer.update()
    rows = live_boxes.edited_rows(scene, shown)
    assert list(rows) == [2]  # the others keep theirs
    matrix = np.array(o.matrix_world)
    expected = pinhole_box(triangle @ matrix[:3, :3].T + matrix[:3, 3], shown)
    assert rows[2]["bbox"] == pytest.approx(expected, abs=0.05)
    assert rows[2]["matrix"] == pytest.approx(matrix.ravel().tolist(), abs=1e-6)
    edited = live_boxes.with_edits(scene, shown)
    assert "edited" in part("addon.preview.sample_labels").headline_of(edited)[0]
    assert shown["record"]["instances"][1]["bbox"] is None  # the record itself is as it was


def test_a_moved_camera_changes_all_boxes(scene: bpy.types.Scene) -> None:
    scene.camera.location.y -= 6.0
    bpy.context.view_layer.update()
    rows = live_boxes.edited_rows(scene, sample.shown_sample(scene))
    assert sorted(rows) == [1, 2, 3]
    focal = 35 / 36 * 98  # twice as far away: one metre covers half as many pixels
    assert rows[2]["bbox"][2:] == pytest.approx([focal / 12, focal / 12], rel=0.01)


def test_objects_out_of_view_and_deleted_ones_have_no_box(scene: bpy.types.Scene) -> None:
    found = holders(scene)
    found[1].location.y = -50.0  # behind the camera
    found[2].location.x = 90.0
    bpy.data.objects.remove(found[3])
    bpy.context.view_layer.update()
    rows = live_boxes.edited_rows(scene, sample.shown_sample(scene))
    assert {n: (row["bbox"], row["reason"]) for n, row in rows.items()} == {
        1: (None, "out of view"),
        2: (None, "out of view"),
        3: (None, "removed"),
    }


def test_many_points_are_reduced_to_their_hull() -> None:
    mesh = bpy.data.meshes.new("cloud")
    points = np.random.default_rng(0).normal(size=(2000, 3))
    mesh.from_pydata(points.tolist(), [], [])
    o = bpy.data.objects.new("cloud", mesh)
    o.location.x = 2.0
    collection = bpy.data.collections.new("cloud")
    collection.objects.link(o)
    hull = live_boxes.asset_points(collection)
    assert len(hull) < 300
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = points + np.array([2.0, 0.0, 0.0])
    np.testing.assert_allclose((hull @ turned).min(0), (moved @ turned).min(0), atol=1e-5)
    np.testing.assert_allclose((hull @ turned).max(0), (moved @ turned).max(0), atol=1e-5)


def test_masks_are_the_triangles_of_assets(scene: bpy.types.Scene) -> None:
    shown = dict(masks.instances_shown(scene))
    assert sorted(o[sample.INSTANCE] for o in shown) == [1, 2, 3]
    corners, triangles = masks.asset_triangles(next(iter(shown.values())))
    assert sorted(map(tuple, corners[triangles[0]].tolist())) == [(0, 0, 0), (0, 1, 0), (1, 0, 0)]


def test_zones_are_the_faces_that_placements_use(scene: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=4)
    floor = bpy.context.active_object
    bpy.ops.twinset.mark_surface()
    assert [(o.name, zone) for o, zone in masks.zones_of(scene)] == [(floor.name, "")]
    corners, triangles = masks.zone_triangles(floor, "")
    assert len(triangles) == 32
    group = floor.vertex_groups.new(name="left")
    group.add([v.index for v in floor.data.vertices if v.co.x <= 0], 1.0, "REPLACE")
    group.add([v.index for v in floor.data.vertices if v.co.x > 0], 0.4, "REPLACE")
    corners, triangles = masks.zone_triangles(floor, "left")
    assert len(triangles) == 16 and corners[triangles][..., 0].max() <= 1e-6
    for n, name in enumerate(("wood", "stone")):
        floor.data.materials.append(bpy.data.materials.new(name))
        for face in floor.data.polygons[n * 8 :]:
            face.material_index = n
    assert len(masks.zone_triangles(floor, "stone")[1]) == 16
    assert len(masks.zone_triangles(floor, "no such zone")[1]) == 0


def test_a_zone_is_painted_on_a_marked_surface(scene: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_grid_add(size=4)
    floor = bpy.context.active_object
    assert not bpy.ops.twinset.paint_zone.poll()
    bpy.ops.twinset.mark_surface()
    assert bpy.ops.twinset.paint_zone() == {"FINISHED"}
    assert bpy.context.mode == "PAINT_WEIGHT" and floor.vertex_groups.active.name == "Zone"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert scene.twinset.placements[0].on_surface.mask == "Zone"
    assert len(masks.zone_triangles(floor, "Zone")[1]) == len(masks.zone_triangles(floor, "")[1])  # all, at first


def test_cameras_of_the_last_samples_are_kept(scene: bpy.types.Scene) -> None:
    frusta.forget()
    shown = sample.shown_sample(scene)
    for _ in range(3):
        frusta.note_sample(scene, shown)
    frusta.note_sample(scene, {**shown, "record": {**shown["record"], "image": None}})
    assert len(frusta.seen(scene, 50)) == 3 and len(frusta.seen(scene, 2)) == 2
    pose, places = frusta.seen(scene, 1)[0]
    np.testing.assert_allclose(places, [[-1, 0, 0], [0, 0, 0], [1, 0, 0]])
    lines = frusta.frustum(pose)
    assert len(lines) == 8 and lines[0][0] == pytest.approx([0.5, -6, 0.5])
    corners = np.array([end for _, end in lines[:4]])
    assert (corners[:, 1] > -6).all()  # it looks along y
    wide, high = np.ptp(corners[:, 0]), np.ptp(corners[:, 2])
    assert wide / high == pytest.approx(98 / 72)
    assert wide / (corners[0, 1] + 6) == pytest.approx(36 / 35)
    # In a scene that was drawn twice as large, the camera is twice as far away.
    frusta.note_sample(scene, {**shown, "scale": 0.5})
    assert frusta.seen(scene, 1)[0][0][0][3::4][:3] == pytest.approx([1.0, -12.0, 1.0])
    frusta.forget()


def test_a_map_of_positions_is_bright_where_the_boxes_are() -> None:
    points = np.random.default_rng(0).normal((0.25, 0.75), 0.03, (200, 2))
    found = heat_map.density(points)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (column + 0.5) / 64 == pytest.approx(0.25, abs=0.05) and (row + 0.5) / 48 == pytest.approx(0.75, abs=0.05)
    assert found.max() == 1.0 and found[:10].max() < 0.01
    assert heat_map.density([]).max() == 0.0
    picture = heat_map.picture([("Real", points.tolist()), ("Predicted", [])], 160, (1.0, 1.0, 1.0))
    assert picture.shape == (160, 160, 4) and picture.max() <= 1.0
    brightness = picture[..., :3].sum(-1)
    assert brightness[55, 24] > 3 * brightness[135, 24]  # the lower map is empty


def test_real_positions_are_read_once(tmp_path: Path) -> None:
    import json

    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 20], "area": 400, "iscrowd": 0}
    images = [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 60}]
    file = tmp_path / "real.json"
    file.write_text(json.dumps({"images": images, "annotations": [box], "categories": [{"id": 1, "name": "chair"}]}))
    centers = part("addon.settings.real_annotations").real_centers
    assert centers(str(file), "chair") == ((0.2, 0.5),)
    assert centers(str(file), "table") == () == centers("", "chair") == centers(str(tmp_path / "none"), "chair")


@pytest.mark.parametrize(
    ("x", "width", "free"),
    [(700, 300, 700), (1000, 300, 1000), (0, 300, 1000), (700, 1, 1000)],
    ids=["over the view", "beside it", "on its left", "closed"],
)
def test_labels_stay_left_of_the_sidebar(x: int, width: int, free: int) -> None:
    region = SimpleNamespace(type="WINDOW", x=0, width=1000)
    sidebar = SimpleNamespace(type="UI", x=x, width=width)
    area = SimpleNamespace(regions=[region, sidebar])
    assert part("addon.preview.overlay").free_width(area, region) == free
