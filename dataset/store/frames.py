# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a dataset on disk: images, label maps, and the record of each, which is the source of truth."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ...engine.errors import DataError, TryAgainError
from ...engine.regular_files import read_regular
from ..atomic_files import (
    PendingFiles,
    escapes_folder,
    json_bytes,
    make_folder,
    open_new,
    output_error,
    remove_stale,
    write_atomic,
)
from ..checksums import append_checksum, file_hash, remove_checksum
from ..formats.encoders import encode
from ..formats.pixels import read_image
from .frame_record import FILTERED, GIVEN_UP, FileEntry, FrameContent, FrameRecord
from .label_files import IMAGES, LabelFile, known_files
from .record_check import decode_record, record_problem

MIN_FREE_BYTES = 64 * 2**20
MAX_RECORD_BYTES = 2**30
_SUBFOLDER = re.compile(r"^\d{6,}$")
_IMAGE = re.compile(r"^(\d{6,})\.(?:jpg|png)$")
_RECORD = re.compile(r"^(\d{6,})\.json$")
FOLDER_SIZE = 10_000
"""Frames per folder: file systems and file browsers are slow with more."""


def frame_name(frame: int) -> str:
    """The name of a frame's files without their ending: ``000123``, and ``020000/020123`` from 10,000 frames on."""
    start = frame - frame % FOLDER_SIZE
    return f"{start:06d}/{frame:06d}" if start else f"{frame:06d}"


def _file_name(frame: int, folder: str, suffix: str) -> str:
    """A file of a frame, relative to the output folder."""
    return f"{folder}/{frame_name(frame)}.{suffix}"


def _entry(name: str, data: bytes) -> FileEntry:
    return {"path": name, "sha256": hashlib.sha256(data).hexdigest()}


class FrameStore:
    """The output folder of a job, frame by frame.

    A frame is present when its record is there and every file that the record names has the recorded SHA-256. Records
    are written last, so a frame whose write was interrupted is absent, never incomplete.

    Parameters
    ----------
    out : Path
        The output folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.out / "frames"

    def record_path(self, frame: int) -> Path:
        """Where the record of a frame is or will be."""
        return self.records / f"{frame_name(frame)}.json"

    def prepare(self, *, min_free: int = MIN_FREE_BYTES) -> None:
        """Create the folders, check that they can be written to, and remove temporary files of interrupted runs.

        Raises
        ------
        OutputError
            If the folder cannot be written to, or its disk has less than ``min_free`` bytes left.
        """
        for folder in (self.out, self.records, self.out / IMAGES):
            make_folder(folder)
        known = [self.out / folder for _, folder, _ in known_files()]
        for folder in (self.out, self.records, self.out / "annotations", *known):
            for subfolder in (folder, *_subfolders(folder)):
                remove_stale(subfolder)
        with PendingFiles() as pending:  # never committed: only checks that files can be written
            pending.add(self.records / "probe", b"\0" * 4096)
        self._check_free(self.out, min_free)

    def _check_free(self, folder: Path, min_free: int) -> None:
        try:
            free = shutil.disk_usage(folder).free
        except FileNotFoundError:
            return  # removed by another process; it is created again where files are written
        if free < min_free:
            raise TryAgainError(
                f"The disk of '{self.out}' has only {free / 2**20:.0f} MiB left; at least {min_free / 2**20:.0f} MiB "
                "are needed. Free some space there or choose another output folder."
            )

    def check_place(self, *, min_free: int = MIN_FREE_BYTES) -> None:
        """As :meth:`prepare` for a folder that does not exist yet, which is not created."""
        if os.path.lexists(self.out):  # a link that leads nowhere
            raise output_error(FileExistsError(errno.EEXIST, "it is a link in a circle"), self.out)
        above = next((p for p in self.out.absolute().parents if os.path.lexists(p)), self.out.absolute().parent)
        try:
            with (
                tempfile.TemporaryDirectory(dir=above, prefix=".twinset-") as folder,
                open(Path(folder) / "probe", "wb") as file,
            ):
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(error, self.out) from error
        self._check_free(above, min_free)

    def write(
        self,
        frame: int,
        record: FrameContent,
        image: np.ndarray | None,
        *,
        format: str = "jpg",
        quality: int = 92,
        labels: Iterable[LabelFile] = (),
    ) -> Path | None:
        """Write one frame, its record last.

        Parameters
        ----------
        frame : int
        record : FrameContent
            ``frame`` and ``files`` are added.
        image : (H, W, 3) uint8 RGB, or None
            None for a frame that was given up.
        format : {"jpg", "png"}
        quality : int
            JPEG quality.
        labels : iterable of LabelFile
            Maps of the frame, see :func:`.label_files.label_files`.

        Returns
        -------
        Path or None
            The image.

        Raises
        ------
        OutputError
            If anything cannot be written; temporary files are then removed.
        """
        files: dict[str, FileEntry] = {}
        earlier = self._recorded_files(frame)
        with PendingFiles() as pending:
            if image is not None:
                name = _file_name(frame, IMAGES, format)
                make_folder((self.out / name).parent)
                data = encode_image(image, format, quality)
                pending.add(self.out / name, data)
                files["image"] = _entry(name, data)
            for label in labels:
                name = _file_name(frame, label.folder, label.suffix)
                files[label.name] = _entry(name, _add_label(pending, self.out / name, label))
            path = self.record_path(frame)
            make_folder(path.parent)
            pending.add(path, append_checksum(json_bytes({**record, "frame": frame, "files": files})))
            pending.commit()
        self._remove_leftovers(frame, files, earlier)
        return self.out / files["image"]["path"] if "image" in files else None

    def has(self, frame: int, *, verify: bool = True) -> bool:
        """Whether a frame is present. ``verify=False`` trusts files that exist, without reading them."""
        try:
            record = self.read(frame)
        except DataError:
            return False
        return self.intact(record, verify=verify)

    def intact(self, record: FrameRecord, *, verify: bool = True) -> bool:
        """Whether the files that a record names exist and are unchanged."""
        files = record["files"]
        if "image" not in files and record.get("verdict") not in (GIVEN_UP, FILTERED):
            return False
        try:
            for entry in files.values():
                path = self.out / entry["path"]
                if not path.is_file():
                    return False
                if verify and file_hash(path) != entry["sha256"]:
                    return False
        except OSError:
            return False
        return True

    def read(self, frame: int) -> FrameRecord:
        """The record of a frame.

        Raises
        ------
        DataError
            If there is none, or it is damaged.
        """
        path = self.record_path(frame)
        try:
            data = read_regular(path, MAX_RECORD_BYTES)
            record = decode_record(data)
        except FileNotFoundError:
            raise DataError(f"Frame {frame} has no record: '{path}' does not exist. Render that frame first.") from None
        except OSError as error:
            raise DataError(f"The record '{path}' cannot be read: {error.strerror or error}.") from error
        except (ValueError, RecursionError) as error:
            raise self.damaged(frame, f"it is not JSON ({error})") from error
        if isinstance(record, dict) and not remove_checksum(data, record):
            raise self.damaged(frame, "its checksum does not match its content")
        problem = record_problem(record)
        if problem:
            raise self.damaged(frame, problem)
        if record["frame"] != frame:
            raise self.damaged(frame, f"it is the record of frame {record['frame']}")
        names = [entry["path"] for entry in record["files"].values()]
        names += [name for name in [record.get("image", {}).get("file_name")] if name is not None]
        outside = [name for name in names if escapes_folder(name)]
        if outside:
            raise self.damaged(frame, f"{outside[0]!r} lies outside the output folder")
        return record

    def frames(self) -> list[int]:
        """The frames that have a record, in order, whether or not their files are intact."""
        names = (name for folder in (self.records, *_subfolders(self.records)) for name in _file_names(folder))
        return sorted(int(match[1]) for match in map(_RECORD.match, names) if match)

    def images(self) -> set[int]:
        """The frames that have an image, by file names alone."""
        folder = self.out / IMAGES
        names = (name for part in (folder, *_subfolders(folder)) for name in _file_names(part))
        return {int(match[1]) for match in map(_IMAGE.match, names) if match}

    def missing(self, frames: Iterable[int], *, verify: bool = True) -> list[int]:
        """Those of ``frames`` that are not present, in order."""
        return sorted(f for f in frames if not self.has(f, verify=verify))

    def read_image(self, record: FrameRecord) -> np.ndarray:
        """The image (H, W, 3) uint8 RGB of a record."""
        path = self.out / record["files"]["image"]["path"]
        try:
            return read_image(path)
        except DataError as error:
            raise DataError(f"{error} Delete it and render frame {record['frame']} again.") from error

    def image_path(self, record: FrameRecord) -> Path | None:
        """Where the image of a record is; None where it has none."""
        entry = record["files"].get("image")
        return self.out / entry["path"] if entry else None

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file of the dataset atomically."""
        path = self.out / relative
        write_atomic(path, text.encode())
        return path

    def _recorded_files(self, frame: int) -> list[str]:
        """The files that the record of an earlier render of a frame names, those of writers among them."""
        if not os.path.isfile(self.record_path(frame)):  # not Path.is_file, which fails where permission was lost
            return []
        try:
            return [entry["path"] for entry in self.read(frame)["files"].values()]
        except DataError:
            return []

    def _remove_leftovers(self, frame: int, files: Mapping[str, FileEntry], earlier: Iterable[str]) -> None:
        """Remove files of an earlier render of this frame that its new record does not name."""
        kept = {entry["path"] for entry in files.values()}
        for name in set(earlier) - kept:
            with contextlib.suppress(OSError):
                os.unlink(self.out / name)
        for kind, folder, suffixes in known_files():
            for suffix in suffixes:
                name = _file_name(frame, folder, suffix)
                if kind not in files or files[kind]["path"] != name:
                    with contextlib.suppress(OSError):
                        os.unlink(self.out / name)

    def damaged(self, frame: int, problem: str) -> DataError:
        """The error for a damaged record."""
        path, problem = self.record_path(frame), problem.rstrip(".")
        return DataError(f"The record '{path}' is damaged: {problem}. Delete the file and render that frame again.")


def _file_names(folder: Path) -> list[str]:
    """Names of the files and folders in a folder; empty if it is missing or none."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _subfolders(folder: Path) -> list[Path]:
    """The subfolders with the later frames of a large dataset, in order."""
    return [folder / name for name in sorted(_file_names(folder)) if _SUBFOLDER.match(name)]


def encode_image(image: np.ndarray, format: str, quality: int) -> bytes:
    """RGB (H, W, 3) uint8 as the bytes of a JPEG or PNG file that carries no metadata: same pixels, same bytes.

    Other endings that OpenCV knows, such as ``bmp`` and ``tif``, will do, too.
    """
    import cv2

    bgr = np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
    if format in ("jpg", "jpeg"):
        return encode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return encode(f".{format}", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 6] if format == "png" else [])


def _add_label(pending: PendingFiles, path: Path, label: LabelFile) -> bytes:
    """Put a label file on the disk beside ``path``; returns its bytes."""
    make_folder(path.parent)
    temp = pending.reserve(path)
    try:
        open_new(temp).close()  # creates its folder again, which an encoder does not
        label.save(temp)
        data = temp.read_bytes()
    except OSError as error:
        raise output_error(error, path.parent) from error
    pending.flush(temp)
    return data
