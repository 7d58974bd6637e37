# SPDX-License-Identifier: GPL-3.0-or-later
"""Images with all that is known of them, for formats that keep them together: WebDataset, Hugging Face, videos."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...engine.plugin.finished_dataset import FinishedDataset
from ..atomic_files import json_bytes
from .image_names import shown_suffix

Annotated = Sequence[tuple[Mapping[str, Any], list[dict[str, Any]]]]
"""Images, each with its annotations."""

_OWN = ("id", "image_id", "category_id", "bbox", "area", "segmentation", "iscrowd")


def batched(images: Sequence[Mapping[str, Any]], count: int) -> list[Sequence[Mapping[str, Any]]]:
    """Images in batches of ``count``; the last one may have fewer."""
    return [images[first : first + count] for first in range(0, len(images), count)]


def grouped(dataset: FinishedDataset, batches: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Annotated]:
    """Batches of images of a dataset, each image with its annotations, in one pass over the dataset.

    Annotations of images that come before their batch does are held until then.
    """
    wanted = {image["id"] for batch in batches for image in batch}
    annotated = ((image["id"], own) for image, own in dataset.by_image() if image["id"] in wanted)
    held: dict[int, list[dict[str, Any]]] = {}
    for batch in batches:
        missing = {image["id"] for image in batch} - held.keys()
        while missing:
            id, own = next(annotated)
            held[id] = own
            missing.discard(id)
        yield [(image, held.pop(image["id"])) for image in batch]


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
