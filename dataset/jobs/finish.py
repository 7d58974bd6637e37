# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is made from the records of a dataset: annotations in each format, metadata table, contact sheet."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from ... import __version__
from ...engine.errors import DataError
from ...engine.output.annotation_source import declared_entries
from ...engine.plugin.contract import attribute_errors_to
from ...engine.plugin.finished_dataset import RealImages
from ...engine.plugin.registry import find
from ...engine.sequences.groups import track_of
from ..atomic_files import write_atomic
from ..formats.coco import LabelledImage
from ..formats.coco_in_memory import CocoInMemory
from ..formats.coco_writer import CocoBuilder
from ..formats.metadata_rows import MetadataRows
from ..formats.metadata_table import write_table
from ..formats.rle_masks import MaskError
from ..report.contact_sheet import contact_sheet, picks
from ..store.dataset_files import run_writer
from ..store.finished_dataset import RecordedDataset
from ..store.frame_record import ACCEPTED, FILTERED, GIVEN_UP, FrameRecord
from ..store.frames import FrameStore, encode_image

log = logging.getLogger(__name__)

Complete = Callable[[MetadataRows], Mapping[str, Sequence[Any]]]
Summarise = Callable[[MetadataRows], Mapping[str, Any]]

_ROW_KEYS = ("main", "shape")
"""Of a record's instance, what annotations have beside the entries of annotation sources."""


@attrs.frozen
class Summary:
    """What was written. ``classes`` counts annotations, ``parts`` images; ``written`` are files by the writer's name;
    ``notes`` are sentences for the user; ``in_memory`` holds the annotations for a report, which need not read them
    back."""

    out: Path
    images: int
    annotations: int
    classes: Mapping[str, int]
    given_up: int
    left_out: tuple[int, ...]
    coco: Path
    table: Path | None = None
    written: Mapping[str, tuple[Path, ...]] = attrs.field(factory=dict)
    contact_sheet: Path | None = None
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = attrs.field(factory=dict)
    parts: Mapping[str, int] = attrs.field(factory=dict)
    in_memory: CocoInMemory | None = attrs.field(default=None, repr=False)


def finish(
    out: str | Path,
    *,
    categories: Sequence[Mapping[str, Any]],
    info: Mapping[str, Any] | None = None,
    writers: Sequence[Any] | None = None,
    read_real: Callable[[], RealImages | None] = lambda: None,
    complete: Iterable[Complete] = (),
    summarise: Iterable[Summarise] = (),
    watch: Callable[[FrameRecord], None] = lambda record: None,
    min_area: int = 1,
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
    writers : sequence of writer plugins, optional
        The formats to write, see :func:`..store.dataset_files.recipe_writers`; COCO must be among them, and is the
        default.
    read_real : callable
        Gives the real images of the recipe to formats that carry validation data.
    complete : iterable of callables
        The ``dataset_columns`` methods of metrics. Each takes the rows, a sequence of one dict per annotation (frame,
        image_id, id, class, shape, area, bbox, amodal_bbox, visible_share, truncated_share and all bbox columns), and
        gives columns of the same length, which join the rows.
    summarise : iterable of callables
        The ``dataset_summary`` methods of metrics. Each takes the completed rows and gives facts about the whole
        dataset as JSON values.
    watch : callable
        Called with every record that is not damaged.
    min_area : int
        Masks of fewer pixels get no annotation.

    Raises
    ------
    DataError
        Where there are no records.
    OutputError
        Where something cannot be written.
    """
    store = FrameStore(Path(out))
    frames = store.frames()
    if not frames:
        raise DataError(f"'{store.out}' holds no records of frames (frames/*.json). Render into that folder first.")
    path = store.out / "annotations" / "instances.json"
    given_up, left_out = 0, []
    with CocoBuilder(path, categories=categories, info={**_info(), **(info or {})}, min_area=min_area) as coco:
        for frame in frames:
            try:
                record = store.read(frame)
                shown = _labelled(store, record) if record["verdict"] == ACCEPTED else None
                watch(record)
            except DataError as error:
                log.warning("%s", error)
                left_out.append(frame)
                continue
            if record["verdict"] == GIVEN_UP:
                given_up += 1
            elif record["verdict"] == FILTERED:
                continue
            elif shown is None or not store.intact(record):
                left_out.append(frame)
            else:
                try:
                    coco.add(shown)
                except MaskError as error:
                    log.warning("%s", store.damaged(frame, str(error)))
                    left_out.append(frame)
        _complete(coco, complete)
        dataset = RecordedDataset(store, coco, read_real)
        chosen = [find("writer", "coco")()] if writers is None else writers
        written = {writer.plugin_id: run_writer(writer, dataset) for writer in chosen}
        table, note = write_table(path.parent, _TableColumns(coco))
        return Summary(
            out=store.out,
            images=len(coco.images),
            annotations=len(coco.rows),
            classes={c["name"]: coco.counts[c["id"]] for c in coco.categories},
            given_up=given_up,
            left_out=tuple(left_out),
            coco=path,
            table=table,
            written=written,
            contact_sheet=_write_contact_sheet(store, coco),
            notes=tuple([*_notes(left_out), *([note] if note else [])]),
            metrics=_summarise(coco.rows, summarise),
            parts={part: len(images) for part, images in dataset.parts.items()},
            in_memory=CocoInMemory(coco),
        )


def _write_contact_sheet(store: FrameStore, coco: CocoBuilder) -> Path | None:
    """Draw ``contact_sheet.jpg`` of a dataset in its output folder; None for a dataset without images."""
    chosen = [coco.images[i] for i in picks(len(coco.images))]
    shown = {
        "images": chosen,
        "annotations": [a for a in coco.annotations({image["id"] for image in chosen}) if not a["iscrowd"]],
        "categories": coco.categories,
    }
    sheet = contact_sheet(
        shown,
        lambda image: store.read_image(store.read(image["twinset"]["frame"])),
        images=len(coco.images),
        counts=coco.counts,
    )
    if sheet is None:
        return None
    path = store.out / "contact_sheet.jpg"
    write_atomic(path, encode_image(sheet, "jpg", 90))
    return path


def _notes(left_out: Sequence[int]) -> list[str]:
    if not left_out:
        return []
    shown = ", ".join(map(str, left_out[:10])) + (", ..." if len(left_out) > 10 else "")
    return [
        f"{len(left_out)} frames were skipped because their files are missing or changed: {shown}. Render them again."
    ]


def _labelled(store: FrameStore, record: FrameRecord) -> LabelledImage:
    frame = record["frame"]
    kept, own = (*_ROW_KEYS, *declared_entries("twinset")), declared_entries("annotation")
    try:
        draws: Mapping[str, Any] = record.get("draws", {})
        named = {key: draws[key] for key in ("room", "part") if key in draws}
        role = draws.get("sequence", {})
        placed = {("sequence" if key == "number" else key): value for key, value in role.items()}
        if "layout" in draws:
            placed |= {"layout": draws["layout"]["frame"], "view": draws["layout"]["view"]}
        extra = {"frame": frame, **named, **placed, **record.get("columns", {})}
        instances: Sequence[Mapping[str, Any]] = record["instances"]
        annotations = [
            {
                "class": instance["class"],
                "segmentation": instance["segmentation"],
                "twinset": {
                    "instance": instance["id"],
                    **{k: instance[k] for k in kept if k in instance},
                    **instance.get("columns", {}),
                },
                "entries": {k: instance[k] for k in own if k in instance} | _track(draws, instance["id"]),
                "ignored": instance.get("ignored", False),
            }
            for instance in instances
            if (instance["annotated"] or instance.get("ignored")) and instance.get("area", 1) > 0
        ]
        entry: Mapping[str, Any] = record["image"]
        image = {**{k: entry[k] for k in ("file_name", "width", "height")}, "twinset": extra}
    except (KeyError, TypeError, AttributeError) as error:
        raise store.damaged(frame, f"{error!r} is missing or of the wrong type") from error
    return LabelledImage(image, annotations)


def _track(draws: Mapping[str, Any], instance: int) -> dict[str, int]:
    track = track_of(draws, instance)
    return {} if track is None else {"track_id": track}


def _complete(coco: CocoBuilder, complete: Iterable[Complete]) -> None:
    """Add the columns that need the whole dataset to rows and annotations."""
    for function in complete if coco.rows else ():
        for name, values in _call_metric(function, coco.rows).items():
            if len(values) != len(coco.rows):
                raise DataError(
                    f"The metric column '{name}' has {len(values)} values for {len(coco.rows)} annotations. "
                    "Its metric's 'dataset_columns' must give one per row."
                )
            coco.complete(name, values)


def _summarise(rows: MetadataRows, summarise: Iterable[Summarise]) -> dict[str, Any]:
    return {key: value for function in summarise if rows for key, value in _call_metric(function, rows).items()}


def _call_metric(function: Callable[[MetadataRows], Mapping[str, Any]], rows: MetadataRows) -> Mapping[str, Any]:
    with attribute_errors_to(getattr(function, "__self__", function)):
        return function(rows)


class _TableColumns(Mapping[str, Sequence[Any]]):
    """Columns of the table: keys first, boxes in columns of their own, columns of the image under ``image_``.

    Each is put together when it is asked for: all of them at once would take several times the memory.
    """

    def __init__(self, coco: CocoBuilder) -> None:
        rows, images = coco.rows, coco.images
        names = set(rows.names())
        made: dict[str, Callable[[], Sequence[Any]]] = {}
        for name in ("frame", "image_id", "id", "class", "shape"):
            if name in names:
                made[name] = partial(rows.column, name)
        if names:
            made["file_name"] = partial(_of_images, rows, images.rows, "file_name")
        axes = {"bbox": "xywh"} | {name: entry.axes for name, entry in declared_entries("twinset").items()}
        for name in sorted(names - set(made)):
            if axes.get(name):
                made |= {f"{name}_{axis}": partial(_part, rows, name, k) for k, axis in enumerate(axes[name])}
            else:
                made[name] = partial(rows.column, name)
        for name in sorted(set(images.extras.names()) - {"frame"}) if names else ():
            made[f"image_{name}"] = partial(_of_images, rows, images.extras, name)
        self._made = made

    def __getitem__(self, name: str) -> Sequence[Any]:
        return self._made[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _of_images(rows: MetadataRows, images: MetadataRows, name: str) -> list[Any]:
    values = images.column(name)
    return [values[i - 1] for i in rows.column("image_id")]  # ids are 1, 2, ...


def _part(rows: MetadataRows, name: str, axis: int) -> list[Any]:
    return [value[axis] if value else None for value in rows.column(name)]


def _info() -> dict[str, Any]:
    return {"description": "Synthetic images made with Twinset", "version": __version__, "year": _year()}


def _year() -> int:
    """This year, or that of SOURCE_DATE_EPOCH, by which builds are reproduced in another year."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdigit():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).year
    return datetime.datetime.now(datetime.UTC).year
