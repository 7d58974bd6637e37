# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes, depth, shape and image statistics against brute force, OpenCV, SciPy and pictures of known content."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_examples import examples
from twinset import testing
from twinset.alignment.columns.id_map import crop, depths_under, extents
from twinset.alignment.columns.image_statistics import (
    NAMES,
    blur,
    grey,
    sharpness,
    statistics,
)
from twinset.engine.plugin import registry
from twinset.engine.stage import CameraPose, Shot
from twinset.plugins.metrics.bbox import BBox
from twinset.plugins.metrics.depth import Depth
from twinset.plugins.metrics.image_quality import ImageQuality
from twinset.plugins.metrics.shape import Shape
from twinset.testing.fixtures.shots import disc, make_shot, whole

id_maps = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4))


@settings(max_examples=examples(60))
@given(id_maps)
def test_extents_are_those_of_each_mask(ids):
    wanted = [3, 1, 7]
    counts, boxes = extents(ids, wanted)
    for id, count, box in zip(wanted, counts, boxes, strict=True):
        pixels = [(x, y) for y in range(ids.shape[0]) for x in range(ids.shape[1]) if ids[y, x] == id]
        assert count == len(pixels)
        if not pixels:
            assert box.tolist() == [0, 0, 0, 0]
            continue
        xs, ys = zip(*pixels, strict=True)
        assert box.tolist() == [min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1]


def test_extents_of_no_instance():
    counts, boxes = extents(np.zeros((4, 5), np.int32), [])
    assert counts.shape == (0,)
    assert boxes.shape == (0, 4)


def test_crop_is_clipped_to_the_image():
    assert crop([0, 2, 3, 4], (6, 5), margin=2) == (slice(0, 6), slice(0, 5))
    assert crop([2, 3, 1, 1], (9, 9), margin=1) == (slice(2, 5), slice(1, 4))


def test_bbox_of_a_known_rectangle():
    ids = np.zeros((100, 200), np.int32)
    ids[20:60, 30:50] = 1
    row = BBox().measure(make_shot(ids, n=1)).bbox
    assert row["bbox"] == [[30, 20, 20, 40]]
    assert row["bbox_area"][0] == pytest.approx(20 * 40 / 20_000)
    assert row["aspect"][0] == pytest.approx(0.5)
    assert (row["center_x"][0], row["center_y"][0]) == (pytest.approx(0.2), pytest.approx(0.4))
    assert (row["truncated"], row["truncated_share"][0], row["touches_border"]) == ([False], 0.0, [False])


def test_bbox_keeps_the_order_of_instances_and_leaves_unseen_ones_empty():
    ids = np.zeros((10, 10), np.int32)
    ids[4:6, 4:6] = 3
    ids[0, 0] = 1
    row = BBox().measure(make_shot(ids, n=3)).bbox
    assert row["bbox"] == [[0, 0, 1, 1], None, [4, 4, 2, 2]]
    assert np.isnan(row["bbox_area"][1]) and np.isnan(row["truncated_share"][1])
    assert row["truncated"][1] is None
    assert row["touches_border"] == [True, None, False]


def test_half_of_a_disc_beyond_the_border_is_truncated():
    inside = disc((200, 200), (200.0, 100.0), 60.0)
    everything = disc((200, 400), (200.0, 100.0), 60.0).sum()
    row = BBox().measure(make_shot(inside.astype(int), n=1, amodal={1: whole(inside, everything)})).bbox
    assert row["truncated_share"][0] == pytest.approx(0.5, abs=1e-9)
    assert row["truncated"] == [True]
    assert row["touches_border"] == [True]


def test_a_mirrored_picture_has_mirrored_centres():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 3, (20, 30))
    ids[:, :5] = 0
    here, there = (BBox().measure(make_shot(i, n=2)).bbox for i in (ids, ids[:, ::-1]))
    np.testing.assert_allclose(here["center_x"], 1.0 - there["center_x"])
    np.testing.assert_allclose(here["bbox_area"], there["bbox_area"])


@pytest.mark.parametrize(("statistic", "expected"), [("median", 2.0), ("mean", 4.0), ("min", 1.0)])
def test_depth_is_read_under_the_mask_only(statistic, expected):
    ids = np.array([[1, 1, 1, 0, 1]])
    depth = np.array([[1.0, 2.0, 9.0, 0.1, np.inf]], np.float32)
    shot = make_shot(ids, n=2, depth=depth)
    values = Depth(statistic=statistic).measure(shot).bbox["depth"]
    assert values[0] == expected
    assert np.isnan(values[1])


def test_depth_where_nothing_has_one():
    ids = np.ones((2, 2), np.int32)
    assert np.isnan(depths_under(ids, np.full((2, 2), np.inf), [1], np.array([[0, 0, 2, 2]]))).all()


def test_shape_names_visible_assets():
    ids = np.array([[0, 2]])
    assert Shape().measure(make_shot(ids, n=2, names=["stool", "sofa"])).bbox["shape"] == [None, "sofa"]


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(5).integers(0, 256, (64, 80, 3), dtype=np.uint8)


def test_grey_and_sharpness_are_those_of_opencv(noise):
    cv2 = pytest.importorskip("cv2")
    luma = cv2.cvtColor(noise, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(grey(noise), luma)
    assert sharpness(luma) == pytest.approx(cv2.Laplacian(luma, cv2.CV_64F).var(), rel=1e-5)


def test_entropy_brightness_contrast_are_those_of_scipy_and_numpy(noise):
    stats = pytest.importorskip("scipy.stats")
    luma = grey(noise)
    found = statistics(luma)
    assert found["entropy"] == pytest.approx(stats.entropy(np.unique(luma, return_counts=True)[1], base=2))
    assert found["brightness"] == pytest.approx(luma.mean() / 255)
    assert found["contrast"] == pytest.approx((luma / 255).std())


def test_blur_is_the_formula_of_crete(noise):
    ndimage = pytest.importorskip("scipy.ndimage")
    values = grey(noise).astype(float)
    expected = []
    for axis in (0, 1):
        blurred = ndimage.uniform_filter1d(values, 9, axis=axis, mode="nearest")
        before, after = (np.abs(np.diff(v, axis=axis)) for v in (values, blurred))
        expected.append((before.sum() - np.maximum(0, before - after).sum()) / before.sum())
    assert blur(values) == pytest.approx(max(expected), rel=1e-5)


def test_blurring_a_picture_raises_blur_and_lowers_sharpness(noise):
    ndimage = pytest.importorskip("scipy.ndimage")
    steps = [statistics(ndimage.gaussian_filter(grey(noise), sigma)) for sigma in (0.0, 0.7, 1.5, 3.0)]
    assert all(a["blur"] < b["blur"] for a, b in itertools.pairwise(steps))
    assert all(a["sharpness"] > b["sharpness"] for a, b in itertools.pairwise(steps))


def test_pictures_of_one_and_of_two_colours():
    flat = statistics(np.full((9, 9), 51, np.uint8))
    assert (flat["sharpness"], flat["entropy"], flat["contrast"]) == (0.0, 0.0, pytest.approx(0.0))
    assert flat["brightness"] == pytest.approx(0.2)
    assert math.isnan(flat["blur"])
    halves = np.zeros((8, 8), np.uint8)
    halves[:, 4:] = 255
    two = statistics(halves)
    assert (two["entropy"], two["brightness"], two["contrast"]) == (1.0, 0.5, 0.5)


def test_statistics_of_a_single_pixel_and_of_none():
    assert statistics(np.array([[255]], np.uint8))["brightness"] == 1.0
    assert all(math.isnan(v) for v in statistics(np.zeros((0, 3), np.uint8)).values())


def test_image_quality_of_a_box_is_that_of_its_crop(noise):
    ids = np.zeros((64, 80), np.int32)
    ids[10:30, 5:50] = 2
    found = ImageQuality().measure(make_shot(ids, n=2, image=noise))
    part = statistics(grey(noise[10:30, 5:50]))
    assert found.image == statistics(grey(noise))
    for name in NAMES:
        assert found.bbox[name][1] == part[name]
        assert np.isnan(found.bbox[name][0])


@pytest.mark.parametrize("id", registry.default().ids("metric", builtin=True))
def test_metrics_that_say_so_measure_a_probe_as_they_measure_a_shot(id):
    """A probe has the labels of the frame, and amodal masks when asked, but no picture."""
    stage = testing.scene((64, 48))
    matrix = np.eye(4)
    stage.place(stage.assets["chair"][0], matrix)
    matrix = matrix.copy()
    matrix[:2, 3] = 0.5, 0.3
    stage.place(stage.assets["bag"][0], matrix)
    look = np.array([[1.0, 0, 0, 0.2], [0, 0, -1, -2.5], [0, 1, 0, 0.3], [0, 0, 0, 1]])
    stage.pose_camera(CameraPose(look, 24.0, 64, 48))
    shot = stage.shoot()
    probe = Shot(np.empty((0, 0, 3), np.uint8), stage.probe(1.0), shot.instances, stage.amodal(), shot.camera)
    metric = registry.find("metric", id)()
    wanted = metric.measure(shot)
    if not metric.measures_probes:
        assert wanted.image or "background_similarity" in wanted.bbox
        return
    found = metric.measure(probe)
    assert found.image == wanted.image and found.bbox.keys() == wanted.bbox.keys()
    for name, values in found.bbox.items():
        assert list(map(str, values)) == list(map(str, wanted.bbox[name]))
