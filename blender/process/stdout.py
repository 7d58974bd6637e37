# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps Blender's own messages off the standard output, which is for the command's results."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO


@contextlib.contextmanager
def silenced_stdout(*, stderr: bool = False) -> Iterator[None]:
    """Discard what is written to file descriptor 1, where Blender's C code prints without ``sys.stdout``.

    ``stderr`` discards descriptor 2 too, for code that also raises an exception with the error message.
    """
    streams = [(1, sys.stdout), (2, sys.stderr)] if stderr else [(1, sys.stdout)]
    _flush(streams)
    saved = [os.dup(number) for number, _ in streams]
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in streams:
            os.dup2(devnull, number)
        with contextlib.ExitStack() as stack:
            # In tests and in Blender's console ``sys.stdout`` is not a file, so Python does not use the descriptors.
            sink = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(sink))
            if stderr:
                stack.enter_context(contextlib.redirect_stderr(sink))
            yield
    finally:
        _flush(streams)
        for (number, _), copy in zip(streams, saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(devnull)


def _flush(streams: Iterable[tuple[int, TextIO | None]]) -> None:
    for _, stream in streams:
        if stream is not None:
            stream.flush()
    # C code buffers what it prints into a pipe. ``CDLL(None)`` does not work on Windows.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        _c_library().fflush(None)


@functools.cache
def _c_library() -> ctypes.CDLL:
    # Each CDLL object creates a class, which only the garbage collector frees.
    return ctypes.CDLL(None)
