# SPDX-License-Identifier: GPL-3.0-or-later
"""The command repaint on a COCO folder and a rendered one: only the annotated objects are left of each picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from recipes import on_floor, orbit, recipe_text
from twinset.dataset.jobs.job import Job
from twinset.engine.recipe.reading import loads_recipe
from twinset.headless.cli import app
from twinset.testing import BruteStage, asset, box, plane
from typer.testing import CliRunner

SIZE = (64, 48)


def run(*args: object):
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = recipe_text(
        images=3,
        classes=[{"name": "chair", "builtin": "chair"}],
        placements=[on_floor(2, 3)],
        cameras=[orbit(1.0, 2.0)],
        size=SIZE,
        output={"format": "png", "yolo": True},
    )
    out = tmp_path_factory.mktemp("repaint") / "rendered"

    def open_stage(recipe):
        return BruteStage({"Floor": plane((6, 6))}, [asset("stool", "chair", box((0.5, 0.5, 0.6)))], resolution=SIZE)

    list(Job(loads_recipe(text, Path(), "test"), out, open_stage).run())
    return out


def picture(folder: Path, name: str) -> np.ndarray:
    return cv2.imread(str(folder / "images" / name))[..., ::-1]


def masks(coco: COCO, image: int, *, grown: bool) -> np.ndarray:
    """The union of an image's masks, grown or shrunk by a pixel, from pycocotools."""
    whole = np.zeros(SIZE[::-1], np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds(image)):
        whole |= coco_mask.decode(annotation["segmentation"])
    square = np.ones((3, 3), np.uint8)
    return (cv2.dilate if grown else cv2.erode)(whole, square, borderType=cv2.BORDER_REPLICATE) > 0


def test_a_rendered_dataset_stays_one_with_the_same_labels(rendered: Path, tmp_path: Path) -> None:
    done = run("repaint", rendered, "-o", tmp_path / "white")
    assert done.exit_code == 0, done.output
    for name in ("annotations/instances.json", "labels/000001.txt"):
        assert (tmp_path / "white" / name).read_bytes() == (rendered / name).read_bytes()
    coco = COCO(str(tmp_path / "white/annotations/instances.json"))
    for image in coco.dataset["images"]:
        before, after = (picture(folder, image["file_name"]) for folder in (rendered, tmp_path / "white"))
        inside, outside = masks(coco, image["id"], grown=False), ~masks(coco, image["id"], grown=True)
        assert inside.any() and outside.any()
        assert (after[outside] == 255).all()
        assert np.abs(after[inside].astype(int) - before[inside]).max() <= 1
    assert json.loads((tmp_path / "white/curation.json").read_text())["steps"][0]["colors"] == ["#ffffff"]


def test_colours_and_photos_are_drawn_by_the_seed(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for k, value in enumerate((30, 200)):
        cv2.imwrite(str(tmp_path / f"photos/{k}.png"), np.full((50, 90, 3), value, np.uint8))

    def backgrounds(*options: object) -> list[int]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        done = run("repaint", rendered, "-o", out, *options)
        assert done.exit_code == 0, done.output
        coco = COCO(str(out / "annotations/instances.json"))
        drawn = []
        for image in coco.dataset["images"]:
            outside = ~masks(coco, image["id"], grown=True)
            drawn.append(int(np.median(picture(out, image["file_name"])[outside][:, 0])))
        return drawn

    drawn = [backgrounds("--photos", tmp_path / "photos", "--seed", seed) for seed in range(4)]
    assert {value for values in drawn for value in values} == {30, 200}
    assert drawn[0] == backgrounds("--photos", tmp_path / "photos", "--seed", 0)
    assert set(backgrounds("--color", "#ff0000", "--color", "0, 0, 0")) <= {0, 255}


def test_a_box_without_a_mask_keeps_its_whole_picture(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "images/a.png"), rng.integers(0, 200, (40, 60, 3), dtype=np.uint8))
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 15], "area": 300}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    done = run("repaint", tmp_path / "labels.json", "-o", tmp_path / "new")
    assert done.exit_code == 0, done.output
    before, after = picture(tmp_path, "a.png"), picture(tmp_path / "new", "a.png")
    assert np.abs(after[11:24, 11:29].astype(int) - before[11:24, 11:29]).max() <= 1
    assert (after[:9] == 255).all() and (after[:, 31:] == 255).all()


def test_mistakes_are_named(rendered: Path, tmp_path: Path) -> None:
    for args, words in [
        (["--color", "blueish"], "'blueish' is not a colour"),
        (["--color", "#000000", "--photos", tmp_path], "not both"),
    ]:
        done = run("repaint", rendered, "-o", tmp_path / "new", *args)
        assert done.exit_code == 2 and words in done.output
    done = run("repaint", rendered, "-o", rendered)
    assert done.exit_code == 2 and "already exists" in done.output
