# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera solver against direct projection of the points it was given."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.geometry import framing
from twinset.engine.stage import extreme_points

RESOLUTION = (640, 480)


def chair(rng):
    return rng.uniform([-0.25, -0.25, 0.0], [0.25, 0.25, 0.9], (300, 3))


def candidates(rng, n, roll=0.0):
    return framing.Candidates(
        rng.uniform(0, 2 * np.pi, n), rng.uniform(0.3, 1.8, n), rng.uniform(24, 50, n), np.full(n, roll)
    )


@settings(max_examples=examples(40))
@given(
    area=st.floats(0.0005, 0.12),
    x=st.floats(0.35, 0.65),
    y=st.floats(0.35, 0.65),
    roll=st.floats(-0.2, 0.2),
    seed=st.integers(0, 1000),
)
def test_the_solved_pose_projects_the_points_into_the_goal(area, x, y, roll, seed):
    rng = np.random.default_rng(seed)
    points = chair(rng)
    box_goal = lambda ratio: framing.unclipped_goal(area, np.array([x, y]), ratio)  # noqa: E731
    found = framing.solve(points, box_goal, candidates(rng, 12, roll), RESOLUTION)
    assert (found.error < 0.05).mean() >= 0.8
    for i in np.flatnonzero(found.error < 0.005):
        pose = found.pose(int(i), RESOLUTION, near=0.01)
        np.testing.assert_allclose(pose.matrix[:3, :3] @ pose.matrix[:3, :3].T, np.eye(3), atol=1e-9)
        pixels, depth = pose.project(points)
        assert (depth > 0).all()
        low, high = pixels.min(0) / RESOLUTION, pixels.max(0) / RESOLUTION
        assert abs((high - low).prod() / area - 1) < 0.02
        np.testing.assert_allclose((low + high) / 2, [x, y], atol=0.01)


@settings(max_examples=examples(200))
@given(
    width=st.floats(0.01, 1.0),
    height=st.floats(0.01, 1.0),
    u=st.floats(0.0, 1.0),
    v=st.floats(0.0, 1.0),
    ratio=st.floats(0.2, 5.0),
)
def test_a_clipped_whole_box_has_the_area_and_centre_of_any_real_box(width, height, u, v, ratio):
    """Any box inside the image is a possible goal, whatever the object's own proportions."""
    center = np.array([width / 2 + u * (1 - width), height / 2 + v * (1 - height)])
    area = width * height
    size, middle = framing.unclipped_goal(area, center, np.array([ratio]))
    box = framing.clip_box(np.concatenate([middle - size / 2, middle + size / 2], -1))
    np.testing.assert_allclose(size[0, 0] / size[0, 1], ratio, rtol=1e-6)
    np.testing.assert_allclose(framing.box_area(box)[0], area, rtol=0.02)
    np.testing.assert_allclose((box[0, :2] + box[0, 2:]) / 2, center, atol=0.02)


def test_a_farther_goal_needs_a_farther_camera():
    rng = np.random.default_rng(0)
    points, choice = chair(rng), candidates(rng, 8)
    spans = [
        np.linalg.norm(
            framing.solve(
                points, lambda r, a=area: framing.unclipped_goal(a, np.array([0.5, 0.5]), r), choice, RESOLUTION
            ).position[:, :2],
            axis=1,
        )
        for area in (0.1, 0.01, 0.001)
    ]
    assert (spans[0] < spans[1]).all() and (spans[1] < spans[2]).all()


def test_extreme_points_have_nearly_the_same_box():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(5000, 3)) * [0.3, 0.3, 0.5]
    few = extreme_points(points)
    assert len(few) <= 200
    scale = np.array([[1.0, 1.0]])
    for _ in range(20):
        yaw, pitch = rng.uniform(0, 6.28, 1), rng.uniform(-1, 1, 1)
        rotation = framing.look_rotation(yaw, pitch, np.zeros(1))
        position = rotation[:, :, 2] * 5.0
        whole, thinned = (framing.project_box(p, position, rotation, scale) for p in (points, few))
        np.testing.assert_allclose(thinned, whole, atol=0.02 * np.ptp(whole))


def test_boxes_and_rotations_have_the_bits_of_their_plain_formulas():
    """They are written out for speed; another last bit would be another picture."""
    rng = np.random.default_rng(8)
    for cameras, count in ((1, 200), (2, 7), (31, 199), (40, 8)):
        points, position = rng.normal(size=(count, 3)), 3 * rng.normal(size=(cameras, 3))
        yaw, pitch, roll = rng.uniform(-3, 3, (3, cameras))
        forward = np.stack([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], -1)
        right = np.stack([np.sin(yaw), -np.cos(yaw), np.zeros(cameras)], -1)
        up = np.cross(right, forward)
        c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
        rotation = framing.look_rotation(yaw, pitch, roll)
        np.testing.assert_array_equal(rotation, np.stack([c * right + s * up, c * up - s * right, -forward], -1))
        scale = rng.uniform(0.5, 2.0, (cameras, 2))
        offset = points[None] - position[:, None]
        local = sum(offset[..., i, None] * rotation[:, None, i] for i in range(3))
        depth = np.maximum(-local[..., 2], framing.MIN_DEPTH)
        x, y = (0.5 + sign * scale[:, k, None] * local[..., k] / depth for k, sign in ((0, 1), (1, -1)))
        plain = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], -1)
        np.testing.assert_array_equal(framing.project_box(points, position, rotation, scale), plain)
