# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets of any supported format as Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recipes import PathLike

if TYPE_CHECKING:
    from ..dataset.formats.coco import CocoFile


class Dataset:
    """An annotated dataset: a rendered folder, a COCO file, or a folder of YOLO, Pascal VOC, KITTI and other formats.

    Attributes
    ----------
    path : Path
        What was loaded.
    """

    def __init__(self, coco: CocoFile, path: Path, image_folder: Path | None = None) -> None:
        self.path = path
        self._coco = coco
        self._image_folder = image_folder

    @property
    def coco(self) -> CocoFile:
        """The checked annotations; boxes are clipped to their images."""
        return self._coco

    @property
    def images(self) -> list[dict[str, Any]]:
        """The COCO entries of the images."""
        return self._coco.images

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """The COCO annotations; ``bbox`` is [x, y, width, height] in pixels."""
        return self._coco.annotations

    @cached_property
    def classes(self) -> Mapping[str, int]:
        """Number of annotations per class, without crowds, in the order of the categories."""
        return self._coco.classes()

    @cached_property
    def image_folder(self) -> Path | None:
        """The folder that file names of images start from; None if it was neither given nor found."""
        from ..dataset.formats.dataset_folder import image_folder

        return self._image_folder or image_folder(self._coco)

    def convert(self, format: str, out: PathLike, **parameters: Any) -> Dataset:
        """Write the dataset in another format into a new folder, with its images as hard links where possible.

        Parameters
        ----------
        format : str
            Id of a writer, such as ``voc`` or ``yolo_segment``.
        out : path
            The new folder; it must not exist.
        **parameters
            Parameters of the writer, such as ``shard_images=500``.

        Raises
        ------
        TwinsetError
            If an image is missing, the folder exists, or the format is not known.
        """
        from ..dataset.formats.dataset_folder import open_dataset, read_dataset
        from ..dataset.jobs.convert import convert
        from ..engine.errors import PluginError
        from ..engine.plugin.params import build
        from ..engine.plugin.registry import find

        writer, problems = build(find("writer", format), parameters, f"writer '{format}'")
        if problems:
            raise PluginError(" ".join(problems))
        convert(open_dataset(self.path, self._image_folder), writer, Path(out))
        return Dataset(read_dataset(Path(out)), Path(out))

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        classes = ", ".join(f"{name} ({count})" for name, count in self.classes.items())
        return f"<Dataset {self.path.name}: {len(self)} images, {len(self.annotations)} annotations of {classes}>"


def load_dataset(path: PathLike, *, images: PathLike | None = None) -> Dataset:
    """Load a dataset: a rendered folder, a COCO file, or a folder of YOLO, Pascal VOC, KITTI and other formats.

    Parameters
    ----------
    path : path
    images : path, optional
        Folder of the images. By default it is searched for near the annotations when it is needed.

    Raises
    ------
    TwinsetError
        If there is no dataset, or it is broken; the message names the problems.
    """
    from ..dataset.formats.dataset_folder import images_of, read_dataset

    coco = read_dataset(Path(path))
    folder = None if images is None else images_of(coco, Path(images), "images=")
    return Dataset(coco, Path(path), folder)


def as_dataset(dataset: Dataset | PathLike, images: PathLike | None = None) -> Dataset:
    """A dataset, or the one at a path."""
    if isinstance(dataset, Dataset):
        return dataset if images is None else Dataset(dataset.coco, dataset.path, Path(images))
    return load_dataset(dataset, images=images)
