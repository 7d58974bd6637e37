# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a dataset on disk: pictures, id maps, depth, and the record of each, which is the source of truth."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError, OutputError, TryAgainError
from ..atomic_files import (
    PendingFiles,
    escapes_folder,
    json_bytes,
    make_folder,
    output_error,
    remove_stale,
    write_atomic,
)
from ..formats.pixels import read_image
from .record_check import wrong_place

GIVEN_UP = "given up"
ACCEPTED = "accepted"
FILTERED = "filtered"
"""Verdict of a frame that was accepted and left out of its dataset later, and reason of an instance so unannotated.

Both still count for the later frames of their block, which were drawn in their sight."""

MIN_FREE_BYTES = 64 * 2**20
MAX_MILLIMETRES = 65535
_SUBFOLDER = re.compile(r"^\d{6,}$")
_IMAGE = re.compile(r"^(\d{6,})\.(?:jpg|png)$")
_RECORD = re.compile(r"^(\d{6,})\.json$")
FOLDER_SIZE = 10_000
"""Frames per folder: file systems and file browsers are slow with more, and the first folder is enough for most."""

_FOLDERS = {"image": "images", "ids": "masks", "depth": "depth"}
_EXTENSIONS = {"image": ("jpg", "png"), "ids": ("png",), "depth": ("png", "exr")}


def frame_name(frame: int) -> str:
    """The name of a frame's files without their ending: ``000123``, and ``020000/020123`` from 10,000 frames on."""
    start = frame - frame % FOLDER_SIZE
    return f"{start:06d}/{frame:06d}" if start else f"{frame:06d}"


class FrameStore:
    """The output folder of a job, frame by frame.

    A frame is present when its record is there and every file that the record names has the recorded SHA-256. Records
    are written last, so an interrupted write leaves a frame absent, never half present.

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
        """Make the folders, try them, and remove what an interrupted run left unfinished.

        Raises
        ------
        OutputError
            Where the folder cannot be written to, or its disk has less than ``min_free`` bytes left.
        """
        for folder in (self.out, self.records, self.out / _FOLDERS["image"]):
            make_folder(folder)
        for folder in (self.out, self.records, self.out / "annotations", *map(self.out.joinpath, _FOLDERS.values())):
            for each in (folder, *_subfolders(folder)):
                remove_stale(each)
        with PendingFiles() as pending:  # never committed: only shows that files can be written
            pending.add(self.records / "probe", b"\0" * 4096)
        free = shutil.disk_usage(self.out).free
        if free < min_free:
            raise TryAgainError(
                f"The disk of '{self.out}' has only {free / 2**20:.0f} MiB left; at least {min_free / 2**20:.0f} MiB "
                "are needed. Free some space there or choose another output folder."
            )

    def write(
        self,
        frame: int,
        record: Mapping[str, Any],
        image: np.ndarray | None,
        *,
        format: str = "jpg",
        quality: int = 92,
        ids: np.ndarray | None = None,
        depth: np.ndarray | None = None,
        depth_format: str = "none",
    ) -> Path | None:
        """Write one frame, its record last.

        Parameters
        ----------
        frame : int
        record : mapping
            JSON values and numpy ones; ``files`` is added.
        image : (H, W, 3) uint8 RGB, or None
            None for a frame that was given up.
        format : {"jpg", "png"}
        quality : int
            JPEG quality.
        ids : (H, W) int, optional
            Id map, kept as a 16-bit PNG.
        depth : (H, W) float, optional
            Planar metres, inf where nothing is hit.
        depth_format : {"none", "png", "exr"}
            16-bit PNG in millimetres (0 = nothing, at most 65535), or EXR of one float channel ``Z`` in metres.

        Returns
        -------
        Path or None
            The image.

        Raises
        ------
        OutputError
            Where anything cannot be written; no file of this call is then left unfinished.
        """
        files: dict[str, dict[str, str]] = {}
        with PendingFiles() as pending:
            if image is not None:
                self._add(pending, files, frame, "image", format, encode_image(image, format, quality))
            if ids is not None:
                self._add(pending, files, frame, "ids", "png", encode_ids(ids))
            if depth is not None and depth_format == "png":
                self._add(pending, files, frame, "depth", "png", encode_depth(depth))
            elif depth is not None and depth_format == "exr":
                path = self._path(frame, "depth", "exr")
                make_folder(path.parent)
                temp = pending.reserve(path)
                _write_exr(temp, depth)
                pending.flush(temp)
                files["depth"] = self._entry(path, temp.read_bytes())
            path = self.record_path(frame)
            make_folder(path.parent)
            pending.add(path, append_checksum(json_bytes({**record, "frame": frame, "files": files})))
            pending.commit()
        self._remove_leftovers(frame, files)
        return self.out / files["image"]["path"] if "image" in files else None

    def has(self, frame: int, *, verify: bool = True) -> bool:
        """Whether a frame is present. ``verify=False`` trusts files that exist, without reading them."""
        try:
            record = self.read(frame)
        except DataError:
            return False
        return self.intact(record, verify=verify)

    def intact(self, record: Mapping[str, Any], *, verify: bool = True) -> bool:
        """Whether the files that a record names are there, and unchanged."""
        files = record["files"]
        if "image" not in files and record.get("verdict") not in (GIVEN_UP, FILTERED):
            return False
        try:
            for entry in files.values():
                path = self.out / entry["path"]
                if not path.is_file():
                    return False
                if verify and hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                    return False
        except OSError:
            return False
        return True

    def read(self, frame: int) -> dict[str, Any]:
        """The record of a frame.

        Raises
        ------
        DataError
            Where there is none, or it is damaged.
        """
        path = self.record_path(frame)
        try:
            data = path.read_bytes()
            record = json.loads(data)
        except FileNotFoundError:
            raise DataError(f"Frame {frame} has no record: '{path}' does not exist. Render that frame first.") from None
        except OSError as error:
            raise DataError(f"The record '{path}' cannot be read ({error.strerror}).") from error
        except (ValueError, RecursionError) as error:
            raise self.damaged(frame, f"it is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise self.damaged(frame, "it is not a JSON object")
        if not remove_checksum(data, record):
            raise self.damaged(frame, "it is not what was written")
        files = record.get("files")
        named = isinstance(files, dict) and all(
            isinstance(e, dict) and {"path", "sha256"} <= set(e) for e in files.values()
        )
        if not named or record.get("frame") != frame or "verdict" not in record:
            raise self.damaged(frame, "it lacks its frame number, its verdict or its files")
        wrong = wrong_place(record)
        if wrong:
            raise self.damaged(frame, f"its entry '{wrong.strip('.')}' is missing or of the wrong kind")
        image = record.get("image")
        names = [e["path"] for e in record["files"].values()]
        names += [image["file_name"]] if isinstance(image, dict) and "file_name" in image else []
        outside = [name for name in names if not isinstance(name, str) or escapes_folder(name)]
        if outside:
            raise self.damaged(frame, f"{outside[0]!r} is no file of the folder")
        return record

    def frames(self) -> list[int]:
        """The frames that have a record, in order, whether or not their files are intact."""
        names = (name for folder in (self.records, *_subfolders(self.records)) for name in _file_names(folder))
        return sorted(int(match[1]) for match in map(_RECORD.match, names) if match)

    def images(self) -> set[int]:
        """The frames that have an image, told by names alone."""
        folder = self.out / _FOLDERS["image"]
        names = (name for each in (folder, *_subfolders(folder)) for name in _file_names(each))
        return {int(match[1]) for match in map(_IMAGE.match, names) if match}

    def missing(self, frames: Iterable[int], *, verify: bool = True) -> list[int]:
        """Those of ``frames`` that are not present, in order."""
        return sorted(f for f in frames if not self.has(f, verify=verify))

    def read_image(self, record: Mapping[str, Any]) -> np.ndarray:
        """The image (H, W, 3) uint8 RGB of a record."""
        path = self.out / record["files"]["image"]["path"]
        try:
            return read_image(path)
        except DataError as error:
            raise DataError(f"{error} Delete it and render frame {record['frame']} again.") from error

    def image_path(self, record: Mapping[str, Any]) -> Path | None:
        """Where the image of a record is; None where it has none."""
        entry = record["files"].get("image")
        return self.out / entry["path"] if entry else None

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file of the dataset atomically."""
        path = self.out / relative
        write_atomic(path, text.encode())
        return path

    def _path(self, frame: int, kind: str, extension: str) -> Path:
        return self.out / _FOLDERS[kind] / f"{frame_name(frame)}.{extension}"

    def _entry(self, path: Path, data: bytes) -> dict[str, str]:
        return {"path": path.relative_to(self.out).as_posix(), "sha256": hashlib.sha256(data).hexdigest()}

    def _add(
        self,
        pending: PendingFiles,
        files: dict[str, dict[str, str]],
        frame: int,
        kind: str,
        extension: str,
        data: bytes,
    ) -> None:
        path = self._path(frame, kind, extension)
        make_folder(path.parent)
        pending.add(path, data)
        files[kind] = self._entry(path, data)

    def _remove_leftovers(self, frame: int, files: Mapping[str, Mapping[str, str]]) -> None:
        """Files of an earlier render of this frame that its new record does not name would pass for its own."""
        for kind, extensions in _EXTENSIONS.items():
            for extension in extensions:
                path = self._path(frame, kind, extension)
                if files.get(kind, {}).get("path") != path.relative_to(self.out).as_posix():
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)

    def damaged(self, frame: int, why: str) -> DataError:
        """The error of a record that is not what it should be."""
        path, why = self.record_path(frame), why.rstrip(".")
        return DataError(f"The record '{path}' is damaged: {why}. Delete the file and render that frame again.")


def _file_names(folder: Path) -> list[str]:
    """Names of what lies in a folder; none where it is missing."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _subfolders(folder: Path) -> list[Path]:
    """The folders that hold the later frames of a large dataset, in order."""
    return [folder / name for name in sorted(_file_names(folder)) if _SUBFOLDER.match(name)]


def append_checksum(record: bytes) -> bytes:
    """The bytes of a record, a JSON object, with their own SHA-256 as its last entry."""
    body = record.rstrip()[:-1]
    return body + f',"sha256":"{hashlib.sha256(body).hexdigest()}"}}\n'.encode()


def remove_checksum(data: bytes, record: dict[str, Any]) -> bool:
    """Whether a record is as it was sealed; takes the seal off. One that was never sealed passes."""
    said = record.pop("sha256", None)
    if said is None:
        return True
    body, _, _ = data.rpartition(b',"sha256":')
    return hashlib.sha256(body).hexdigest() == said


def encode_image(image: np.ndarray, format: str, quality: int) -> bytes:
    """RGB (H, W, 3) uint8 as the bytes of a JPEG or PNG file that carries no metadata: same pixels, same bytes.

    Other endings that OpenCV knows, such as ``bmp`` and ``tif``, will do, too.
    """
    import cv2

    bgr = np.ascontiguousarray(np.asarray(image, dtype=np.uint8)[..., ::-1])
    if format in ("jpg", "jpeg"):
        return _encode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return _encode(f".{format}", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 6] if format == "png" else [])


def encode_ids(ids: np.ndarray) -> bytes:
    """An id map (H, W) as the bytes of a 16-bit PNG."""
    ids = np.asarray(ids)
    if ids.min(initial=0) < 0 or ids.max(initial=0) > 65535:
        raise OutputError(f"An id map holds the id {ids.max()}; a 16-bit PNG holds 0 to 65535. Set masks = false.")
    return _encode(".png", ids.astype(np.uint16), [])


def encode_depth(depth: np.ndarray) -> bytes:
    """Planar metres (H, W) as the bytes of a 16-bit PNG in millimetres: 0 = nothing, farther than 65.535 m = 65535."""
    millimetres = np.where(np.isfinite(depth), np.asarray(depth, dtype=np.float64) * 1000.0, 0.0)
    return _encode(".png", np.clip(np.rint(millimetres), 0, MAX_MILLIMETRES).astype(np.uint16), [])


def _encode(extension: str, pixels: np.ndarray, options: list[int]) -> bytes:
    import cv2

    ok, data = cv2.imencode(extension, pixels, options)
    if not ok:
        raise OutputError(f"OpenCV could not encode a picture of shape {pixels.shape} as {extension}.")
    return data.tobytes()


def _write_exr(path: Path, depth: np.ndarray) -> None:
    try:
        import OpenEXR
    except ImportError as error:
        raise OutputError('Depth as EXR needs the package OpenEXR. Install it, or set depth = "png".') from error

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    try:
        with OpenEXR.File(header, {"Z": np.ascontiguousarray(depth, dtype=np.float32)}) as file:
            file.write(str(path))
    except OSError as error:
        raise output_error(error, path.parent) from error
    except RuntimeError as error:  # the library has no error numbers
        raise OutputError(
            f"The folder '{path.parent}' cannot be written to ({error}). "
            "Free space there or choose another output folder."
        ) from error
