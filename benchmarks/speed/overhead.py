# SPDX-License-Identifier: GPL-3.0-or-later
"""What labels cost: bare Cycles, Twinset with all labels, metrics and the gate, and BlenderProc, on the same frames.

    python benchmarks/speed/overhead.py                                    # 640 x 480, 8 instances, 2 and 32 samples
    python benchmarks/speed/overhead.py --samples 2 32 128 --instances 1 8 40 --sizes 640x480 1280x960 --denoise no yes
    python benchmarks/speed/overhead.py --blenderproc python               # a Python that can import BlenderProc, too
    python benchmarks/speed/overhead.py --scenes hall bedroom polygons:0.8 polygons:4.9 textures:200 --folder /tmp/rooms

Each contender is a process of its own that opens the scene: the built-in hall, the bedroom of TWINSET_DATA, or a room
that heavy_rooms.py makes in the folder; frames are solved once, by Twinset, and rendered by all in turns, several times
over. Bare is a script with persistent data that moves things and lets Blender write a JPEG. Twinset's time is from
placing things to the record on the disk: probe, picture, id map, depth map, masks and amodal masks, all metrics, a gate
that scores every box with a vision model. BlenderProc renders colour, depth and instance masks and writes COCO
annotations; it has neither amodal masks nor metrics. Memory is the most that each process had. Solving is timed apart:
finding places and camera for a goal, and the probes that this takes. Ratios are of medians, wall and processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SERVER = Path(__file__).resolve().parent / "contenders.py"
ROOMS = SERVER.with_name("heavy_rooms.py")

Task = dict[str, Any]


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str, task: Task, python: str) -> None:
        command = [python, str(SERVER), name, json.dumps(task)]
        # BlenderProc reads what it has rendered by OpenCV, which must be told so before it is imported.
        around = {**os.environ, "OPENCV_IO_ENABLE_OPENEXR": "1"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=around)
        self.name = name
        self._answer()

    def ask(self, do: str, *arguments: Any) -> Task:
        """Let it do something; its answer, with the seconds that it took."""
        assert self.process.stdin is not None
        print(json.dumps({"do": do, "with": arguments}), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Task:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} has ended with {self.process.wait()}; its own words are above")
        return dict(json.loads(line))


@contextlib.contextmanager
def workers(task: Task, pythons: dict[str, str]) -> Iterator[dict[str, Worker]]:
    made: dict[str, Worker] = {}
    try:
        for name, python in pythons.items():
            made[name] = Worker(name, task, python)
        yield made
    finally:
        for one in made.values():
            one.process.kill()


def measure(given: argparse.Namespace, task: Task, pythons: dict[str, str]) -> Iterator[Task]:
    """The ratios of one size and number of instances, for each quality."""
    with workers(task, pythons) as contenders:
        solved = [contenders["twinset"].ask("solve", index) for index in range(given.frames + 4)]
        solved = [s for s in solved if s["result"]["placed"]][-given.frames :]
        for samples in given.samples:
            for denoise in given.denoise:
                spent: dict[str, list[Task]] = {name: [] for name in contenders}
                for one in contenders.values():
                    one.ask("quality", samples, denoise == "yes")
                for turn in range(given.rounds + 1):
                    for layout in solved:
                        for name, one in contenders.items():
                            found = one.ask("render", layout["result"])
                            if turn:  # the first one fills caches
                                spent[name].append(found)
                memory = {f"{name}_gib": round(one.ask("memory")["result"], 2) for name, one in contenders.items()}
                yield {**task, "samples": samples, "denoise": denoise, **figures(spent, solved), **memory}


def scene_of(name: str, folder: Path) -> str:
    """The lines of the table [scene]; a room is made if it is not there."""
    kind, _, count = name.partition(":")
    if kind == "hall":
        return 'builtin = "hall"'
    if kind == "bedroom":
        return 'file = "${TWINSET_DATA}/blend/megatank58_room.blend"\nscale = 0.4'
    path = (folder / f"{kind}_{count}.blend").resolve()
    if not path.is_file():
        subprocess.run([sys.executable, str(ROOMS), kind, count, str(path)], check=True, stdout=subprocess.DEVNULL)
    return f'file = "{path.as_posix()}"'


def figures(spent: dict[str, list[Task]], solved: list[Task]) -> Task:
    out: Task = {}
    for clock in ("wall", "cpu"):
        bare = np.array([s[clock] for s in spent["bare"]])
        out[f"bare_{clock}"] = round(float(np.median(bare)), 4)
        for name in spent:
            if name != "bare":
                # Frame by frame, as they were rendered one after the other.
                ratios = np.array([s[clock] for s in spent[name]]) / bare
                out[f"{name}_{clock}"] = round(float(np.median(ratios)), 3)
        out[f"solving_{clock}"] = round(float(np.median([s[clock] for s in solved])) / out[f"bare_{clock}"], 3)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[2, 32])
    parser.add_argument("--instances", type=int, nargs="+", default=[8])
    parser.add_argument("--sizes", nargs="+", default=["640x480"])
    parser.add_argument("--scenes", nargs="+", default=["hall"])
    parser.add_argument("--folder", type=Path, default=Path("heavy_rooms"), help="where rooms are made")
    parser.add_argument("--denoise", nargs="+", choices=("no", "yes"), default=["no"])
    parser.add_argument("--frames", type=int, default=4, help="different frames")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is rendered by each, after the first")
    parser.add_argument("--model", default="", help="vision model of the gate; the packaged one by default")
    parser.add_argument(
        "--blenderproc",
        default=os.environ.get("TWINSET_BLENDERPROC", ""),
        help="Python with bpy 4.5, Twinset and BlenderProc 2.8; also in the variable TWINSET_BLENDERPROC",
    )
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    pythons = {"bare": sys.executable, "twinset": sys.executable}
    if given.blenderproc:
        pythons["blenderproc"] = given.blenderproc
    report = []
    print("| scene | pixels | instances | samples | denoised | bare, s | Twinset | BlenderProc | solving | GiB |")
    print("|" + " --- |" * 10)
    for scene, size, instances in itertools.product(given.scenes, given.sizes, given.instances):
        width, height = map(int, size.split("x"))
        task = {"scene": scene_of(scene, given.folder), "width": width, "height": height}
        task |= {"instances": instances, "model": given.model}
        for row in measure(given, task, pythons):
            report.append({**row, "scene": scene})
            shown = {n: f"{row[f'{n}_wall']:.2f} ({row[f'{n}_cpu']:.2f})" for n in pythons if n != "bare"}
            print(
                f"| {scene} | {size} | {instances} | {row['samples']} | {row['denoise']} | {row['bare_wall']:.2f} "
                f"({row['bare_cpu']:.2f}) | {shown['twinset']} | {shown.get('blenderproc', '')} "
                f"| {row['solving_wall']:.2f} ({row['solving_cpu']:.2f}) "
                f"| {', '.join(str(row[f'{n}_gib']) for n in pythons)} |",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
