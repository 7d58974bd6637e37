# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files that others may have made: only regular ones, of bounded size, without waiting; and follows links."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 4 * 2**30
"""Largest file that is read as a whole, in bytes: annotations of millions of boxes are smaller."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; raises OSError for pipes, devices, sockets and folders, without blocking."""
    path = os.fspath(path)
    # Opening some devices has effects, so the kind is asked for first; and again after opening, as it may have changed.
    _check_regular(os.stat(path), path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_regular(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises
    ------
    OSError
        If the file cannot be opened, is no regular file, or has more than ``limit`` bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Files of the system say that they are empty, and give more: read one byte more than is allowed.
        data = b"" if size > limit else file.read(limit + 1 if size == 0 else size + 1)
    if max(size, len(data)) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", os.fspath(path))
    return data


def read_regular_pages(path: str | Path, limit: int = MAX_BYTES) -> mmap.mmap:
    """The bytes of a regular file in memory of its own, of which pages can be given back; see :func:`read_regular`.

    The file itself is not mapped: one that gets shorter would end the program.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if 0 < size <= limit:
            pages = _pages(size)
            if file.readinto(pages) == size and not file.read(1):  # type: ignore[attr-defined]
                return pages
    data = read_regular(path, limit)  # it has no size, or another one by now
    pages = _pages(max(len(data), 1))
    pages[: len(data)] = data
    return pages


def _pages(size: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    # Of shared memory, which is the default, pages that are given back stay with the system.
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def read_regular_text(path: str | Path, limit: int = MAX_BYTES) -> str:
    """The text of a regular UTF-8 file, with or without a byte order mark; see :func:`read_regular`.

    Raises UnicodeDecodeError for other text.
    """
    return read_regular(path, limit).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _check_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)


def real_path(path: str | os.PathLike[str]) -> Path:
    """An absolute path in which all links are followed; those in a circle stay, and cannot be opened.

    ``Path.resolve`` raises RuntimeError for them before Python 3.13.
    """
    return Path(os.path.realpath(path))
