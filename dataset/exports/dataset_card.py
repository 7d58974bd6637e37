# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataset cards for Hugging Face: what a dataset holds, where it comes from, its licences, what it is for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.plugin.finished_dataset import FinishedDataset
from .image_names import part_names

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Hugging Face's names for parts."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MAX_INPUTS = 200
"""Input files that a card lists one by one."""


def dataset_card(dataset: FinishedDataset, data_files: Mapping[str, str], name: str = "") -> bytes:
    """The card as ``README.md``: metadata that the Hub reads, then text for people.

    Parameters
    ----------
    dataset : FinishedDataset
    data_files : mapping of str to str
        Pattern of the files of each part, by Hugging Face's name of it.
    name : str
        Title of the card; by default the description of the dataset.
    """
    part_of = part_names(dataset.parts, dataset.images)
    images = Counter(part_of.values())
    boxes: Counter[tuple[str, int]] = Counter()
    shares: list[float] = []
    has_masks, crowds = False, 0
    for image, own in dataset.by_image():
        for annotation in own:
            has_masks |= bool(annotation.get("segmentation"))
            if annotation.get("iscrowd"):
                crowds += 1
                continue
            boxes[part_of[image["id"]], annotation["category_id"]] += 1
            width, height = annotation["bbox"][2:]
            shares.append(width * height / (image["width"] * image["height"]))
    is_rendered = bool(dataset.inputs) and any("used" in entry for entry in dataset.inputs.values())
    title = name or str(dataset.info.get("description") or "Object detection dataset")
    parts = list(dict.fromkeys(part_of.values()))
    tasks = ["object-detection", *(["image-segmentation"] if has_masks else [])]
    lines = [
        "---",
        *_list("task_categories", tasks),
        *_list("tags", ["synthetic", "twinset"] if is_rendered else ["twinset"]),
        f"pretty_name: {json.dumps(title, ensure_ascii=False)}",
        "license: other",
        *_list("size_categories", [next((s for limit, s in _SIZES if len(part_of) < limit), "n>1M")]),
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(line for split, files in data_files.items() for line in (f"  - split: {split}", f'    path: "{files}"')),
        "---",
        "",
        f"# {title}",
        "",
        *_contents(dataset, parts, images, boxes, crowds),
        *_statistics(dataset, shares),
        *_origin(dataset),
        *_licences(dataset),
        *_use(is_rendered),
    ]
    return "\n".join(lines).encode()


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {value}" for value in values)]


def _contents(
    dataset: FinishedDataset,
    parts: Sequence[str],
    images: Mapping[str, int],
    boxes: Mapping[tuple[str, int], int],
    crowds: int,
) -> list[str]:
    names = {category["id"]: _cell(category["name"]) for category in dataset.categories}
    head = ["split", "images", *(names.values())]
    rows = [
        [SPLITS.get(part, part), str(images[part]), *(str(boxes.get((part, id), 0)) for id in names)] for part in parts
    ]
    more = [f"{crowds} further annotations are crowds.", ""] if crowds else []
    fields = (
        "Each image has `image_id`, `width`, `height` and `objects`: for each object its `id`, `bbox` [x, y, width, "
        "height] in pixels, `category`, `area` of its mask in pixels, `iscrowd`, `segmentation` (COCO, as JSON text) "
        "and `more` (further entries, as JSON text)."
    )
    return ["## Contents", "", *_table(head, rows), "", *more, fields, ""]


def _statistics(dataset: FinishedDataset, shares: Sequence[float]) -> list[str]:
    if not shares:
        return []
    quartiles = np.quantile(shares, [0.0, 0.25, 0.5, 0.75, 1.0])
    sizes = Counter((image["width"], image["height"]) for image in dataset.images)
    (width, height), _ = sizes.most_common(1)[0]
    text = f"{len(sizes)} image sizes, most often" if len(sizes) > 1 else "All images have"
    return [
        "## Statistics",
        "",
        f"{text} {width} x {height} pixels. {len(shares) / len(dataset.images):.2f} objects per image on average.",
        "",
        *_table(
            ["area of boxes / area of image", "minimum", "1st quartile", "median", "3rd quartile", "maximum"],
            [["", *(f"{value:.4f}" for value in quartiles)]],
        ),
        "",
    ]


def _origin(dataset: FinishedDataset) -> list[str]:
    info = {key: dataset.info[key] for key in sorted(dataset.info) if dataset.info[key] not in (None, "")}
    lines = ["## Provenance", "", *(f"- {key}: {_cell(value)}" for key, value in info.items())]
    if not dataset.inputs:
        return [*lines, ""]
    rows = []
    for path, entry in list(dataset.inputs.items())[:_MAX_INPUTS]:
        used = entry.get("used") or entry.get("linked_by") or []
        rows.append([f"`{_cell(path)}`", _cell(", ".join(map(str, used))), f"`{str(entry.get('sha256', ''))[:16]}`"])
    left = len(dataset.inputs) - len(rows)
    more = [f"and {left} more files.", ""] if left else []
    return [*lines, "", "Made from these files:", "", *_table(["file", "used as", "SHA-256"], rows), "", *more]


def _licences(dataset: FinishedDataset) -> list[str]:
    stated: dict[tuple[str, str], int] = {}
    for entry in dataset.inputs.values():
        own = entry.get("stated") or {}
        if own:
            key = (own.get("license", "not stated"), own.get("author") or own.get("copyright") or "not stated")
            stated[key] = stated.get(key, 0) + 1
    rows = [[_cell(licence), _cell(author), str(count)] for (licence, author), count in sorted(stated.items())]
    lines = ["## Licences", ""]
    for licence in dataset.licenses:
        lines.append(f"- {_cell(licence.get('name', ''))} {_cell(licence.get('url', ''))}".rstrip())
    if rows:
        lines += ["As stated by the 3D models:", "", *_table(["licence", "author", "files"], rows)]
    if not rows and not dataset.licenses:
        lines.append("No licence is stated by the material that this dataset was made from.")
    lines += ["", "Before you publish, set `license` above to what all of the material allows.", ""]
    return lines


def _use(is_rendered: bool) -> list[str]:
    known = (
        "The images are rendered. Check a detector on real photos before you rely on it."
        if is_rendered
        else "Check where the photos come from, and whom they show, before you publish them."
    )
    return [
        "## Intended use",
        "",
        "Training and testing of object detectors for the classes above, in scenes like those shown.",
        f"{known} Not for decisions about people.",
        "",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
