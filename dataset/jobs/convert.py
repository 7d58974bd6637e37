# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes any dataset in another format: a new folder with the files of one writer, and its images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from ...engine.errors import DataError
from ..atomic_files import atomic_folder, escapes_folder, json_bytes, read_json_object, write_atomic
from ..checksums import FILE as CHECKSUMS
from ..checksums import write_list
from ..exports.contents import losses
from ..formats.coco import CocoFile
from ..formats.dataset_folder import ImageDataset
from ..formats.image_files import ImageFiles
from ..progress import Progress
from ..store.dataset_files import AtomicFiles, run_writer
from ..store.finished_dataset import PARTS, ListedDataset, RecordedFrames
from ..store.frames import FrameStore
from ..store.inputs import FILE as INPUTS
from ..store.label_files import IMAGES
from .subset import content_hash, is_rendered, source_name


@attrs.frozen
class Conversion:
    """What was written, with counts; ``lost`` is what the format cannot hold."""

    out: Path
    images: int
    annotations: int
    files: int
    lost: Mapping[str, int]


def convert(
    found: ImageDataset, writer: Any, out: Path, *, progress: Progress = lambda done, total: None
) -> Conversion:
    """Write a dataset in the format of a writer into a new folder, which appears whole or not at all.

    Images become hard links, or copies where the file system has none. ``checksums.json`` lists all files, and
    ``inputs.json`` what the dataset was made from.

    Parameters
    ----------
    found : ImageDataset
        The dataset; see :func:`..formats.dataset_folder.open_dataset`.
    writer : writer plugin
    out : Path
        The new folder.
    progress : callable
        Called with how many images were written, and of how many.

    Raises
    ------
    DataError
        Where an image is missing, or the dataset does not have what the format needs.
    OutputError
        Where ``out`` exists or cannot be written.
    """
    coco = found.coco
    if not coco.images:
        raise DataError(f"'{coco.path}' has no images, so there is nothing to convert.")
    files = ImageFiles(coco.images, found.images)
    files.say()
    paths = {image["id"]: files.path(image) for image in coco.images}
    missing = next((path for path in paths.values() if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"The image '{missing}' does not exist. Name the folder of the images with --images.")
    by_id = {image["id"]: image for image in coco.images}
    done: set[int] = set()

    def find_image(image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        done.add(image["id"])
        progress(len(done), len(paths))
        return files.shown(by_id[image["id"]])  # by its own name

    with atomic_folder(out) as folder:
        dataset = _listed(coco, folder, find_image)
        written = list(run_writer(writer, dataset, alone=True))
        if not writer.copies_images:
            images = AtomicFiles(folder, writer)
            for image in dataset.images:
                images.image(images.of_image(IMAGES, image, ""), dataset, image)
            written += images.written
        write_atomic(folder / INPUTS, json_bytes(dict(dataset.inputs)))
        write_list(folder, [*written, folder / INPUTS])
        return Conversion(
            Path(out),
            len(dataset.images),
            len(coco.annotations),
            len(set(written)),
            losses(dataset, writer.holds),
        )


def _listed(coco: CocoFile, folder: Path, find_image: Any) -> ListedDataset:
    """The dataset as writers see it: names inside the folder of images, annotations in the order of the images."""
    order = {image["id"]: number for number, image in enumerate(coco.images)}
    members: dict[str, set[int]] = {part: set() for part in PARTS}
    images, taken = [], set()
    for image in coco.images:
        name = _inner_name(str(image["file_name"]))
        stem = str(PurePosixPath(name).with_suffix("")).lower()
        if stem in taken:  # in formats with a text file per image they would be one
            name = str(PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem}_{image['id']}"))
        taken.add(str(PurePosixPath(name).with_suffix("")).lower())
        images.append({**image, "file_name": name})
        part = image.get("part") or (image.get("twinset") or {}).get("part")
        if part in members:
            members[part].add(image["id"])
    root = coco.path if coco.path.is_dir() else coco.path.parent
    above = root.parent if root.name == "annotations" else root
    source = {source_name(coco): {"sha256": content_hash(coco), "converted": True}}
    return ListedDataset(
        folder,
        images,
        sorted(coco.annotations, key=lambda a: (order[a["image_id"]], a["id"])),
        sorted(coco.categories, key=lambda c: c["id"]),
        info=coco.about.get("info") or {},
        parts={part: frozenset(ids) for part, ids in members.items() if ids},
        licenses=coco.about.get("licenses") or (),
        inputs={**read_json_object(above / INPUTS), **source},
        find_image=find_image,
        frames=RecordedFrames(FrameStore(above)) if is_rendered(coco) else None,
    )


def _inner_name(name: str) -> str:
    """A file name that stays inside its folder: of those that do not, the last part."""
    plain = name.replace("\\", "/")
    inner = plain.rpartition("/")[2] if escapes_folder(plain) or "://" in plain or "?" in plain else plain
    return PurePosixPath(inner).as_posix()


def is_converted(folder: Path) -> bool:
    """Whether a folder was written by :func:`convert`."""
    inputs = read_json_object(folder / INPUTS)
    return (folder / CHECKSUMS).is_file() and any(
        isinstance(entry, dict) and entry.get("converted") for entry in inputs.values()
    )
