# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps Blender's chatter off the standard output, which belongs to the command's results."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptor 1 to nowhere meanwhile: Blender's C code prints there, past ``sys.stdout``."""
    sys.stdout.flush()
    saved = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)
