# SPDX-License-Identifier: GPL-3.0-or-later
"""The output folder in the readers of those who use it: the same images, boxes and masks as the records have."""

from __future__ import annotations

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
    datasets = pytest.importorskip("torchvision.datasets")
    loaded = datasets.CocoDetection(str(out / "images"), str(out / "annotations/instances.json"))
    found = {}
    for id, (image, target) in zip(loaded.ids, loaded, strict=True):
        assert image.size == (64, 48)
        found[loaded.coco.imgs[id]["file_name"]] = sorted(tuple(map(float, a["bbox"])) for a in target)
    assert found == truth(out)


def _named(found: Iterator[tuple[str, Any]]) -> dict[str, list[tuple[float, ...]]]:
    return {f"{Path(name).stem}.png": sorted(tuple(map(float, box)) for box in boxes) for name, boxes in found}


def test_datumaro(out: Path) -> None:
    """It takes the file; of folders it wants the names ``instances_PART.json``."""
    datumaro = pytest.importorskip("datumaro")
    loaded = datumaro.Dataset.import_from(str(out / "annotations/instances.json"), "coco_instances")
    assert all(Path(item.media.path).is_file() for item in loaded)
    masks = datumaro.AnnotationType.mask
    found = _named((item.id, [a.get_bbox() for a in item.annotations if a.type == masks]) for item in loaded)
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
