# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field and motion in rendered pictures, against the geometry of thin lenses and of straight paths."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bpy")

import bpy
from plain_blender import add, cube, new_material, new_scene, save
from twinset.blender.stage import BlenderStage, open_stage
from twinset.engine.recipe.reading import loads_recipe

WIDTH, HEIGHT, LENS = 320, 60, 60.0
FOCAL = LENS / 36.0 * WIDTH
DEPTHS = (2.0, 3.0, 4.5, 8.0)
"""Of the posts, from left to right: their front faces."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> BlenderStage:
    """Black posts before a white sky, side by side in the picture and each as wide, at different depths."""
    folder = tmp_path_factory.mktemp("posts")
    new_scene((0.0, 0.0, 0.0), LENS)
    for k, depth in enumerate(DEPTHS):
        across = (k - 1.5) * 80 / FOCAL * depth
        post = add(f"post {k}", cube(f"p{k}", new_material(f"m{k}", (0.0, 0.0, 0.0))))
        post.location = (across, depth + 0.005, 0.0)
        post.scale = (30 / FOCAL * depth, 0.01, 4.0)
    path = save(folder)
    text = f"images = 1\n[scene]\nfile = '{path.name}'\n[render]\nsamples = 64\ndenoise = false\n[output]\n"
    text += f"width = {WIDTH}\nheight = {HEIGHT}\n[[class]]\nname = 'post'\nobjects = ['post*']\n"
    text += "[[placement]]\nplugin = 'keep'\n[[camera]]\nplugin = 'keep'\n"
    stage = open_stage(loads_recipe(text, folder, "test"))
    assert isinstance(stage, BlenderStage)
    return stage


@pytest.fixture(autouse=True)
def posed(stage: BlenderStage) -> None:
    stage.clear()
    stage.keep(["post"])
    stage.pose_camera(stage.existing_cameras()[0])


def spreads(picture: np.ndarray) -> np.ndarray:
    """Variance in square pixels of the edge of each post on the right, in linear light."""
    row = (picture[20:40].mean((0, 2)) / 255.0) ** 2.2
    out = []
    for k in range(len(DEPTHS)):
        middle = WIDTH / 2 + (k - 1.5) * 80
        slope = np.maximum(np.diff(row[int(middle) : int(middle + 40)]), 0.0)
        at = np.arange(len(slope))
        mean = (slope * at).sum() / slope.sum()
        out.append((slope * (at - mean) ** 2).sum() / slope.sum())
    return np.array(out)


def same_labels(a, b) -> bool:
    masks = all(
        np.array_equal(a.amodal[i].mask, b.amodal[i].mask) and a.amodal[i].bbox == b.amodal[i].bbox for i in a.amodal
    )
    return np.array_equal(a.labels.ids, b.labels.ids) and a.labels.depth.tobytes() == b.labels.depth.tobytes() and masks


def fresh_shot(stage: BlenderStage):
    """A shot whose labels are rendered, too."""
    pose = stage.camera
    stage.pose_camera(stage.existing_cameras()[0])
    assert stage.camera is not pose
    return stage.shoot()


def test_defocus_grows_with_the_distance_from_the_focus_as_a_thin_lens_says(stage: BlenderStage) -> None:
    sharp = stage.shoot()
    stage.set_focus(DEPTHS[0], f_number=1.0)
    blurred = fresh_shot(stage)
    assert same_labels(sharp, blurred)
    variance = spreads(blurred.image) - spreads(sharp.image)
    aperture = LENS / 1000 / 1.0
    # A point at depth d is a disc of this diameter in pixels, whose variance along an axis is its square over 16.
    disc = np.array([aperture * (d - DEPTHS[0]) / d * FOCAL / DEPTHS[0] for d in DEPTHS])
    assert (np.diff(variance) > 0).all() and abs(variance[0]) < 0.1
    np.testing.assert_allclose(4 * np.sqrt(variance[1:]), disc[1:], rtol=0.15)
    stage.set_focus(DEPTHS[-1], f_number=1.0)
    far = spreads(fresh_shot(stage).image) - spreads(sharp.image)
    assert (np.diff(far) < 0).all() and abs(far[-1]) < 0.1
    stage.clear()
    stage.keep(["post"])
    stage.pose_camera(stage.existing_cameras()[0])
    assert np.array_equal(stage.shoot().image, sharp.image)


def test_a_moving_camera_blurs_near_things_more(stage: BlenderStage) -> None:
    sharp = stage.shoot()
    stage.set_motion(None, displacement=(0.05, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))
    blurred = fresh_shot(stage)
    assert same_labels(sharp, blurred)
    lengths = np.sqrt(12 * (spreads(blurred.image) - spreads(sharp.image)))
    np.testing.assert_allclose(lengths, [0.05 * FOCAL / d for d in DEPTHS], rtol=0.15)
    # A rotation moves all alike; the second motion replaces the first.
    stage.set_motion(None, displacement=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 1.5))
    turned = np.sqrt(12 * (spreads(fresh_shot(stage).image) - spreads(sharp.image)))
    np.testing.assert_allclose(turned, np.radians(1.5) * FOCAL, rtol=0.2)


def test_moving_things_are_blurred_alone_about_where_their_labels_are(stage: BlenderStage) -> None:
    sharp = stage.shoot()
    moving = stage.instances[1]
    stage.set_motion(moving, displacement=(0.06, 0.0, 0.0), rotation=(0.0, 0.0, 0.0))
    first, again = fresh_shot(stage), stage.shoot()
    assert np.array_equal(first.image, again.image)
    assert same_labels(sharp, first) and same_labels(sharp, again)
    gained = spreads(first.image) - spreads(sharp.image)
    depth = DEPTHS[1]
    assert np.sqrt(12 * gained[1]) == pytest.approx(0.06 * FOCAL / depth, rel=0.15)
    np.testing.assert_allclose(np.delete(gained, 1), 0.0, atol=0.05)
    # The trail is as long on both sides of the mask.
    mask = sharp.labels.ids == moving.id
    dark = 255.0 - first.image[mask.any(1)].mean((0, 2))
    box = sharp.labels.bbox(moving.id)
    assert box is not None
    around = slice(box[0] - 12, box[0] + box[2] + 12)
    center = (dark[around] * (np.arange(WIDTH)[around] + 0.5)).sum() / dark[around].sum()
    assert center == pytest.approx(box[0] + box[2] / 2, abs=0.3)
    assert not bpy.data.actions
