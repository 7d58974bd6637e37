# SPDX-License-Identifier: GPL-3.0-or-later
"""The output folder in the readers of those who use it: the same images, boxes and masks as the records have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes import ONE_SAMPLE, on_floor, orbit, recipe_text
from stages import stool_stage
from twinset.dataset.jobs.job import Job
from twinset.engine.recipe.reading import loads_recipe

RECIPE = recipe_text(
    seed=2,
    images=4,
    placements=[on_floor(1, 3)],
    cameras=[orbit(2.0, 4.0)],
    metrics=["bbox"],
    render={**ONE_SAMPLE, "block_size": 2, "device": "cpu"},
    size=(64, 48),
    output={"format": "png", "masks": True, "yolo": True},
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    list(Job(loads_recipe(RECIPE, folder, "r.toml"), folder / "out", stool_stage).run())
    return folder / "out"


def truth(out: Path) -> dict[str, list[tuple[float, ...]]]:
    """Boxes of each image from the id maps, which know nothing of COCO; sorted."""
    import cv2

    boxes: dict[str, list[tuple[float, ...]]] = {}
    for path in sorted((out / "masks").glob("*.png")):
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        found = []
        for id in np.unique(ids[ids > 0]):
            rows, columns = np.nonzero(ids == id)
            found.append((columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1))
        boxes[f"{path.stem}.png"] = sorted(tuple(map(float, box)) for box in found)
    return boxes


def test_pycocotools(out: Path) -> None:
    from pycocotools.coco import COCO

    coco = COCO(str(out / "annotations/instances.json"))
    found = {
        image["file_name"]: sorted(tuple(map(float, a["bbox"])) for a in coco.loadAnns(coco.getAnnIds(id)))
        for id, image in coco.imgs.items()
    }
    assert found == truth(out) and any(found.values())


def test_torchvision(out: Path) -> None:
    """As its tutorial does it: images from the folder, targets with boxes, labels and masks of the same number."""
    datasets = pytest.importorskip("torchvision.datasets")
    loaded = datasets.wrap_dataset_for_transforms_v2(
        datasets.CocoDetection(str(out / "images"), str(out / "annotations/instances.json")),
        target_keys=("image_id", "boxes", "labels", "masks"),
    )
    names = {i["id"]: i["file_name"] for i in json.loads((out / "annotations/instances.json").read_text())["images"]}
    found = {}
    for image, target in loaded:
        assert image.size == (64, 48)
        boxes = np.asarray(target["boxes"]) if "boxes" in target else np.empty((0, 4))
        found[names[target["image_id"]]] = sorted((x, y, r - x, b - y) for x, y, r, b in boxes.astype(float).tolist())
        for box, mask in zip(boxes, target.get("masks", ()), strict=True):
            rows, columns = np.nonzero(np.asarray(mask))
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()
    assert found == truth(out)


def _named(found: Iterator[tuple[str, Any]]) -> dict[str, list[tuple[float, ...]]]:
    return {f"{Path(name).stem}.png": sorted(tuple(map(float, box)) for box in boxes) for name, boxes in found}


def test_datumaro(out: Path) -> None:
    datumaro = pytest.importorskip("datumaro")
    loaded = datumaro.Dataset.import_from(str(out), "coco_instances")
    kinds = (datumaro.AnnotationType.mask, datumaro.AnnotationType.polygon, datumaro.AnnotationType.bbox)
    found = _named((item.id, [a.get_bbox() for a in item.annotations if a.type in kinds]) for item in loaded)
    assert found == truth(out)


def test_fiftyone(out: Path) -> None:
    fiftyone = pytest.importorskip("fiftyone")
    loaded = fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.COCODetectionDataset,
        data_path=str(out / "images"),
        labels_path=str(out / "annotations/instances.json"),
        include_id=True,
    )
    found = _named(
        (s.filepath, [[round(v * n) for v, n in zip(d.bounding_box, (64, 48) * 2, strict=True)] for d in labels])
        for s in loaded
        for labels in [s.detections.detections if s.detections else []]
    )
    assert found == truth(out)
