# SPDX-License-Identifier: GPL-3.0-or-later
"""evaluate finds what simulated detectors miss, and suggests recipes that render more of it on the numpy stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from recipes import on_floor, orbit, plugin_table, recipe_text
from stages import stool_stage
from twinset.dataset.analysis.real_boxes import real_boxes
from twinset.dataset.formats.coco import read_coco
from twinset.dataset.formats.dataset_folder import read_dataset
from twinset.dataset.jobs.job import Job
from twinset.engine.block import Block
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.rng import stream
from twinset.headless.cli import app
from typer.testing import CliRunner

WIDTH, HEIGHT = 160, 120


def run(*args: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr.replace("\n", " ")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy pictures of several brightnesses, with two chairs of several sizes in each."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "images").mkdir()
    rng, tints = stream(1, "real"), stream(1, "tints")
    images, annotations = [], []
    for k in range(70):
        level = int(rng.integers(40, 216))
        noise = rng.integers(-30, 30, (HEIGHT, WIDTH, 3))[..., :1]
        # Colour depends on a tint alone: noise in each colour would make dark images redder, and so explain as much.
        pixels = (level + noise) * tints.uniform(0.96, 1.04, 3)
        cv2.imwrite(str(folder / f"images/{k}.png"), np.clip(pixels, 0, 255).astype(np.uint8))
        images.append({"id": k, "file_name": f"{k}.png", "width": WIDTH, "height": HEIGHT})
        for half in (0, 1):
            side = float(np.exp(rng.uniform(np.log(10), np.log(50))))
            x = half * WIDTH / 2 + rng.uniform(1, WIDTH / 2 - side - 1)
            box = [float(x), float(rng.uniform(1, HEIGHT - side - 1)), side, side]
            annotations.append(
                {"id": len(annotations), "image_id": k, "category_id": 1, "bbox": box, "area": side * side}
            )
    categories = [{"id": 1, "name": "chair"}]
    path = folder / "real.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def detections(real: Path, chance: Callable[[dict[str, Any]], float], seed: int) -> Path:
    """The boxes that a detector finds that misses each with a chance."""
    coco = json.loads(real.read_text())
    rng = stream(seed, "misses")
    found = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.9}
        for a in coco["annotations"]
        if rng.random() > chance(a)
    ]
    path = real.parent / f"found {seed}.json"
    path.write_text(json.dumps(found))
    return path


def is_small(a: dict[str, Any]) -> bool:
    return a["bbox"][2] < 18


def is_left(a: dict[str, Any]) -> bool:
    return a["bbox"][0] + a["bbox"][2] / 2 < WIDTH / 3


def worst(real: Path, predictions: Path, *more: object) -> dict[str, Any]:
    found = json.loads(run("evaluate", real, predictions, "--json", "--workers", 1, *more))
    return {"all": found, "first": found["errors"]["slices_of_missed"][0]}


@pytest.mark.parametrize(("which", "column"), [(is_small, "bbox_area"), (is_left, "center_x")])
def test_what_a_detector_misses_comes_first(real: Path, which: Callable[..., bool], column: str) -> None:
    found = worst(real, detections(real, lambda a: 0.7 if which(a) else 0.15, 2))
    first = found["first"]
    assert (first["column"], first["significant"]) == (column, True)
    assert first["name"] in ("low", "left third")
    assert first["rest"] < 0.3 < 0.5 < first["share"]
    assert len(found["all"]["errors"]["missed"]) == found["all"]["errors"]["real"] - found["all"]["all"]["kept"]


def test_dark_images_are_found(real: Path) -> None:
    means = [cv2.imread(str(real.parent / f"images/{k}.png")).mean() for k in range(70)]
    first = worst(real, detections(real, lambda a: 0.75 if means[a["image_id"]] < 95 else 0.15, 3))["first"]
    assert (first["column"], first["name"], first["significant"]) in (
        ("brightness", "low", True),
        ("image_brightness", "low", True),
    )


def test_random_misses_have_no_slice_and_no_suggestion(real: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.toml"
    base.write_text(recipe_text(placements=[on_floor(1, 2)], cameras=[orbit(2.0, 4.0)]))
    out = tmp_path / "new.toml"
    predictions = detections(real, lambda a: 0.4, 4)
    shown = run("evaluate", real, predictions, "--workers", 1, "--suggest", out, "--base-recipe", base)
    assert "nothing to suggest" in shown
    assert not out.exists()
    assert "together" in run("evaluate", real, predictions, "--suggest", out, code=2)


def test_missed_boxes_themselves_count_where_that_is_asked_for(real: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base.toml", tmp_path / "new.toml"
    camera = plugin_table("framed", height=[0.5, 2.0])
    base.write_text(recipe_text(**BASE, real=str(real), target="bbox_area_gmm", cameras=[camera]))
    options = ("--workers", 1, "--no-slices", "--suggest", new, "--base-recipe", base, "--suggest-by")
    predictions = detections(real, lambda a: 0.4, 4)
    found = json.loads(run("evaluate", real, predictions, "--json", *options, "boxes"))
    missed = found["errors"]["missed"]
    before, after = (read_coco(path).annotations for path in (real, tmp_path / "new.real.json"))
    boxes = np.array([a["bbox"] for a in before])
    nearest = [int(np.abs(boxes - a["bbox"]).sum(1).argmin()) for a in after]  # they are written rounded
    times = np.bincount(nearest, minlength=len(before))
    assert times.tolist() == [3 if a["id"] in missed else 1 for a in before]
    recipe = load_recipe(new, check_files=False)
    assert recipe.goals == () and recipe.variants == ()

    for chance, why in ((0.0, "No box is missed"), (1.0, "All boxes are missed")):
        even = detections(real, lambda a, chance=chance: chance, 9)
        shown = " ".join(run("evaluate", real, even, *options, "boxes", "--force").split())
        assert why in shown and "was not written" in shown
    assert "must be one of slices, boxes" in run("evaluate", real, predictions, *options, "x", code=2)


def test_a_detector_is_judged_by_the_classes_that_it_knows(real: Path, tmp_path: Path) -> None:
    coco = json.loads(real.read_text())
    plants = [{**a, "id": 1000 + a["id"], "category_id": 2} for a in coco["annotations"]]
    coco["annotations"] += plants
    coco["categories"].append({"id": 2, "name": "plant"})
    both = tmp_path / "both.json"
    both.write_text(json.dumps(coco))
    predictions = detections(real, lambda a: 0.7 if is_small(a) else 0.15, 2)
    options = ("--real-images", real.parent / "images")
    named = worst(both, predictions, "--class", "chair", *options)
    alone = worst(real, predictions, *options)
    assert named["all"]["errors"] == alone["all"]["errors"] and named["all"]["all"] == alone["all"]["all"]
    shown = " ".join(run("evaluate", both, predictions, "--no-slices").split())
    assert "No prediction is of plant (1 of 2 classes)" in shown and "with --class" in shown
    assert "No prediction is" not in run("evaluate", real, predictions, "--no-slices")
    assert "has no class 'sofa'" in run("evaluate", both, predictions, "--class", "sofa", code=2)


def test_invented_boxes_are_sliced_too(real: Path, tmp_path: Path) -> None:
    rng = stream(5, "invented")
    coco = json.loads(real.read_text())
    found = [{**a, "score": 0.9} for a in coco["annotations"]]
    for image in coco["images"]:  # small boxes at the top that are nothing
        box = [float(rng.uniform(0, 140)), float(rng.uniform(0, 10)), 8.0, 8.0]
        found.append({"image_id": image["id"], "category_id": 1, "bbox": box, "score": 0.8})
    path = tmp_path / "dets.json"
    path.write_text(json.dumps([{k: one[k] for k in ("image_id", "category_id", "bbox", "score")} for one in found]))
    invented = worst(real, path, "--no-slices", "--suggest", tmp_path / "x.toml", "--base-recipe", tmp_path / "y.toml")[
        "all"
    ]["errors"]["slices_of_invented"]
    worse = {(one["column"], one["name"]) for one in invented if one["significant"]}
    assert {("bbox_area", "low"), ("center_y", "top third")} <= worse


def test_metadata_from_a_table_make_slices(real: Path, tmp_path: Path) -> None:
    ids = [a["id"] for a in json.loads(real.read_text())["annotations"]]
    hidden = [0.2 if i % 3 == 0 else 0.9 for i in ids]
    table = tmp_path / "inferred.csv"
    lines = [f"{i},{share}" for i, share in zip(ids, hidden, strict=True)]
    table.write_text("\n".join(["id,visible_share", *lines]) + "\n")
    predictions = detections(real, lambda a: 0.8 if a["id"] % 3 == 0 else 0.1, 6)
    first = worst(real, predictions, "--metadata", table)["first"]
    assert (first["column"], first["name"]) == ("visible_share", "low")


BASE: dict[str, Any] = {
    "seed": 3,
    "images": 40,
    "scene": "numpy.blend",
    "classes": [{"name": "chair", "objects": ["stool"]}],
    "placements": [on_floor(1, 1)],
    "render": {"samples": 1, "denoise": False, "block_size": 40},
    "size": (96, 72),
    "output": {"report": False},
}


def rendered(recipe: Path) -> list[list[float]]:
    """The boxes of a recipe on the numpy stage, in units of the image."""
    out = recipe.with_suffix("")
    list(Job(load_recipe(recipe, check_files=False), out, stool_stage).run())
    coco = read_dataset(out)
    return [[v / size for v, size in zip(a["bbox"], (96, 72, 96, 72), strict=True)] for a in coco.annotations]


def test_a_target_gets_more_of_the_sizes_that_were_missed(real: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base.toml", tmp_path / "new.toml"
    camera = plugin_table("framed", height=[0.5, 2.0])
    base.write_text(recipe_text(**{**BASE, "images": 20}, real=str(real), target="bbox_area_gmm", cameras=[camera]))
    predictions = detections(real, lambda a: 0.8 if is_small(a) else 0.1, 7)
    args = ("evaluate", real, predictions, "--workers", 1, "--suggest", new, "--base-recipe", base)
    assert "count 3 times" in run(*args)
    recipe = load_recipe(new, check_files=False)
    assert recipe.goals == ()  # the target draws from the repeated boxes
    assert len(read_coco(tmp_path / "new.real.json").annotations) > 1.3 * len(read_coco(real).annotations)

    def small(boxes: list[list[float]]) -> float:
        return float(np.mean([w * h < 18**2 / (WIDTH * HEIGHT) for _, _, w, h in boxes]))

    before, after = small(rendered(base)), small(rendered(new))
    assert after > before + 0.12, (before, after)
    assert "exists already" in run(*args, code=2)


def test_a_target_is_asked_for_more_boxes_on_the_left(real: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base.toml", tmp_path / "new.toml"
    camera = plugin_table("framed", height=[0.5, 2.0])
    base.write_text(recipe_text(**BASE, real=str(real), target="bbox_area_gmm", cameras=[camera]))
    predictions = detections(real, lambda a: 0.8 if is_left(a) else 0.1, 7)
    run("evaluate", real, predictions, "--workers", 1, "--suggest", new, "--base-recipe", base)

    def left(path: Path) -> float:
        recipe = load_recipe(path, check_files=False)
        (use,) = recipe.plugins["target"]
        fitted = use.plugin.fit(real_boxes(recipe), {}, 0, WIDTH / HEIGHT)
        drawn = [fitted.draw(frame, Block()).main for frame in range(150)]
        return float(np.mean([goal.center[0] < 1 / 3 for goal in drawn]))

    before, after = left(base), left(new)
    assert after > before + 0.12, (before, after)


def test_without_a_target_goals_follow_what_was_missed(real: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base.toml", tmp_path / "new.toml"
    base.write_text(recipe_text(**{**BASE, "images": 24}, cameras=[orbit(0.8, 6.0)]))
    predictions = detections(real, lambda a: 0.8 if is_small(a) else 0.1, 7)
    run("evaluate", real, predictions, "--workers", 1, "--suggest", new, "--base-recipe", base)
    recipe = load_recipe(new, check_files=False)
    assert "bbox_area" in [goal.column for goal in recipe.goals]

    def areas(boxes: list[list[float]]) -> float:
        return float(np.median([w * h for _, _, w, h in boxes]))

    assert areas(rendered(new)) < 0.75 * areas(rendered(base))


def test_darkness_becomes_a_goal_and_a_variant(real: Path, tmp_path: Path) -> None:
    base, new = tmp_path / "base.toml", tmp_path / "new.toml"
    lights = plugin_table("lights", factor_range=[0.5, 2.0])
    base.write_text(recipe_text(**BASE, cameras=[orbit(0.8, 6.0)], appearances=[lights]))
    means = [cv2.imread(str(real.parent / f"images/{k}.png")).mean() for k in range(70)]
    predictions = detections(real, lambda a: 0.75 if means[a["image_id"]] < 95 else 0.15, 3)
    run("evaluate", real, predictions, "--workers", 1, "--suggest", new, "--base-recipe", base)
    recipe = load_recipe(new, check_files=False)
    assert any("brightness" in goal.column for goal in recipe.goals)
    (before, after) = recipe.variants
    assert not before.changes
    low, high = after.changes["appearance.lights.factor_range"]
    assert (low, high) == pytest.approx((0.25, 0.7071), rel=1e-3)


def test_the_report_has_a_section_on_the_detector(real: Path, tmp_path: Path) -> None:
    predictions = detections(real, lambda a: 0.7 if is_small(a) else 0.15, 2)
    page = tmp_path / "page.html"
    run("report", real, real, "-o", page, "--no-features", "--predictions", predictions, "--workers", 1)
    text = page.read_text()
    assert 'href="#detector"' in text
    assert "It misses significantly more of: " in text
    assert "Missed box" in text


def test_images_that_are_not_those_of_the_boxes_cost_only_light_and_looks(real: Path, tmp_path: Path) -> None:
    """A folder nearby may hold other images of the same names; one that the user names must be right."""
    predictions = detections(real, lambda a: 0.7 if is_small(a) else 0.15, 2)
    labels = tmp_path / "labels.json"
    labels.write_text(real.read_text())
    (tmp_path / "other").mkdir()
    for k in range(70):
        cv2.imwrite(str(tmp_path / f"other/{k}.png"), np.zeros((8, 8, 3), np.uint8))
    found = json.loads(run("evaluate", labels, predictions, "--json", "--workers", 1))
    assert "has 8 by 8 px" in found["errors"]["problems"][0]
    assert found["errors"]["slices_of_missed"][0]["column"] == "bbox_area"
    shown = " ".join(run("evaluate", labels, predictions, "--workers", 1).split())
    assert "light and looks are not known" in shown and "has 8 by 8 px" in shown
    named = ("--real-images", tmp_path / "other")
    assert "has 8 by 8 px" in run("evaluate", labels, predictions, "--workers", 1, *named, code=2)
