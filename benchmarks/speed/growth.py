# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether frames take longer or more memory the more there have been, and the more assets the scene holds.

    python benchmarks/speed/growth.py --frames 2000              # 64 x 48 pixels, one sample, six of twenty assets
    python benchmarks/speed/growth.py --assets 10 100 1000       # the same by assets in the scene
    python benchmarks/speed/growth.py --frames 500 --recipe examples/apartment.toml

The same 100 frames are made again and again, each complete: placed, solved, probed, rendered, measured, recorded and
written. Then a new process makes its first hundred, to warm up, and the two make the next hundred in turns: the median
of the ratios of their processor times is what age costs, whatever else the machine was doing meanwhile. Memory is what
the process holds, against what it held after its first hundred.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from twinset.blender.stage import open_stage
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.dataset.store.frames import FrameStore
from twinset.dataset.store.record import add_to_block, make_record
from twinset.engine.block import Block
from twinset.engine.recipe.reading import load_recipe, loads_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.sampling.sampler import Sampler
from twinset.headless.workers.memory import resident_memory

ROUND = 100

ROOM = """
seed = 1
[scene]
file = "room.blend"
[[class]]
name = "thing"
collection = "Things"
[[placement]]
plugin = "on_surface"
surfaces = ["Floor"]
count = [6, 6]
cluster_radius = 3.0
[[appearance]]
plugin = "lights"
extra_range = [1, 3]
[[appearance]]
plugin = "world"
[[camera]]
plugin = "orbit"
distance = [3.0, 5.0]
[[filter]]
plugin = "min_pixels"
pixels = 5
[render]
samples = 1
denoise = false
[output]
width = 64
height = 48
"""


def datablocks() -> int:
    """How many things Blender's file holds."""
    lists = (getattr(bpy.data, name) for name in bpy.data.bl_rna.properties.keys())  # noqa: SIM118
    return sum(len(each) for each in lists if isinstance(each, bpy.types.bpy_prop_collection))


def frames_of(recipe: Recipe, out: Path) -> Iterator[dict[str, float]]:
    """Frame after frame, the same hundred again and again: its seconds, memory and datablocks after it."""
    sampler = Sampler(recipe, open_stage(recipe), real_boxes(recipe))
    store = FrameStore(out)
    store.prepare()
    while True:
        for index in range(ROUND):
            if index % recipe.render.block_size == 0:
                block = Block()
            start, wall = time.process_time(), time.perf_counter()
            frame = sampler.frame(index, block)
            record = make_record(frame, recipe)
            store.write(index, record, None if frame.shot is None else frame.shot.image)
            add_to_block(block, record)
            yield {
                "cpu": time.process_time() - start,
                "wall": time.perf_counter() - wall,
                "mib": resident_memory() / 2**20,
                "datablocks": datablocks(),
            }


def serve(recipe: Path, out: Path, small: dict[str, Any]) -> None:
    """Make a frame for each line that comes in. Blender's chatter goes to nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    frames = frames_of(load_recipe(recipe, small), out)
    for _ in sys.stdin:
        print(json.dumps(next(frames)), file=answers, flush=True)
    os._exit(0)


class Worker:
    """Makes frames in a process of its own."""

    def __init__(self, recipe: Path, out: Path, small: dict[str, Any]) -> None:
        command = [sys.executable, __file__, "--serve", str(recipe), str(out), json.dumps(small)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self) -> dict[str, float]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process has ended with {self._process.wait()}; its own words are above")
        return dict(json.loads(line))

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def by_frames(recipe: Path, small: dict[str, Any], frames: int, folder: Path) -> dict[str, Any]:
    """A process that has made many frames, compared with a new one."""
    aged, found = Worker(recipe, folder / "aged", small), []
    for done in range(frames):
        found.append(aged())
        if done % ROUND == ROUND - 1:
            print(f"{done + 1} of {frames}, {found[-1]['mib']:.0f} MiB", file=sys.stderr)
    fresh = Worker(recipe, folder / "fresh", small)
    for _ in range(ROUND):
        fresh()
    pairs = [(aged(), fresh()) for _ in range(ROUND)]
    aged.end()
    fresh.end()
    last = pairs[-1][0]
    return {
        "frames": frames,
        "cpu_seconds": round(float(np.median([f["cpu"] for f in found])), 4),
        "mib_by_round": [round(found[k]["mib"], 1) for k in range(ROUND - 1, frames, ROUND)],
        "datablocks_by_round": [found[k]["datablocks"] for k in range(ROUND - 1, frames, ROUND)],
        "aged_over_fresh": {
            key: round(float(np.median([a[key] / b[key] for a, b in pairs])), 4) for key in ("cpu", "wall", "mib")
        },
        "last_over_first": {key: round(last[key] / found[ROUND - 1][key], 4) for key in ("mib", "datablocks")},
    }


def by_assets(assets: int, frames: int, folder: Path) -> dict[str, float]:
    """Frames drawn from so many assets, each with a mesh of its own of about a thousand faces."""
    write_room(assets, folder / "room.blend")
    made = frames_of(loads_recipe(ROOM, folder, "growth"), folder / f"out{assets}")
    found = [next(made) for _ in range(frames)]
    later = found[len(found) // 2 :]
    return {
        "assets": assets,
        "cpu_seconds": round(float(np.median([f["cpu"] for f in later])), 4),
        "mib": round(later[-1]["mib"], 1),
        "datablocks": later[-1]["datablocks"],
    }


def write_room(assets: int, path: Path) -> None:
    """A floor under a sun, and a collection of spheres that all differ."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    scene = bpy.context.scene
    floor = bpy.data.meshes.new("Floor")
    floor.from_pydata([(x, y, 0.0) for x, y in ((-9, -9), (9, -9), (9, 9), (-9, 9))], [], [(0, 1, 2, 3)])
    scene.collection.objects.link(bpy.data.objects.new("Floor", floor))
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy = 3.0
    scene.collection.objects.link(bpy.data.objects.new("Sun", sun))
    things = bpy.data.collections.new("Things")
    scene.collection.children.link(things)
    rng = np.random.default_rng(0)
    rings, around = 32, 32
    turn, rise = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.linspace(0, np.pi, rings))
    unit = np.stack([np.cos(turn) * np.sin(rise), np.sin(turn) * np.sin(rise), -np.cos(rise)], -1).reshape(-1, 3)
    faces = [
        (r * around + c, r * around + (c + 1) % around, (r + 1) * around + (c + 1) % around, (r + 1) * around + c)
        for r in range(rings - 1)
        for c in range(around)
    ]
    for k in range(assets):
        mesh = bpy.data.meshes.new(f"thing {k}")
        mesh.from_pydata((unit * rng.uniform(0.15, 0.3, 3)).tolist(), [], faces)
        things.objects.link(bpy.data.objects.new(f"thing {k}", mesh))
    bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help="instead of spheres on a floor")
    parser.add_argument("--frames", type=int, default=0, help="how many small frames to make")
    parser.add_argument("--assets", type=int, nargs="*", default=[], help="numbers of assets to make frames with")
    parser.add_argument("--each", type=int, default=60, help="frames for each number of assets")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(Path(given.serve[0]), Path(given.serve[1]), json.loads(given.serve[2]))
    if not given.frames and not given.assets:
        given.frames, given.assets = 500, [10, 100]
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        if given.frames:
            small = {"output.width": 64, "output.height": 48, "render.samples": 1, "render.denoise": False}
            room = Path(name) / "room.toml"
            room.write_text(ROOM)
            write_room(20, room.with_suffix(".blend"))
            report["frames"] = by_frames(given.recipe or room, small, -(-given.frames // ROUND) * ROUND, Path(name))
        if given.assets:
            report["assets"] = [by_assets(n, given.each, Path(name)) for n in given.assets]
    text = json.dumps(report, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text)
    # Blender's own farewell hangs where anything still refers to it.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
