# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps Blender's chatter off the standard output, which belongs to the command's results."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO


@contextlib.contextmanager
def quiet(*, errors: bool = False) -> Iterator[None]:
    """Send file descriptor 1 to nowhere meanwhile: Blender's C code prints there, past ``sys.stdout``.

    ``errors`` silences descriptor 2 too, for what raises an exception besides.
    """
    streams = [(1, sys.stdout), (2, sys.stderr)] if errors else [(1, sys.stdout)]
    _flush(streams)
    saved = [os.dup(number) for number, _ in streams]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in streams:
            os.dup2(nowhere, number)
        with contextlib.ExitStack() as stack:
            # Where ``sys.stdout`` is no file, as in a test or a console of Blender's, Python code prints past these.
            hole = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(hole))
            if errors:
                stack.enter_context(contextlib.redirect_stderr(hole))
            yield
    finally:
        _flush(streams)
        for (number, _), copy in zip(streams, saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def _flush(streams: Iterable[tuple[int, TextIO | None]]) -> None:
    for _, stream in streams:
        if stream is not None:
            stream.flush()
    # What C code has printed into a pipe waits in a buffer of its own. Windows has no library of that kind.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        _c_library().fflush(None)


@functools.cache
def _c_library() -> ctypes.CDLL:
    # Each one opened makes a class of its own, which only the garbage collector takes away.
    return ctypes.CDLL(None)
