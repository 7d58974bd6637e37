# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gate is worth: pass rates of real boxes, wrong ones detected, datasets with and without it, and its cost.

    python benchmarks/features/mixed_bag.py examples/apartment.toml -o bag
    python benchmarks/features/gate.py examples/apartment.toml ../shared/data -o work --bag bag \\
        --model ../shared/data/onnx/FastestDet.onnx:Concat_230

The gate learns from one half of the photos; what comes out is measured by its distance to boxes of the other half.
Datasets already in ``work`` are gone on with. Intervals are 95 %; costs are medians of ratios taken in one run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from scipy import stats
from twinset.alignment.features.curation import pool
from twinset.alignment.features.density import fit_density
from twinset.alignment.features.extractor import Extractor
from twinset.blender.stage import open_stage
from twinset.dataset.analysis.features import BoxFeatures, box_features
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.jobs.job import Job, real_boxes
from twinset.dataset.store.frames import encode_image
from twinset.engine.block import Block
from twinset.engine.plugin.registry import find
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import PluginUse, Recipe
from twinset.engine.rng import stream
from twinset.engine.sampling.sampler import Sampler

LEVELS = (0.05, 0.1, 0.25, 0.5)
SPLITS = 40
BOOTSTRAPS = 1000
SETS = {"apartment": "cartucho_map_A45", "COCO": "coco_permissive"}
FOLDERS = {"apartment": "cartucho_A", "COCO": "coco_permissive"}
KINDS = ("right", "floating", "wrong class", "untextured", "noise", "white background")


def model_at(text: str, work: Path) -> Extractor:
    """The extractor of FILE.onnx or FILE.onnx:NODE, the packaged one of an empty text."""
    if not text:
        return Extractor()
    name, _, node = text.partition(":")
    folder = work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copy(name, folder))
    if node:
        path.with_suffix(".toml").write_text(f"output = {json.dumps(node)}\n")
    return Extractor(path)


def halves(found: BoxFeatures, seed: int) -> np.ndarray:
    """Which boxes (n,) are of one random half of the photos."""
    photos = np.unique(found.image)
    return np.isin(found.image, stream(seed, "halves").permutation(photos)[: len(photos) // 2])


def pass_rates(found: BoxFeatures) -> dict[str, Any]:
    """Shares of held-back real boxes, and photos, that reach a score, over random halves of the photos."""
    boxes: dict[float, list[bool]] = {level: [] for level in LEVELS}
    photos: dict[float, list[bool]] = {level: [] for level in LEVELS}
    fits = 0
    for split in range(SPLITS):
        kept = halves(found, split)
        if kept.sum() < 10 or (~kept).sum() < 1:
            continue
        fits += 1
        density = fit_density(found.features[kept], found.image[kept])
        scores = density.extended_score(found.features[~kept])
        pooled = pool(scores, found.image[~kept])[1]
        for level in LEVELS:
            boxes[level] += (scores >= level).tolist()
            photos[level] += (pooled >= level).tolist()
    out: dict[str, Any] = {"boxes": len(found.features), "splits": fits}
    for level in LEVELS if fits else ():
        # Splits share their boxes: the interval is that of chance at the nominal rate, for as many as one holds back.
        held = round(len(boxes[level]) / fits)
        share = float(np.mean(boxes[level]))
        low, high = (float(v) / held for v in stats.binom.interval(0.95, held, 1 - level))
        out[f"{level:g}"] = {
            "nominal": 1 - level,
            "boxes": round(share, 3),
            "binomial": [round(low, 3), round(high, 3)],
            "photos": round(float(np.mean(photos[level])), 3),
        }
    return out


def auc(real: np.ndarray, wrong: np.ndarray, owners: np.ndarray) -> list[float]:
    """ROC AUC of distances with its interval, whole images of the wrong ones drawn."""
    rng = stream(0, "auc")
    images = np.unique(owners)

    def of(a: np.ndarray, b: np.ndarray) -> float:
        away = b[:, None] - a[None]
        return float(((away > 0) + 0.5 * (away == 0)).mean())

    drawn = []
    for _ in range(BOOTSTRAPS):
        chosen = np.concatenate([wrong[owners == i] for i in rng.choice(images, len(images))])
        drawn.append(of(rng.choice(real, len(real)), chosen))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(v, 3) for v in (of(real, wrong), low, high)]


def told_apart(found: BoxFeatures, bag: Path, extractor: Extractor, name: str) -> dict[str, Any]:
    """AUC of each kind of the bag against held-back real boxes, and the share that a threshold of 0.1 refuses."""
    density = fit_density(found.features, found.image)
    out = {}
    for kind in KINDS:
        folder = bag / kind.replace(" ", "_")
        if (folder / "annotations/instances.json").is_file():
            seen = box_features(read_coco(folder / "annotations/instances.json"), folder / "images", name, extractor)
            away = density.distance(seen.features)
            refused = float((density.extended_score(seen.features) < 0.1).mean())
            shown = auc(density.calibration, away, seen.image)
            out[kind] = {"boxes": len(away), "auc": shown, "refused": round(refused, 3)}
    return out


def gated(recipe: Recipe, **settings: Any) -> Recipe:
    """The recipe with a gate as its last filter."""
    use = PluginUse("filter", "feature_score", find("filter", "feature_score")(**settings))
    return attrs.evolve(recipe, plugins={**recipe.plugins, "filter": (*recipe.plugins["filter"], use)})


def render(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Make what is missing of a dataset, and return what its summary says of the attempts."""
    if not (out / "summary.json").is_file():
        for event in Job(recipe, out, open_stage).run():
            print(f"\r{out.name}: {event}"[:110], end="", file=sys.stderr)
        print(file=sys.stderr)
    funnel: dict[str, Any] = json.loads((out / "summary.json").read_bytes())["funnel"]
    return funnel


def nearness(out: Path, held: np.ndarray, extractor: Extractor, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean distance of each rendered box to its five nearest held-back real ones, and the image that it is in."""
    seen = box_features(read_coco(out / "annotations/instances.json"), out / "images", name, extractor)
    return fit_density(held, np.arange(len(held))).distance(seen.features), seen.image


def fallen(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """By what share the mean distance fell, with a bootstrap over images."""
    rng = stream(0, "nearness")

    def resampled(values: np.ndarray, owners: np.ndarray) -> float:
        images = np.unique(owners)
        return float(np.concatenate([values[owners == i] for i in rng.choice(images, len(images))]).mean())

    drawn = [1 - resampled(*after) / resampled(*before) for _ in range(BOOTSTRAPS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    means = {"before": round(float(before[0].mean()), 3), "after": round(float(after[0].mean()), 3)}
    return {**means, "fell_by": [round(v, 3) for v in (1 - after[0].mean() / before[0].mean(), low, high)]}


@contextlib.contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into[name] = into.get(name, 0.0) + time.perf_counter() - start


def costs(recipe: Recipe, extractors: dict[str, Extractor], attempts: int, name: str) -> dict[str, Any]:
    """Seconds of the parts of an attempt, side by side: medians, and medians of ratios to the full render."""
    gate = find("filter", "feature_score")(features="")
    stage = open_stage(recipe)
    sampler = Sampler(recipe, stage, real_boxes(recipe))
    found: list[dict[str, float]] = []
    for index in range(1000):
        if len(found) == attempts:
            break
        spent: dict[str, float] = {}
        with timed(spent, "probe"):
            frame = sampler.frame(index, Block(), render=False)
        boxes = np.array([r["bbox"] for r in frame.rows if r["class"] == name and r["annotated"]], float)
        if frame.shot is None or not len(boxes):
            continue
        spent["probe"] /= frame.attempts
        with timed(spent, "draft"):
            draft = stage.draft(1, scale=gate.draft_scale, samples=gate.draft_samples)
        with timed(spent, "full"):
            shot = stage.shoot(1)
        for label, extractor in extractors.items():
            with timed(spent, f"score by {label}"):
                extractor.extract_boxes(shot.image, boxes)
            with timed(spent, f"draft's score by {label}"):
                extractor.extract_boxes(draft, boxes * gate.draft_scale)
        with timed(spent, "encode"):
            encode_image(shot.image, recipe.output.format, recipe.output.quality)
        spent["boxes"] = len(boxes)
        found.append(spent)
        print(f"\rcosts: {len(found)} of {attempts}", end="", file=sys.stderr)
    print(file=sys.stderr)

    def median(of: Any) -> float:
        return round(float(np.median([of(s) for s in found])), 4)

    out: dict[str, Any] = {"attempts": len(found), "seconds": {k: median(lambda s, k=k: s[k]) for k in found[0]}}
    out["encode_of_frame"] = median(lambda s: s["encode"] / (s["probe"] + s["full"]))
    for label in extractors:
        full, cheap = f"score by {label}", f"draft's score by {label}"
        out[label] = {
            "overhead": median(lambda s, k=full: s[k] / (s["probe"] + s["full"])),
            "draft_of_reject": median(
                lambda s, a=full, b=cheap: (s["probe"] + s["draft"] + s[b]) / (s["probe"] + s["full"] + s[a])
            ),
        }
    return out


def per_accepted(funnel: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    """Renders and seconds that an accepted image takes, from counts and the costs measured above."""
    accepted = funnel["accepted"]
    drafts = funnel["gate"].get("refused_as_drafts", 0) if funnel["gate"] else 0
    used = any(g.get("draft", {}).get("used") for g in funnel["gate"].get("gates", ())) if funnel["gate"] else False
    full = accepted + funnel["rejected_after_render"]
    probed = funnel["tried"] * seconds["probe"]
    spent = probed + full * seconds["full"] + (full + drafts) * seconds["draft"] * used
    return {
        "accepted": accepted,
        "attempts": round(funnel["tried"] / accepted, 2),
        "drafts": round((full + drafts) / accepted * used, 2),
        "renders": round(full / accepted, 2),
        "seconds": round(spent / accepted, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="examples/apartment.toml, or one like it")
    parser.add_argument("data", type=Path, help="folder of real material")
    parser.add_argument("-o", "--out", type=Path, required=True, help="where datasets and models go")
    parser.add_argument("--bag", type=Path, help="folder of benchmarks/features/mixed_bag.py")
    parser.add_argument("--model", default="", help="FILE.onnx or FILE.onnx:NODE, beside the packaged one")
    parser.add_argument("--images", type=int, default=60, help="accepted images of each dataset; 0 leaves them out")
    parser.add_argument("--width", type=int, default=320, help="of these images, three quarters as high")
    parser.add_argument("--attempts", type=int, default=8, help="attempts whose cost is taken; 0 leaves that out")
    parser.add_argument("--samples", type=int, default=16, help="of these attempts, at the recipe's size")
    parser.add_argument("--class", dest="name", default="chair")
    arguments = parser.parse_args()
    out, name = arguments.out.resolve(), arguments.name
    extractors = {"packaged": model_at("", out)}
    if arguments.model:
        other = model_at(arguments.model, out)
        extractors[other.path.stem] = other
    real = {
        label: {
            where: box_features(
                read_coco(arguments.data / f"annotations/{SETS[where]}.json"),
                arguments.data / "images" / FOLDERS[where],
                name,
                extractor,
                min_side=16 if where == "apartment" else 4,
            )
            for where in SETS
        }
        for label, extractor in extractors.items()
    }
    result: dict[str, Any] = {
        "pass_rates": {label: {w: pass_rates(f) for w, f in sets.items()} for label, sets in real.items()}
    }
    if arguments.bag:
        result["told_apart"] = {
            label: told_apart(real[label]["apartment"], arguments.bag, extractor, name)
            for label, extractor in extractors.items()
        }
    if arguments.attempts:
        recipe = load_recipe(arguments.recipe, {"render.samples": arguments.samples})
        result["costs"] = costs(recipe, extractors, arguments.attempts, name)
    if arguments.images:
        result["in_loop"] = in_loop(arguments, extractors, real, out, result.get("costs", {}).get("seconds"))
    print(json.dumps(result, indent=1))


def in_loop(
    arguments: argparse.Namespace,
    extractors: dict[str, Extractor],
    real: dict[str, dict[str, BoxFeatures]],
    out: Path,
    seconds: dict[str, float] | None,
) -> dict[str, Any]:
    """The recipe without a gate, with it, and with drafts, each measured by boxes of photos that no gate has seen."""
    label, extractor = list(extractors.items())[-1]
    found = real[label]["apartment"]
    kept = halves(found, 0)
    origin = {"model": extractor.sha256, "class": arguments.name, "margin": 0.1}
    features = out / f"half_{label}.features"
    features.write_bytes(fit_density(found.features[kept], found.image[kept], origin=origin).to_bytes())
    size = {"output.width": arguments.width, "output.height": arguments.width * 3 // 4}
    recipe = load_recipe(arguments.recipe, {"images": arguments.images, **size})
    gate = {"features": str(features), "model": str(extractor.path) if label != "packaged" else ""}
    recipes = {"no gate": recipe, "gate": gated(recipe, **gate), "draft gate": gated(recipe, **gate, draft=True)}
    result: dict[str, Any] = {"gate_by": label}
    distances: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for kind, one in recipes.items():
        folder = out / kind.replace(" ", "_")
        funnel = render(one, folder)
        result[kind] = per_accepted(funnel, seconds) if seconds else {"accepted": funnel["accepted"]}
        if funnel["gate"]:
            result[kind]["gates"] = funnel["gate"]["gates"]
        distances[kind] = {
            by: nearness(folder, real[by]["apartment"].features[~kept], other, arguments.name)
            for by, other in extractors.items()
        }
    result["nearness"] = {
        kind: {by: fallen(distances["no gate"][by], after) for by, after in distances[kind].items()}
        for kind in ("gate", "draft gate")
    }
    return result


if __name__ == "__main__":
    main()
