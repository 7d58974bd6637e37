# SPDX-License-Identifier: GPL-3.0-or-later
"""YOLO's files for all tasks: one text file per image, one line per object in image units, names in data.yaml."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...engine.plugin.finished_dataset import DatasetFiles, FinishedDataset

Line = Callable[[Mapping[str, Any], Mapping[str, Any], int], str]
"""A label from an annotation, its image, and the number of its class; "" where the task has none for it."""


def write_yolo(
    dataset: FinishedDataset, files: DatasetFiles, line: Line, *, copies_images: bool, more: Mapping[str, Any] = {}
) -> None:
    """Write ``labels/*.txt``, a list of images for each part, and ``data.yaml``.

    Class numbers are 0, 1, ... in the order of the categories. Images without boxes get an empty file, which trainers
    take as background. YOLO has no mark for boxes to ignore, so crowds are left out.

    Parameters
    ----------
    copies_images : bool
        Put the images into ``images/``. Otherwise they are there, and the real images of the recipe, if it has any and
        the dataset has no part ``val``, are linked into ``real/`` as validation data.
    more : mapping
        Further entries of ``data.yaml``, as JSON values.
    """
    numbers = {c["id"]: i for i, c in enumerate(dataset.categories)}
    names: dict[int, str] = {}
    for image, own in dataset.by_image():
        lines = "".join(line(a, image, numbers[a["category_id"]]) for a in own if not a.get("iscrowd"))
        files.add(files.of_image("labels", image, ".txt"), lines.encode())
        path = f"images/{image['file_name']}"
        names[image["id"]] = files.image(files.of_image("images", image, ""), dataset, image) if copies_images else path
    lists = {"train": "images", "val": "images"}
    note = ""
    for part, chosen in dataset.parts.items():
        listed = "".join(f"./{names[image['id']]}\n" for image in dataset.images if image["id"] in chosen)
        files.add(f"{part}.txt", listed.encode())
        lists[part] = f"{part}.txt"
    if "val" not in dataset.parts:
        if not copies_images and _write_real(dataset, files, line):
            lists["val"] = "real/images"
        else:  # trainers want one; the test images must not choose the model
            lists["val"] = lists["train"]
            note = "# No validation data: 'val' names the training images. Give [real] with images, or [split].\n"
    files.add("data.yaml", f"{note}{_yaml(lists, [c['name'] for c in dataset.categories], more)}".encode())


def box_line(annotation: Mapping[str, Any], image: Mapping[str, Any], number: int) -> str:
    """A label for object detection: class number, centre, width and height."""
    (x, y, w, h), width, height = annotation["bbox"], image["width"], image["height"]
    values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    return f"{number} {' '.join(f'{v:.8f}' for v in values)}\n"


def points_line(points: Iterable[float], image: Mapping[str, Any], number: int) -> str:
    """A label of points x0, y0, x1, y1, ... in pixels."""
    size = (image["width"], image["height"])
    return f"{number} {' '.join(f'{v / size[k % 2]:.8f}' for k, v in enumerate(points))}\n"


def _yaml(lists: Mapping[str, str], names: list[str], more: Mapping[str, Any]) -> str:
    paths = "".join(f"{part}: {where}\n" for part, where in lists.items())
    # JSON strings are YAML strings, whatever a class is called.
    listed = "".join(f"  {i}: {json.dumps(name, ensure_ascii=False)}\n" for i, name in enumerate(names))
    # No 'path': trainers look for a relative one in other places than beside this file.
    further = "".join(f"{key}: {json.dumps(value)}\n" for key, value in more.items())
    return f"{paths}nc: {len(names)}\n{further}names:\n{listed}"


def _write_real(dataset: FinishedDataset, files: DatasetFiles, line: Line) -> bool:
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
        lines = "".join(line({"bbox": box}, image, number_of_class) for box, number_of_class in labels[image["id"]])
        files.add(f"real/labels/{number:06d}.txt", lines.encode())
    return True
