# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic writes: every file is written under a temporary name, flushed to disk, and then renamed.

Also JSON with reproducible bytes."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import logging
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from ..engine.errors import DataError, OutputError, TryAgainError
from ..engine.regular_files import open_regular

log = logging.getLogger(__name__)

SIGNIFICANT_DIGITS = 9
_PIECE = 1000
_NINE_DIGITS = f"%.{SIGNIFICANT_DIGITS}g"
_TRIES = 5
"""Attempts at a file whose folder vanishes, as that of a job that could not start."""

STALE_AFTER = 3600.0
"""Age in seconds from which a temporary file of another machine counts as abandoned."""

_TEMP = re.compile(r"^\.twinset-(?P<host>[A-Za-z0-9]+)-(?P<pid>\d+)-.*\.tmp$")
_TRANSIENT = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENOLCK}
DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_NO_PERMISSION = {errno.EROFS, errno.EACCES, errno.EPERM}
_PATH_TAKEN = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


class PendingFiles:
    """Files that appear together at :meth:`commit`, in the order in which they were added.

    Use as a context manager: on errors, all temporary files are removed. OSErrors are raised as OutputError.
    """

    def __init__(self) -> None:
        self._moves: list[tuple[Path, Path]] = []

    def __enter__(self) -> PendingFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for temp, _ in self._moves:
            with contextlib.suppress(OSError):
                temp.unlink(missing_ok=True)

    def reserve(self, path: Path) -> Path:
        """The name of the temporary file for ``path``, for writers that need a name. Write it, then :meth:`flush`.

        Raises OutputError if ``path`` is a folder.
        """
        if path.is_dir():
            raise OutputError(f"'{path}' is a folder. Name a file instead.")
        if path.exists() and not path.is_file():
            # Renaming the temporary file would replace a device such as /dev/null.
            raise OutputError(f"'{path}' is not a regular file. Name a file instead.")
        temp = path.parent / temporary_name(path.name)
        self._moves.append((temp, path))
        return temp

    def flush(self, temp: Path) -> None:
        """Flush a reserved file to disk."""
        try:
            with open(temp, "rb+") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(error, temp.parent) from error

    def add(self, path: Path, data: bytes | Iterable[bytes]) -> Path:
        """Write ``data``, or pieces of them, to the temporary file for ``path``, which is returned."""
        temp = self.reserve(path)
        try:
            with open_new(temp) as file:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(error, path.parent) from error
        return temp

    def commit(self) -> None:
        """Rename all files to their final names."""
        for temp, path in self._moves:
            try:
                os.replace(temp, path)
            except FileNotFoundError as error:
                raise TryAgainError(
                    f"'{temp}' was deleted by another program before it could be renamed to '{path.name}'. "
                    "Run the same command again."
                ) from error
            except OSError as error:
                raise output_error(error, path.parent) from error
        self._moves.clear()


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file atomically, as a whole or from pieces; creates its folder. Raises OutputError."""
    make_folder(path.parent)
    with PendingFiles() as pending:
        pending.add(path, data)
        pending.commit()


def write_if_absent(path: Path, data: bytes) -> None:
    """Write a file atomically unless there is one of its name, which stays as it is. Raises OutputError."""
    make_folder(path.parent)
    with PendingFiles() as pending:
        temp = pending.add(path, data)
        try:
            os.link(temp, path)
        except FileExistsError:
            return
        except OSError:  # this file system has no links
            if not path.exists():
                pending.commit()


def open_new(temp: Path) -> BinaryIO:
    """Open a new file; its folder is created again if another process has removed it while it was empty."""
    for _ in range(_TRIES):
        try:
            return open(temp, "wb")
        except FileNotFoundError:
            make_folder(temp.parent)
    return open(temp, "wb")


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Create a folder atomically: fill the temporary folder that is yielded; it is renamed to ``path`` at the end.

    Raises
    ------
    OutputError
        If ``path`` exists or the folder cannot be created.
    """
    path = Path(os.path.abspath(path))
    if os.path.lexists(path):
        raise OutputError(f"'{path}' already exists. Name another folder or delete this one.")
    make_folder(path.parent)
    for left in path.parent.glob(f".twinset-*-{glob.escape(path.name)}.tmp"):
        if left.is_dir() and _is_stale(left, _file_clock(path.parent)):
            shutil.rmtree(left, ignore_errors=True)
    temp = path.parent / temporary_name(path.name)
    try:
        make_folder(temp)
        yield temp
        try:
            os.rename(temp, path)
        except OSError as error:
            raise output_error(error, path) from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def link_or_copy(source: Path, to: Path) -> bool:
    """Create ``to`` as a hard link to ``source``, or as a copy where the file system allows no link.

    What a symbolic link leads to is copied: the new file must not be one that belongs to somebody else.

    Returns
    -------
    bool
        Whether it is a link.

    Raises
    ------
    DataError
        If the source is missing.
    OutputError
        If the file cannot be created.
    """
    make_folder(to.parent)
    try:
        original = open_regular(source)
    except OSError as error:
        raise DataError(f"The file '{source}' cannot be read: {error.strerror or error}.") from error
    with original:
        if not source.is_symlink():
            try:
                os.link(source, to)
                return True
            except OSError as error:
                log.debug("no hard link of %s: %s", source, error)
        try:
            with open(to, "xb") as copy:
                shutil.copyfileobj(original, copy)
            shutil.copystat(source, to)
        except OSError as error:
            raise output_error(error, to.parent) from error
    return False


def temporary_name(name: str) -> str:
    """The name under which this process writes a file until it is complete."""
    return f".twinset-{_host()}-{os.getpid()}-{name}.tmp"


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, again where another process removes one meanwhile. Raises OutputError."""
    for left in reversed(range(_TRIES)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return
        except FileNotFoundError as error:
            if not left:
                raise output_error(error, folder) from error
        except OSError as error:
            raise output_error(error, folder) from error


def remove_stale(folder: Path) -> int:
    """Remove abandoned temporary files; returns how many.

    A file of this machine is stale when its process has ended; those of other machines are stale after an hour.
    """
    count = 0
    try:
        names = sorted(name for name in os.listdir(folder) if _TEMP.match(name))
    except OSError:  # missing, perhaps since another process has just removed it
        return 0
    paths = [folder / name for name in names]
    now = _file_clock(folder) if paths else 0.0
    for path in paths:
        with contextlib.suppress(OSError):
            if _is_stale(path, now):
                path.unlink(missing_ok=True)
                count += 1
    if count:
        log.info("removed %d unfinished files in %s", count, folder)
    return count


def output_error(error: OSError, folder: Path) -> OutputError:
    """The error for a failed write, with the folder and a remedy."""
    if error.errno in DISK_FULL:
        return TryAgainError(f"The disk of '{folder}' is full. Free some space there or choose another output folder.")
    if error.errno in _TRANSIENT:
        return TryAgainError(f"The disk of '{folder}' failed ({error.strerror}). Run the same command again.")
    if error.errno in _NO_PERMISSION:
        return OutputError(
            f"The folder '{folder}' cannot be written to ({error.strerror}). "
            "Change its permissions or choose another output folder."
        )
    if error.errno in _PATH_TAKEN:
        return OutputError(
            f"The folder '{folder}' cannot be created because a file has its name. "
            "Remove that file or choose another output folder."
        )
    return OutputError(
        f"The folder '{folder}' cannot be written to ({error.strerror or error}). Choose another output folder."
    )


def json_pieces(value: dict[str, Any]) -> Iterator[bytes]:
    """The bytes of :func:`json_bytes` for a mapping with long lists, a thousand of their entries at a time."""
    yield b"{"
    for k, key in enumerate(sorted(value)):
        yield (b"," if k else b"") + dump_json(key)[:-1] + b":"
        if isinstance(value[key], list):
            yield from list_pieces(value[key])
        else:
            yield json_bytes(value[key])[:-1]
    yield b"}\n"


def list_pieces(values: list[Any]) -> Iterator[bytes]:
    """The bytes of :func:`json_bytes` for a list, a thousand entries at a time; without the line break."""
    yield b"["
    for start in range(0, len(values), _PIECE):
        listed = json_bytes(values[start : start + _PIECE])[1:-2]
        yield b"," + listed if start else listed
    yield b"]"


def json_bytes(value: Any) -> bytes:
    """``value`` as UTF-8 JSON with sorted keys and nine significant digits: equal input gives equal bytes."""
    return dump_json(to_builtin_types(value))


def dump_json(value: Any) -> bytes:
    """Like :func:`json_bytes`, for values that :func:`to_builtin_types` has already converted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def to_builtin_types(value: Any) -> Any:
    """``value`` in JSON types: numpy scalars and arrays converted, floats rounded, NaN and infinities as None."""
    kind = type(value)
    if kind is int or kind is str or kind is bool or value is None:  # most values of files of millions
        return value
    if isinstance(value, dict):
        return {str(k): to_builtin_types(v) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [to_builtin_types(v) for v in value]
    if kind is float:
        return _rounded(value)
    if isinstance(value, np.ndarray):
        return to_builtin_types(value.tolist())
    if isinstance(value, list | tuple):
        return [to_builtin_types(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(to_builtin_types(v) for v in value)
    if isinstance(value, np.generic):
        return to_builtin_types(value.item())
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, Path):
        return value.as_posix()
    return value


def _rounded(value: float) -> float | None:
    # Adding 0.0 turns -0.0 into 0.0.
    return float(_NINE_DIGITS % value) + 0.0 if math.isfinite(value) else None


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is missing, damaged or holds something else."""
    try:
        value = json.loads(path.read_bytes()) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def escapes_folder(name: str) -> bool:
    """Whether a relative path read from a file points outside its base folder, or is empty."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.parts or path.is_absolute() or bool(PurePath(name).anchor) or ".." in path.parts


def _file_clock(folder: Path) -> float:
    """The time by the clock that stamps files in a folder, which may be that of a file server."""
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime
    return time.time()


def _is_stale(path: Path, now: float) -> bool:
    """Whether a temporary file or folder was left by a Twinset process that has ended."""
    match = _TEMP.match(path.name)
    if match is None:
        return False
    if match["host"] == _host():
        return not _is_other_process(int(match["pid"]))
    return now - path.stat().st_mtime > STALE_AFTER


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname()) or "local"


def _is_other_process(pid: int) -> bool:
    """Whether another process of this machine with this id is running."""
    return pid != os.getpid() and is_process_running(pid)


def is_process_running(pid: int) -> bool:
    """Whether a process of this machine with this id is running."""
    import psutil

    try:
        return psutil.pid_exists(pid)
    except OverflowError:  # no system has ids as large as this
        return False
