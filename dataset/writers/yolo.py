# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO: one text file per image, one line per box in image units, class names in data.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...engine.output.writer import DatasetFiles, FinishedDataset, Writer


class Yolo(Writer):
    """``labels/*.txt`` and ``data.yaml`` beside the images.

    Class numbers are 0, 1, ... in the order of the categories. Images without boxes get an empty file, which trainers
    take as background. Parts of the dataset get a list of images each, which ``data.yaml`` names.
    """

    key = "yolo"
    doc = "YOLO label files beside the COCO file"
    image_files = (("labels", ".txt"),)

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        numbers = {c["id"]: i for i, c in enumerate(dataset.categories)}
        for image, own in dataset.by_image():
            lines = "".join(_line(a, image, numbers[a["category_id"]]) for a in own)
            files.add(files.of_image("labels", image, ".txt"), lines.encode())
        lists = {"train": "images", "val": "images"}
        for part, chosen in dataset.parts.items():
            listed = "".join(f"./images/{image['file_name']}\n" for image in dataset.images if image["id"] in chosen)
            files.add(f"{part}.txt", listed.encode())
            lists[part] = f"{part}.txt"
        if dataset.parts and "val" not in dataset.parts:  # trainers want one; the test images must not choose the model
            lists["val"] = lists["train"]
        paths = "".join(f"{part}: {where}\n" for part, where in lists.items())
        # JSON strings are YAML strings, whatever a class is called.
        names = "".join(
            f"  {i}: {json.dumps(c['name'], ensure_ascii=False)}\n" for i, c in enumerate(dataset.categories)
        )
        files.add("data.yaml", f"path: .\n{paths}nc: {len(numbers)}\nnames:\n{names}".encode())


def _line(annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    (x, y, w, h), width, height = annotation["bbox"], image["width"], image["height"]
    values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    return f"{number} {' '.join(f'{v:.8f}' for v in values)}\n"
