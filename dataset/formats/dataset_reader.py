# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader of a format is: how its folders are recognised, and how they become COCO."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from ...engine.errors import DataError
from ...engine.plugin.folder_registry import FolderRegistry, name_of
from ...engine.regular_files import read_regular_text
from ..image_header import read_header
from ..image_names import inner_path
from .coco import CocoFile, coco_file
from .image_files import IMAGE_SUFFIXES

PART_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Twinset's names for the parts of datasets, by those that other tools give them."""


class DatasetReader:
    """A format that is read from a folder. One file in ``dataset/readers`` declares one, and nothing else knows of it.

    Attributes
    ----------
    name : str
        Unique; the file's name where the class does not set it.
    title : str
        What messages call the format, such as ``Pascal VOC``.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" not in vars(cls):
            cls.name = name_of(cls)

    def matches(self, folder: Path) -> bool:
        """Whether a folder holds a dataset of this format; by names of files, and at most the first bytes of some."""
        raise NotImplementedError

    def read(self, folder: Path) -> CocoFile:
        """The dataset of a folder; raises DataError where it is invalid."""
        raise NotImplementedError


READERS: FolderRegistry[DatasetReader] = FolderRegistry(DatasetReader, "dataset.readers", "dataset reader")


class Listing:
    """Collects images and annotations in COCO's form, with ids from 1.

    Parameters
    ----------
    folder : Path
        Names of images start from it.
    title : str
        What messages call the format.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self.title = title
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.categories: dict[str, int] = {}
        self.left_out = 0
        self._class_entries: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, tuple[int, int] | None] = {}

    def add_class(self, name: str, **entries: Any) -> int:
        """The id of a class; ``entries`` are further ones of its category."""
        if entries:
            self._class_entries[name] = entries
        return self.categories.setdefault(name, len(self.categories) + 1)

    def add_image(self, name: str, size: tuple[float, float] | None = None, part: str = "", **entries: Any) -> int:
        """Add an image; returns its id. Without a size, that of its file is taken, which must be there."""
        if size is None:
            size = self.file_size(name)
            if size is None:
                raise DataError(
                    f"The image '{self.folder / name}' is missing or cannot be read; {self.title} does not say its "
                    "size elsewhere. Restore it."
                )
        id = len(self.images) + 1
        known = {"part": PART_NAMES[part]} if part in PART_NAMES else {}
        listed = {"id": id, "file_name": name, "width": int(size[0]), "height": int(size[1])}
        self.images.append({**listed, **known, **entries})
        return id

    def add(self, image_id: int, class_name: str, bbox: list[float], **entries: Any) -> None:
        """Add an annotation with a box [x, y, w, h] in pixels; ``area`` is that of the box if it is not given."""
        area = entries.pop("area", bbox[2] * bbox[3])
        ids = {"id": len(self.annotations) + 1, "image_id": image_id, "category_id": self.add_class(class_name)}
        # To a millionth of a pixel, so that what was written with an offset comes back as it was.
        box = [round(float(value), 6) for value in bbox]
        self.annotations.append({**ids, "bbox": box, "area": area, "iscrowd": 0, **entries})

    def file_size(self, name: str) -> tuple[int, int] | None:
        """Width and height of an image file as viewers show it; None where it is missing or no image."""
        if name not in self._sizes:
            path = inner_path(self.folder, name)
            try:
                header = read_header(path) if path is not None else None
            except OSError:
                header = None
            self._sizes[name] = None if header is None else header.upright_size
        return self._sizes[name]

    def coco(self, *notes: str, about: dict[str, Any] | None = None) -> CocoFile:
        """The checked dataset; ``notes`` are clauses on what was left out."""
        categories = [
            {**self._class_entries.get(name, {}), "id": id, "name": name} for name, id in self.categories.items()
        ]
        data = {"images": self.images, "annotations": self.annotations, "categories": categories, **(about or {})}
        if not self.images:
            raise DataError(f"'{self.folder}' has no images that {self.title} lists. Check the folder.")
        left = [f"{self.left_out} objects without an area were left out"] if self.left_out else []
        return coco_file(self.folder, data, [*notes, *left], size_of=self.file_size)


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a file of a dataset; raises DataError where it cannot be read or is larger."""
    try:
        return read_regular_text(path, max_bytes)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read ({error}).") from error


def image_beside(folder: Path, stem: str) -> str | None:
    """The name of the image file of a stem in a folder, whatever its suffix; None where there is none."""
    for suffix in IMAGE_SUFFIXES:
        for name in (stem + suffix, stem + suffix.upper()):
            if (folder / name).is_file():
                return name
    return None


def relative(path: Path, folder: Path) -> str:
    """A path below a folder as names of images have it."""
    return PurePosixPath(path.relative_to(folder)).as_posix()
