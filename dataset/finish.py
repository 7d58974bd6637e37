# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is made from the records of a dataset: COCO and YOLO annotations, metadata table, contact sheet."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from .. import __version__
from ..engine.errors import DataError
from ..engine.plugin import naming
from .coco import Labelled, build_coco, write_coco
from .files import make_folder, write_file
from .frames import ACCEPTED, GIVEN_UP, FrameStore, encode_image
from .report.contact_sheet import contact_sheet
from .table import write_table
from .yolo import write_yolo

log = logging.getLogger(__name__)

Rows = list[dict[str, Any]]
Complete = Callable[[Rows], Mapping[str, Sequence[Any]]]
Summarise = Callable[[Rows], Mapping[str, Any]]

_INSTANCE_KEYS = ("main", "visible_share", "truncated_share", "amodal_bbox", "shape")


@attrs.frozen
class Summary:
    """What was written. ``classes`` counts annotations; ``notes`` are sentences for the user."""

    out: Path
    images: int
    annotations: int
    classes: Mapping[str, int]
    given_up: int
    left_out: tuple[int, ...]
    coco: Path
    table: Path | None = None
    labels: Path | None = None
    contact_sheet: Path | None = None
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = attrs.field(factory=dict)


def finish(
    out: str | Path,
    *,
    categories: Sequence[Mapping[str, Any]],
    info: Mapping[str, Any] | None = None,
    polygons: bool = False,
    yolo: bool = False,
    complete: Iterable[Complete] = (),
    summarise: Iterable[Summarise] = (),
    min_area: int = 1,
    instances_only: bool = False,
) -> Summary:
    """Rebuild a dataset's annotations from its records.

    Records are taken in the order of their frames; the same records give the same bytes, so shards are merged by
    copying their files together and finishing again.

    Parameters
    ----------
    out : path
        The output folder.
    categories : sequence of mappings
        COCO categories, with the ids and names that annotations get.
    info : mapping, optional
        Entries of the COCO info block, beside or instead of ``description``, ``version`` and ``year``.
    polygons, yolo : bool
        As in the recipe's output section.
    complete : iterable of callables
        The ``complete`` methods of metrics. Each takes the rows, one dict per annotation (frame, image_id, id, class,
        shape, area, bbox, amodal_bbox, visible_share, truncated_share and all bbox columns), and gives columns of the
        same length, which join the rows.
    summarise : iterable of callables
        The ``summarise`` methods of metrics. Each takes the completed rows and gives facts about the whole dataset as
        JSON values.
    min_area : int
        Masks of fewer pixels get no annotation.
    instances_only : bool
        Write ``annotations/instances.json`` and nothing else.

    Raises
    ------
    DataError
        Where there are no records, or one is damaged.
    OutputError
        Where something cannot be written.
    """
    store = FrameStore(Path(out))
    records, given_up, left_out = _load(store)
    frames = [_labelled(store, record) for record in records]
    coco = build_coco(
        frames, categories=categories, info={**_info(), **(info or {})}, polygons=polygons, min_area=min_area
    )
    notes = []
    if left_out:
        shown = ", ".join(map(str, left_out[:10])) + (", ..." if len(left_out) > 10 else "")
        notes.append(
            f"{len(left_out)} frames are left out because their files are missing or changed: {shown}. "
            "Render them again."
        )
    rows = _rows(coco)
    _complete(coco, rows, complete)
    path = store.out / "annotations" / "instances.json"
    write_coco(path, coco)
    names = {c["id"]: c["name"] for c in coco["categories"]}
    classes = {name: 0 for name in names.values()}
    for annotation in coco["annotations"]:
        classes[names[annotation["category_id"]]] += 1
    summary = Summary(
        out=store.out,
        images=len(coco["images"]),
        annotations=len(coco["annotations"]),
        classes=classes,
        given_up=given_up,
        left_out=tuple(left_out),
        coco=path,
        notes=tuple(notes),
        metrics={key: value for function in summarise if rows for key, value in _asked(function, rows).items()},
    )
    if instances_only:
        return summary
    table, note = write_table(path.parent, _flat(coco, rows))
    return attrs.evolve(
        summary,
        table=table,
        labels=write_yolo(store.out, coco) if yolo else None,
        contact_sheet=write_contact_sheet(store, coco, title="Twinset"),
        notes=(*notes, note) if note else tuple(notes),
    )


def write_contact_sheet(store: FrameStore, coco: Mapping[str, Any], *, title: str) -> Path | None:
    """Draw ``contact_sheet.jpg`` of a dataset in its output folder; None for a dataset without images."""
    sheet = contact_sheet(coco, lambda image: store.read_image(store.read(image["twinset"]["frame"])), title=title)
    if sheet is None:
        return None
    path = store.out / "contact_sheet.jpg"
    write_file(path, encode_image(sheet, "jpg", 90))
    return path


def _load(store: FrameStore) -> tuple[list[dict[str, Any]], int, list[int]]:
    """The accepted records in order, how many frames were given up, and the frames whose files are not intact."""
    numbers = store.frames()
    if not numbers:
        raise DataError(f"'{store.out}' holds no records of frames (frames/*.json). Render into that folder first.")
    make_folder(store.out / "annotations")
    records, left_out, given_up = [], [], 0
    for frame in numbers:
        record = store.read(frame)
        if record["verdict"] == GIVEN_UP:
            given_up += 1
        elif record["verdict"] != ACCEPTED or not store.intact(record):
            left_out.append(frame)
        else:
            records.append(record)
    return records, given_up, left_out


def _labelled(store: FrameStore, record: Mapping[str, Any]) -> Labelled:
    frame = record["frame"]
    try:
        extra = {"frame": frame, **record.get("columns", {})}
        annotations = [
            {
                "class": instance["class"],
                "segmentation": instance["segmentation"],
                "twinset": {
                    "instance": instance["id"],
                    **{k: instance[k] for k in _INSTANCE_KEYS if k in instance},
                    **instance.get("columns", {}),
                },
            }
            for instance in record["instances"]
            if instance["annotated"] and instance.get("area", 1) > 0
        ]
        image = {**{k: record["image"][k] for k in ("file_name", "width", "height")}, "twinset": extra}
    except (KeyError, TypeError, AttributeError) as error:
        path = store.record_path(frame)
        raise DataError(
            f"The record '{path}' is damaged: {error!r} is missing or of the wrong type. "
            "Delete the file and render that frame again."
        ) from error
    return Labelled(image, annotations)


def _rows(coco: Mapping[str, Any]) -> Rows:
    names = {c["id"]: c["name"] for c in coco["categories"]}
    frame = {i["id"]: i["twinset"]["frame"] for i in coco["images"]}
    return [
        {
            **a["twinset"],
            "frame": frame[a["image_id"]],
            "image_id": a["image_id"],
            "id": a["id"],
            "class": names[a["category_id"]],
            "area": a["area"],
            "bbox": a["bbox"],
        }
        for a in coco["annotations"]
    ]


def _complete(coco: Mapping[str, Any], rows: Rows, complete: Iterable[Complete]) -> None:
    """Add the columns that need the whole dataset to rows and annotations."""
    for function in complete if rows else ():
        for name, values in _asked(function, rows).items():
            if len(values) != len(rows):
                raise DataError(
                    f"The metric column '{name}' has {len(values)} values for {len(rows)} annotations. "
                    "Its metric's 'complete' must give one per row."
                )
            for row, annotation, value in zip(rows, coco["annotations"], values, strict=True):
                row[name] = value
                annotation["twinset"][name] = value


def _asked(function: Callable[[Rows], Mapping[str, Any]], rows: Rows) -> Mapping[str, Any]:
    with naming(getattr(function, "__self__", function)):
        return function(rows)


def _flat(coco: Mapping[str, Any], rows: Rows) -> Rows:
    """Rows of the table: keys first, boxes in columns of their own, columns of the image under ``image_``."""
    images = {i["id"]: i for i in coco["images"]}
    out = []
    for row in rows:
        image = images[row["image_id"]]
        flat: dict[str, Any] = {k: row[k] for k in ("frame", "image_id", "id", "class", "shape") if k in row}
        flat["file_name"] = image["file_name"]
        for key, value in sorted(row.items()):
            if key in ("bbox", "amodal_bbox"):
                flat.update({f"{key}_{axis}": v for axis, v in zip("xywh", value, strict=True)})
            else:
                flat.setdefault(key, value)
        flat.update({f"image_{k}": v for k, v in sorted(image["twinset"].items()) if k != "frame"})
        out.append(flat)
    return out


def _info() -> dict[str, Any]:
    return {"description": "Synthetic images made with Twinset", "version": __version__, "year": _year()}


def _year() -> int:
    """This year, or that of SOURCE_DATE_EPOCH, by which builds are reproduced in another year."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdigit():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).year
    return datetime.datetime.now(datetime.UTC).year
