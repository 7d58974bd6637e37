# SPDX-License-Identifier: GPL-3.0-or-later
"""What single steps of an alignment depend on, keep and make of recipes with variants; and its folder's lock."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import cv2
import numpy as np
import pytest
from recipes import builtin_class, on_floor, orbit, plugin_table, recipe_of, recipe_text
from twinset.dataset.aligning.pipeline import Alignment, align
from twinset.dataset.aligning.state import open_state
from twinset.dataset.aligning.steps.areas import Areas
from twinset.dataset.aligning.steps.features import _file_stems
from twinset.dataset.aligning.steps.filtering import Filter
from twinset.dataset.aligning.steps.inference import Infer
from twinset.dataset.aligning.workspace import fingerprints
from twinset.dataset.aligning.workspace.folder import Workspace
from twinset.dataset.aligning.workspace.gains import _of_pictures
from twinset.dataset.aligning.workspace.options import AlignOptions, Surroundings
from twinset.dataset.formats.coco import CocoFile, read_coco
from twinset.dataset.jobs.job import Job
from twinset.engine.errors import DataError, TryAgainError
from twinset.engine.events import Event, Finished, Funnel
from twinset.engine.recipe.reading import load_recipe
from twinset.engine.recipe.settings import Recipe
from twinset.engine.stage import Stage
from twinset.testing import BruteStage, asset, box, plane

SIZE = (64, 48)
CLASSES = [builtin_class("chair"), builtin_class("table")]
FRAMED = plugin_table("framed", area=[0.05, 0.2])
READING = ("infer", "features", "shapes", "filter", "report")
GIVEN_UP = 3


def pretend(recipe: Recipe, out: Path, watch: Callable[[Event], None]) -> None:
    """Renders nothing, and gives a few frames up."""
    out.mkdir(parents=True, exist_ok=True)
    watch(Finished(out, recipe.images - GIVEN_UP, 0, Funnel(0, {}, 0, 0, 0), None))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The COCO file of 8 photos, each of a chair and a table."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    for k in range(8):
        picture = np.random.default_rng(k).uniform(40, 200, (SIZE[1], SIZE[0], 3))
        cv2.imwrite(str(folder / "images" / f"{k}.png"), picture.astype(np.uint8))
    images = [{"id": k, "file_name": f"{k}.png", "width": SIZE[0], "height": SIZE[1]} for k in range(8)]
    boxes = [(k, name, [4 + k, 5, 10 + 2 * k, 12 + k]) for k in range(8) for name in (1, 2)]
    annotations = [
        {"id": n, "image_id": k, "category_id": name, "bbox": bbox, "area": bbox[2] * bbox[3]}
        for n, (k, name, bbox) in enumerate(boxes)
    ]
    categories = [{"id": 1, "name": "chair"}, {"id": 2, "name": "table"}]
    (folder / "real.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return folder / "real.json"


def aligned(folder: Path, photos: Path, text: str, **options: Any) -> Alignment:
    """An alignment that renders nothing and reads no rendered image."""
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    options = {"skip": READING, "trial_images": 4} | options
    return align(
        folder / "recipe.toml", photos, folder / "out", AlignOptions(workers=1, **options), Surroundings(pretend)
    )


def workspace(out: Path, photos: Path, **values: Any) -> Workspace:
    recipe = recipe_of(out, classes=CLASSES, real=str(photos), cameras=[FRAMED], placements=[on_floor(1, 1)])
    coco = read_coco(photos)
    start: dict[str, Any] = {"classes": ("chair",), "exposed": coco, "options": AlignOptions(workers=1)} | values
    return Workspace(out, recipe, recipe, coco, photos.parent / "images", surroundings=Surroundings(pretend), **start)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small frames of chairs, in ``dataset``."""
    folder = tmp_path_factory.mktemp("rendered")
    recipe = recipe_of(folder, classes=CLASSES[:1], images=2, size=SIZE, placements=[on_floor(1, 1)], cameras=[FRAMED])

    def open_stage(recipe: Recipe) -> Stage:
        chairs = [asset("stool", "chair", box((0.4, 0.4, 0.45)))]
        return BruteStage({"Floor": plane((6.0, 6.0))}, chairs, resolution=SIZE)

    list(Job(recipe, folder / "dataset", open_stage).run())
    return folder


def test_variants_that_change_the_target_keep_it_in_the_baseline(photos: Path, tmp_path: Path) -> None:
    variants = [{"weight": 1.0}, {"target.bbox_area_gmm.components": 2}]
    text = recipe_text(
        classes=CLASSES, placements=[on_floor(1, 1)], cameras=[FRAMED], target="bbox_area_gmm", real=str(photos)
    ) + "".join(f"[[variant]]\n{key} = {value}\n" for one in variants for key, value in one.items())
    done = aligned(tmp_path, photos, text)
    assert not done.result("baseline")["without_target"]
    assert len(load_recipe(done.recipe).variants) == 2


def test_cameras_that_variants_change_are_not_replaced_silently(photos: Path, tmp_path: Path) -> None:
    text = recipe_text(classes=CLASSES, placements=[on_floor(1, 1)], cameras=[orbit(3.0, 5.0)], real=str(photos))
    text += "[[variant]]\ncamera.orbit.distance = [2.0, 3.0]\n"
    with pytest.raises(DataError, match=r"No camera of the recipe \(orbit\) reaches goals.*skip step 'areas'"):
        aligned(tmp_path, photos, text)
    done = aligned(tmp_path, photos, text, skip=(*READING, "areas"))
    assert [use.id for use in load_recipe(done.recipe).plugins["camera"]] == ["orbit"]


def test_variants_still_change_the_effects_that_the_recipe_had(photos: Path, tmp_path: Path) -> None:
    text = recipe_text(
        classes=CLASSES, placements=[on_floor(1, 1)], cameras=[FRAMED], effects=["jpeg", "noise"], real=str(photos)
    )
    text += "[[variant]]\neffect.noise.probability = 0.25\n"
    recipe = load_recipe(aligned(tmp_path, photos, text).recipe)
    effects = recipe.plugins["effect"]
    assert [use.id for use in effects].count("noise") == 2 and effects[1].id == "noise"
    assert recipe.variants[0].changes == {"effect.2.probability": 0.25}


def test_images_that_were_given_up_do_not_count(photos: Path, tmp_path: Path) -> None:
    text = recipe_text(classes=CLASSES, placements=[on_floor(1, 1)], cameras=[FRAMED], images=20, real=str(photos))
    done = aligned(tmp_path, photos, text)
    said = next(outcome.said for outcome in done.steps if outcome.step.name == "dataset")
    assert said == ["17 images in dataset."]


def test_two_processes_do_not_align_into_one_folder(photos: Path, tmp_path: Path) -> None:
    text = recipe_text(classes=CLASSES, placements=[on_floor(1, 1)], cameras=[FRAMED], real=str(photos))
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with open_state(tmp_path / "out"):
            begun.set()
            go_on.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    assert begun.wait(60)
    try:
        with pytest.raises(TryAgainError, match="Another `twinset align` is at work"):
            aligned(tmp_path, photos, text)
    finally:
        go_on.set()
        other.join(60)
    assert aligned(tmp_path, photos, text).result("dataset")


def test_other_classes_are_other_inputs(photos: Path, tmp_path: Path) -> None:
    one, two = (workspace(tmp_path, photos, classes=classes) for classes in (("chair",), ("chair", "table")))
    for step in (Areas(), Infer()):
        assert fingerprints.differences(step.inputs(one), step.inputs(two))


def test_classes_have_files_of_their_own() -> None:
    stems = _file_stems(["a b", "a/b", "a_b", "A B", "a_b_2", "../c"])
    assert len({stem.lower() for stem in stems.values()}) == 6
    assert stems["a b"] == "a_b" and all("/" not in stem and "." not in stem for stem in stems.values())


def test_a_plugin_of_the_recipe_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "plugins" / "appearances").mkdir(parents=True)
    file = tmp_path / "plugins" / "appearances" / "fog.py"
    recipe = attrs.evolve(recipe_of(tmp_path, placements=[on_floor(1, 1)]), plugin_folders=("plugins",))
    found = []
    for text in ("A = 1\n", "A = 2\n"):
        file.write_text(text)
        found.append(fingerprints.of_recipe(recipe))
    assert fingerprints.differences(*found) == ["plugin 'plugins/appearances/fog.py' has changed"]


def test_nothing_is_inferred_of_classes_that_were_not_asked_for(rendered: Path, photos: Path) -> None:
    work = workspace(rendered, photos, classes=("table",))
    work.datasets["baseline"] = rendered / "dataset"
    assert Infer().run(work) == {
        "reason": "the images rendered before show no table",
        "goals": [],
        "columns": [],
    }


def test_a_filtered_dataset_without_a_picture_is_not_complete(rendered: Path, photos: Path) -> None:
    work = workspace(rendered, photos)
    shutil.copytree(rendered / "dataset", rendered / "filtered")
    assert Filter().is_complete(work, {"rejected": 1})
    next((rendered / "filtered" / "images").iterdir()).unlink()
    assert not Filter().is_complete(work, {"rejected": 1})
    assert Filter().is_complete(work, {"rejected": 0})


def test_pictures_of_all_classes_are_compared() -> None:
    def columns(brightness: list[float]) -> dict[str, Any]:
        """One chair in each of the first images, one table in each of the others, and a sofa in the last one."""
        number = len(brightness)
        names = ["chair"] * (number // 2) + ["table"] * (number - number // 2)
        image = [*range(number), number]
        return {"class": [*names, "sofa"], "image_id": image, "image_brightness": [*brightness, 0.9]}

    images = [{"id": k, "width": 64, "height": 48} for k in range(3)]
    coco = CocoFile(Path("real.json"), images, [], [])
    real, other = columns([0.1, 0.2, 0.6, 0.7]), columns([0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    found = _of_pictures(["chair", "table"], real, {"baseline": other}, {}, coco)
    assert found.real["image_brightness"].values.tolist() == [0.1, 0.2, 0.6, 0.7]
    assert found.synth["baseline"]["image_brightness"].values.tolist() == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
