# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset's plugins in a script for BlenderProc: what it renders is what was solved, and nothing else has changed."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")
if importlib.util.find_spec("blenderproc") is None:
    pytest.skip('BlenderProc is not installed: pip install "twinset[blenderproc]"', allow_module_level=True)

from twinset.blender.bridge import Bridge, blenderproc  # noqa: E402
from twinset.dataset.formats.dataset_folder import read_dataset  # noqa: E402
from twinset.engine.errors import PluginError, RecipeError, StageError  # noqa: E402
from twinset.plugins.cameras.orbit import Orbit  # noqa: E402
from twinset.plugins.effects.noise import Noise  # noqa: E402
from twinset.plugins.placements.on_surface import OnSurface  # noqa: E402
from twinset.testing.conformance.global_random import states, touched  # noqa: E402

WIDTH, HEIGHT = 160, 120
KINDS = ("scenes", "collections", "objects", "meshes", "cameras", "lights", "worlds", "images", "materials")
STANDING = """
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [2, 3]
[[camera]]
plugin = "orbit"
distance = [2.0, 3.0]
lens = [24.0, 40.0]
"""


def build(bproc):
    """A script's scene: a dark floor, a red and a blue box that glow, and no other light."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    bproc.init()
    floor = bproc.object.create_primitive("PLANE", scale=[3, 3, 1])
    floor.set_name("Floor")
    black = bproc.material.create("Black")
    black.make_emissive(0.0, replace=True, emission_color=[0, 0, 0, 1])
    floor.add_material(black)
    boxes = []
    for name, color, size in (("Red", (1, 0, 0, 1), (0.4, 0.4, 0.6)), ("Blue", (0, 0, 1, 1), (0.3, 0.3, 0.9))):
        box = bproc.object.create_primitive("CUBE")
        box.set_name(name)
        box.set_scale([s / 2 for s in size])
        box.set_location([9.0, 9.0 if name == "Red" else -9.0, 5.0])
        box.set_cp("category_id", 3)
        material = bproc.material.create(name)
        material.make_emissive(1.0, replace=True, emission_color=color)
        box.add_material(material)
        boxes.append(box)
    bproc.renderer.set_world_background([0.0, 0.0, 0.0])
    bproc.renderer.set_max_amount_of_samples(8)
    bproc.renderer.set_denoiser(None)
    bproc.camera.set_resolution(WIDTH, HEIGHT)
    return boxes


@pytest.fixture
def script():
    with blenderproc() as bproc:
        yield bproc, build(bproc)


def corners_of(entity, pose):
    """Corners (8, 3) of an object's bounding box in the world."""
    local = np.array([tuple(c) for c in entity.blender_obj.bound_box])
    return local @ pose[:3, :3].T + pose[:3, 3]


def test_blenderproc_renders_what_was_solved(script):
    bproc, (red, blue) = script
    with Bridge(bproc, {"box": [red, blue]}, STANDING, seed=3) as bridge:
        added = bridge.add_frames(3)
    assert [a.frame for a in added] == [0, 1, 2]
    pictures = bproc.renderer.render(verbose=True)["colors"]
    assert len(pictures) == 3
    seen = 0
    for frame, picture in zip(added, pictures, strict=True):
        assert picture.shape == (HEIGHT, WIDTH, 3)
        for channel, name in ((0, "Red"), (2, "Blue")):
            ys, xs = np.nonzero(picture[..., channel] > 110)
            boxes = [p.bbox for p in frame.placed if p.entity.get_name().startswith(name) and p.bbox]
            if not boxes:
                assert not len(xs)
                continue
            low = np.min([b[:2] for b in boxes], 0)
            high = np.max([(b[0] + b[2], b[1] + b[3]) for b in boxes], 0)
            assert np.allclose((xs.min(), ys.min()), low, atol=1) and np.allclose(
                (xs.max() + 1, ys.max() + 1), high, atol=1
            )
            seen += len(boxes)
        for placed in frame.placed:
            corners = corners_of(placed.entity, placed.local2world)
            assert np.isclose(corners[:, 2].min(), 0.0, atol=1e-3), "it stands on the floor"
            assert np.abs(corners[:, :2]).max() < 3.01
    assert seen >= 4
    # Several of one thing in a frame are copies that know what they are.
    copies = [p.entity for a in added for p in a.placed if p.entity.get_name() not in ("Red", "Blue")]
    assert copies and all(c.get_cp("category_id") == 3 for c in copies)


def test_nothing_but_the_frames_is_left(script):
    bproc, (red, blue) = script
    red.blender_obj.pass_index = 7
    scene = bpy.context.scene
    before = {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS}
    kept = (scene.world, scene.render.engine, scene.cycles.samples, scene.render.filepath, scene.frame_current)
    random_states = states()
    with Bridge(bproc, {"box": [red], "": [blue]}, [OnSurface(surfaces=["Floor"], count=(1, 1)), Orbit()]) as bridge:
        bridge.add_frames(2)
        assert bpy.context.scene == scene and red.get_name() == "Red"
    assert {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS} == before
    now = (scene.world, scene.render.engine, scene.cycles.samples, scene.render.filepath, scene.frame_current)
    assert now == kept and red.blender_obj.pass_index == 7
    assert touched(random_states) == ()


def test_the_same_seed_gives_the_same_frames(script):
    bproc, _ = script

    def poses(seed):
        with Bridge(bproc, {"box": build(bproc)}, STANDING, seed=seed) as bridge:
            return [[p.local2world for p in a.placed] + [a.camera.matrix] for a in bridge.add_frames(2)]

    first, again, other = poses(1), poses(1), poses(2)
    for a, b in zip(first, again, strict=True):
        assert np.allclose(a, b, atol=1e-6)
    assert not np.allclose(first[0][-1], other[0][-1], atol=1e-3)


def test_frames_of_the_script_stay_what_they_were(script):
    bproc, (red, blue) = script
    red.set_location([0.0, 0.0, 0.3])
    bproc.camera.set_intrinsics_from_blender_params(50.0, lens_unit="MILLIMETERS")
    bproc.camera.add_camera_pose(bproc.math.build_transformation_mat([0.0, -4.0, 0.3], [np.pi / 2, 0.0, 0.0]))
    alone = bproc.renderer.render(verbose=True)["colors"][0]
    with Bridge(bproc, {"box": [red, blue]}, STANDING) as bridge:
        added = bridge.add_frames(1)
    assert [a.frame for a in added] == [1]
    pictures = bproc.renderer.render(verbose=True)["colors"]
    assert len(pictures) == 2
    ys, xs = np.nonzero(alone[..., 0] > 110)
    later = np.nonzero(pictures[0][..., 0] > 110)
    assert len(xs) > 50 and np.allclose(
        (ys.min(), xs.min(), ys.max(), xs.max()), (*np.min(later, 1), *np.max(later, 1)), atol=1
    )


def test_parts_and_modifiers_go_along(script):
    bproc, (red, blue) = script
    blue.set_location([9.0, 9.0, 5.75])
    blue.set_parent(red)
    with Bridge(bproc, {"box": [red]}, [OnSurface(surfaces=["Floor"], count=(1, 1)), Orbit()]) as bridge:
        (added,) = bridge.add_frames(1)
    assert [p.entity for p in added.placed] == [red]
    bpy.context.scene.frame_set(added.frame)
    lift = blue.blender_obj.matrix_world.translation - red.blender_obj.matrix_world.translation
    assert np.allclose(lift, (0.0, 0.0, 0.75), atol=1e-4)
    assert np.isclose(corners_of(red, np.array(red.blender_obj.matrix_world))[:, 2].min(), 0.0, atol=1e-3)


def test_cameras_hit_the_areas_of_real_boxes(script, tmp_path):
    bproc, boxes = script
    real = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(6)],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [40, 40, 20 + i, 20], "area": 400, "iscrowd": 0}
            for i in range(6)
        ],
        "categories": [{"id": 1, "name": "box"}],
    }
    (tmp_path / "real.json").write_text(json.dumps(real))
    plugins = tmp_path / "plugins.toml"
    plugins.write_text(
        '[real]\nannotations = "real.json"\n[target]\nplugin = "bbox_area_gmm"\ncomponents = 1\n'
        '[[placement]]\nplugin = "on_surface"\nsurfaces = ["Floor"]\ncount = [1, 1]\n'
        '[[camera]]\nplugin = "framed"\nheight = [0.2, 1.5]\n'
    )
    with Bridge(bproc, {"box": boxes}, plugins) as bridge:
        added = bridge.add_frames(4)
    shares = [p.bbox[2] * p.bbox[3] / (WIDTH * HEIGHT) for a in added for p in a.placed]
    assert len(shares) >= 3
    assert all(0.03 < s < 0.06 for s in shares), "real boxes take 0.04 to 0.05 of their images"


def test_the_script_of_the_docs_runs(root, tmp_path):
    text = (root / "docs" / "recipes" / "blenderproc.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "script.py"
    # Quicker, but otherwise as it stands.
    script.write_text(code.replace("samples(16)", "samples(1)").replace("320, 240", "64, 48"))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert sorted(p.name for p in (tmp_path / "output").iterdir()) == [f"{i}.hdf5" for i in range(5)]
    # What comes out is a dataset, with the boxes that were solved.
    coco = read_dataset(tmp_path / "output")
    solved = re.findall(r"\('[^']+', \((\d+), (\d+), (\d+), (\d+)\)\)", done.stdout)
    assert solved and sorted([int(v) for v in box] for box in solved) == sorted(a["bbox"] for a in coco.annotations)
    assert list(coco.classes()) == ["box"]
    assert done.stdout.count("'Cube") >= 10, "two or more boxes in each frame"


@pytest.mark.parametrize(
    ("objects", "plugins", "error", "sentence"),
    [
        ({"box": []}, STANDING, StageError, "nothing to place"),
        (None, STANDING.replace('"Floor"', '"Flor"'), StageError, "Did you mean 'Floor'"),
        (None, STANDING + "[render]\nsamples = 3\n", RecipeError, "does not take 'render'"),
        (None, STANDING + "[camera_model]\nfocal_length = [90, 90]\n", RecipeError, "poses a plain pinhole camera"),
        (None, "extends = 'room.toml'\nseed = 3\n" + STANDING, RecipeError, "does not take 'extends' and 'seed'"),
        (None, STANDING + "[output]\nwidth = 64\n", RecipeError, "script's resolution is the size"),
        (None, STANDING + "[[goal]]\ncolumn = 'depth'\n", RecipeError, "does not take 'goal'"),
        (None, STANDING + "[[variant]]\nrender.samples = 3\n", RecipeError, "cannot change the kind 'render'"),
        (None, STANDING.replace("count", "cout"), RecipeError, "has no parameter 'cout'"),
        (None, "[[placement]\n", RecipeError, "not valid TOML"),
        (None, ["on_surface"], RecipeError, "is not a placement or camera"),
        (
            None,
            STANDING + '[[effect]]\nplugin = "noise"\n',
            RecipeError,
            "Effects change pictures that Twinset renders",
        ),
        (None, [Noise()], RecipeError, "is not a placement or camera. Effects change pictures"),
    ],
)
def test_what_does_not_fit_is_told(script, objects, plugins, error, sentence):
    bproc, boxes = script
    before = {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS}
    with (
        pytest.raises((error, PluginError), match=sentence),
        Bridge(bproc, objects or {"box": boxes}, plugins) as bridge,
    ):
        bridge.add_frames(1)
    assert {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS} == before


def off_centre(bproc):
    bproc.camera.set_intrinsics_from_K_matrix([[150.0, 0.0, 60.0], [0.0, 150.0, 60.0], [0.0, 0.0, 1.0]], WIDTH, HEIGHT)


def not_square(bproc):
    bproc.camera.set_intrinsics_from_K_matrix([[150.0, 0.0, 79.5], [0.0, 120.0, 59.5], [0.0, 0.0, 1.0]], WIDTH, HEIGHT)


def distorted(bproc):
    from blenderproc.python.utility.GlobalStorage import GlobalStorage

    # What bproc.camera.set_lens_distortion notes, which itself needs a sensor that Blender 4.5 does not give.
    GlobalStorage.set("_lens_distortion_is_used", {"mapping_coords": None})


def panoramic(bproc):
    bpy.context.scene.camera.data.type = "PANO"


def blurred(bproc):
    bproc.renderer.enable_motion_blur()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (off_centre, "principal point away"),
        (not_square, "not square"),
        (distorted, "lens distortion"),
        (panoramic, "type 'PANO'"),
        (blurred, "motion blur"),
    ],
)
def test_a_camera_that_labels_would_not_fit_is_refused(script, change, sentence):
    bproc, boxes = script
    change(bproc)
    with pytest.raises(StageError, match=sentence):
        Bridge(bproc, {"box": boxes}, STANDING)


def test_a_principal_point_at_the_centre_is_taken_in_either_convention(script):
    bproc, boxes = script
    for x, y in ((WIDTH / 2, HEIGHT / 2), (WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5)):
        bproc.camera.set_intrinsics_from_K_matrix([[150.0, 0.0, x], [0.0, 150.0, y], [0.0, 0.0, 1.0]], WIDTH, HEIGHT)
        with Bridge(bproc, {"box": boxes}, STANDING):
            pass
