# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin that changes materials, on a stage in plain numpy: whose materials, by which colours, from which files."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest
from twinset.alignment.mixtures.color_palette import fit_palette, lab_from_linear, linear_from_lab, reflectance
from twinset.dataset.materials.photo_colors import class_palette, region_palette
from twinset.dataset.materials.texture_folders import split_name, texture_sets
from twinset.engine.errors import DataError, StageError
from twinset.engine.plugin.params import build
from twinset.engine.scene.material import MaterialSlot, color_from_text
from twinset.engine.stage import RealPhotos
from twinset.plugins.appearances.materials import Materials
from twinset.testing import BruteStage, asset, box, plane

SLOTS = {
    "stool": [MaterialSlot("seat", (0.2, 0.2, 0.2), area=0.6), MaterialSlot("legs", (0.5, 0.5, 0.5), area=0.4)],
    "Floor": [MaterialSlot("tiles")],
}


def stage(real_photos: RealPhotos | None = None, folder: Path = Path()) -> BruteStage:
    stool, crate = asset("stool", "chair", box((0.4, 0.4, 0.4))), asset("crate", "bag", box((0.3, 0.3, 0.3)))
    made = BruteStage(
        {"Floor": plane((6.0, 6.0)), "Wall": plane((2.0, 2.0))},
        [stool, crate],
        materials=SLOTS,
        real_photos=real_photos,
        folder=folder,
    )
    return made


def calls(plugin: Materials, made: BruteStage, seed: int = 0) -> list[tuple[object, str, object]]:
    """What the plugin changes with two stools and a crate on the stage: target, slot and change."""
    made.clear()
    for name, count in (("chair", 2), ("bag", 1)):
        for _ in range(count):
            made.place(made.assets[name][0], np.eye(4))
    plugin.vary(made, np.random.default_rng(seed))
    return [(c["target"], c["slot"], c["material"]) for _, c in made.calls]


def test_who_changes() -> None:
    every = calls(Materials(colors=["#102030"]), stage())
    assert [(t, s) for t, s, _ in every] == [(1, "seat"), (1, "legs"), (2, "seat"), (2, "legs"), (3, "plain")]
    assert [t for t, _, _ in calls(Materials(classes=["bag"]), stage())] == [3]
    assert [(t, s) for t, s, _ in calls(Materials(objects=["Fl*"]), stage())] == [("Floor", "tiles")]
    assert {s for _, s, _ in calls(Materials(slots=["leg*"]), stage())} == {"legs"}
    with pytest.raises(StageError, match="sofa"):
        calls(Materials(classes=["sofa"]), stage())


def test_instances_of_one_asset_differ_and_one_target_may_have_one_colour() -> None:
    found = calls(Materials(colors=["#102030", "#d0c0a0"], color_spread=6.0), stage())
    colors = {(t, s): m.base_color for t, s, m in found}
    assert colors[1, "seat"] != colors[2, "seat"] and colors[1, "seat"] != colors[1, "legs"]
    one = {(t, s): m.base_color for t, s, m in calls(Materials(colors=["#102030"], vary_by="target"), stage())}
    assert one[1, "seat"] == one[1, "legs"] != one[2, "seat"]


def test_drawn_colours_are_near_the_listed_ones() -> None:
    wanted = lab_from_linear(np.array([color_from_text("#7a503c")]))[0]
    drawn = np.array(
        [m.base_color for seed in range(200) for _, _, m in calls(Materials(colors=["122, 80, 60"]), stage(), seed)]
    )
    lab = lab_from_linear(drawn)
    assert np.abs(lab.mean(0) - wanted).max() < 0.7
    assert (np.abs(lab.std(0) - 3.5) < 1.0).all()  # a deviation of 4, cut at two of them


def test_share_of_changed_targets() -> None:
    plugin = Materials(probability=0.3)
    changed = [len({t for t, _, _ in calls(plugin, stage(), seed)}) for seed in range(300)]
    assert 0.25 < np.mean(changed) / 3 < 0.35


@pytest.mark.parametrize("text", ["#12", "#xyzxyz", "1, 2", "1, 2, 300", "red"])
def test_what_is_no_colour(text: str) -> None:
    assert "is not a colour" in build(Materials, {"colors": [text]}, "x")[1][0]


def test_colours_are_srgb() -> None:
    assert color_from_text("#fff") == (1.0, 1.0, 1.0)
    # 188 of 255 is half the light [IEC 61966-2-1].
    assert np.allclose(color_from_text("188, 188, 188"), 0.5029, atol=1e-3)


@pytest.fixture
def photos(tmp_path: Path) -> RealPhotos:
    """Twelve photos of a grey wall and a brown floor: dark red chairs in half of them, dark blue ones in the others,
    half of whose box shows the wall; each photo at another exposure."""
    images, annotations = [], []
    for k in range(12):
        linear = np.empty((120, 160, 3))
        linear[:60], linear[60:] = 0.8, (0.3, 0.2, 0.12)
        linear[20:50, 60:100:2] = (0.15, 0.02, 0.02) if k % 2 else (0.02, 0.03, 0.15)
        exposed = np.clip(linear * 1.6 ** (k % 3 - 2), 0, 1)
        encoded = np.where(exposed <= 0.0031308, 12.92 * exposed, 1.055 * exposed ** (1 / 2.4) - 0.055)
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.rint(encoded * 255).astype(np.uint8)[..., ::-1])
        images.append({"id": k, "file_name": f"{k}.png", "width": 160, "height": 120})
        annotations.append({"id": k, "image_id": k, "category_id": 1, "bbox": [60, 20, 40, 30], "area": 1200})
    categories = [{"id": 1, "name": "chair"}, {"id": 2, "name": "bag"}]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "real.json").write_text(json.dumps(data))
    return RealPhotos(tmp_path / "real.json", tmp_path)


def test_a_fitted_palette_has_the_things_colours_at_any_exposure(photos: RealPhotos) -> None:
    palette = class_palette(photos, "chair")
    drawn = np.concatenate([palette.draw(np.random.default_rng(seed), 4) for seed in range(200)])
    red, blue = np.array([0.15, 0.02, 0.02]), np.array([0.02, 0.03, 0.15])
    near = np.minimum(np.abs(drawn - red).max(1), np.abs(drawn - blue).max(1))
    # The wall between the bars is subtracted; what the exposure estimate leaves is within 0.05.
    assert (near < 0.05).mean() > 0.95
    # All parts of one thing come from one photo: no chair is both red and blue.
    for seed in range(50):
        own = palette.draw(np.random.default_rng(seed), 6)
        assert len({bool(row[0] > row[2]) for row in own}) == 1


def test_palettes_of_walls_and_floors(photos: RealPhotos) -> None:
    wall, floor = (region_palette(photos, region) for region in ("upper", "lower"))
    assert np.allclose(wall.draw(np.random.default_rng(0), 8), 0.8, atol=0.06)
    assert np.allclose(floor.draw(np.random.default_rng(0), 8), (0.3, 0.2, 0.12), atol=0.06)


def test_the_plugin_draws_from_the_photos(photos: RealPhotos) -> None:
    found = calls(Materials(palette="real", classes=["chair"], objects=["Floor"], photo_region="lower"), stage(photos))
    colors = {(t, s): m.base_color for t, s, m in found}
    assert max(colors[1, "seat"]) < 0.25 and np.allclose(colors["Floor", "tiles"], (0.3, 0.2, 0.12), atol=0.06)
    with pytest.raises(DataError, match="bag"):
        calls(Materials(palette="real"), stage(photos))
    with pytest.raises(DataError, match=r"\[real\]"):
        calls(Materials(palette="real"), stage())


def test_distractors_have_the_colours_of_real_things(photos: RealPhotos) -> None:
    """Of the class with the name of their table, or of all boxes: here red and blue chairs, and a green lamp."""
    coco = json.loads(photos.annotations.read_text())
    picture = cv2.imread(str(photos.images / "0.png"))
    picture[70:110, 10:50] = (30, 160, 30)
    cv2.imwrite(str(photos.images / "0.png"), picture)
    coco["categories"].append({"id": 3, "name": "lamp"})
    coco["annotations"].append({"id": 99, "image_id": 0, "category_id": 3, "bbox": [10, 70, 40, 40], "area": 1600})
    photos.annotations.write_text(json.dumps(coco))
    box_of = box((0.4, 0.4, 0.4))
    things = [attrs.evolve(asset(name, "", box_of), group=name) for name in ("lamp", "crate")]
    made = BruteStage({"Floor": plane((6.0, 6.0))}, [asset("stool", "chair", box_of), *things], real_photos=photos)

    def colors(plugin: Materials) -> dict[int, list[tuple[float, ...]]]:
        found: dict[int, list[tuple[float, ...]]] = {}
        for seed in range(60):
            made.clear()
            for thing in (made.assets["chair"][0], *made.assets[""]):
                made.place(thing, np.eye(4))
            made.calls.clear()
            plugin.vary(made, np.random.default_rng(seed))
            for _, call in made.calls:
                found.setdefault(call["target"], []).append(call["material"].base_color)
        return found

    found = colors(Materials(distractors=True, palette="real"))
    assert set(found) == {2, 3}
    assert all(g > max(r, b) for r, g, b in found[2])
    # 12 chairs and a lamp: a crate is mostly as red or blue as chairs, and at times as green as the lamp.
    kinds = [int(np.argmax(color)) for color in found[3]]
    assert min(kinds.count(0), kinds.count(2)) > 10 and 0 < kinds.count(1) < 15
    assert set(colors(Materials(distractors=True, distractor_names=["crate"]))) == {3}
    assert set(colors(Materials(distractors=True, classes=["chair"]))) == {1, 2, 3}
    assert set(colors(Materials())) == {1}
    with pytest.raises(StageError, match="sofa"):
        colors(Materials(distractors=True, distractor_names=["sofa"]))
    with pytest.raises(StageError, match="distractor"):
        calls(Materials(distractors=True), stage())


def test_exposure_is_divided_out() -> None:
    rng = np.random.default_rng(0)
    scene = rng.uniform(0.1, 0.8, (40, 40, 3))
    found = []
    for exposure in (0.3, 0.6, 0.9):
        linear = scene * exposure
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        found.append(reflectance(np.rint(encoded * 255).astype(np.uint8)))
    assert np.abs(found[0] - found[2]).max() < 0.02 and np.abs(found[1] - found[2]).max() < 0.02


def test_lab_there_and_back() -> None:
    colors = np.random.default_rng(0).uniform(0.02, 0.9, (100, 3))
    assert np.abs(linear_from_lab(lab_from_linear(colors)) - colors).max() < 2e-3


def test_palettes_are_the_same_each_time() -> None:
    things = [np.random.default_rng(k).normal((40, 10 * k, 0), 4, (300, 3)) for k in range(5)]
    a, b = fit_palette(things), fit_palette(things)
    assert (a.centers == b.centers).all() and (a.shares == b.shares).all()
    assert np.allclose(a.shares.sum(1), 1, atol=1e-3)


NAMES = {
    "wood_floor_diff_2k.jpg": ("wood_floor", "color"),
    "wood_floor_nor_gl_2k.exr": ("wood_floor", "normal"),
    "wood_floor_nor_dx_2k.jpg": ("wood_floor_nor_dx", ""),
    "wood_floor_rough_2k.png": ("wood_floor", "roughness"),
    "wood_floor_disp_2k.png": ("wood_floor", "displacement"),
    "Metal01_2K-JPG_Color.jpg": ("Metal01_2K-JPG", "color"),
    "Metal01_2K-JPG_NormalGL.jpg": ("Metal01_2K-JPG", "normal"),
    "Metal01_2K-JPG_NormalDX.jpg": ("Metal01_2K-JPG_NormalDX", ""),
    "Metal01_2K-JPG_Roughness.jpg": ("Metal01_2K-JPG", "roughness"),
    "Metal01_2K-JPG_Metalness.jpg": ("Metal01_2K-JPG", "metallic"),
    "Metal01_2K-JPG_Displacement.jpg": ("Metal01_2K-JPG", "displacement"),
    "Metal01_2K-JPG_AmbientOcclusion.jpg": ("Metal01_2K-JPG_AmbientOcclusion", ""),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_textures(name: str) -> None:
    assert split_name(Path(name).stem) == NAMES[name]


def test_texture_folders(tmp_path: Path) -> None:
    for name in NAMES:
        folder = tmp_path / "all" / name.split("_")[0].lower()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (tmp_path / "none").mkdir()
    found = texture_sets(tmp_path, ["all"], "x")
    assert [(s.name, sorted(s.files)) for s in found] == [
        ("Metal01_2K-JPG", ["color", "displacement", "metallic", "normal", "roughness"]),
        ("wood_floor", ["color", "displacement", "normal", "roughness"]),
    ]
    with pytest.raises(DataError, match="no texture"):
        texture_sets(tmp_path, ["none"], "x")
    with pytest.raises(DataError, match="missing"):
        texture_sets(tmp_path, ["nowhere"], "x")
    used = calls(Materials(texture_folders=["all"], patterns=["wood"], colors=["#fff"]), stage(folder=tmp_path))
    # Textures bring their own colours, patterns take the drawn one.
    assert all((m.base_color is None) == bool(m.textures) for _, _, m in used)


def test_the_test_stage_shows_flat_colours() -> None:
    made = stage()
    made.place(made.assets["chair"][0], np.eye(4))
    from twinset.engine.stage import CameraPose

    matrix = np.eye(4)
    matrix[:3, 3] = (0.0, 0.0, 3.0)
    made.pose_camera(CameraPose(matrix, 30.0, *made.resolution))
    before = made.shoot()
    from twinset.engine.scene.material import Material

    made.set_material(made.instances[0], "seat", Material(base_color=(1.0, 0.0, 0.0)))
    after, mask = made.shoot(), before.labels.ids == 1
    assert (after.labels.ids == before.labels.ids).all() and mask.any()
    assert (after.image[mask][:, 0] == before.image[mask][:, 0]).all() and not after.image[mask][:, 1:].any()
    assert (after.image[~mask] == before.image[~mask]).all()
    made.clear()
    with pytest.raises(StageError, match="legs"):
        made.set_material(made.place(made.assets["chair"][0], np.eye(4)), "leg", Material())
