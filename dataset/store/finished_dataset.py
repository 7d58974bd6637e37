# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets as writers see them: one whose records were read, and one of plain lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import attrs

from ...engine.errors import DataError
from ...engine.plugin.finished_dataset import RealImages
from ..atomic_files import dump_json, read_json_object, to_builtin_types
from ..checksums import read_own
from ..exports.asset_models import recorded_models
from ..formats.coco_writer import CocoBuilder
from .frame_record import FrameRecord
from .frames import FrameStore
from .inputs import FILE as INPUTS
from .job_folder import STAGE
from .label_files import IMAGES

PARTS = ("train", "val", "test")
"""Parts of a dataset, in the order of a recipe's keys."""


class Frames(Protocol):
    """Records, label files and models of rendered images, by the entries of COCO."""

    def record(self, image: Mapping[str, Any]) -> FrameRecord:
        """See :meth:`...engine.plugin.finished_dataset.FinishedDataset.record`; likewise the others."""
        ...

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None: ...

    def model_file(self, image: Mapping[str, Any], asset: str) -> Path | None: ...


class RecordedFrames:
    """Implements :class:`Frames` for the folder of a job."""

    def __init__(self, store: FrameStore) -> None:
        self._store = store

    def record(self, image: Mapping[str, Any]) -> FrameRecord:
        return self._store.read(image["twinset"]["frame"])

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None:
        entry = self.record(image)["files"].get(name)
        return self._store.out / entry["path"] if entry else None

    def model_file(self, image: Mapping[str, Any], asset: str) -> Path | None:
        path = self._models.get(image["twinset"].get("room", ""), {}).get(asset)
        return self._store.out / path if path else None

    @cached_property
    def _models(self) -> Mapping[str, Mapping[str, str]]:
        return recorded_models(read_own(self._store.out / STAGE))


class RecordedDataset:
    """Implements :class:`...engine.plugin.finished_dataset.FinishedDataset` for the folder of a job."""

    def __init__(
        self, store: FrameStore, coco: CocoBuilder, read_real: Callable[[], RealImages | None] = lambda: None
    ) -> None:
        self.folder = store.out
        self._read_real = read_real
        self.images: Sequence[Mapping[str, Any]] = coco.images
        self.categories: Sequence[Mapping[str, Any]] = coco.categories
        self.info: Mapping[str, Any] = coco.info
        self.licenses: Sequence[Mapping[str, Any]] = ()
        self._frames = RecordedFrames(store)
        self._coco = coco

    @cached_property
    def real(self) -> RealImages | None:
        return self._read_real()

    @cached_property
    def inputs(self) -> Mapping[str, Any]:
        return read_json_object(self.folder / INPUTS)

    @cached_property
    def parts(self) -> Mapping[str, frozenset[int]]:
        named = self._coco.images.extras.column("part")
        members = {part: frozenset(id for id, of in enumerate(named, 1) if of == part) for part in PARTS}
        return {part: images for part, images in members.items() if images}  # ids are 1, 2, ...

    def annotations(self, images: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        return self._coco.annotations(images)

    def by_image(self) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
        return _by_image(self.images, self.annotations())

    def annotation_lines(self, images: Collection[int] | None = None) -> Iterator[bytes]:
        return self._coco.annotation_lines(images)

    def image_file(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        return self.folder / IMAGES / image["file_name"], None

    def record(self, image: Mapping[str, Any]) -> FrameRecord:
        return self._frames.record(image)

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None:
        return self._frames.label_file(image, name)

    def model_file(self, image: Mapping[str, Any], asset: str) -> Path | None:
        return self._frames.model_file(image, asset)


@attrs.frozen(eq=False)
class ListedDataset:
    """The same for lists of COCO images, annotations and categories.

    ``find_image`` gives an image's file, as :meth:`image_file` does. ``frames`` has the records where the images were
    rendered.
    """

    folder: Path
    images: Sequence[Mapping[str, Any]]
    listed: Sequence[Mapping[str, Any]]
    categories: Sequence[Mapping[str, Any]]
    info: Mapping[str, Any] = attrs.field(factory=dict)
    parts: Mapping[str, Collection[int]] = attrs.field(factory=dict)
    real: RealImages | None = None
    licenses: Sequence[Mapping[str, Any]] = ()
    inputs: Mapping[str, Any] = attrs.field(factory=dict)
    find_image: Callable[[Mapping[str, Any]], tuple[Path, bytes | None]] | None = None
    frames: Frames | None = None

    def annotations(self, images: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        return (dict(a) for a in self.listed if images is None or a["image_id"] in images)

    def by_image(self) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
        order = {image["id"]: number for number, image in enumerate(self.images)}
        ordered = sorted(self.listed, key=lambda a: order[a["image_id"]])
        return _by_image(self.images, (dict(a) for a in ordered))  # copies of one image at a time

    def annotation_lines(self, images: Collection[int] | None = None) -> Iterator[bytes]:
        return (dump_json(to_builtin_types(a)) for a in self.annotations(images))

    def image_file(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        if self.find_image is not None:
            return self.find_image(image)
        return self.folder / IMAGES / image["file_name"], None

    def record(self, image: Mapping[str, Any]) -> FrameRecord:
        if self.frames is None:
            raise DataError(
                f"The image '{image['file_name']}' has no record: it was not rendered by Twinset. Only rendered "
                "datasets have what this format needs."
            )
        return self.frames.record(image)

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None:
        return None if self.frames is None else self.frames.label_file(image, name)

    def model_file(self, image: Mapping[str, Any], asset: str) -> Path | None:
        return None if self.frames is None else self.frames.model_file(image, asset)


def _by_image(
    images: Iterable[Mapping[str, Any]], annotations: Iterator[dict[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
    """Images with their annotations, which come in the order of the images."""
    groups = groupby(annotations, key=lambda a: a["image_id"])
    owner, group = next(groups, (None, iter(())))
    for image in images:
        own = []
        if image["id"] == owner:
            own = list(group)
            owner, group = next(groups, (None, iter(())))
        yield image, own
