# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of each label pass and annotation source, beside that of the picture and its ids and depth.

python benchmarks/speed/label_passes.py --samples 16
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.blender.stage import open_stage
from twinset.engine.geometry.framing import look_rotation
from twinset.engine.output.annotation_source import asked_sources, entries_of
from twinset.engine.output.label_pass import array_of, asked_passes
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.scene.keypoint import Keypoint
from twinset.engine.scene.motion import CAMERA, Motion
from twinset.engine.stage import CameraPose

RECIPE = """
[scene]
builtin = "hall"

[[class]]
name = "chair"
builtin = "chair"

[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]

[render]
samples = {samples}
device = "cpu"

[output]
width = {width}
height = {height}
masks = true
depth = "exr"
normals = "png"
world_normals = "png"
uv = true
albedo = "png"
unlit = "png"
nocs = "png"
semantic = true
edges = true
point_clouds = true
flow = "flo"
poses = true
oriented_boxes = true
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = options.size
    recipe = loads_recipe(RECIPE.format(samples=options.samples, width=width, height=height), Path(), "recipe.toml")
    stage: Any = open_stage(recipe)
    for k in range(8):
        chair = stage.assets["chair"][k % len(stage.assets["chair"])]
        matrix = np.eye(4)
        matrix[:3, 3] = (k % 4 - 1.5, k // 4, 0.0)
        stage.place(chair, matrix)
    view = np.eye(4)
    view[:3, :3] = look_rotation(np.array([np.pi / 2]), np.array([-0.3]), np.array([0.0]))[0]
    view[:3, 3] = (0.0, -3.0, 1.6)
    stage.pose_camera(CameraPose(view, 28.0, width, height))
    renderer = stage._renderer
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        before = time.process_time()
        result = work()
        times.setdefault(name, []).append(time.process_time() - before)
        return result

    for turn in range(options.rounds + 1):
        matrix = stage.instances[0].matrix.copy()
        matrix[0, 3] += 0.01
        stage.move(stage.instances[0], matrix)
        stage._full_labels = None
        labels = timed("render: ids and depth", lambda: renderer.labels())
        rendered = timed("render: normals, uv", lambda: renderer._render_passes(renderer._unshaded))
        shaded = [each for each in renderer._further if each.shaded]
        rendered |= timed("render: albedo, unlit", lambda shaded=shaded: _shaded(renderer, shaded))
        timed("render: picture", lambda turn=turn: renderer.picture(turn))
        shot = stage.shoot()
        points = {f"p{k}": Keypoint(np.array([0.0, 0.0, 0.1 * k])) for k in range(17)}
        instances = tuple(attrs.evolve(i, asset=attrs.evolve(i.asset, keypoints=points)) for i in shot.instances)
        motion = Motion(np.array([0.01, 0, 0]), np.array([0, 0.5, 0]), shot.camera.position)
        shot = attrs.evolve(shot, labels=labels, instances=instances, motions={CAMERA: motion})
        with tempfile.TemporaryDirectory() as folder:
            for each, suffix in asked_passes(recipe.output):
                array = timed(each.name, lambda each=each, shot=shot: array_of(each, shot, {"chair": 1}))
                path = Path(folder) / "map"
                timed(f"{each.name}, file", lambda each=each, a=array, s=suffix, p=path: each.save(a, s, p))
        rows = [{"bbox": labels.bbox(i.id), "area": int((labels.ids == i.id).sum())} for i in instances]
        for source in asked_sources(recipe.output):
            timed(
                source.name,
                lambda source=source, shot=shot, rows=rows: [
                    entries_of(source, i, row, shot) for i, row in zip(shot.instances, rows, strict=True)
                ],
            )
    picture = np.median(times["render: picture"][1:])
    for name, values in times.items():
        seconds = float(np.median(values[1:]))
        print(f"{name:32} {seconds:8.3f} s {seconds / picture:8.3f} x the picture")


def _shaded(renderer: Any, shaded: list[Any]) -> Any:
    from twinset.blender.render.render_settings import shaded_passes

    with shaded_passes(renderer._labels, shaded, renderer._unshaded):
        return renderer._render_passes(shaded)


if __name__ == "__main__":
    main()
