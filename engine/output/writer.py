# SPDX-License-Identifier: GPL-3.0-or-later
"""Writers: each puts a finished dataset's annotations into files of one format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

from ..plugin.folder_registry import FolderRegistry
from .output_part import OutputPart


class FinishedDataset(Protocol):
    """A dataset as writers see it: all that its records say, in the order of the frames."""

    @property
    def folder(self) -> Path:
        """Its folder, in which pictures lie under ``images/``."""
        ...

    @property
    def images(self) -> Sequence[Mapping[str, Any]]:
        """COCO images with ids 1, 2, ...; ``file_name`` starts at ``images/``, ``twinset`` has what else is known."""
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
    def parts(self) -> Mapping[str, Collection[int]]:
        """Image ids of ``train``, ``val`` and ``test``, in that order; empty where the dataset is one part."""
        ...

    @property
    def real(self) -> RealImages | None:
        """The real images of the recipe; None where they are missing."""
        ...

    def annotations(self, images: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        """COCO annotations in the order of their ids, masks as RLE; all of them, or those of images, by id."""
        ...

    def by_image(self) -> Iterator[tuple[Mapping[str, Any], list[dict[str, Any]]]]:
        """Each image with its annotations, in one pass over the dataset."""
        ...

    def annotation_lines(self, images: Collection[int] | None = None) -> Iterator[bytes]:
        """The same as JSON, one line each, keys sorted: quicker where nothing of them is looked at."""
        ...

    def record(self, image: Mapping[str, Any]) -> Mapping[str, Any]:
        """The record of an image's frame: camera, instances with matrices, columns, draws."""
        ...

    def label_file(self, image: Mapping[str, Any], name: str) -> Path | None:
        """The file that a label pass has written for an image; None where it was not asked for."""
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
    """Takes the files of one writer. Each appears whole or not at all; paths are relative to the dataset's folder."""

    def add(self, path: str, data: bytes) -> Path:
        """Write a file."""
        ...

    def stream(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """Write a file piece by piece, for what is too large to be held in memory; it appears when the block ends."""
        ...

    def link(self, path: str, source: Path) -> Path:
        """Make ``path`` the same file as ``source`` by a hard link; a copy where the file system has none."""
        ...

    def of_image(self, folder: str, image: Mapping[str, Any], suffix: str) -> str:
        """The path of a file that each image has: ``folder``, the image's own name, ``suffix`` (``.txt``)."""
        ...

    def remove(self, path: str) -> None:
        """Remove what an earlier run may have written and this one does not."""
        ...


class Writer(OutputPart):
    """An export format. One file in ``dataset/writers`` declares one, and nothing else has to know of it.

    ``finish`` runs the writers that the recipe asks for whenever annotations are written: at a job's end, and again
    after folders were merged. All files follow from the dataset alone, so the same records give the same bytes.

    Attributes
    ----------
    image_files : tuple of (str, str)
        Folder and suffix (``("labels", ".txt")``) of the files that it writes for each image. Those that an earlier run
        has left there for frames which are gone are removed. The folders hold no pictures of the dataset itself.
    """

    plugin_kind: ClassVar[str] = "writer"
    image_files: ClassVar[tuple[tuple[str, str], ...]] = ()

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        """Write all files of the format."""
        raise NotImplementedError


WRITERS: FolderRegistry[Writer] = FolderRegistry(Writer, "dataset.writers", "writer")


def asked_writers(output: Any) -> list[Writer]:
    """The writers that ``[output]`` asks for."""
    return [asked[0] for cls in WRITERS.all() if (asked := cls.asked(output))]
