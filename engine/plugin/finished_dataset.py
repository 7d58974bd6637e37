# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished dataset as writers see it, and the files that they write."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

CONTENTS = {
    "boxes": "upright boxes",
    "masks": "masks",
    "holes": "holes in masks",
    "overlaps": "overlaps of masks",
    "decimals": "decimals of boxes",
    "crowds": "marks of crowds",
    "parts": "the split into parts",
    "empty images": "images without annotations",
    "class names": "spaces in class names",
    "supercategories": "further entries of classes",
    "twinset": "metadata columns",
    "entries": "further entries of annotations",
}
"""What a dataset may have that not every format holds, each with what messages call it."""


class FinishedDataset(Protocol):
    """A dataset as writers see it: all that its records say, in the order of the frames."""

    @property
    def folder(self) -> Path:
        """The folder that is written to. Pictures of rendered datasets lie in it, under ``images/``."""
        ...

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """COCO images; ``file_name`` starts at the folder of images, ``twinset`` has what else is known.

        Ids of rendered datasets are 1, 2, ...
        """
        ...

    @property
    def categories(self) -> Sequence[Mapping[str, Any]]:
        """COCO categories, sorted by id."""
        ...

    @property
    def info(self) -> Mapping[str, Any]:
        """COCO's info block."""
        ...

    @property
    def licenses(self) -> Sequence[Mapping[str, Any]]:
        """COCO's list of licences; empty for rendered datasets, whose ``inputs`` name those of models."""
        ...

    @property
    def parts(self) -> Mapping[str, Collection[int]]:
        """Image ids of ``train``, ``val`` and ``test``, in that order; empty where the dataset is one part."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The files that the dataset was made from, as ``inputs.json`` has them; empty where that is not known."""
        ...

    @property
    def real(self) -> RealImages | None:
        """The real images of the recipe; None where they are missing."""
        ...

    def annotations(self, images: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        """COCO annotations in the order of their ids; all of them, or those of images, by id.

        Masks of rendered datasets are RLE. Annotations of other datasets may have polygons, or no mask at all.
        """
        ...

    def by_image(self) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
        """Each image with its annotations, in one pass over the dataset."""
        ...

    def annotation_lines(self, images: Collection[int] | None = None) -> Iterator[bytes]:
        """The same as JSON, one line each, keys sorted: quicker where nothing of them is looked at."""
        ...

    def image_file(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        """An image's file, and its bytes as PNG where viewers would turn the file and annotations do not follow.

        Raises DataError where the file is missing.
        """
        ...

    def record(self, image: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record of an image's frame: camera, instances with matrices, columns, draws. Only rendered datasets have
        records; DataError for others."""
        ...

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None:
        """The file that a label pass, or the writer of this id, has written for an image; None where there is none."""
        ...

    def model_file(self, image: Mapping[str, Any], asset: str) -> Path | None:
        """The mesh of an asset that is in an image, by its name (``shape`` in the record), as PLY in metres.

        It is in the asset's own frame: z up, origin at the middle of the box's bottom. None where there is none:
        datasets have models if a writer of their recipe has :attr:`.kinds.Writer.uses_models`.
        """
        ...


class RealImages(Protocol):
    """The real images that a recipe names with ``[real]``, for formats that carry validation data."""

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """COCO images whose files are there."""
        ...

    def annotations(self, image: Mapping[str, Any]) -> Sequence[tuple[str, Sequence[float]]]:
        """Class name and box ``[x, y, w, h]`` of each annotation of an image, without crowds."""
        ...

    def file(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        """The image's file, and its bytes where viewers would turn the file and annotations do not follow."""
        ...


class DatasetFiles(Protocol):
    """Takes the files of one writer. Each appears whole or not at all; paths are relative to the writer's folder."""

    def add(self, path: str, data: bytes) -> Path:
        """Write a file."""
        ...

    def stream(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Write a file piece by piece, for what is too large to be held in memory; it appears when the block ends."""
        ...

    def link(self, path: str, source: Path) -> Path:
        """Make ``path`` the same file as ``source`` by a hard link; a copy where the file system has none."""
        ...

    def image(self, path: str, dataset: FinishedDataset, image: Mapping[str, Any]) -> str:
        """Link or write an image of the dataset; returns the path with the suffix that it has got.

        ``path`` has no suffix: it is that of the image's file, or ``.png`` where viewers would turn the file.
        """
        ...

    def of_image(self, folder: str, image: Mapping[str, Any], suffix: str) -> str:
        """The path of a file that each image has: ``folder``, the image's own name, ``suffix`` (``.txt``)."""
        ...

    def remove(self, path: str) -> None:
        """Remove what an earlier run may have written and this one does not."""
        ...
