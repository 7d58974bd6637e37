# SPDX-License-Identifier: GPL-3.0-or-later
"""What depth of field and motion ask of the stage, for which frames."""

from __future__ import annotations

import numpy as np
import pytest
from recipes import recipe_of
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.goals import Goal, Goals
from twinset.engine.sampling.recorded_draws import DrawRecorder
from twinset.engine.stage import CameraPose
from twinset.plugins.appearances.depth_of_field import DepthOfField
from twinset.plugins.appearances.motion import Motion
from twinset.testing import BruteStage, asset, box, plane


def at(x: float, y: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, 3] = x, y
    return matrix


@pytest.fixture
def stage() -> BruteStage:
    """A chair 3 m and a bag 5 m in front of the camera, which looks along y."""
    assets = [asset("stool", "chair", box((0.4, 0.4, 0.6))), asset("crate", "bag", box((0.4, 0.4, 0.6)))]
    made = BruteStage({"Floor": plane((20.0, 20.0))}, assets)
    made.place(assets[0], at(-0.4, 3.2))
    made.place(assets[1], at(0.5, 5.2))
    matrix = np.eye(4)
    matrix[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([0.0]), np.array([0.0]))[0]
    matrix[:3, 3] = 0.0, 0.0, 0.3
    made.pose_camera(CameraPose(matrix, 30.0, 160, 120))
    return made


def test_the_main_instance_is_in_focus(stage: BruteStage) -> None:
    for name, depth in (("chair", 3.0), ("bag", 5.0)):
        stage.calls.clear()
        DepthOfField(aperture=(2.0, 4.0)).vary(
            stage, np.random.default_rng(1), Goals(main=Goal(name, 0.02, (0.5, 0.5)))
        )
        ((call, arguments),) = stage.calls
        assert call == "set_focus" and arguments["distance"] == pytest.approx(depth, abs=0.02)
        assert 2.0 <= arguments["f_number"] <= 4.0


def test_without_a_target_one_of_the_instances_in_view_is_in_focus(stage: BruteStage) -> None:
    for seed in range(12):
        DepthOfField().vary(stage, np.random.default_rng(seed), Goals())
    distances = np.array([arguments["distance"] for _, arguments in stage.calls])
    assert (np.abs(distances - 3.0) < 0.02).any() and (np.abs(distances - 5.0) < 0.02).any()
    assert ((np.abs(distances - 3.0) < 0.02) | (np.abs(distances - 5.0) < 0.02)).all()


def test_focus_and_probability(stage: BruteStage) -> None:
    for seed in range(200):
        DepthOfField(focus=(1.0, 4.0), probability=0.25).vary(stage, np.random.default_rng(seed), Goals())
    distances = np.array([arguments["distance"] for _, arguments in stage.calls])
    assert 25 <= len(distances) <= 75
    # Log-uniform: as many below 2 m as above.
    assert 0.3 < (distances < 2.0).mean() < 0.7 and distances.min() >= 1.0 and distances.max() <= 4.0


def test_motion_of_camera_and_things(stage: BruteStage) -> None:
    Motion(camera_distance=(0.02, 0.02), camera_rotation=(1.0, 1.0)).vary(stage, np.random.default_rng(0))
    ((call, arguments),) = stage.calls
    assert call == "set_motion" and arguments["target"] is None
    assert np.linalg.norm(arguments["displacement"]) == pytest.approx(0.02)
    assert np.linalg.norm(arguments["rotation"]) == pytest.approx(1.0)
    stage.calls.clear()
    still = {"camera_distance": (0.0, 0.0), "camera_rotation": (0.0, 0.0)}
    moving = Motion(**still, distance=(0.1, 0.2), rotation=(5.0, 5.0), classes=["bag"])
    moving.vary(stage, np.random.default_rng(0))
    ((call, arguments),) = stage.calls
    assert arguments["target"] == 2 and arguments["displacement"][2] == 0.0
    assert 0.1 <= np.linalg.norm(arguments["displacement"]) <= 0.2
    assert np.abs(arguments["rotation"]).tolist() == [0.0, 0.0, 5.0]
    stage.calls.clear()
    Motion(**still).vary(stage, np.random.default_rng(0))
    Motion(probability=0.0).vary(stage, np.random.default_rng(0))
    assert not stage.calls


def test_both_are_recorded(stage: BruteStage) -> None:
    recorder = DrawRecorder(stage, recipe_of())  # type: ignore[arg-type]
    DepthOfField(focus=(2.0, 2.0)).vary(recorder, np.random.default_rng(0), Goals())  # type: ignore[arg-type]
    Motion(distance=(0.1, 0.1)).vary(recorder, np.random.default_rng(0))  # type: ignore[arg-type]
    focus, camera, *things = recorder.calls
    assert focus["call"] == "set_focus" and focus["distance"] == pytest.approx(2.0)
    assert camera["call"] == "set_motion" and camera["target"] is None and len(camera["displacement"]) == 3
    assert [call["target"]["shape"] for call in things] == ["stool", "crate"]
