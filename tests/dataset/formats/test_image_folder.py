# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a dataset's images is found by names and sizes, and that of another dataset is not taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from twinset.dataset.camera.photos import photo_paths
from twinset.dataset.formats.dataset_folder import image_folder, read_dataset


def annotate(path: Path, names: list[str], size: tuple[int, int] = (40, 30)) -> Path:
    images = [{"id": k, "file_name": name, "width": size[0], "height": size[1]} for k, name in enumerate(names)]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "chair"}]}), "utf-8"
    )
    return path


def save(folder: Path, names: list[str], size: tuple[int, int] = (40, 30), orientation: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in names:
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(folder / name, exif=exif.tobytes())


NAMES = ["0.png", "1.png", "2.png"]


def test_images_of_another_dataset_beside_it_are_not_taken(tmp_path: Path) -> None:
    coco = read_dataset(annotate(tmp_path / "mine" / "real.json", NAMES))
    save(tmp_path / "other", NAMES, (64, 48))
    save(tmp_path / "another", NAMES[:1])
    assert image_folder(coco) is None
    save(tmp_path / "photos", NAMES[:2])
    assert image_folder(coco) == tmp_path / "photos"


def test_sizes_decide_between_folders_with_the_same_names(tmp_path: Path) -> None:
    coco = read_dataset(annotate(tmp_path / "annotations" / "real.json", NAMES))
    save(tmp_path / "images" / "large", NAMES, (80, 60))
    save(tmp_path / "images" / "small", NAMES[:2])
    assert image_folder(coco) == tmp_path / "images" / "small"


def test_photos_turned_by_exif_are_of_the_annotated_size(tmp_path: Path) -> None:
    coco = read_dataset(annotate(tmp_path / "annotations" / "real.json", NAMES, (30, 40)))
    save(tmp_path / "photos", NAMES, (40, 30), orientation=6)
    assert image_folder(coco) == tmp_path / "photos"


def test_images_of_another_size_in_the_folder_itself_are_found_so_that_the_error_names_them(tmp_path: Path) -> None:
    coco = read_dataset(annotate(tmp_path / "real.json", NAMES))
    save(tmp_path, NAMES, (80, 60))
    assert image_folder(coco) == tmp_path


@pytest.mark.parametrize("name", ["C:\\data\\0.png", "/data/upload/1/0a1b2c3d-0.png"])
def test_names_of_other_systems_are_found_by_their_last_part(tmp_path: Path, name: str) -> None:
    coco = read_dataset(annotate(tmp_path / "export" / "result.json", [name]))
    save(tmp_path / "elsewhere", ["0.png"], (64, 48))
    assert image_folder(coco) is None
    save(tmp_path / "export" / "images", ["0.png"])
    assert image_folder(coco) == tmp_path / "export" / "images"


def test_photos_of_a_rendered_folder_are_its_images(tmp_path: Path) -> None:
    annotate(tmp_path / "annotations" / "instances.json", NAMES)
    save(tmp_path / "images", NAMES)
    save(tmp_path, ["contact_sheet.png"], (200, 100))
    assert photo_paths([tmp_path]) == [tmp_path / "images" / name for name in NAMES]
