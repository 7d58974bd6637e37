# SPDX-License-Identifier: GPL-3.0-or-later
"""How near boxes come to real ones: random camera, 50-pixel filter, grid search and Twinset beside each other.

    python benchmarks/alignment/alignment.py                    # chair, table and bag of COCO, in minutes
    python benchmarks/alignment/alignment.py --boxes 100 300 1000 --json out.json
    python benchmarks/alignment/alignment.py --recipe examples/demo.toml   # a recipe of your own and its real boxes

Frames are probed, not rendered: their boxes are those of the final labels. Distances are Bhattacharyya's over 20 bins
(of the square root of relative area, of the logarithm of the aspect ratio), given as multiples of the floor: the mean
distance between two resamples of the real values of the same sizes. Boxes per image are those of images that show
the class at all. Aspect in reach: the same without whole boxes, real or shown, of aspect ratios that the survey of the
scene found no whole box to have. A first few frames of Twinset are rendered, to count renders per accepted image.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from twinset.alignment.distances.binning import Sample, column_binning
from twinset.alignment.distances.histograms import bhattacharyya, bhattacharyya_floor
from twinset.alignment.mixtures.box_density import as_arrays
from twinset.alignment.tuning import configuration_weights
from twinset.alignment.tuning.design_points import points
from twinset.blender.stage import open_stage
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.jobs.configuration_probes import Prober
from twinset.dataset.jobs.tuned_recipe import probed_sample, variants
from twinset.engine.block import Block
from twinset.engine.goals import Boxes, Reach
from twinset.engine.plugin.registry import find
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.search_space import read_axes
from twinset.engine.recipe.settings import PluginUse, Recipe
from twinset.engine.rng import stream
from twinset.engine.sampling.attempt import AFTER_RENDER
from twinset.engine.sampling.sampler import Sampler, Survey
from twinset.engine.stage import Stage

HERE = Path(__file__).resolve().parent

CLASSES = {"chair": ["chair"], "table": ["dining table"], "bag": ["handbag", "backpack", "suitcase"]}
"""What the benchmark calls a class, and the categories of COCO that are it."""

GRID = ("camera.orbit.distance=1:24:log/8", "camera.orbit.elevation=5:50/2")
"""The configurations of the grid search."""

COLUMNS = ("sqrt_area", "center_x", "center_y", "log_aspect", "boxes_per_image")

SPECK = 50
"""Objects of fewer visible pixels are not annotated by the filter [Zhang2023, §4]."""


@attrs.define
class Run:
    """What one way of making frames gave: (class, area, x, y, aspect, frame, visible pixels) of each box."""

    rows: list[tuple[str, float, float, float, float, int, int]] = attrs.field(factory=list)
    frames: int = 0
    accepted: int = 0
    renders: int = 0
    rendered: int = 0
    rejected: Counter[str] = attrs.field(factory=Counter)
    seconds: float = 0.0
    boxes_off: list[float] = attrs.field(factory=list)

    def boxes(self, name: str, least: int = 0) -> Boxes:
        """The boxes of a class with at least so many visible pixels."""
        rows = np.array([r[1:] for r in self.rows if r[0] == name and r[6] >= least], float).reshape(-1, 6)
        return Boxes(rows[:, 0], rows[:, 1:3], rows[:, 3], rows[:, 4].astype(int))


def probe(
    recipe: Recipe, stage: Stage, real: Mapping[str, Boxes], wanted: Mapping[str, int], most: int, name: str,
    surveys: list[Survey], renders: int = 0, mains: bool = False,
) -> Run:  # fmt: skip
    """Probe frames until so many boxes of each class are there, or ``most`` frames; render the first few as well."""
    run, start, block = Run(), time.perf_counter(), Block()
    sampler = Sampler(recipe, stage, real, surveys=surveys)
    width, height = stage.resolution
    shown: Counter[str] = Counter()
    while run.frames < most and any(shown[c] < n for c, n in wanted.items()):
        if run.frames % recipe.render.block_size == 0:
            block = Block()
        frame = sampler.frame(run.frames, block, render=run.frames < renders)
        run.frames += 1
        run.rejected.update(frame.rejected)
        if run.frames <= renders:
            run.rendered += frame.shot is not None
            run.renders += sum(reason.startswith(AFTER_RENDER) for reason in frame.rejected) + (frame.shot is not None)
        if frame.shot is not None:
            run.accepted += 1
            there = [row for row in frame.rows if row["annotated"]]
            block.add(((row["class"], row["bbox"]) for row in there), stage.resolution)
            for row in there:
                if mains and not row["main"]:
                    continue
                x, y, w, h = row["bbox"]
                box = (w * h / (width * height), (x + w / 2) / width, (y + h / 2) / height, w / h)
                run.rows.append((row["class"], *box, frame.index, row["area"]))
                shown[row["class"]] += 1
                goal = frame.goals.main if mains else None
                if row.get("goal") is not None:
                    goal = frame.goals.boxes[row["goal"]]
                if goal is not None:
                    run.boxes_off.append(abs(box[0] / goal.area - 1))
        if run.frames % 10 == 0:
            print(f"\r{name}: {run.frames} frames, {dict(shown)}   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    run.seconds = time.perf_counter() - start
    return run


def columns(boxes: Boxes) -> dict[str, np.ndarray]:
    """The values of each column; counts of images that hold a box."""
    return {
        "sqrt_area": np.sqrt(boxes.area),
        "center_x": boxes.center[:, 0],
        "center_y": boxes.center[:, 1],
        "log_aspect": np.log(boxes.aspect),
        "boxes_per_image": np.unique(boxes.image, return_counts=True)[1].astype(float),
    }


def measure(
    real: Boxes, shown: Boxes, number: int, seed: int, reach: Reach, image_aspect: float
) -> dict[str, Any] | None:
    """Distances of the frames that hold the first ``number`` boxes, with floors; None where there are too few.

    Aspects are compared once more without those of whole boxes beyond ``reach``.
    """
    if len(shown) < 0.95 * number:
        return None
    last = shown.image[min(number, len(shown)) - 1]
    shown = shown.take(np.flatnonzero(shown.image <= last))
    there = columns(shown)
    out: dict[str, Any] = {"boxes": len(there["sqrt_area"]), "frames": int(last) + 1, "columns": {}}
    for name, values in columns(real).items():
        binning, got = column_binning(name, values), there[name]
        span = (binning.low, binning.high)
        found = out["columns"][name] = apart(values, got, span, seed)
        if name == "log_aspect":
            inside, ours = (as_arrays(b, image_aspect).has_reachable_aspect(reach.aspect) for b in (real, shown))
            if not inside.all() and inside.any() and ours.any():
                shares = {"real_share": float(inside.mean()), "shown_share": float(ours.mean())}
                found["in_reach"] = shares | apart(values[inside], got[ours], span, seed)
    return out


def apart(real: np.ndarray, shown: np.ndarray, span: tuple[float, float], seed: int) -> dict[str, float]:
    """Distance, floor, and how many floors the distance is."""
    distance = bhattacharyya(real, shown, range=span)
    floor = bhattacharyya_floor(real, len(real), len(shown), 500, stream(seed, "floor"), range=span)
    return {"distance": distance, "floor": floor, "floors": distance / max(floor, 1e-9)}


def grid(
    recipe: Recipe, stage: Stage, real: Mapping[str, Boxes], probes: int, vary: Sequence[str]
) -> dict[str, Recipe]:
    """The method's own way [Zhang2023, §3]: by class, the configurations nearest to the components of its areas."""
    axes = read_axes(vary, recipe.plugins)
    where, widths, _ = points([a.levels for a in axes], [a.size for a in axes], 64, design="grid", seed=recipe.seed)
    tried = [
        {a.key: a.value(float(u), float(w)) for a, u, w in zip(axes, point, widths, strict=True)} for point in where
    ]
    prober = Prober(recipe, lambda _: stage, real)
    for step in prober.run(tried, probes):
        print(f"\rgrid search: {step.done} of {step.total} probes   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    out = {}
    for name, boxes in real.items():
        values = np.sqrt(boxes.area)
        wanted = Sample(values, np.unique(boxes.image, return_inverse=True)[1].ravel(), len(np.unique(boxes.image)))
        samples = [probed_sample(prober.results[k], name, "sqrt_area") for k in range(len(tried))]
        binning = column_binning("sqrt_area", values)
        chosen = configuration_weights.choose(
            wanted, samples, binning, stream(recipe.seed, "grid"), methods=("gaussian",)
        )[0]
        out[name] = attrs.evolve(recipe, variants=variants(tried, chosen.weights))
    return out


def furniture(paths: Sequence[Path], folder: Path) -> Path:
    """One COCO file of the benchmark's classes, of several files of real boxes."""
    names = {category: k for k, members in enumerate(CLASSES.values(), 1) for category in members}
    out: dict[str, Any] = {"images": [], "annotations": []}
    out["categories"] = [{"id": k, "name": name} for k, name in enumerate(CLASSES, 1)]
    for path in paths:
        coco = read_coco(path)
        category = {c["id"]: names.get(c["name"]) for c in coco.categories}
        chosen = [a for a in coco.annotations if category[a["category_id"]] and not a.get("iscrowd")]
        first = len(out["images"])
        number = {image: first + k for k, image in enumerate(dict.fromkeys(a["image_id"] for a in chosen))}
        out["images"] += [{**i, "id": number[i["id"]]} for i in coco.images if i["id"] in number]
        for a in chosen:
            own = {"id": len(out["annotations"]) + 1, "category_id": category[a["category_id"]]}
            out["annotations"].append({**a, **own, "image_id": number[a["image_id"]]})
    target = folder / "real.json"
    target.write_text(json.dumps(out))
    return target


def random_camera(recipe: Recipe) -> Recipe:
    """The recipe with a camera that knows of no goals, and all that can be seen annotated."""
    orbit = PluginUse("camera", "orbit", find("camera", "orbit")())
    return attrs.evolve(recipe, plugins={**recipe.plugins, "camera": (orbit,), "target": (), "filter": ()})


def benchmark(recipe: Recipe, arguments: argparse.Namespace) -> dict[str, Any]:
    real = real_boxes(recipe)
    most = max(arguments.boxes)
    wanted = dict.fromkeys(real, most)
    start = time.perf_counter()
    stage, surveys = open_stage(recipe), []  # type: ignore[var-annotated]
    reach = Sampler(recipe, stage, real, surveys=surveys).reach
    image_aspect = stage.resolution[0] / stage.resolution[1]
    random = random_camera(recipe)
    runs: dict[str, dict[str, tuple[Run, int]]] = {}
    seconds: dict[str, float] = {}
    if "random" in arguments.methods:
        one = probe(random, stage, {}, wanted, arguments.frames, "random camera", surveys)
        runs["random"] = dict.fromkeys(real, (one, 0))
        runs["filtered"] = dict.fromkeys(real, (one, SPECK))
        seconds["random"] = seconds["filtered"] = one.seconds
    if "grid" in arguments.methods:
        began = time.perf_counter()
        runs["grid"] = {
            name: (probe(tuned, stage, {}, {name: most}, arguments.frames, f"grid search, {name}", surveys), 0)
            for name, tuned in grid(random, stage, real, arguments.probes, arguments.vary).items()
        }
        seconds["grid"] = time.perf_counter() - began
    ours: Run | None = None
    if "twinset" in arguments.methods:
        ours = probe(
            recipe, stage, real, wanted, arguments.frames, "twinset", surveys, arguments.renders, arguments.mains
        )
        runs["twinset"] = dict.fromkeys(real, (ours, 0))
        seconds["twinset"] = ours.seconds
    result: dict[str, Any] = {
        "real": {name: {"boxes": len(b), "images": len(np.unique(b.image))} for name, b in real.items()},
        "reach": {name: found.to_json() for name, found in reach.items()},
        "grid": {"vary": list(arguments.vary), "probes": arguments.probes},
        "seconds": {**{k: round(v, 1) for k, v in seconds.items()}, "all": round(time.perf_counter() - start, 1)},
        "methods": {
            method: {
                name: {
                    str(n): measure(real[name], run.boxes(name, least), n, arguments.seed, reach[name], image_aspect)
                    for n in arguments.boxes
                }
                for name, (run, least) in by_class.items()
            }
            for method, by_class in runs.items()
        },
    }
    result["times_closer"] = closer(result["methods"])
    if ours is not None:
        off = np.array(ours.boxes_off)
        result["twinset"] = {
            "frames": ours.frames,
            "accepted": ours.accepted,
            "seconds_per_frame": ours.seconds / max(ours.frames, 1),
            "rejected": dict(ours.rejected),
            "renders_per_accepted": ours.renders / ours.rendered if ours.rendered else None,
            "rendered": ours.rendered,
            "boxes_within_5_percent": float((off <= 0.05).mean()) if len(off) else None,
        }
    return result


def closer(methods: Mapping[str, Any]) -> dict[str, Any]:
    """How many times as far as Twinset the other methods are from the real boxes, by class and column."""
    out: dict[str, Any] = {}
    for method in methods if "twinset" in methods else ():
        for name, by_number in methods[method].items() if method != "twinset" else ():
            for number, found in by_number.items():
                ours = methods["twinset"][name][number]
                if found and ours:
                    times = {
                        c: found["columns"][c]["distance"] / max(ours["columns"][c]["distance"], 1e-9) for c in COLUMNS
                    }
                    out.setdefault(method, {}).setdefault(name, {})[number] = times
    return out


def table(result: Mapping[str, Any]) -> str:
    """The distances as multiples of the floor, a line per method, class and number of boxes."""
    lines = [
        f"{'':9} {'class':13} {'boxes':>6} {'frames':>6} " + " ".join(f"{c:>15}" for c in (*COLUMNS, "aspect in reach"))
    ]
    for method, by_class in result["methods"].items():
        for name, by_number in by_class.items():
            for number, found in by_number.items():
                if found is None:
                    lines.append(f"{method:9} {name:13} {number:>6} {'too few':>6}")
                    continue
                cells = " ".join(f"{found['columns'][c]['floors']:15.2f}" for c in COLUMNS)
                part = found["columns"]["log_aspect"].get("in_reach")
                told = f"{part['floors']:10.2f} of {part['real_share']:4.0%}" if part else ""
                lines.append(f"{method:9} {name:13} {found['boxes']:6} {found['frames']:6} {cells} {told}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, help="a recipe with a target, instead of the benchmark's own")
    parser.add_argument("--real", type=Path, nargs="+", default=[HERE.parent / "examples/coco_furniture.json"])
    parser.add_argument("--boxes", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--frames", type=int, default=4000, help="most frames of a method")
    parser.add_argument("--methods", nargs="+", default=["random", "grid", "twinset"])
    parser.add_argument("--vary", nargs="+", default=list(GRID), help="the grid, as twinset tune takes it")
    parser.add_argument("--probes", type=int, default=24, help="frames per configuration of the grid")
    parser.add_argument("--renders", type=int, default=24, help="frames of Twinset that are rendered as well")
    parser.add_argument(
        "--mains", action="store_true", help="of Twinset, count main boxes alone: for targets of one box"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few boxes, to see that it runs")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.boxes, arguments.frames, arguments.probes, arguments.renders = [10], 12, 8, 2
        arguments.vary = ["camera.orbit.distance=1:24:log/3"]
    overrides = {"seed": arguments.seed, "images": arguments.frames, "render.samples": 1, "render.denoise": False}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.recipe is None:
            real = furniture(arguments.real, Path(folder))
            recipe = load_recipe(HERE / "alignment.toml", {**overrides, "real.annotations": str(real)})
        else:
            recipe = load_recipe(arguments.recipe, overrides)
        result = benchmark(recipe, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    print(table(result))
    print(json.dumps({k: v for k, v in result.items() if k != "methods"}, indent=1))


if __name__ == "__main__":
    main()
