# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether frames take longer or more memory the more there have been, and the more assets the scene holds.

    python benchmarks/growth.py --frames 2000              # 64 x 48 pixels, one sample, six of twenty assets
    python benchmarks/growth.py --assets 10 100 1000       # the same by assets in the scene
    python benchmarks/growth.py --frames 500 --recipe examples/apartment.toml

The same 100 frames are made again and again, each complete: placed, solved, probed, rendered, measured, recorded and
written. So the last hundred can be held against the first one frame by frame, after a hundred to warm up: the median of
the ratios of processor time does not mind what else the machine is doing. Memory is what the process holds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from twinset.blender.stage import open_stage
from twinset.dataset.frames import FrameStore
from twinset.dataset.real import real_boxes
from twinset.dataset.record import add_to_block, make_record
from twinset.engine.block import Block
from twinset.engine.recipe import load_recipe, loads_recipe
from twinset.engine.sampler import Sampler
from twinset.engine.settings import Recipe

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
cluster = 3.0
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


def resident() -> float:
    """MiB that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def datablocks() -> int:
    """How many things Blender's file holds."""
    lists = (getattr(bpy.data, name) for name in bpy.data.bl_rna.properties.keys())  # noqa: SIM118
    return sum(len(each) for each in lists if isinstance(each, bpy.types.bpy_prop_collection))


def run(recipe: Recipe, frames: int, out: Path) -> list[dict[str, float]]:
    """Frame after frame: seconds on a processor, memory and datablocks after it."""
    sampler = Sampler(recipe, open_stage(recipe), real_boxes(recipe))
    store = FrameStore(out)
    store.prepare()
    found = []
    for done in range(frames):
        index = done % ROUND
        if index % recipe.render.block == 0:
            block = Block()
        start, wall = time.process_time(), time.perf_counter()
        frame = sampler.frame(index, block)
        record = make_record(frame, recipe)
        store.write(index, record, None if frame.shot is None else frame.shot.image)
        add_to_block(block, record)
        found.append(
            {
                "cpu": time.process_time() - start,
                "wall": time.perf_counter() - wall,
                "mib": resident(),
                "datablocks": datablocks(),
            }
        )
        if sys.stderr.isatty() or done % ROUND == ROUND - 1:
            print(f"{done + 1} of {frames}, {found[-1]['mib']:.0f} MiB", file=sys.stderr)
    return found


def by_frames(recipe: Recipe, frames: int, out: Path) -> dict[str, Any]:
    """The last round held against the first one after the warm-up."""
    found = run(recipe, frames, out)
    first, last = found[ROUND : 2 * ROUND], found[-ROUND:]
    start = frames % ROUND
    last = last[ROUND - start :] + last[: ROUND - start]

    def ratio(key: str) -> float:
        return float(np.median([b[key] / a[key] for a, b in zip(first, last, strict=True)]))

    return {
        "frames": frames,
        "seconds": round(float(np.median([f["wall"] for f in found])), 4),
        "cpu_seconds": round(float(np.median([f["cpu"] for f in found])), 4),
        "mib_by_round": [round(found[k]["mib"], 1) for k in range(ROUND - 1, frames, ROUND)],
        "datablocks_by_round": [found[k]["datablocks"] for k in range(ROUND - 1, frames, ROUND)],
        "last_over_first": {key: round(ratio(key), 4) for key in ("cpu", "wall", "mib", "datablocks")},
    }


def by_assets(assets: int, frames: int, folder: Path) -> dict[str, float]:
    """Frames drawn from so many assets, each with a mesh of its own of about a thousand faces."""
    write_room(assets, folder / "room.blend")
    found = run(loads_recipe(ROOM, folder, "growth"), frames, folder / f"out{assets}")
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
    parser.add_argument("--frames", type=int, default=0, help="how many small frames to make, at least 300")
    parser.add_argument("--assets", type=int, nargs="*", default=[], help="numbers of assets to make frames with")
    parser.add_argument("--each", type=int, default=60, help="frames for each number of assets")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    if not given.frames and not given.assets:
        given.frames, given.assets = 500, [10, 100]
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        if given.frames:
            small = {"output.width": 64, "output.height": 48, "render.samples": 1, "render.denoise": False}
            write_room(20, Path(name) / "room.blend")
            room = loads_recipe(ROOM, Path(name), "growth")
            recipe = load_recipe(given.recipe, small) if given.recipe else room
            report["frames"] = by_frames(recipe, max(given.frames, 3 * ROUND), Path(name) / "out")
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
