# SPDX-License-Identifier: GPL-3.0-or-later
"""When appearances run: before or after the camera is posed, or before the render; and what records keep of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from recipes import on_floor, orbit, recipe_of
from stages import stool_stage
from twinset.engine.goals import Goals
from twinset.engine.plugin import plugin
from twinset.engine.plugin.results import Verdict
from twinset.engine.sampling.attempt import Trial
from twinset.engine.sampling.gates import OpenGates
from twinset.engine.sampling.recorded_draws import DrawRecorder
from twinset.engine.scene.material import Material
from twinset.plugins.appearances.jitter import Jitter

LOG: list[tuple[str, bool]] = []


def noting(time: str) -> Any:
    """An appearance that notes when it ran, and whether the camera was posed."""

    @plugin("appearance")
    class Noting:
        """Note when it runs."""

        runs = time

        def vary(self, stage: Any, rng: np.random.Generator) -> None:
            LOG.append((time, stage.camera is not None))
            stage.set_exposure(float(len(LOG)))

    return Noting()


def trial(times: list[str]) -> Trial:
    recipe = recipe_of(placements=[on_floor(1, 1)], cameras=[orbit(1.0, 1.2)], size=(96, 72))
    made = Trial(recipe, stool_stage(recipe), OpenGates())
    made.appearances = [(f"noting.{k}", noting(time)) for k, time in enumerate(times)]
    return made


def test_appearances_run_at_their_time() -> None:
    LOG.clear()
    made = trial(["last", "before_render", "after_camera", "before_camera"])
    use = made.recipe.plugins["camera"][0]
    probed = made.probe(0, 0, 0, use, Goals())
    assert not probed.reason
    assert LOG == [("before_camera", False), ("after_camera", True)]
    dressed = made.dress(0, probed, Goals())
    assert [time for time, _ in LOG[2:]] == ["before_render", "last"]
    assert [call["stops"] for call in dressed.appearance] == [1.0, 2.0, 3.0, 4.0]


def test_what_stands_on_removed_objects_goes_with_them() -> None:
    made = trial([])
    stage = made.stage
    probed = made.probe(0, 0, 0, made.recipe.plugins["camera"][0], Goals())
    (stool,) = stage.instances
    block = attrs.evolve(stool.asset, name="block", class_name="")
    for height, x in ((0.4505, 0.0), (0.0005, 1.5)):
        matrix = np.array(stool.matrix)
        matrix[:3, :3] = np.eye(3) * 0.3
        matrix[:3, 3] += (x, 0.0, height)
        stage.place(block, matrix)
    left = made.without_annotatable(attrs.evolve(probed, verdict=Verdict(True)))
    assert not left.rows
    assert [round(float(i.matrix[2, 3]), 2) for i in stage.instances] == [0.0]


def test_materials_are_recorded_and_repeated(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, size=(32, 24))
    stage = stool_stage(recipe)
    (tmp_path / "wood.png").touch()
    matrix = np.eye(4)
    matrix[:3, 3] = (1.0, 0.5, 0.0)
    far = np.eye(4)
    far[:3, 3] = (-2.0, 0.0, 0.0)
    stage.place(stage.assets["chair"][0], far)
    recorder: Any = DrawRecorder(stage, recipe)
    change = Material(
        base_color=(0.1, 0.2, 0.3), roughness=0.4, textures={"normal": tmp_path / "wood.png"}, mapping="box", seed=7
    )
    recorder.set_material(stage.place(stage.assets["chair"][0], matrix), "plain", change)
    recorder.set_material("Floor", "plain", Material(pattern="wood"))
    calls = json.loads(json.dumps(recorder.calls))
    assert calls[0]["target"] == {"shape": "stool", "position": [1.0, 0.5, 0.0]} and calls[1]["target"] == "Floor"
    assert calls[0]["material"]["textures"] == {"normal": "wood.png"}
    camera = {"matrix": np.eye(4).tolist(), "lens": 30.0, "sensor_width": 36.0, "near": 0.01}
    frames = [{"frame": 0, "instances": [], "camera": camera, "appearance": calls}]
    (tmp_path / "best.json").write_text(json.dumps({"format": 1, "lit": True, "frames": frames}))
    # In another order, and moved a little.
    again = stool_stage(recipe)
    again.folder = tmp_path
    for place in (matrix, far):
        moved = np.array(place)
        moved[0, 3] += 0.1
        again.place(again.assets["chair"][0], moved)
    Jitter(frames=str(tmp_path / "best.json")).vary(again, np.random.default_rng(0), Goals(frame=0))
    repeated = [(c["target"], c["slot"], c["material"]) for _, c in again.calls]
    assert repeated == [(1, "plain", change), ("Floor", "plain", Material(pattern="wood"))]
