# SPDX-License-Identifier: GPL-3.0-or-later
"""Clutter on a stage in plain numpy: how much of it, what it stands on, and where the camera sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from twinset.dataset.analysis.thing_counts import count_things
from twinset.engine.errors import StageError
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.geometry.support import CONTACT_GAP, ground_of_instance, points_on_ground
from twinset.engine.stage import Asset, CameraPose, RealPhotos
from twinset.plugins.appearances.clutter import Clutter
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.meshes import join

TOP = 0.72


def named(name: str, group: str, size: tuple[float, float, float]) -> Asset:
    import attrs

    return attrs.evolve(asset(name, "", box(size)), group=group)


def stage(real_photos: RealPhotos | None = None, tables: int = 1) -> BruteStage:
    """A floor, and a table with a shelf of 0.2 m above the floor, before a camera that looks down on it."""
    plates = [box((1.0, 0.8, 0.04), (0, 0, TOP - 0.02)), box((0.6, 0.5, 0.02), (0, 0, 0.2))]
    legs = [box((0.05, 0.05, TOP - 0.0401), (0.45 * x, 0.35 * y, (TOP - 0.04) / 2)) for x in (-1, 1) for y in (-1, 1)]
    table = asset("desk", "table", join(*plates, *legs))
    things = [named("mug", "cup", (0.08, 0.08, 0.1)), named("novel", "book", (0.14, 0.2, 0.03))]
    made = BruteStage({"Floor": plane((8.0, 8.0))}, [table, *things], real_photos=real_photos)
    for k in range(tables):
        matrix = np.eye(4)
        matrix[0, 3] = 1.5 * k
        made.place(table, matrix)
    pose = np.eye(4)
    pose[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.45]), np.array([0.0]))[0]
    pose[:3, 3] = (0.3, -2.4, 1.7)
    made.pose_camera(CameraPose(pose, 24.0, *made.resolution))
    return made


def photos(folder: Path, counts: list[dict[str, int]]) -> RealPhotos:
    """Photos with a table each, on which the things stand whose counts are given; every second book is beside it."""
    categories = [{"id": k, "name": name} for k, name in enumerate(("table", "cup", "book"), 1)]
    ids, annotations = {c["name"]: c["id"] for c in categories}, []
    for image, count in enumerate(counts):
        for name, number in count.items():
            for k in range(number):
                on = [40, 20, 10, 10] if name == "cup" or k % 2 == 0 else [1, 80, 10, 10]
                bbox = [20, 25, 60, 40] if name == "table" else on
                annotations.append({"id": len(annotations), "image_id": image, "category_id": ids[name], "bbox": bbox})
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 100, "height": 100} for k in range(len(counts))]
    path = folder / "real.json"
    for a in annotations:
        a["area"] = a["bbox"][2] * a["bbox"][3]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return RealPhotos(path)


def things(made: BruteStage) -> list[tuple[str, np.ndarray]]:
    return [(i.asset.group, i.matrix[:3, 3]) for i in made.instances if not i.asset.class_name]


def vary(made: BruteStage, plugin: Clutter, seed: int) -> list[tuple[str, np.ndarray]]:
    count = len(made.instances)
    plugin.vary(made, np.random.default_rng(seed))
    found = things(made)
    made.take_back(len(made.instances) - count)
    return found


def test_points_on_an_instance_are_on_faces_that_look_up() -> None:
    made = stage()
    ground = ground_of_instance(made.instances[0], 15.0)
    assert ground is not None
    points, faces = points_on_ground(ground, np.random.default_rng(0), 4000)
    assert (ground.normals[faces, 2] > 0.99).all()
    heights, counts = np.unique(points[:, 2].round(3), return_counts=True)
    by_height = dict(zip(heights.tolist(), (counts / 4000).tolist(), strict=True))
    # Areas: top 0.8, shelf 0.3, upper ends of four legs 0.01; no undersides.
    total = 0.8 + 0.3 + 4 * 0.05**2
    assert by_height[TOP] == pytest.approx(0.8 / total, abs=0.03)
    assert by_height[0.21] == pytest.approx(0.3 / total, abs=0.03)
    assert set(by_height) <= {TOP, 0.21, round(TOP - 0.0401, 3), round(TOP - 0.04, 3)}


def test_counts_are_those_of_a_photo(tmp_path: Path) -> None:
    counts = [{"table": 1, "cup": 2, "book": 1}, {"table": 1, "cup": 0, "book": 3}, {"cup": 9}]
    made = stage(photos(tmp_path, counts))
    plugin = Clutter(surfaces=["Floor"], tries=100)
    seen = set()
    for seed in range(30):
        groups = [group for group, _ in vary(made, plugin, seed)]
        seen.add((groups.count("cup"), groups.count("book")))
    # The third photo shows no table, which the stage has.
    assert seen == {(2, 1), (0, 3)}


def test_shares_of_carried_things(tmp_path: Path) -> None:
    real = count_things(photos(tmp_path, [{"table": 1, "cup": 2, "book": 4}]), ["table"])
    assert real.carried == {"cup": 1.0, "book": 0.5}
    made = stage(photos(tmp_path, [{"table": 1, "cup": 2, "book": 2}]))
    heights: dict[str, list[float]] = {"cup": [], "book": []}
    for seed in range(25):
        for group, position in vary(made, Clutter(surfaces=["Floor"], tries=60), seed):
            heights[group].append(float(position[2]))
    assert min(heights["cup"]) > 0.19
    on_floor = np.mean([h < 0.01 for h in heights["book"]])
    assert 0.25 < on_floor < 0.75


def test_things_rest_on_what_is_below_in_view_and_hit_nothing() -> None:
    made = stage()
    for seed in range(15):
        plugin = Clutter(surfaces=["Floor"], count_range=(5, 5), carried_share=0.6)
        plugin.vary(made, np.random.default_rng(seed))
        placed = [i for i in made.instances if not i.asset.class_name]
        assert placed
        labels = made.probe(1.0)
        for instance in placed:
            bottom = instance.matrix[2, 3]
            assert any(abs(bottom - CONTACT_GAP - height) < 1e-4 for height in (0.0, 0.21, TOP))
            assert not made.collides(instance.asset, instance.matrix, ignore={instance.id})
            middle = instance.matrix[:3, 3] + (0, 0, instance.asset.size[2] / 2)
            assert made.camera is not None
            (x, y), depth = made.camera.project(middle)
            assert 0 < x < made.resolution[0] and 0 < y < made.resolution[1] and 0.5 <= depth <= 6.0
        assert any((labels.ids == i.id).any() for i in placed)
        made.take_back(len(placed))


def test_without_photos_or_their_classes_the_range_counts(tmp_path: Path) -> None:
    made = stage()
    assert {len(vary(made, Clutter(count_range=(2, 2), tries=100), seed)) for seed in range(10)} == {2}
    other = stage(photos(tmp_path, [{"table": 1, "cup": 1}]))
    found = [[g for g, _ in vary(other, Clutter(count_range=(1, 1), tries=100), seed)] for seed in range(10)]
    assert all(sorted(groups) == ["book", "cup"] for groups in found)
    assert len(vary(stage(photos(tmp_path, [{"table": 1, "cup": 9}])), Clutter(max_count=3, tries=100), 0)) == 3


def test_without_distractors() -> None:
    empty = BruteStage({"Floor": plane((4.0, 4.0))}, [asset("a", "chair", box((0.4, 0.4, 0.4)))])
    with pytest.raises(StageError, match="distractor"):
        Clutter().vary(empty, np.random.default_rng(0))
