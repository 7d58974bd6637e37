# SPDX-License-Identifier: GPL-3.0-or-later
"""Pascal VOC: an XML file per image, in ``Annotations`` or beside the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...engine.errors import DataError
from ...engine.regular_files import open_regular
from ..formats import rle_masks
from ..formats.coco import CocoFile
from ..formats.dataset_reader import PART_NAMES, DatasetReader, Listing, image_beside, read_text, relative
from ..image_header import read_header
from ..imports.safe_xml import parse_xml

MAX_BYTES = 2**24
VOID = 255


class Voc(DatasetReader):
    """``VOCdevkit``, a folder with ``Annotations`` and ``JPEGImages``, or XML files beside their images."""

    title = "Pascal VOC"

    def matches(self, folder: Path) -> bool:
        return any(True for _ in _roots(folder)) or any(_is_voc(file) for file in _beside(folder)[:1])

    def read(self, folder: Path) -> CocoFile:
        listing = Listing(folder, self.title)
        roots = list(_roots(folder))
        files: list[tuple[Path, Path | None]] = [
            (file, place) for place in roots for file in sorted((place / "Annotations").glob("*.xml"))
        ]
        files = files or [(file, None) for file in _beside(folder)]
        parsed = [(file, root, parse_xml(file, MAX_BYTES, self.title)) for file, root in files]
        boxes = [box for file, _, tree in parsed for box in map(_corners, tree.findall("object")) if box]
        # VOC counts pixels from 1. Other tools count from 0, which a box at the left or upper border gives away.
        first = 0 if any(min(box[:2]) < 1 for box in boxes) else 1
        for place in roots:
            for name in _label_map(place):
                listing.add_class(name)
        part_of = {(place, name): part for place in roots for part in PART_NAMES for name in _listed(place, part)}
        for file, root, tree in parsed:
            images = root / "JPEGImages" if root is not None else file.parent
            part = part_of.get((root, file.stem), "") if root is not None else file.parent.name
            self._add(listing, file, tree, images, root, part, first)
        return listing.coco()

    def _add(
        self,
        listing: Listing,
        file: Path,
        tree: ElementTree.Element,
        images: Path,
        root: Path | None,
        part: str,
        first: int,
    ) -> None:
        named = Path((tree.findtext("filename") or "").strip().replace("\\", "/")).name
        name = named if named and (images / named).is_file() else image_beside(images, file.stem) or named
        if not name:
            raise DataError(f"'{file}' names no image, and none beside it is called '{file.stem}'.")
        size = [_number(tree.findtext(f"size/{key}")) for key in ("width", "height")]
        known = (size[0], size[1]) if size[0] and size[1] else None
        image_id = listing.add_image(relative(images / name, listing.folder), known, part)
        objects = [(node, (node.findtext("name") or "").strip(), _corners(node)) for node in tree.findall("object")]
        masks = _masks(root, file.stem, len(objects), listing.images[-1])
        for (node, class_name, box), mask in zip(objects, masks, strict=True):
            if box is None or not class_name or box[2] - box[0] + first <= 0 or box[3] - box[1] + first <= 0:
                listing.left_out += 1
                continue
            left, top, right, bottom = box
            crowd = {"iscrowd": 1} if (node.findtext("difficult") or "").strip() == "1" else {}
            bbox = [left - first, top - first, right - left + first, bottom - top + first]
            listing.add(image_id, class_name, bbox, **crowd, **mask)


def _roots(folder: Path) -> list[Path]:
    """Folders with ``Annotations``, as VOC lays them out."""
    places = [folder, *sorted(folder.glob("VOC*")), *sorted(folder.glob("VOCdevkit/VOC*"))]
    return [place for place in places if any(_is_voc(f) for f in sorted((place / "Annotations").glob("*.xml"))[:1])]


def _beside(folder: Path) -> list[Path]:
    """XML files in the folder and in those of its parts, as other tools export VOC."""
    places = [folder, *(folder / part for part in PART_NAMES)]
    return [file for place in places if place.is_dir() for file in sorted(place.glob("*.xml"))]


def _is_voc(file: Path) -> bool:
    try:
        with open_regular(file) as opened:
            head = opened.read(1024)
    except OSError:
        return False
    return b"<annotation" in head and b"<annotations" not in head


def _label_map(root: Path) -> list[str]:
    """The classes that ``labelmap.txt`` lists, which CVAT, datumaro and Twinset write: ``name:color:parts:actions``."""
    path = root / "labelmap.txt"
    lines = read_text(path, MAX_BYTES).splitlines() if path.is_file() else []
    names = [line.rsplit(":", 3)[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    return [name for name in names if name not in ("", "background", "ignored")]


def _listed(root: Path, part: str) -> list[str]:
    path = root / "ImageSets" / "Main" / f"{part}.txt"
    return [line.strip() for line in read_text(path, MAX_BYTES).splitlines() if line.strip()] if path.is_file() else []


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _corners(node: ElementTree.Element) -> tuple[float, float, float, float] | None:
    values = [_number(node.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
    return None if None in values else tuple(values)  # type: ignore[return-value]


def _masks(root: Path | None, stem: str, objects: int, image: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Mask and area of each object from its number in the map of objects; nothing where there is no map."""
    nothing: list[dict[str, Any]] = [{} for _ in range(objects)]
    path = None if root is None else root / "SegmentationObject" / f"{stem}.png"
    if path is None or not path.is_file():
        return nothing
    header = read_header(path)
    if header is None or header.size != (image["width"], image["height"]):
        raise DataError(f"'{path}' cannot be read, or has another size than its image. Remove it or restore it.")
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            mode, numbers = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"'{path}' cannot be read ({error}). Remove it or restore it.") from error
    if mode not in ("P", "L") or numbers.shape != header.size[::-1]:
        raise DataError(f"'{path}' is not a map of object numbers: it has the mode {mode} instead of P.")
    if numbers[numbers != VOID].max(initial=0) > objects:
        raise DataError(f"'{path}' has more objects than its annotation. Restore one of the two.")
    masks = [numbers == k for k in range(1, objects + 1)]
    return [rle_masks.entries(mask) if mask.any() else {} for mask in masks]
