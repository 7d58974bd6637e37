# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a new dataset without some images or annotations of another one; unchanged files become hard links."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs
import numpy as np

from ...engine.errors import DataError
from ...engine.plugin.registry import find
from ...engine.recipe.settings import Recipe
from ...engine.regular_files import real_path
from ..analysis.measure import measure
from ..atomic_files import atomic_folder, escapes_folder, json_bytes, link_or_copy, list_pieces, write_atomic
from ..checksums import append_checksum, file_hash, read_own
from ..exports.asset_models import recorded_models
from ..formats import rle_masks
from ..formats.coco import CocoFile, by_image, read_coco, write_coco
from ..formats.dataset_folder import INSTANCES
from ..formats.image_files import ImageFiles
from ..formats.metadata_table import has_parquet, write_columns
from ..formats.pixels import read_image
from ..json_files import read_json
from ..progress import Progress
from ..store.dataset_files import run_writer
from ..store.finished_dataset import ListedDataset
from ..store.frame_record import ACCEPTED, FILTERED, FrameRecord
from ..store.frames import FrameStore, encode_image
from ..store.job_folder import HISTORY, RECIPE, STAGE
from .job import open_job

QUALITY = 95
"""JPEG quality of images that are written again with blackened boxes."""


@attrs.frozen(eq=False)
class SubsetChanges:
    """Changes to a dataset by ids.

    ``without`` are images to remove, ``unlabelled`` annotations to remove, whose boxes are blackened if ``black``, and
    ``columns`` are added to annotations. ``paint`` changes each picture, without moving anything in it: it takes the
    image's id, the picture (H, W, 3) uint8 RGB, and the annotations that stay.
    """

    without: frozenset[int] = frozenset()
    unlabelled: frozenset[int] = frozenset()
    black: bool = False
    columns: Mapping[int, Mapping[str, Any]] = attrs.field(factory=dict)
    paint: Callable[[int, np.ndarray, Sequence[Mapping[str, Any]]], np.ndarray] | None = None

    def repaints(self, annotations: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the picture with these annotations changes."""
        return self.paint is not None or (self.black and any(a["id"] in self.unlabelled for a in annotations))


@attrs.define
class SubsetSummary:
    """Counts of a new dataset: its content, and its files that are ``shared`` by hard links, copied, or new."""

    out: Path
    images: int = 0
    annotations: int = 0
    shared: int = 0
    copied: int = 0
    painted: int = 0
    missing: int = 0


def write_subset(
    coco: CocoFile,
    images: Path,
    out: Path,
    changes: SubsetChanges,
    step: Mapping[str, Any],
    *,
    progress: Progress = lambda done, total: None,
) -> SubsetSummary:
    """Write a new dataset without some images and annotations of another one, which is not changed.

    From a rendered folder, the result is a rendered folder with records, masks and depth. From any other dataset it has
    ``images/``, ``annotations/instances.json`` with all keys of the original file, and
    ``annotations/metadata.parquet``; from a YOLO folder, also labels.

    Parameters
    ----------
    coco : CocoFile
        The dataset, see :func:`.dataset_folder.read_dataset`.
    images : Path
        Folder of the images.
    out : Path
        The new folder, written atomically.
    changes : SubsetChanges
    step : mapping
        A JSON description of the change, added to the history in ``curation.json``.
    progress : callable
        Called with how many images are done, and of how many.

    Raises
    ------
    DataError
        If no box would be left, an image name points outside the folder, or an image to blacken is missing.
    OutputError
        If ``out`` exists or cannot be written.
    """
    left = [i for i in coco.images if i["id"] not in changes.without]
    kept = {i["id"] for i in left}
    boxes = [a for a in coco.annotations if a["image_id"] in kept and a["id"] not in changes.unlabelled]
    if not any(not a.get("iscrowd") for a in boxes):
        raise DataError("No box would be left, so nothing was written. Choose another threshold.")
    root = _root(coco)
    with atomic_folder(out) as folder:
        written = SubsetSummary(Path(out), len(left), len(boxes))
        history = _history(root)
        write_atomic(folder / HISTORY, json_bytes({"steps": [*history, {**step, **_source(coco)}]}))
        if is_rendered(coco):
            _write_rendered(coco, root, folder, changes, written, progress)
        else:
            _write_coco_folder(coco, images, folder, changes, boxes, written, progress)
    return written


def is_rendered(coco: CocoFile) -> bool:
    """Whether annotations belong to a rendered folder with records."""
    root = _root(coco)
    return coco.path == root / INSTANCES and (root / RECIPE).is_file() and bool(FrameStore(root).frames())


def frames_of(coco: CocoFile) -> dict[int, int]:
    """The frame of each image of a rendered dataset, by image id. Raises DataError if the file does not have it."""
    return {image["id"]: _number(image, "frame", coco) for image in coco.images}


def _number(entry: Mapping[str, Any], key: str, coco: CocoFile) -> int:
    values = entry.get("twinset")
    number = values.get(key) if isinstance(values, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise DataError(
            f"'{coco.path}' has no {key} number for the image or annotation {entry['id']}. "
            f"Write the file again with `twinset finish {_root(coco)}`."
        )
    return number


def _root(coco: CocoFile) -> Path:
    if coco.path.is_dir():
        return coco.path
    above = coco.path.parent
    return above.parent if above.name == INSTANCES.parent.name else above


def _history(root: Path) -> list[Any]:
    path = root / HISTORY
    if not path.is_file():
        return []
    try:
        return list(json.loads(path.read_bytes())["steps"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"'{path}' is damaged ({error!r}). Repair or remove it.") from error


def _source(coco: CocoFile) -> dict[str, Any]:
    """The name of the changed dataset, and the hash of its annotations."""
    digest = file_hash(coco.path) if coco.path.is_file() else content_hash(coco)
    return {"source": {"name": source_name(coco), "annotations_sha256": digest}}


def content_hash(coco: CocoFile) -> str:
    """The SHA-256 of a dataset's images, annotations and categories as one JSON list, written piece by piece."""
    digest = hashlib.sha256()
    for mark, entries in zip((b"[", b",", b","), (coco.images, coco.annotations, coco.categories), strict=True):
        digest.update(mark)
        for piece in list_pieces(entries):
            digest.update(piece)
    digest.update(b"]\n")
    return digest.hexdigest()


def source_name(coco: CocoFile) -> str:
    """What a new dataset calls the one that it was made from."""
    return real_path(_root(coco)).name


def _write_rendered(
    coco: CocoFile, root: Path, out: Path, changes: SubsetChanges, written: SubsetSummary, progress: Progress
) -> None:
    store, new = FrameStore(root), FrameStore(out)
    frame_of = frames_of(coco)
    image_of = {frame: id for id, frame in frame_of.items()}
    boxes: dict[int, dict[int, dict[str, Any]]] = {}
    for a in coco.annotations:
        boxes.setdefault(frame_of[a["image_id"]], {})[_number(a, "instance", coco)] = a
    models = recorded_models(read_own(root / STAGE)).values()
    for name in (RECIPE, STAGE, *sorted({path for named in models for path in named.values()})):
        if (root / name).is_file():
            _link(root / name, out / name, written)
    frames = store.frames()
    for done, frame in enumerate(frames, 1):
        record = store.read(frame)
        image_id = image_of.get(frame)
        if image_id is None and record["verdict"] == ACCEPTED:
            continue  # its files were missing or changed when annotations were written
        if image_id is None or not _change_record(record, image_id, boxes.get(frame, {}), changes):
            _link(store.record_path(frame), new.record_path(frame), written)
        else:
            write_atomic(
                new.record_path(frame),
                _with_picture(record, image_id, store, out, boxes.get(frame, {}), changes, written),
            )
        for entry in record["files"].values():
            if not (out / entry["path"]).exists():
                _link(root / entry["path"], out / entry["path"], written)
        progress(done, len(frames))
    open_job(out, _no_stage).finish()


def _change_record(
    record: FrameRecord, image_id: int, boxes: Mapping[int, Mapping[str, Any]], changes: SubsetChanges
) -> bool:
    """Change the record of a frame; returns whether anything has changed."""
    if image_id in changes.without:
        record["verdict"], record["files"] = FILTERED, {}
        return True
    changed = changes.paint is not None
    for instance in record["instances"]:
        id = boxes[instance["id"]]["id"] if instance["id"] in boxes else -1
        if id in changes.columns:
            instance["columns"] = {**instance.get("columns", {}), **changes.columns[id]}
            changed = True
        if id in changes.unlabelled:
            instance["annotated"], instance["reason"] = False, FILTERED
            instance.pop("ignored", None)
            changed = True
    return changed


def _with_picture(
    record: FrameRecord,
    image_id: int,
    store: FrameStore,
    out: Path,
    boxes: Mapping[int, Mapping[str, Any]],
    changes: SubsetChanges,
    written: SubsetSummary,
) -> bytes:
    """The bytes of a changed record; writes its image with blackened boxes if requested."""
    entry = record["files"].get("image")
    if entry and changes.repaints(boxes.values()):
        data = _repainted(store.out / entry["path"], image_id, list(boxes.values()), changes, written)
        write_atomic(out / entry["path"], data)
        record["files"]["image"] = {"path": entry["path"], "sha256": hashlib.sha256(data).hexdigest()}
    return append_checksum(json_bytes(record))


def _write_coco_folder(
    coco: CocoFile,
    images: Path,
    out: Path,
    changes: SubsetChanges,
    boxes: list[dict[str, Any]],
    written: SubsetSummary,
    progress: Progress,
) -> None:
    left = [i for i in coco.images if i["id"] not in changes.without]
    of_image = by_image(coco.annotations)
    files = ImageFiles(left, images)
    files.say()
    for done, image in enumerate(left, 1):
        name = _checked_name(str(image.get("file_name", "")), coco)
        own = of_image.get(image["id"], [])
        source = files.path(image)
        if changes.repaints(own):
            data = _repainted(source, image["id"], own, changes, written, upright=files.is_upright(image))
            write_atomic(out / "images" / name, data)
        elif not source.is_file():
            written.missing += 1
        elif not (out / "images" / name).exists():  # two entries may name one file
            _link(source, out / "images" / name, written)
        progress(done, len(left))
    # What the file says beyond what is checked, such as licences, is kept as it is.
    plain = coco.path.is_file() and coco.is_plain
    raw = dict(read_json(coco.path)) if plain else {**coco.about, "categories": coco.categories}
    keep_images, keep_boxes = {i["id"] for i in left}, {a["id"] for a in boxes}
    raw["images"] = [i for i in (raw["images"] if plain else coco.images) if i["id"] in keep_images]
    kept = [a for a in (raw["annotations"] if plain else coco.annotations) if a["id"] in keep_boxes]
    raw["annotations"] = [_with_columns(a, changes.columns.get(a["id"])) for a in kept]
    path = out / INSTANCES
    write_coco(path, raw)
    if coco.path.is_dir():
        run_writer(find("writer", "yolo")(), ListedDataset(out, raw["images"], raw["annotations"], raw["categories"]))
    del raw, kept  # what was written is read again, which takes as much memory once more
    table = path.parent / ("metadata.parquet" if has_parquet() else "metadata.csv")
    write_columns(table, measure(read_coco(path), None).columns)


def _with_columns(annotation: Mapping[str, Any], columns: Mapping[str, Any] | None) -> dict[str, Any]:
    if not columns:
        return dict(annotation)
    return {**annotation, "twinset": {**(annotation.get("twinset") or {}), **columns}}


def _checked_name(name: str, coco: CocoFile) -> str:
    if escapes_folder(name):
        raise DataError(
            f"'{coco.path}' names the image '{name}', which lies outside the folder of images, so it cannot be "
            "copied. Name images by paths inside that folder."
        )
    return name


def _link(source: Path, to: Path, written: SubsetSummary) -> None:
    if link_or_copy(source, to):
        written.shared += 1
    else:
        written.copied += 1


def _repainted(
    path: Path,
    image_id: int,
    boxes: list[Any],
    changes: SubsetChanges,
    written: SubsetSummary,
    *,
    upright: bool = False,
) -> bytes:
    """The bytes of a changed image. It has no EXIF orientation: it is as it was annotated."""
    picture = read_image(path, upright=upright)
    if changes.black:
        _blacken(picture, boxes, changes)
    if changes.paint is not None:
        picture = changes.paint(image_id, picture, [a for a in boxes if a["id"] not in changes.unlabelled])
    written.painted += 1
    return encode_image(picture, path.suffix.lower().lstrip("."), QUALITY)


def _blacken(picture: np.ndarray, boxes: list[Any], changes: SubsetChanges) -> None:
    """Make unlabelled boxes black, except for the masks of labelled instances in them."""
    height, width = picture.shape[:2]
    black = np.zeros((height, width), dtype=bool)
    for a in boxes:
        if a["id"] in changes.unlabelled:
            x, y, w, h = a["bbox"]
            black[max(math.floor(y), 0) : math.ceil(y + h), max(math.floor(x), 0) : math.ceil(x + w)] = True
    for a in boxes:
        if a["id"] not in changes.unlabelled and a.get("segmentation"):
            black &= ~rle_masks.decode(a["segmentation"], height, width)
    picture[black] = 0


def _no_stage(recipe: Recipe) -> NoReturn:
    raise AssertionError("annotations are made from records alone")
