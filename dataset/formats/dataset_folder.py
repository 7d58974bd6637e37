# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the annotations and images of a dataset: a rendered folder, a COCO file, YOLO, or BlenderProc's output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from ...engine.errors import DataError
from ...engine.output.label_pass import LABEL_PASSES
from ...engine.output.writer import WRITERS
from ..checksums import warn_if_changed
from . import blenderproc_output
from .coco import CocoFile, read_coco
from .coco_in_memory import CocoInMemory
from .image_files import base_name, inner_path, trust_links
from .yolo import read_yolo

INSTANCES = Path("annotations") / "instances.json"
"""Path of the COCO file in a rendered dataset."""

_SAMPLED_IMAGES = 50
"""At most this many images are looked for in each candidate folder."""


def read_dataset(path: Path) -> CocoFile:
    """Read the annotations of a COCO file, or of a rendered, YOLO or BlenderProc folder.

    Raises
    ------
    DataError
        If there is no such dataset, or it is invalid.
    """
    if not path.is_dir():
        return (
            blenderproc_output.read_blenderproc_coco(path) if path.name == blenderproc_output.COCO else read_coco(path)
        )
    if (path / INSTANCES).is_file():
        warn_if_changed(path / INSTANCES)
        return read_coco(path / INSTANCES)
    written = blenderproc_output.find_coco(path)
    if written is not None:
        return blenderproc_output.read_blenderproc_coco(written)
    if blenderproc_output.has_frames(path):
        return blenderproc_output.read_frames(path)
    if (path / "labels").is_dir() or any(path.glob("*.y*ml")) or (path / "classes.txt").is_file():
        return read_yolo(path)
    raise DataError(
        f"{path} has no {INSTANCES}, no YOLO labels and no HDF5 files of BlenderProc. Name a COCO file, or write the "
        f"annotations of a rendered folder with `twinset finish {path}`."
    )


def image_folder(coco: CocoFile | CocoInMemory) -> Path | None:
    """The folder of a dataset's images; None if it is not found.

    Of the folders near the annotations, the one that holds most images is taken.
    """
    names = [str(image["file_name"]) for image in coco.images if image.get("file_name")]
    names = names[:: max(1, len(names) // _SAMPLED_IMAGES)]
    best, most = None, 0
    for folder in _candidates(coco.path):
        count = sum(path is not None and path.is_file() for path in (inner_path(folder, name) for name in names))
        if count > most:
            best, most = folder, count
    if best is None and names:
        # Tools write names of another system or server: then the files' own names must do.
        wanted = {base_name(name) for name in names}
        best = next((f for f in _candidates(coco.path) if any((f / name).is_file() for name in wanted if name)), None)
    return best


def images_of(coco: CocoFile, given: Path | None = None, option: str = "--images", otherwise: str = "") -> Path:
    """The folder of a dataset's images: ``given``, or found near the annotations.

    Parameters
    ----------
    option : str
        The command-line option that names the folder.
    otherwise : str
        An alternative for the error message, such as ``measure without pixels``.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    folder = given or image_folder(coco)
    if given is not None:
        trust_links(given)
    if folder is None or not folder.is_dir():
        where = f"The folder '{folder}' does not exist" if folder else f"The images of '{coco.path}' were not found"
        raise DataError(f"{where}. Name their folder with {option}{f', or {otherwise}' if otherwise else ''}.")
    return folder


@attrs.frozen(eq=False)
class ImageDataset:
    """A dataset with images: its annotations ``coco``, and the folder ``images`` of its image files."""

    coco: CocoFile
    images: Path


def open_dataset(path: Path, given: Path | None = None, option: str = "--images", otherwise: str = "") -> ImageDataset:
    """Read a dataset and find its images; see :func:`read_dataset` and :func:`images_of`."""
    coco = read_dataset(path)
    return ImageDataset(coco, images_of(coco, given, option, otherwise))


def _candidates(path: Path) -> Iterator[Path]:
    for folder in (path,) if path.is_dir() else (path.parent, path.parent.parent):
        yield folder
        yield from _folders(folder)
        yield from _folders(folder / "images")


def _folders(folder: Path) -> list[Path]:
    # Label files may be called as the images are.
    other = {cls.folder for cls in LABEL_PASSES.all()}
    other |= {folder for cls in WRITERS.all() for folder, _ in cls.image_files}
    try:
        folders = (p for p in folder.iterdir() if p.is_dir() and p.name not in other)
        return sorted(folders, key=lambda p: (p.name != "images", p.name))
    except OSError:
        return []
