# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the annotations and images of a dataset: a rendered folder, a COCO file, YOLO, or BlenderProc's output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ...engine.errors import DataError
from ...engine.output.label_pass import LABEL_PASSES
from ..checksums import warn_if_changed
from ..image_header import read_header
from ..image_names import inner_path, own_names
from . import blenderproc_output
from .coco import CocoFile, coco_file, read_coco
from .coco_in_memory import CocoInMemory
from .dataset_reader import PART_NAMES, READERS
from .image_files import trust_links

INSTANCES = Path("annotations") / "instances.json"
"""Path of the COCO file in a rendered dataset."""

ROBOFLOW = "_annotations.coco.json"
"""The name of Roboflow's COCO files, one in each folder of images."""

PARTS = {"train": 0, "train2017": 0, "valid": 1, "val": 1, "val2017": 1, "validation": 1, "test": 2}
"""The order in which parts of a dataset are read."""

_SAMPLED_IMAGES = 50
"""At most this many images are looked for in each candidate folder."""
_SAMPLED_SIZES = 5


def read_dataset(path: Path) -> CocoFile:
    """Read the annotations of a file, or of a rendered folder or one that another tool has exported.

    Files: COCO, Label Studio's JSON, CVAT's XML. Folders: rendered by Twinset; COCO, Roboflow, Label Studio and CVAT
    exports with one annotation file, or one for each part; YOLO; BlenderProc; and those of ``dataset/readers``.

    Raises
    ------
    DataError
        If there is no such dataset, or it is invalid.
    """
    if not path.is_dir():
        return (
            blenderproc_output.read_blenderproc_coco(path) if path.name == blenderproc_output.COCO else read_coco(path)
        )
    warn_if_changed(path / INSTANCES)
    if (path / INSTANCES).is_file():
        return read_coco(path / INSTANCES)
    written = blenderproc_output.find_coco(path)
    if written is not None:
        return blenderproc_output.read_blenderproc_coco(written)
    if blenderproc_output.has_frames(path):
        return blenderproc_output.read_frames(path)
    exported = _exported_files(path)
    if len(exported) == 1:
        return read_coco(exported[0])
    if exported:
        return _joined(path, exported)
    for reader in READERS.all():
        if reader().matches(path):
            return reader().read(path)
    known = ", ".join(reader.title for reader in READERS.all())
    raise DataError(
        f"{path} has no {INSTANCES}, no annotations of Roboflow, Label Studio or CVAT, no HDF5 files of BlenderProc, "
        f"and is no folder of {known}. Name an annotation file, or write the annotations of a rendered folder with "
        f"`twinset finish {path}`."
    )


def _exported_files(folder: Path) -> list[Path]:
    """The annotation files of other tools in a folder: one, or one for each part of the dataset."""
    if (folder / "recipe.toml").is_file():  # rendered: other files than INSTANCES have only parts of it
        return []
    if (folder / ROBOFLOW).is_file():
        return [folder / ROBOFLOW]
    parts = sorted(folder.glob(f"*/{ROBOFLOW}"), key=lambda path: (PARTS.get(path.parent.name, 9), path.parent.name))
    if parts:
        return parts
    for pattern in ("annotations/instances_*.json", "annotations.xml", "result.json", "tasks.json"):
        found = sorted(folder.glob(pattern), key=lambda path: (PARTS.get(path.stem.rpartition("_")[2], 9), path.name))
        if found:
            return found
    return []


def _joined(folder: Path, files: list[Path]) -> CocoFile:
    """The parts of a dataset as one, with new ids; images of parts in folders of their own are named by them."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    for file in files:
        part = read_coco(file)
        category = {c["id"]: names.setdefault(c["name"], len(names) + 1) for c in part.categories}
        prefix = file.parent.relative_to(folder).as_posix() if file.name == ROBOFLOW else ""
        image_of = {image["id"]: len(images) + k for k, image in enumerate(part.images, 1)}
        for image in part.images:
            name = image.get("file_name", "")
            renamed = {"file_name": f"{prefix}/{name}"} if prefix and name else {}
            images.append({**image, **renamed, **_part_of(file, image), "id": image_of[image["id"]]})
        for a in part.annotations:
            ids = {"id": len(annotations) + 1, "image_id": image_of[a["image_id"]]}
            annotations.append({**a, **ids, "category_id": category[a["category_id"]]})
    categories = [{"id": id, "name": name} for name, id in names.items()]
    data = {"images": images, "annotations": annotations, "categories": categories}
    return coco_file(folder, data)


def _part_of(file: Path, image: Mapping[str, Any]) -> dict[str, str]:
    """The part of a dataset that a file of annotations holds, by its name or that of its folder."""
    name = file.parent.name if file.name == ROBOFLOW else file.stem.rpartition("_")[2].removesuffix("2017")
    return {"part": PART_NAMES[name]} if name in PART_NAMES and "part" not in image else {}


def image_folder(coco: CocoFile | CocoInMemory) -> Path | None:
    """The folder of a dataset's images; None if it is not found.

    Of the folders near the annotations, the one that holds most images of the annotated sizes is taken. Names such as
    ``1.jpg`` are common, so a folder beside that of the annotations counts only if it has at least half of the images,
    in the annotated sizes.
    """
    images = [image for image in coco.images if image.get("file_name")]
    images = images[:: max(1, len(images) // _SAMPLED_IMAGES)]
    # Tools write names of another system or server: then the files' own names must do.
    for names_of in (_full_name, _own_names):
        best: tuple[bool, int] = (False, 0)
        folder = None
        for candidates, is_beside in ((_inside, False), (_beside, True)):
            if best == (True, len(images)):
                break
            for candidate in candidates(coco.path):
                files = [(image, file) for image in images if (file := _file(candidate, names_of(image))) is not None]
                if not files or (is_beside and 2 * len(files) < len(images)):
                    continue
                agrees = _sizes_agree(files)
                if (agrees or not is_beside) and (agrees, len(files)) > best:
                    best, folder = (agrees, len(files)), candidate
        if folder is not None:
            return folder
    return None


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
    if not coco.images:
        raise DataError(f"'{coco.path}' lists no images, so there is nothing to do. Name another dataset.")
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


def _full_name(image: Mapping[str, Any]) -> list[str]:
    return [str(image["file_name"])]


def _own_names(image: Mapping[str, Any]) -> list[str]:
    return own_names(str(image["file_name"]))


def _file(folder: Path, names: Sequence[str]) -> Path | None:
    paths = (inner_path(folder, name) for name in names)
    return next((path for path in paths if path is not None and path.is_file()), None)


def _sizes_agree(files: Sequence[tuple[Mapping[str, Any], Path]]) -> bool:
    """Whether no image has another size than it is annotated with, as stored or turned by its EXIF orientation."""
    for image, path in files[:: max(1, len(files) // _SAMPLED_SIZES)]:
        try:
            header = read_header(path)
        except OSError:
            continue
        size = (image.get("width"), image.get("height"))
        if header is not None and None not in size and size not in (header.size, header.upright_size):
            return False
    return True


def _inside(path: Path) -> Iterator[Path]:
    return _with_folders(path if path.is_dir() else path.parent)


def _beside(path: Path) -> Iterator[Path]:
    return iter(()) if path.is_dir() else _with_folders(path.parent.parent)


def _with_folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from _folders(folder)
    yield from _folders(folder / "images")


def _folders(folder: Path) -> list[Path]:
    # Label files may be called as the images are.
    other = {cls.folder for cls in LABEL_PASSES.all()} | {"labels"}
    try:
        folders = (p for p in folder.iterdir() if p.is_dir() and p.name not in other)
        return sorted(folders, key=lambda p: (p.name != "images", p.name))
    except OSError:
        return []
