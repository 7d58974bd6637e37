# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO: one text file per image, one line per box in image units, class names in data.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...engine.output.writer import DatasetFiles, FinishedDataset, Writer
from ..formats.image_files import IMAGE_SUFFIXES


class Yolo(Writer):
    """``labels/*.txt`` and ``data.yaml`` beside the images.

    Class numbers are 0, 1, ... in the order of the categories. Images without boxes get an empty file, which trainers
    take as background. YOLO has no mark for boxes to ignore, so crowds are left out. Parts of the dataset get a list of
    images each, which ``data.yaml`` names. Validation data are the part ``val`` of the dataset, or else the real images
    of the recipe, which are linked into ``real/``.
    """

    key = "yolo"
    doc = "YOLO label files beside the COCO file"
    image_files = (("labels", ".txt"), ("real/labels", ".txt"), *(("real/images", s) for s in IMAGE_SUFFIXES))

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        numbers = {c["id"]: i for i, c in enumerate(dataset.categories)}
        for image, own in dataset.by_image():
            lines = "".join(_line(a, image, numbers[a["category_id"]]) for a in own if not a.get("iscrowd"))
            files.add(files.of_image("labels", image, ".txt"), lines.encode())
        lists = {"train": "images", "val": "images"}
        note = ""
        for part, chosen in dataset.parts.items():
            listed = "".join(f"./images/{image['file_name']}\n" for image in dataset.images if image["id"] in chosen)
            files.add(f"{part}.txt", listed.encode())
            lists[part] = f"{part}.txt"
        if "val" not in dataset.parts:
            if _write_real(dataset, files):
                lists["val"] = "real/images"
            else:  # trainers want one; the test images must not choose the model
                lists["val"] = lists["train"]
                note = "# No validation data: 'val' names the training images. Give [real] with images, or [split].\n"
        paths = "".join(f"{part}: {where}\n" for part, where in lists.items())
        # JSON strings are YAML strings, whatever a class is called.
        names = "".join(
            f"  {i}: {json.dumps(c['name'], ensure_ascii=False)}\n" for i, c in enumerate(dataset.categories)
        )
        # No 'path': trainers look for a relative one in other places than beside this file.
        files.add("data.yaml", f"{note}{paths}nc: {len(numbers)}\nnames:\n{names}".encode())


def _write_real(dataset: FinishedDataset, files: DatasetFiles) -> bool:
    """Link the real images with their labels into ``real/``; returns whether there are any with a known class."""
    numbers = {category["name"]: number for number, category in enumerate(dataset.categories)}
    real = dataset.real
    if real is None:
        return False
    labels = {
        image["id"]: [(box, numbers[name]) for name, box in real.annotations(image) if name in numbers]
        for image in real.images
    }
    if not any(labels.values()):
        return False
    for number, image in enumerate(real.images, 1):
        path, data = real.file(image)
        name = f"real/images/{number:06d}"
        if data is None:
            files.link(f"{name}{path.suffix.lower()}", path)
        else:
            files.add(f"{name}.png", data)
        lines = "".join(_line({"bbox": box}, image, number_of_class) for box, number_of_class in labels[image["id"]])
        files.add(f"real/labels/{number:06d}.txt", lines.encode())
    return True


def _line(annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    (x, y, w, h), width, height = annotation["bbox"], image["width"], image["height"]
    values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    return f"{number} {' '.join(f'{v:.8f}' for v in values)}\n"
