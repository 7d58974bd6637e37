# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewer shows of a dataset: images, boxes, masks, metadata columns, and frames without an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError
from ..atomic_files import is_number
from ..exports.image_names import shown_suffix
from ..formats.coco import CocoFile, by_image
from ..formats.rle_masks import MaskError, as_rle
from ..store.frame_record import ACCEPTED
from ..store.frames import FrameStore

SIZES = ((32**2, "small"), (96**2, "medium"), (math.inf, "large"))
"""COCO's sizes of objects by their area in square pixels."""

_NO_COLUMNS = frozenset({"instance", "frame", "main", "amodal_bbox"})


@attrs.frozen
class Box:
    """One annotation: its class by number, box in pixels, mask as COCO, area, and columns by name."""

    class_number: int
    bbox: Sequence[float]
    segmentation: Any
    area: float
    is_crowd: bool
    columns: Mapping[str, float | str]

    @property
    def size(self) -> str:
        """Small, medium or large, as COCO calls it."""
        return next(name for limit, name in SIZES if self.area < limit)


@attrs.frozen
class Picture:
    """One image with its boxes; ``image`` is COCO's entry, None for frames that have no image."""

    name: str
    image: Mapping[str, Any] | None
    boxes: Sequence[Box]
    part: str = ""
    verdict: str = ACCEPTED
    notes: str = ""
    columns: Mapping[str, float | str] = attrs.field(factory=dict)


def contents(coco: CocoFile, limit: int) -> tuple[list[Picture], int]:
    """What to show of a dataset, in the order of its images, and how many images were left out.

    Of a rendered dataset, frames that were given up or filtered come last, with the reasons.
    """
    number = {category["id"]: k for k, category in enumerate(coco.categories)}
    own = by_image(coco.annotations)
    pictures = [_picture(image, own.get(image["id"], ()), number) for image in coco.images[:limit]]
    return [*pictures, *_other_frames(coco)], max(len(coco.images) - limit, 0)


def _picture(image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], number: Mapping[int, int]) -> Picture:
    known = image.get("twinset") or {}
    return Picture(
        str(image["file_name"]),
        image,
        [_box(annotation, image, number) for annotation in annotations],
        part=str(image.get("part") or known.get("part") or ""),
        columns={**_columns(known), "boxes": len(annotations)},
    )


def _box(annotation: Mapping[str, Any], image: Mapping[str, Any], number: Mapping[int, int]) -> Box:
    known, (_, _, w, h) = annotation.get("twinset") or {}, annotation["bbox"]
    share = w * h / (image["width"] * image["height"])
    return Box(
        number[annotation["category_id"]],
        annotation["bbox"],
        _segmentation(annotation, image),
        float(annotation.get("area") or w * h),
        bool(annotation.get("iscrowd")),
        {"area": round(share, 6), "aspect": round(w / h, 4), **_columns(known)},
    )


def _segmentation(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> Any:
    """Polygons as they are, and masks as compressed RLE; None where there is none, or an invalid one."""
    segmentation = annotation.get("segmentation")
    if not segmentation:
        return None
    try:
        rle = as_rle(segmentation, image["height"], image["width"])
    except MaskError:
        return None
    return segmentation if isinstance(segmentation, list) else rle["counts"]


def _columns(known: Mapping[str, Any]) -> dict[str, float | str]:
    """The numbers among what is known of an image or box, and the names, such as that of a shape."""
    found: dict[str, float | str] = {}
    for name, value in known.items():
        if name in _NO_COLUMNS:
            continue
        if isinstance(value, bool):
            found[name] = float(value)
        elif is_number(value):
            found[name] = float(f"{value:.6g}")
        elif isinstance(value, str):
            found[name] = value
    return found


def _other_frames(coco: CocoFile) -> list[Picture]:
    """Frames of a rendered dataset that have no image, with their verdict and the reasons of rejected attempts."""
    root = coco.path.parent.parent if coco.path.parent.name == "annotations" else coco.path.parent
    store = FrameStore(root)
    if not (root / "recipe.toml").is_file():
        return []
    found = []
    shown = {(image.get("twinset") or {}).get("frame") for image in coco.images}
    for frame in store.frames():
        if frame in shown:
            continue
        try:
            record = store.read(frame)
        except DataError:
            continue
        if record["verdict"] != ACCEPTED:
            reasons = list(record.get("rejected", ()))
            counted = [f"{reason} ({reasons.count(reason)})" for reason in dict.fromkeys(reasons)]
            attempts = record.get("attempts", len(reasons))
            notes = "; ".join([f"{attempts} attempts", *counted])
            found.append(Picture(f"frame {frame}", None, [], verdict=record["verdict"], notes=notes))
    return found


def file_name(number: int, path: Path, data: bytes | None) -> str:
    """The name that a copy of an image has beside a page."""
    return f"{number:06d}{shown_suffix(path, data)}"
