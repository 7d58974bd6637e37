# SPDX-License-Identifier: GPL-3.0-or-later
"""The optics of real cameras against OpenCV's projections."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from twinset.engine.scene.intrinsics import MAX_ANGLE, Intrinsics

CAMERAS = {
    "pinhole": Intrinsics(640, 480, (612.5, 598.25), (301.75, 266.5)),
    "barrel": Intrinsics(
        640, 480, (400.0, 410.0), (330.0, 250.0), "brown_conrady", (-0.28, 0.09, 0.002, -0.0015, -0.01)
    ),
    "short": Intrinsics(640, 480, (700.0, 700.0), (310.0, 230.0), "brown_conrady", (0.1, -0.2, 0.001, 0.002)),
    "rational": Intrinsics(
        1280, 720, (640.0, 642.0), (650.0, 350.0), "brown_conrady", (0.4, 0.1, 0.0005, -0.0003, 0.02, 0.75, 0.2, 0.03)
    ),
    "fisheye": Intrinsics(800, 600, (240.0, 238.0), (395.5, 310.0), "fisheye", (0.05, -0.012, 0.004, -0.0006)),
    "ideal fisheye": Intrinsics(800, 600, (240.0, 240.0), (400.0, 300.0), "fisheye", (0.0,) * 4),
}  # fmt: skip


def opencv(camera: Intrinsics, local: np.ndarray) -> np.ndarray:
    """Pixels of points in the camera's frame by OpenCV, which looks along z with y down and counts from a pixel's
    centre."""
    matrix = camera.matrix
    matrix[:2, 2] -= 0.5
    points = (local * [1.0, -1.0, -1.0]).reshape(-1, 1, 3)
    coefficients = np.array(camera.coefficients or (0.0,) * 4)
    project = cv2.fisheye.projectPoints if camera.distortion == "fisheye" else cv2.projectPoints
    return project(points, np.zeros(3), np.zeros(3), matrix, coefficients)[0][:, 0] + 0.5


def points(camera: Intrinsics, rng: np.random.Generator, count: int = 400) -> np.ndarray:
    """Points that the lens can show, up to 2 degrees from its limit."""
    angle = rng.uniform(0.0, min(camera.max_angle - 0.035, 1.4), count)
    turn, depth = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.3, 9.0, count)
    return np.stack([np.tan(angle) * np.cos(turn) * depth, np.tan(angle) * np.sin(turn) * depth, -depth], -1)


@pytest.mark.parametrize("name", CAMERAS)
def test_points_are_projected_as_by_opencv_and_back(name: str) -> None:
    camera = CAMERAS[name]
    local = points(camera, np.random.default_rng(0))
    pixels, depth = camera.project(local)
    np.testing.assert_allclose(pixels, opencv(camera, local), atol=1e-6)
    np.testing.assert_allclose(depth, -local[:, 2])
    np.testing.assert_allclose(camera.slopes(pixels), local[:, :2] / depth[:, None] * [1, -1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CAMERAS)
def test_distortion_of_each_pixels_ray_is_the_pixel(name: str) -> None:
    camera = CAMERAS[name]
    x, y = np.meshgrid(np.arange(0, camera.width, 7) + 0.5, np.arange(0, camera.height, 7) + 0.5)
    pixels = np.stack([x, y], -1)
    slopes = camera.slopes(pixels)
    seen = np.isfinite(slopes).all(-1)
    assert seen.mean() > 0.8  # the corners of the fisheyes lie outside the circle of 88 degrees
    np.testing.assert_allclose(camera.pixels(slopes)[seen], pixels[seen], atol=1e-6)
    angles = np.arctan(np.linalg.norm(slopes[seen], axis=-1))
    assert angles.max() <= camera.max_angle * (1 + 1e-6) <= MAX_ANGLE * (1 + 2e-6)


@pytest.mark.parametrize("name", CAMERAS)
def test_what_lies_beyond_the_lens_is_not_folded_back_into_the_image(name: str) -> None:
    """Farther from the axis is farther from the principal point, although polynomials turn back."""
    camera = CAMERAS[name]
    slopes = np.concatenate([np.linspace(0.0, 20.0, 2000), [1e3, 1e6]])
    for turn in np.linspace(0, 2 * np.pi, 7):
        pixels = camera.pixels(slopes[:, None] * [np.cos(turn), np.sin(turn)])
        radius = np.linalg.norm((pixels - camera.center) / camera.focal, axis=-1)
        assert (np.diff(radius) > 0).all()
    behind = np.array([[0.4, 0.1, 2.0], [-0.3, -0.2, 0.5]])
    pixels, depth = camera.project(behind)
    assert (depth < 0).all()
    assert ((pixels < 0) | (pixels > (camera.width, camera.height))).any(-1).all()


@settings(max_examples=examples(30))
@given(x=st.integers(-50, 200), y=st.integers(-50, 200), turns=st.integers(0, 3), factor=st.sampled_from([0.5, 2.0]))
def test_cropped_rotated_and_resized_images_show_the_same_points(x: int, y: int, turns: int, factor: float) -> None:
    for camera in CAMERAS.values():
        local = points(camera, np.random.default_rng(1), 50)
        u, v = camera.project(local)[0].T
        cropped = camera.cropped(x, y, 320, 200)
        u, v = u - x, v - y
        width, height = 320, 200
        rotated = cropped.rotated(90 * turns)
        # The scene as the rotated camera has it: what was up is now to the right.
        for _ in range(turns):
            local = np.stack([local[:, 1], -local[:, 0], local[:, 2]], -1)
            u, v = height - v, u
            width, height = height, width
        assert (rotated.width, rotated.height) == (width, height)
        resized = rotated.resized(int(width * factor), int(height * factor))
        np.testing.assert_allclose(resized.project(local)[0], np.stack([u, v], -1) * factor, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"focal": (0.0, 400.0)}, "Its focal lengths must be above 0. Got 0 and 400."),
        ({"center": (float("nan"), 1.0)}, "Its numbers must be finite."),
        ({"width": 0}, "Its image must have pixels. Got 0 x 480."),
        (
            {"distortion": "fisheye", "coefficients": (0.1, 0.2)},
            "The distortion 'fisheye' takes 4 coefficients. Got 2.",
        ),
        ({"distortion": "omni"}, "Its distortion must be one of none, brown_conrady, fisheye. Got 'omni'."),
    ],
)
def test_numbers_that_are_no_camera_are_refused(change: dict, sentence: str) -> None:
    values = {"width": 640, "height": 480, "focal": (400.0, 400.0), "center": (320.0, 240.0)}
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.")):
        Intrinsics(**(values | change))
