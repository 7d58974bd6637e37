# SPDX-License-Identifier: GPL-3.0-or-later
"""What effects cost beside rendering: processor time of each, and of all, as a share of a frame.

    python benchmarks/speed/effects.py                        # 640 x 480, 32 samples, the built-in hall
    python benchmarks/speed/effects.py --samples 16 --frames 5

Frames are rendered with their labels and effects in turns, in one process, so that load and clock speed are the same
for both. The processor time of rendering is that of all threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.blender.stage import open_stage
from twinset.engine.block import Block
from twinset.engine.plugin.registry import Registry
from twinset.engine.recipe.reading import loads_recipe
from twinset.engine.sampling.effects import AttemptEffects
from twinset.engine.sampling.sampler import Sampler
from twinset.engine.stage import Shot

RECIPE = """
seed = 3
[scene]
builtin = "hall"
[[class]]
name = "chair"
builtin = "chair"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [6, 6]
cluster_radius = 2.5
"""

ORDER = (
    "vignette",
    "exposure",
    "defocus",
    "motion_blur",
    "chromatic_aberration",
    "rolling_shutter",
    "noise",
    "blur",
    "sharpen",
    "resize",
    "jpeg",
)

CHAIN = ("vignette", "exposure", "noise", "blur", "sharpen", "jpeg")
"""Those that fit a camera."""


def camera_file(folder: Path) -> Path:
    """A fit of one photo with a wide range of tones."""
    at = np.linspace(0, 1, 33)
    photo = {
        "file": "photo.jpg",
        "width": 640,
        "height": 480,
        "noise": {"shot": 2e-4, "read": 2e-3},
        "blur_sigma": 0.8,
        "sharpen": {"amount": 0.6, "radius": 1.0},
        "vignette": 0.25,
        "jpeg": {"quality": 85, "subsampling": "4:2:0"},
        "luma_quantiles": (at**1.5).tolist(),
        "channel_quantiles": {name: (at**1.5).tolist() for name in "rgb"},
        "lab_mean": [50.0, 3.0, 3.0],
        "lab_std": [26.0, 5.0, 9.0],
    }
    path = folder / "camera.json"
    path.write_text(json.dumps({"version": 1, "statistics": {}, "photos": [photo]}))
    return path


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def run(shot: Shot, uses: list[tuple[str, Any]], index: int) -> tuple[float, float]:
    """What these effects take on a shot, drawing included."""
    made = AttemptEffects(uses, 1, index)
    bare = attrs.evolve(shot, image=np.empty((0, 0, 3), np.uint8), amodal={})

    def call() -> None:
        made.of_probe(bare)
        made.of_shot(shot)

    return timed(call)


def uses_of(plugins: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    registry = Registry(entry_points=False)
    return [
        (f"effect.{id}.{k}", registry.find("effect", id)(**values)) for k, (id, values) in enumerate(plugins.items())
    ]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--frames", type=int, default=7)
    parser.add_argument("--size", default="640x480")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    text = f"{RECIPE}[render]\nsamples = {asked.samples}\n[output]\nwidth = {width}\nheight = {height}\n"
    recipe = loads_recipe(text, Path(), "benchmark")
    stage = open_stage(recipe)
    sampler = Sampler(recipe, stage, {})
    with tempfile.TemporaryDirectory() as folder:
        fit = str(camera_file(Path(folder)))
        groups: dict[str, list[tuple[str, Any]]] = {id: uses_of({id: {}}) for id in ORDER}
        groups |= {f"{id}, fit": uses_of({id: {"fit": fit}}) for id in CHAIN}
        groups['exposure, fit, "lab"'] = uses_of({"exposure": {"fit": fit, "match": "lab"}})
        groups["the six with fit together"] = uses_of({id: {"fit": fit} for id in CHAIN})
        groups["all eleven together"] = uses_of({id: {} for id in ORDER})
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("render", *groups)}
        for index in range(asked.frames + 1):
            frame = sampler.frame(index, Block(), render=False)
            assert frame.shot is not None
            shots: list[Shot] = []
            rendered = timed(lambda index=index, shots=shots: shots.append(stage.shoot(index)))  # type: ignore[misc]
            if index:  # the first frame loads data and compiles
                times["render"].append(rendered)
            for name, uses in groups.items():
                taken = run(shots[0], uses, index)
                if index:
                    times[name].append(taken)
    middle = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    print(f"{asked.size}, {asked.samples} samples, medians of {asked.frames} frames")
    print(f"{'':28} {'wall ms':>9} {'CPU ms':>9} {'of wall':>9} {'of CPU':>9}")
    for name, (wall, processor) in middle.items():
        shares = f"{wall / middle['render'][0]:9.2%} {processor / middle['render'][1]:9.2%}"
        print(f"{name:28} {1e3 * wall:9.1f} {1e3 * processor:9.1f} {shares}")


if __name__ == "__main__":
    main()
