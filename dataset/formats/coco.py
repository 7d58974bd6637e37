# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO files: read and checked, and written as the specification says."""

from __future__ import annotations

import contextlib
import difflib
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.goals import Boxes
from ..atomic_files import json_pieces, write_atomic
from ..checksums import say
from ..image_header import read_header
from ..image_names import inner_path, own_names
from ..imports import cvat, label_studio, repairs
from ..json_files import read_json
from . import rle_masks
from .coco_check import check_coco

A = TypeVar("A", bound=Mapping[str, Any])


@attrs.frozen(eq=False)
class CocoFile:
    """A checked COCO file: its ``images``, ``annotations`` and ``categories``, with boxes clipped to their images.

    ``about`` holds ``info`` and ``licenses``, unchecked. ``is_plain`` says whether ``path`` is a file of COCO with just
    these entries: nothing was repaired or turned into COCO.
    """

    path: Path
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    about: Mapping[str, Any] = attrs.field(factory=dict)
    is_plain: bool = True

    def classes(self) -> dict[str, int]:
        """Number of annotations by class name, without crowds, in the order of the categories."""
        counts = Counter(a["category_id"] for a in self.annotations if not a.get("iscrowd"))
        return {c["name"]: counts[c["id"]] for c in self.categories}

    def category(self, name: str) -> dict[str, Any]:
        """The category of a class; raises DataError with a list of the classes if there is none."""
        for category in self.categories:
            if category["name"] == name:
                return category
        classes = self.classes()
        close = difflib.get_close_matches(name.lower(), [c.lower() for c in classes], n=1)
        hint = next((f" Did you mean '{c}'?" for c in classes if close and c.lower() == close[0]), "")
        raise DataError(f"'{self.path}' has no class '{name}'.{hint} {self._listed()}")

    def no_box(self, name: str) -> DataError:
        """The error for a class without a box."""
        text = f"'{self.path}' has the class '{name}' but no box of it (crowds do not count)."
        return DataError(f"{text} {self._listed(fewest=1)}")

    def _listed(self, fewest: int = 0) -> str:
        counts = sorted((c for c in self.classes().items() if c[1] >= fewest), key=lambda item: (-item[1], item[0]))
        return f"Its classes: {', '.join(f'{name} ({count})' for name, count in counts) or 'none'}."

    def of_classes(self, names: Sequence[str]) -> CocoFile:
        """The same images with these classes alone, all for no names; raises DataError if there is no such class."""
        if not names:
            return self
        chosen = {self.category(name)["id"] for name in names}
        return attrs.evolve(
            self,
            annotations=[a for a in self.annotations if a["category_id"] in chosen],
            categories=[c for c in self.categories if c["id"] in chosen],
            is_plain=False,
        )

    def annotations_of(self, class_name: str) -> list[dict[str, Any]]:
        """The annotations of a class without crowds; raises DataError if there is no such class."""
        category_id = self.category(class_name)["id"]
        return [a for a in self.annotations if a["category_id"] == category_id and not a.get("iscrowd")]

    def boxes(self, class_name: str) -> Boxes:
        """The boxes of a class in image units, in the file's order.

        ``Boxes.image`` holds image ids. Raises DataError if there is no such class, or no box of it.
        """
        chosen = self.annotations_of(class_name)
        if not chosen:
            raise self.no_box(class_name)
        size = {image["id"]: (image["width"], image["height"]) for image in self.images}
        bbox = np.array([a["bbox"] for a in chosen], dtype=float)
        wh = np.array([size[a["image_id"]] for a in chosen], dtype=float)
        return Boxes(
            area=np.minimum(bbox[:, 2] * bbox[:, 3] / (wh[:, 0] * wh[:, 1]), 1.0),
            center=np.clip((bbox[:, :2] + bbox[:, 2:] / 2) / wh, 0.0, 1.0),
            aspect=bbox[:, 2] / bbox[:, 3],
            image=np.array([a["image_id"] for a in chosen], dtype=np.int64),
            image_aspect=wh[:, 0] / wh[:, 1],
        )


def by_image(annotations: Iterable[A]) -> dict[Any, list[A]]:
    """Annotations by the id of their image; images without any are left out."""
    found: dict[Any, list[A]] = {}
    for annotation in annotations:
        found.setdefault(annotation["image_id"], []).append(annotation)
    return found


def read_coco(path: str | Path, *, strict: bool | None = None) -> CocoFile:
    """Read and check a COCO file, or one of Label Studio or CVAT.

    What has only one possible meaning is repaired, with one warning that counts it, see :mod:`..imports.repairs`.

    Parameters
    ----------
    path : path
    strict : bool, optional
        Refuse files with anything to repair; by default what ``--strict`` says.

    Raises
    ------
    DataError
        If the file is missing, not JSON (with line and column), not COCO (with the missing key), or has invalid
        entries (the first ten, with their ids). Boxes that extend at most 2 px beyond their image are clipped.
    """
    with _few_collections():
        return _read_coco(Path(path), strict)


def _read_coco(path: Path, strict: bool | None) -> CocoFile:
    sizes = partial(_size_beside, path)
    if path.suffix.lower() == ".xml":
        data, notes = cvat.read_cvat(path)
    else:
        data, notes = read_json(path), []
        if label_studio.is_label_studio(data):
            data, notes = label_studio.as_coco(path, data, sizes)
    is_plain = not notes and path.suffix.lower() != ".xml" and isinstance(data, Mapping)
    return coco_file(path, data, notes, size_of=sizes, strict=strict, is_plain=is_plain)


def coco_file(
    path: Path,
    data: Any,
    notes: Sequence[str] = (),
    *,
    size_of: Callable[[str], tuple[int, int] | None] = lambda name: None,
    strict: bool | None = None,
    is_plain: bool = False,
) -> CocoFile:
    """Parsed COCO data, repaired and checked.

    Parameters
    ----------
    path : Path
        The file or folder, for messages.
    data : JSON value
    notes : sequence of str
        What a reader has left out already, as clauses.
    size_of : callable
        Takes an image's name and gives its width and height; None if it is not found.
    strict : bool, optional
        As for :func:`read_coco`.
    is_plain : bool
        Whether ``data`` are what the file says.
    """
    repaired = list(notes)
    if repairs.is_strict() if strict is None else strict:  # the check then names each problem with its place
        if notes:
            raise DataError(f"'{path}' cannot be read as a whole, which --strict refuses: {'; '.join(notes)}.")
    elif isinstance(data, Mapping):
        repaired += repairs.repair(data, size_of)
    checked = check_coco(path, data)
    if repaired:
        say(f"'{path}' was repaired as it was read: {'; '.join(repaired)}. With --strict, it is refused.")
    about = {key: data[key] for key in ("info", "licenses") if data.get(key)}
    return CocoFile(path, *checked, about, is_plain and not repaired)


def _size_beside(path: Path, name: str) -> tuple[int, int] | None:
    """The size of an upright image near an annotation file."""
    folders = (path.parent, path.parent / "images", path.parent.parent / "images", path.parent.parent)
    for place in [inner_path(folder, n) for folder in folders for n in (name, *own_names(name))]:
        try:
            header = read_header(place) if place is not None else None
        except OSError:
            continue
        if header is not None:
            return header.upright_size
    return None


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Collect no garbage while millions of objects are made that are none: each search of them takes a second."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@attrs.frozen(eq=False)
class LabelledImage:
    """One image with its annotations, for :func:`coco_entries`.

    Attributes
    ----------
    image : mapping
        ``file_name``, ``width``, ``height``; ``twinset`` with whatever else is known of it.
    annotations : sequence of mappings
        ``class`` and ``segmentation`` (RLE); ``entries`` with further keys of the annotation itself, ``twinset`` with
        whatever else is known of each; ``ignored`` where it is written as a crowd, which evaluators and trainers skip.
    """

    image: Mapping[str, Any]
    annotations: Sequence[Mapping[str, Any]]


def coco_entries(
    frame: LabelledImage,
    image_id: int,
    first_id: int,
    categories: Sequence[Mapping[str, Any]],
    *,
    min_area: int = 1,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One image of a COCO file and its annotations.

    ``area`` and ``bbox`` are computed from the written mask: its pixel count and its extent.

    Parameters
    ----------
    frame : LabelledImage
    image_id, first_id : int
        Ids of the image and of its first annotation.
    categories : sequence of mappings
        With ``id`` and ``name``.
    min_area : int
        Masks of fewer pixels are not written.
    """
    ids = {c["name"]: c["id"] for c in categories}
    annotations: list[dict[str, Any]] = []
    width, height = int(frame.image["width"]), int(frame.image["height"])
    rles = [rle_masks.as_rle(a["segmentation"], height, width) for a in frame.annotations]
    for annotation, rle, area, bbox in zip(frame.annotations, rles, *rle_masks.measure(rles), strict=True):
        if area < max(min_area, 1):
            continue
        if annotation["class"] not in ids:
            known = ", ".join(ids) or "none"
            raise DataError(
                f"The image '{frame.image['file_name']}' shows the class '{annotation['class']}', "
                f"which is not one of the categories: {known}."
            )
        annotations.append(
            {
                **annotation.get("entries", {}),
                "id": first_id + len(annotations),
                "image_id": image_id,
                "category_id": ids[annotation["class"]],
                "bbox": [int(v) for v in bbox],
                "area": int(area),
                "segmentation": rle,
                "iscrowd": int(annotation.get("ignored", False)),
                **_selected_keys(annotation, ("twinset",)),
            }
        )
    return {"id": image_id, **_selected_keys(frame.image, ("file_name", "width", "height", "twinset"))}, annotations


def write_coco(path: str | Path, coco: Mapping[str, Any]) -> None:
    """Write a COCO dataset atomically; equal datasets give equal bytes. Raises OutputError."""
    write_atomic(Path(path), json_pieces(dict(coco)))


def _selected_keys(source: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {k: source[k] for k in keys if k in source}
