# SPDX-License-Identifier: GPL-3.0-or-later
"""What BlenderProc writes, read as if it were COCO: HDF5 files of frames, and COCO files with its peculiarities."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from . import rle_masks
from .coco import CocoFile, read_json
from .coco_check import check_coco

COCO = "coco_annotations.json"
"""How BlenderProc calls its COCO files."""

SUFFIX = ".hdf5"
CATEGORIES = "categories.csv"
"""Beside HDF5 files: ``id`` and ``name`` of categories, as in the tables that BlenderProc's LabelIdMapping reads."""

_COPY = re.compile(r"\.\d{3,}$")
_NO_HIT = 1e9
"""Metres from which on a depth means that nothing was hit."""

_MAX_BYTES = 2**32


def find_coco(folder: Path) -> Path | None:
    """The COCO file that BlenderProc wrote into a folder; None where there is none."""
    return next((p for p in (folder / COCO, folder / "coco_data" / COCO) if p.is_file()), None)


def has_frames(folder: Path) -> bool:
    """Whether a folder holds HDF5 files."""
    return any(folder.glob(f"*{SUFFIX}"))


def read_blenderproc_coco(path: Path) -> CocoFile:
    """Read a COCO file of BlenderProc's.

    Its categories are called after the first object that was seen of each, ``Chair.001`` or a bare number: endings of
    copies are cut, and categories that are then called the same are one. Boxes and areas are taken from the masks where
    those are run lengths, for some releases wrote boxes that are a pixel short.

    Raises
    ------
    DataError
        As of :func:`.coco.read_coco`.
    """
    data = read_json(path)
    if isinstance(data, dict) and isinstance(data.get("categories"), list):
        _merge_copies(data)
    images, annotations, categories = check_coco(path, data)
    _remeasure(images, annotations)
    about = {key: data[key] for key in ("info", "licenses") if data.get(key)}
    return CocoFile(path, images, annotations, categories, about)


def read_frames(folder: Path) -> CocoFile:
    """Read a folder of BlenderProc's HDF5 files, one for each frame; colours are left for :func:`read_colors`.

    Instances are those of ``instance_segmaps``; each one's category is that of ``instance_attribute_maps`` or of
    ``category_id_segmaps`` (``class_segmaps``). Category 0 is BlenderProc's background and not annotated. Categories
    are called as ``categories.csv`` in the folder says, else as their objects if those are all called the same, else by
    number. Where there is a depth map, each annotation has its median under the mask.

    Raises
    ------
    DataError
        h5py is not installed, a file is broken or lacks what is needed, or all instances are background.
    """
    names = _read_category_names(folder / CATEGORIES)
    images: list[dict[str, Any]] = []
    found: list[_Instance] = []
    for number, path in enumerate(sorted(folder.glob(f"*{SUFFIX}"), key=_frame_order), start=1):
        size, things = _read_frame(path, number)
        images.append({"id": number, "file_name": path.name, "width": size[1], "height": size[0]})
        found += things
    annotated = [thing for thing in found if thing.category != 0]
    if found and not annotated:
        raise DataError(
            f"All instances in '{folder}' have the category 0, which BlenderProc keeps for the background. Give your "
            "objects a category_id from 1 on."
        )
    called: dict[int, Counter[str]] = {}
    for thing in annotated:
        called.setdefault(thing.category, Counter())[thing.name] += 1
    categories = []
    for id, counts in sorted(called.items()):
        own = next(iter(counts)) if len(counts) == 1 else ""
        categories.append({"id": id, "name": names.get(id) or own or str(id)})
    data = {
        "images": images,
        "annotations": [thing.annotation(number) for number, thing in enumerate(annotated, start=1)],
        "categories": categories,
    }
    _merge_copies(data)
    return CocoFile(folder, *check_coco(folder, data))


def read_colors(path: Path) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB of an HDF5 file; DataError where there is none."""
    with _open_hdf5(path) as file:
        colors = _array(file, "colors", path)
    if colors.ndim != 3 or colors.shape[2] not in (3, 4) or colors.dtype != np.uint8:
        raise DataError(_wrong_shape(path, "colors", colors))
    return np.ascontiguousarray(colors[..., :3])


def read_frame_depth(path: Path) -> np.ndarray:
    """The depth map (H, W) float32 of an HDF5 file in metres, NaN where nothing was hit; DataError without one."""
    with _open_hdf5(path) as file:
        return _depth(file, path)


@attrs.frozen
class _Instance:
    """An instance in a frame."""

    image: int
    category: int
    name: str
    region: rle_masks.Region
    depth: float | None

    def annotation(self, id: int) -> dict[str, Any]:
        extra = ({"shape": self.name} if self.name else {}) | ({} if self.depth is None else {"depth": self.depth})
        return {
            "id": id,
            "image_id": self.image,
            "category_id": self.category,
            "bbox": list(self.region.bbox),
            "area": self.region.area,
            "segmentation": self.region.rle,
            "iscrowd": 0,
            "twinset": extra,
        }


def _read_frame(path: Path, number: int) -> tuple[tuple[int, int], list[_Instance]]:
    with _open_hdf5(path) as file:
        if "instance_segmaps" not in file:
            raise DataError(
                f"'{path}' has no instance_segmaps. Render with bproc.renderer.enable_segmentation_output("
                'map_by=["instance", "category_id", "name"]).'
            )
        ids = _array(file, "instance_segmaps", path)
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise DataError(_wrong_shape(path, "instance_segmaps", ids))
        attributes = _attributes(file, path)
        classes = next((k for k in ("category_id_segmaps", "class_segmaps") if k in file), "")
        class_map = _array(file, classes, path) if classes else None
        depth = _depth(file, path) if "depth" in file else None
    for key, other in ((classes, class_map), ("depth", depth)):
        if other is not None and other.shape != ids.shape:
            raise DataError(_wrong_shape(path, key, other))
    things = []
    for id, region in rle_masks.scan_ids(ids).items():
        mask = ids == id if class_map is not None or depth is not None else None
        own = attributes.get(id, {})
        category = own.get("category_id")
        if category is None and class_map is not None:
            values, counts = np.unique(class_map[mask], return_counts=True)
            category = values[counts.argmax()]
        if category is None:
            raise DataError(
                f"'{path}' does not say the category of instance {id}. Render with map_by=[\"instance\", "
                '"category_id"] and write all of it.'
            )
        under = depth[mask] if depth is not None else np.zeros(0)
        under = under[np.isfinite(under)]
        name = _COPY.sub("", str(own.get("name", "")))
        things.append(_Instance(number, int(category), name, region, float(np.median(under)) if len(under) else None))
    return (int(ids.shape[0]), int(ids.shape[1])), things


def _attributes(file: Any, path: Path) -> dict[int, dict[str, Any]]:
    """What is said of each instance, by its number."""
    if "instance_attribute_maps" not in file:
        return {}
    text = bytes(_array(file, "instance_attribute_maps", path))
    try:
        return {int(row["idx"]): row for row in json.loads(text)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"The instance_attribute_maps of '{path}' are broken ({error!r}). Write it again.") from error


def _depth(file: Any, path: Path) -> np.ndarray:
    depth = _array(file, "depth", path)
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise DataError(_wrong_shape(path, "depth", depth))
    return np.where(np.isfinite(depth) & (depth < _NO_HIT), depth, np.nan).astype(np.float32)


@contextmanager
def _open_hdf5(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"'{path}' needs the package h5py to be read: pip install h5py") from error
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise DataError(f"The image '{path}' does not exist.") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read as HDF5; it may be damaged or cut short. Write it again.") from error
    with file:
        yield file


def _array(file: Any, key: str, path: Path) -> np.ndarray:
    """A data set of a file, whole; none that would lead to other files."""
    import h5py

    if key not in file:
        raise DataError(f"'{path}' has no '{key}'; it has {', '.join(sorted(file)) or 'nothing'}.")
    found = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual or found.size is None:
        raise DataError(f"'{key}' in '{path}' is no plain array, or lies in another file. Write it anew.")
    if found.dtype.kind not in "iufbS" or found.size * found.dtype.itemsize > _MAX_BYTES:
        raise DataError(_wrong_shape(path, key, found))
    try:
        return np.asarray(found[()])
    except OSError as error:
        raise DataError(f"'{key}' in '{path}' cannot be read; the file may be damaged. Write it again.") from error


def _wrong_shape(path: Path, key: str, found: Any) -> str:
    text = f"'{key}' in '{path}' has the shape {tuple(found.shape)} and type {found.dtype}, which is none of one frame."
    is_stereo = len(found.shape) > 2 and found.shape[0] == 2
    return text + (" Write stereo frames as single ones: only the left images, for example." if is_stereo else "")


def _merge_copies(data: dict[str, Any]) -> None:
    """Cut the endings of copies off the names of categories; those that are then the same become one."""
    first: dict[str, Any] = {}
    same: dict[Any, Any] = {}
    kept = []
    for category in data["categories"]:
        if not isinstance(category, dict) or not isinstance(category.get("name"), str | int):
            kept.append(category)
            continue
        name = _COPY.sub("", str(category["name"]))
        if name in first:
            same[category.get("id")] = first[name]
        else:
            first[name] = category.get("id")
            kept.append(category | {"name": name})
    data["categories"] = kept
    annotations = data.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        if isinstance(annotation, dict) and annotation.get("category_id") in same:
            annotation["category_id"] = same[annotation["category_id"]]


def _remeasure(images: Sequence[Mapping[str, Any]], annotations: Sequence[dict[str, Any]]) -> None:
    """Boxes and areas of those annotations whose masks are run lengths of the image's size."""
    sizes = {image["id"]: [image["height"], image["width"]] for image in images}
    outlined = [
        a
        for a in annotations
        if isinstance(a.get("segmentation"), Mapping) and a["segmentation"].get("size") == sizes[a["image_id"]]
    ]
    try:
        rles = [rle_masks.as_rle(a["segmentation"], *sizes[a["image_id"]]) for a in outlined]
    except Exception:  # pycocotools has no errors of its own; broken masks are told by whoever needs them
        return
    for annotation, rle, area, bbox in zip(outlined, rles, *rle_masks.measure(rles), strict=True):
        if area:
            annotation |= {"segmentation": rle, "area": int(area), "bbox": bbox.tolist()}


def _read_category_names(path: Path) -> dict[int, str]:
    if not path.is_file():
        return {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return {int(row["id"]): row["name"] for row in csv.DictReader(file) if row["name"]}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"'{path}' is not the table of categories it should be, with id and name ({error!r})."
        ) from error


def _frame_order(path: Path) -> tuple[int, int, str]:
    """Frames by their numbers, others after them by name."""
    return (0, int(path.stem), "") if path.stem.isdecimal() else (1, 0, path.name)
