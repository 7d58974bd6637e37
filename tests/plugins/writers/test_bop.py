# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of BOP: poses, masks and models agree with each other, and bop_toolkit scores the truth with 1."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from recipes import on_floor, orbit, recipe_text
from twinset.dataset.exports.asset_models import diameter, read_model, vertex_normals
from twinset.dataset.formats.dataset_folder import open_dataset, read_dataset
from twinset.dataset.jobs.convert import convert
from twinset.dataset.jobs.job import Job
from twinset.dataset.jobs.subset import SubsetChanges, write_subset
from twinset.engine.errors import DataError, RecipeError
from twinset.engine.plugin.registry import find
from twinset.engine.recipe.reading import loads_recipe
from twinset.testing import BruteStage, asset, box, plane

CHAIR = {"name": "chair", "builtin": "chair"}
BAG = {"name": "bag", "builtin": "bag"}
WRITER = """
[[writer]]
plugin = "bop"
scene_images = 2
quarter_turn = ["sto*"]
any_turn = ["no such"]
half_turn = ["crate*"]
"""
TEXT = partial(
    recipe_text,
    seed=4,
    images=5,
    placements=[on_floor(2, 4)],
    cameras=[orbit(2.0, 3.0)],
    render={"block_size": 2},
    split={"val": 0.4},
    size=(96, 72),
)
SIZES = {
    "stool": (0.4, 0.4, 0.45),
    "stool, high": (0.35, 0.35, 0.7),
    "crate": (0.3, 0.2, 0.25),
    "crate, flat": (0.4, 0.3, 0.1),
}


def boxes_stage(recipe, *, scale_range=(1.0, 1.0), **options) -> BruteStage:
    """A floor, and two boxes of each class."""
    own = {name: ("chair" if name.startswith("stool") else "bag", size) for name, size in SIZES.items()}
    assets = [asset(name, class_name, box(size), scale_range) for name, (class_name, size) in own.items()]
    return BruteStage({"Floor": plane((6.0, 6.0))}, assets, resolution=(recipe.output.width, recipe.output.height))


def job(folder: Path, *, writer: str = WRITER, depth: str = "exr", stage=boxes_stage) -> Job:
    output = {"depth": depth, "format": "png"} if depth else {}
    recipe = loads_recipe(TEXT(classes=[CHAIR, BAG], output=output) + writer, folder, "recipe.toml")
    return Job(recipe, folder / "out", stage)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bop")
    list(job(folder).run())
    return folder / "out"


def ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a binary PLY file, by its header alone."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    points, faces = (int(n) for n in re.findall(rb"element \w+ (\d+)", header))
    vertex, face = np.dtype([("xyz", "<f4", 3), ("n", "<f4", 3)]), np.dtype([("k", "u1"), ("v", "<i4", 3)])
    own = np.frombuffer(body, vertex, points)
    np.testing.assert_allclose(np.linalg.norm(own["n"], axis=1), 1.0, atol=1e-6)
    return own["xyz"].astype(float), np.frombuffer(body, face, faces, points * vertex.itemsize)["v"]


def scenes(out: Path):
    return sorted(path.parent for path in (out / "bop").glob("*/*/scene_gt.json"))


def load(scene: Path, name: str):
    return json.loads((scene / name).read_text())


def test_projected_models_cover_masks_and_depth_maps(rendered):
    found = scenes(rendered)
    assert [scene.relative_to(rendered / "bop").as_posix() for scene in found] == [
        "train/000000",
        "train/000001",
        "val/000000",
    ]
    seen = 0
    for scene in found:
        truth, info, cameras = (load(scene, f"scene_{name}.json") for name in ("gt", "gt_info", "camera"))
        assert sorted(truth) == sorted(info) == sorted(cameras)
        for key, instances in truth.items():
            k = np.reshape(cameras[key]["cam_K"], (3, 3))
            assert k[0, 2] == 47.5 and k[1, 2] == 35.5  # the centre of the first pixel is 0
            depth = cv2.imread(str(scene / f"depth/{int(key):06d}.png"), cv2.IMREAD_UNCHANGED)
            assert depth.dtype == np.uint16 and cameras[key]["depth_scale"] == 0.1
            assert (scene / f"rgb/{int(key):06d}.png").is_file()
            for number, (instance, known) in enumerate(zip(instances, info[key], strict=True)):
                vertices, faces = ply(rendered / f"bop/models/obj_{instance['obj_id']:06d}.ply")
                rotation = np.reshape(instance["cam_R_m2c"], (3, 3))
                np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-8)
                camera = vertices @ rotation.T + instance["cam_t_m2c"]
                pixels = (camera @ k.T)[:, :2] / camera[:, 2:]
                shown = np.zeros(depth.shape, np.uint8)
                for face in faces:  # filled triangles have a border half a pixel too wide
                    cv2.fillConvexPoly(shown, np.rint(pixels[face] * 256).astype(int), 1, shift=8)
                name = f"{int(key):06d}_{number:06d}.png"
                whole, visible = (cv2.imread(str(scene / kind / name), 0) > 0 for kind in ("mask", "mask_visib"))
                assert not (visible & ~whole).any()
                wide = cv2.dilate(whole.astype(np.uint8), np.ones((3, 3))) > 0
                assert not (whole & (shown == 0)).any() and not ((shown > 0) & ~wide).any()
                assert known["px_count_visib"] == visible.sum() and known["px_count_all"] >= whole.sum()
                assert known["visib_fract"] == pytest.approx(known["px_count_visib"] / known["px_count_all"])
                assert known["px_count_valid"] == (whole & (depth > 0)).sum()
                if visible.any():
                    rows, columns = np.nonzero(visible)
                    x, y = int(columns.min()), int(rows.min())
                    assert known["bbox_visib"] == [x, y, int(columns.max()) - x, int(rows.max()) - y]
                    low, high = pixels.min(0), pixels.max(0)
                    bx, by, bw, bh = known["bbox_obj"]
                    np.testing.assert_allclose([bx, by, bx + bw, by + bh], [*low, *high], atol=1.0)
                    inside = depth[visible] * 0.1
                    assert camera[:, 2].min() - 0.06 <= inside.min() and inside.max() <= camera[:, 2].max() + 0.06
                    seen += 1
    assert seen >= 5


def test_models_have_diameter_extent_and_declared_symmetries(rendered):
    models = rendered / "bop/models"
    info, names = load(models, "models_info.json"), load(models, "names.json")
    assert {n["name"]: n["class"] for n in names.values()} == {
        name: "chair" if name.startswith("stool") else "bag" for name in SIZES
    }
    for key, known in info.items():
        vertices, _ = ply(models / f"obj_{int(key):06d}.ply")
        pairs = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)
        assert known["diameter"] == pytest.approx(pairs.max(), rel=1e-6)
        size = np.array([known[f"size_{axis}"] for axis in "xyz"])
        np.testing.assert_allclose(size, np.ptp(vertices, axis=0), rtol=1e-6)
        np.testing.assert_allclose([known[f"min_{axis}"] for axis in "xyz"], -size / 2, rtol=1e-5)
        np.testing.assert_allclose(size / 1000, SIZES[names[key]["name"]], rtol=1e-6)
        turns = [np.reshape(turn, (4, 4))[:3, :3] for turn in known["symmetries_discrete"]]
        assert len(turns) == {"crate": 1, "stool": 3}[names[key]["name"].split(",")[0]]
        for turn in turns:  # a turned box is the same box
            np.testing.assert_allclose(np.sort(vertices @ turn.T, axis=0), np.sort(vertices, axis=0), atol=1e-3)
    assert (rendered / "bop/models_eval/obj_000001.ply").samefile(models / "obj_000001.ply")


def test_targets_ask_for_what_is_visible(rendered):
    for part in ("train", "val"):
        counts = {
            (t["scene_id"], t["im_id"], t["obj_id"]): t["inst_count"]
            for t in load(rendered / "bop", f"{part}_targets_bop19.json")
        }
        expected: dict[tuple[int, int, int], int] = {}
        for scene in (s for s in scenes(rendered) if s.parent.name == part):
            info = load(scene, "scene_gt_info.json")
            for key, instances in load(scene, "scene_gt.json").items():
                for instance, known in zip(instances, info[key], strict=True):
                    if known["visib_fract"] >= 0.1:
                        place = int(scene.name), int(key), instance["obj_id"]
                        expected[place] = expected.get(place, 0) + 1
        assert counts == expected


def test_the_folder_is_read_back_as_the_dataset(rendered):
    own, back = read_dataset(rendered), read_dataset(rendered / "bop")
    assert len(back.images) == len(own.images)
    names = [{c["id"]: c["name"] for c in each.categories} for each in (own, back)]
    boxes = [
        sorted((n[a["category_id"]], *a["bbox"]) for a in each.annotations)
        for n, each in zip(names, (own, back), strict=True)
    ]
    assert set(boxes[0]) <= set(boxes[1])  # BOP has instances, too, that are too little visible to be annotated


def test_converting_a_rendered_dataset_gives_the_same_files(rendered, tmp_path):
    convert(
        open_dataset(rendered),
        find("writer", "bop")(scene_images=2, quarter_turn=["sto*"], half_turn=["crate*"]),
        tmp_path / "bop",
    )
    names = [p.relative_to(rendered / "bop") for p in (rendered / "bop").rglob("*") if p.is_file()]
    assert len(names) > 40
    for name in names:
        assert (tmp_path / "bop" / name).read_bytes() == (rendered / "bop" / name).read_bytes(), name


def test_models_are_sealed_and_written_again_where_they_are_missing(rendered, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(rendered, out)
    models = sorted((out / "models").iterdir())
    assert len(models) == 4 and not job(tmp_path).changed_files()
    kept = models[0].read_bytes()
    models[0].write_bytes(b"x")
    assert [name for name, _ in job(tmp_path).changed_files()] == [f"models/{models[0].name}"]
    models[0].unlink()
    list(job(tmp_path).run())
    assert models[0].read_bytes() == kept and not job(tmp_path).changed_files()


def test_a_dataset_gets_the_format_after_it_was_rendered(tmp_path):
    list(job(tmp_path, writer="").run())
    images = {p.name: p.read_bytes() for p in (tmp_path / "out/images").iterdir()}
    assert not (tmp_path / "out/models").exists()
    with pytest.raises(DataError, match=r"There is no model of .* Add \[\[writer\]\]"):
        convert(open_dataset(tmp_path / "out"), find("writer", "bop")(), tmp_path / "bop")
    list(job(tmp_path).run())
    assert {p.name: p.read_bytes() for p in (tmp_path / "out/images").iterdir()} == images
    assert len(scenes(tmp_path / "out")) == 3


def test_subsets_keep_the_models(rendered, tmp_path):
    found = open_dataset(rendered)
    first = found.coco.annotations[0]["id"]
    write_subset(found.coco, found.images, tmp_path / "sub", SubsetChanges(unlabelled=frozenset([first])), {})
    convert(open_dataset(tmp_path / "sub"), find("writer", "bop")(), tmp_path / "bop")
    assert (tmp_path / "bop/models/obj_000002.ply").is_file()


def test_recipes_without_depth_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"The writer 'bop' needs depth = \"png\" in \[output\]"):
        job(tmp_path, depth="")


def test_objects_of_several_sizes_are_refused(tmp_path):
    made = job(tmp_path, depth="png", stage=partial(boxes_stage, scale_range=(0.8, 1.2)))
    message = r"Instances of '.*' are scaled by 0\.\d+ to 1\.\d+.*Set scale_range = \[1.0, 1.0\]"
    with pytest.raises(DataError, match=message):
        list(made.run())


def test_photos_have_no_poses(tmp_path):
    from twinset.dataset.store.dataset_files import run_writer
    from twinset.testing.fixtures.datasets import finished_dataset

    run_writer(find("writer", "coco")(), finished_dataset(tmp_path / "photos"))
    with pytest.raises(DataError, match="has no record: it was not rendered by Twinset"):
        convert(open_dataset(tmp_path / "photos"), find("writer", "bop")(), tmp_path / "bop")


@pytest.mark.parametrize("damage", [b"", b"ply\n", b"cut", b"faces"])
def test_damaged_models_are_named(rendered, tmp_path, damage):
    path = next((rendered / "models").iterdir())
    data = path.read_bytes()
    changed = {b"cut": data[:-1], b"faces": data[:-4] + b"\xff\xff\xff\x7f"}.get(damage, damage)
    (tmp_path / "a.ply").write_bytes(changed)
    with pytest.raises(DataError, match=r"a.ply' (is not a model|has faces without)"):
        read_model(tmp_path / "a.ply")


def test_normals_and_diameters_of_known_shapes():
    cube = box((2.0, 2.0, 2.0))
    np.testing.assert_allclose(vertex_normals(cube), cube.vertices / np.sqrt(3), atol=1e-12)
    assert diameter(cube.vertices) == pytest.approx(np.sqrt(12))
    assert diameter(plane((3.0, 4.0)).vertices) == pytest.approx(5.0)
    assert diameter(np.zeros((1, 3))) == 0.0
    ball = np.random.default_rng(0).normal(size=(3000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    pairs = max(np.linalg.norm(ball - point, axis=1).max() for point in ball)
    assert diameter(ball) == pytest.approx(pairs)


def test_bop_toolkit_scores_the_truth_with_one(rendered):
    inout = pytest.importorskip("bop_toolkit_lib.inout")
    from bop_toolkit_lib import misc, pose_error, pose_matching, score

    info = inout.load_json(str(rendered / "bop/models_eval/models_info.json"), keys_to_int=True)
    models = {id: inout.load_ply(str(rendered / f"bop/models_eval/obj_{id:06d}.ply"))["pts"] for id in info}
    turns = {id: misc.get_symmetry_transformations(known, 0.01) for id, known in info.items()}
    for scene in scenes(rendered):
        number = int(scene.name)
        truth = inout.load_scene_gt(str(scene / "scene_gt.json"))
        known = inout.load_json(str(scene / "scene_gt_info.json"), keys_to_int=True)
        cameras = inout.load_scene_camera(str(scene / "scene_camera.json"))
        valid = {im: [k["visib_fract"] >= 0.1 for k in known[im]] for im in truth}

        def error(name, im, found, own, cameras=cameras):
            """The toolkit's error of a pose that is turned by the object's last symmetry, which is as right."""
            id = own["obj_id"]
            turn = turns[id][-1]
            pose = found["cam_R_m2c"] @ turn["R"], found["cam_R_m2c"] @ turn["t"] + found["cam_t_m2c"]
            of_truth = own["cam_R_m2c"], own["cam_t_m2c"]
            if name == "mspd":
                return [pose_error.mspd(*pose, *of_truth, cameras[im]["cam_K"], models[id], turns[id])]
            return [pose_error.mssd(*pose, *of_truth, models[id], turns[id]) / info[id]["diameter"]]

        for name, threshold in (("mssd", 0.05), ("mspd", 5.0)):
            errors = [
                {
                    "im_id": im,
                    "obj_id": found["obj_id"],
                    "est_id": k,
                    "score": 1.0,
                    "gt_visib_fracts": {n: shown["visib_fract"] for n, shown in enumerate(known[im])},
                    "errors": {
                        n: error(name, im, found, own)
                        for n, own in enumerate(instances)
                        if own["obj_id"] == found["obj_id"]
                    },
                }
                for im, instances in truth.items()
                for k, found in enumerate(instances)
                if valid[im][k]
            ]
            matches = pose_matching.match_poses_scene(number, truth, known, valid, errors, [threshold], 0)
            scores = score.calc_localization_scores([number], sorted(info), matches, 0, do_print=False)
            assert scores["recall"] == 1.0 and scores["gt_count"] == sum(map(sum, valid.values())) > 0
