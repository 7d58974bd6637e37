# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the output of BlenderProc as COCO: HDF5 files of frames, and its COCO files with their peculiarities."""

from __future__ import annotations

import csv
import io
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
from ...engine.plugin.params import shorten
from ...engine.regular_files import open_regular, read_regular_text
from ..image_header import MAX_DECODED_BYTES
from ..json_files import read_json
from . import rle_masks
from .coco import CocoFile
from .coco_check import check_coco

COCO = "coco_annotations.json"
"""File name of BlenderProc's COCO files."""

SUFFIX = ".hdf5"
CATEGORIES = "categories.csv"
"""Beside HDF5 files: ``id`` and ``name`` of categories, as in the tables that BlenderProc's LabelIdMapping reads."""

_COPY = re.compile(r"\.\d{3,}$")
_NO_HIT = 1e9
"""Depths from here on, in metres, mean that nothing was hit."""

_MAX_TABLE_BYTES = 64 * 2**20


def find_coco(folder: Path) -> Path | None:
    """The COCO file that BlenderProc wrote into a folder; None if there is none."""
    return next((p for p in (folder / COCO, folder / "coco_data" / COCO) if p.is_file()), None)


def has_frames(folder: Path) -> bool:
    """Whether a folder holds HDF5 files."""
    return any(folder.glob(f"*{SUFFIX}"))


def read_blenderproc_coco(path: Path) -> CocoFile:
    """Read a COCO file written by BlenderProc.

    BlenderProc names a category after the first object seen of it, such as ``Chair.001`` or a bare number: suffixes of
    copies are removed, and categories that then have the same name are merged. Boxes and areas are computed from RLE
    masks, as some releases wrote boxes that are a pixel too small.

    Raises
    ------
    DataError
        As :func:`.coco.read_coco`.
    """
    data = read_json(path)
    if isinstance(data, dict) and isinstance(data.get("categories"), list):
        _merge_copies(data)
    images, annotations, categories = check_coco(path, data)
    _remeasure(images, annotations)
    about = {key: data[key] for key in ("info", "licenses") if data.get(key)}
    return CocoFile(path, images, annotations, categories, about)


def read_frames(folder: Path) -> CocoFile:
    """Read a folder of BlenderProc's HDF5 files, one per frame; :func:`read_colors` reads their images.

    Instances come from ``instance_segmaps``, their categories from ``instance_attribute_maps`` or
    ``category_id_segmaps`` (``class_segmaps``). Category 0 is BlenderProc's background and not annotated. Category
    names come from ``categories.csv`` in the folder, else from the objects if all have the same name, else they are
    the numbers. With a depth map, annotations get the median depth under their mask.

    Raises
    ------
    DataError
        If h5py is not installed, a file is broken or incomplete, or all instances are background.
    """
    names = _read_category_names(folder / CATEGORIES)
    images: list[dict[str, Any]] = []
    instances: list[_Instance] = []
    for number, path in enumerate(sorted(folder.glob(f"*{SUFFIX}"), key=_frame_order), start=1):
        size, of_frame = _read_frame(path, number)
        images.append({"id": number, "file_name": path.name, "width": size[1], "height": size[0]})
        instances += of_frame
    annotated = [instance for instance in instances if instance.category != 0]
    if instances and not annotated:
        raise DataError(
            f"All instances in '{folder}' have category 0, which BlenderProc uses for the background. Give your "
            "objects a category_id of 1 or more."
        )
    object_names: dict[int, Counter[str]] = {}
    for instance in annotated:
        object_names.setdefault(instance.category, Counter())[instance.name] += 1
    categories = []
    for id, counts in sorted(object_names.items()):
        own = next(iter(counts)) if len(counts) == 1 else ""
        categories.append({"id": id, "name": names.get(id) or own or str(id)})
    data = {
        "images": images,
        "annotations": [instance.annotation(number) for number, instance in enumerate(annotated, start=1)],
        "categories": categories,
    }
    _merge_copies(data)
    return CocoFile(folder, *check_coco(folder, data))


def read_colors(path: Path) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB of an HDF5 file; raises DataError without one."""
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
    instances = []
    for id, region in rle_masks.scan_ids(ids).items():
        mask = ids == id if class_map is not None or depth is not None else None
        own = attributes.get(id, {})
        category = own.get("category_id")
        if category is None and class_map is not None:
            values, counts = np.unique(class_map[mask], return_counts=True)
            category = values[counts.argmax()]
        if category is None:
            raise DataError(
                f"'{path}' has no category for instance {id}. Render with map_by=[\"instance\", "
                '"category_id"] and write all results.'
            )
        under = depth[mask] if depth is not None else np.zeros(0)
        under = under[np.isfinite(under)]
        name = _COPY.sub("", str(own.get("name", "")))
        try:
            category = int(category)
        except (ValueError, TypeError, OverflowError):
            raise DataError(
                f"'{path}' has a category for instance {id} that is no whole number: {shorten(category)}."
            ) from None
        instances.append(_Instance(number, category, name, region, float(np.median(under)) if len(under) else None))
    return (int(ids.shape[0]), int(ids.shape[1])), instances


def _attributes(file: Any, path: Path) -> dict[int, dict[str, Any]]:
    """The recorded attributes of each instance, by its id."""
    if "instance_attribute_maps" not in file:
        return {}
    text = bytes(_array(file, "instance_attribute_maps", path))
    try:
        return {int(row["idx"]): row for row in json.loads(text)}
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise DataError(
            f"The instance_attribute_maps of '{path}' are damaged ({error!r}). Write the file again."
        ) from error


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
        open_regular(path).close()
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise DataError(f"The image '{path}' does not exist.") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read as HDF5; it may be damaged or incomplete. Write it again.") from error
    with file:
        try:
            yield file
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # as h5py reports damage, by its kind
            raise DataError(f"'{path}' cannot be read as HDF5 ({_first_line(error)}). Write it again.") from error


def _first_line(error: Exception) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return str(text).strip().partition("\n")[0] or type(error).__name__


def _array(file: Any, key: str, path: Path) -> np.ndarray:
    """All values of a data set; refuses links to other files, as the file may be untrusted."""
    import h5py

    if key not in file:
        raise DataError(f"'{path}' has no '{key}'; it has {', '.join(sorted(file)) or 'nothing'}.")
    data = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual or data.size is None:
        raise DataError(f"'{key}' in '{path}' is not a plain array in this file. Write the file again.")
    # Chunks that were never written take no room in the file, but in memory.
    if data.dtype.kind not in "iufbS" or data.size * data.dtype.itemsize > MAX_DECODED_BYTES:
        raise DataError(_wrong_shape(path, key, data))
    return np.asarray(data[()])


def _wrong_shape(path: Path, key: str, data: Any) -> str:
    text = f"'{key}' in '{path}' has shape {tuple(data.shape)} and type {data.dtype}, which is not that of one frame."
    is_stereo = len(data.shape) > 2 and data.shape[0] == 2
    return text + (" Write only one image of each stereo pair, such as the left one." if is_stereo else "")


def _merge_copies(data: dict[str, Any]) -> None:
    """Remove suffixes of copies from category names, and merge categories that then have the same name."""
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
    """Compute boxes and areas again from RLE masks of the image's size."""
    sizes = {image["id"]: [image["height"], image["width"]] for image in images}
    outlined = [
        a
        for a in annotations
        if isinstance(a.get("segmentation"), Mapping) and a["segmentation"].get("size") == sizes[a["image_id"]]
    ]
    try:
        rles = [rle_masks.as_rle(a["segmentation"], *sizes[a["image_id"]]) for a in outlined]
    except Exception:  # pycocotools has no error class; broken masks are reported where they are used
        return
    for annotation, rle, area, bbox in zip(outlined, rles, *rle_masks.measure(rles), strict=True):
        if area:
            annotation |= {"segmentation": rle, "area": int(area), "bbox": bbox.tolist()}


def _read_category_names(path: Path) -> dict[int, str]:
    if not path.is_file():
        return {}
    try:
        table = csv.DictReader(io.StringIO(read_regular_text(path, _MAX_TABLE_BYTES), newline=""))
        return {int(row["id"]): row["name"] for row in table if row["name"]}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"'{path}' is not a table of categories with the columns id and name ({error!r}). Correct it."
        ) from error


def _frame_order(path: Path) -> tuple[int, int, str]:
    """Frames by their numbers, others after them by name."""
    return (0, int(path.stem), "") if path.stem.isdecimal() else (1, 0, path.name)
