# SPDX-License-Identifier: GPL-3.0-or-later
"""An image and all that is known of it as one sample, for formats that keep them together: WebDataset, Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...engine.plugin.finished_dataset import FinishedDataset
from ..atomic_files import json_bytes
from .image_names import shown_suffix

_OWN = ("id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd")


def grouped(
    dataset: FinishedDataset, images: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
    """Some images of a dataset, each with its annotations."""
    own: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for annotation in dataset.annotations(frozenset(own)):
        own[annotation["image_id"]].append(annotation)
    return [(image, own[image["id"]]) for image in images]


def image_bytes(dataset: FinishedDataset, image: Mapping[str, Any]) -> tuple[str, bytes]:
    """The suffix of an image, and its bytes."""
    path, data = dataset.image_file(image)
    return shown_suffix(path, data), path.read_bytes() if data is None else data


def objects_of(annotations: Sequence[Mapping[str, Any]], classes: Mapping[int, Any]) -> dict[str, list[Any]]:
    """The annotations of an image column by column, as Hugging Face's examples of object detection have them.

    ``segmentation`` and ``more``, which holds all further entries, are JSON text, because their types differ; None
    where there is nothing.
    """
    more = [{k: v for k, v in a.items() if k not in _OWN} for a in annotations]
    return {
        "id": [a["id"] for a in annotations],
        "bbox": [[float(value) for value in a["bbox"]] for a in annotations],
        "category": [classes[a["category_id"]] for a in annotations],
        "area": [float(a.get("area", a["bbox"][2] * a["bbox"][3])) for a in annotations],
        "iscrowd": [bool(a.get("iscrowd")) for a in annotations],
        "segmentation": [_json(a["segmentation"]) if a.get("segmentation") else None for a in annotations],
        "more": [_json(entries) if entries else None for entries in more],
    }


def annotations_of(objects: Mapping[str, Sequence[Any]], classes: Mapping[Any, int]) -> list[dict[str, Any]]:
    """The annotations that :func:`objects_of` has made columns of, without ``image_id``."""
    count = len(objects["bbox"])
    out: list[dict[str, Any]] = []
    for k in range(count):
        own: dict[str, Any] = {"bbox": list(objects["bbox"][k]), "category_id": classes[objects["category"][k]]}
        own["area"] = _at(objects, "area", k) or own["bbox"][2] * own["bbox"][3]
        own["iscrowd"] = int(bool(_at(objects, "iscrowd", k)))
        if outline := _at(objects, "segmentation", k):
            own["segmentation"] = json.loads(outline) if isinstance(outline, str) else outline
        more = _at(objects, "more", k)
        out.append({**own, **(json.loads(more) if isinstance(more, str) else {})})
    return out


def _at(objects: Mapping[str, Sequence[Any]], name: str, k: int) -> Any:
    values = objects.get(name)
    return values[k] if values is not None and k < len(values) else None


def _json(value: Any) -> str:
    return json_bytes(value).decode().rstrip("\n")
