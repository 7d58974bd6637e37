# SPDX-License-Identifier: GPL-3.0-or-later
"""The brute-force stage itself against arithmetic: pictures, depth, amodal extents, rays, taking back."""

from __future__ import annotations

import numpy as np
import pytest
from twinset.engine.errors import StageError
from twinset.engine.stage import CameraPose
from twinset.testing import BruteStage, asset, box, plane
from twinset.testing.fixtures.scene import scene

DOWN = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]])  # looks along -z from z = 2


def at(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def test_a_box_from_above_covers_the_pixels_that_arithmetic_says():
    stage = BruteStage({"Floor": plane((50, 50))}, [asset("crate", "bag", box((0.4, 0.2, 0.5)))])
    stage.place(stage.assets["bag"][0], at(0.0, 0.0, 0.0))
    stage.pose_camera(CameraPose(DOWN, lens=36.0, width=160, height=120))
    shot = stage.shoot()
    # The top face is 1.5 m away; focal length 160 px: 42.67 x 21.33 px around the centre.
    rows, columns = np.nonzero(shot.mask(1))
    assert (columns.min(), columns.max() + 1) == (59, 101) and (rows.min(), rows.max() + 1) == (49, 71)
    assert shot.labels.depth[60, 80] == pytest.approx(1.5) and shot.labels.depth[0, 0] == pytest.approx(2.0)
    assert shot.amodal[1].pixels == 42 * 22 and shot.amodal[1].bbox == (59, 49, 42, 22)
    assert stage.probe(0.25).ids.shape == (30, 40)


def test_amodal_extents_reach_beyond_the_image_and_behind_others():
    stage = BruteStage({"Floor": plane((50, 50))}, [asset("crate", "bag", box((0.4, 0.4, 0.1)))])
    crate = stage.assets["bag"][0]
    stage.place(crate, at(1.0, 0.0, 0.0))  # centred on the right border
    stage.place(crate, at(0.45, 0.0, 0.9))  # and one that hides it, nearer to the camera
    stage.pose_camera(CameraPose(DOWN, lens=36.0, width=160, height=120))
    shot = stage.shoot()
    assert not shot.mask(1).any() and shot.mask(2).any()
    x, _, width, _ = shot.amodal[1].bbox
    assert x < 160 < x + width and shot.amodal[1].mask.sum() < shot.amodal[1].pixels


def test_rays_name_their_owner_and_clear_takes_all_back():
    stage = scene()
    stage.place(stage.assets[""][0], at(0, 0, 1.0))
    down = np.array([[0.0, 0.0, -1.0]])
    hits = stage.cast(np.array([[0.0, 0.0, 3.0], [2.5, -2.5, 3.0], [9.0, 9.0, 3.0]]), down)
    assert hits.owner.tolist() == [1, 0, -1]
    np.testing.assert_allclose(hits.distance, [1.85, 3.0, np.inf])
    assert stage.cast(np.array([[0.0, 0.0, 3.0]]), down, ignore=[1]).distance[0] == 3.0
    assert stage.clearance(np.array([[-2.0, -2.0, 0.7]]))[0] == pytest.approx(0.7)
    stage.scale_lights(2.0, (1, 1, 1))
    assert stage.calls == [("scale_lights", {"factor": 2.0, "tint": (1, 1, 1)})]
    stage.clear()
    assert stage.instances == () and stage.calls == []
    with pytest.raises(StageError, match="pose_camera"):
        stage.shoot()
