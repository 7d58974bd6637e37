# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for the files that Blender renders into, in memory where there is room."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from ..dataset.files import process_runs


def scratch_folder(pixels: int) -> Path:
    """A folder in memory where the largest files fit twice, otherwise among the temporary ones.

    The largest are those of lone instances: nine images of two 32-bit channels. Containers often allow 64 MiB.
    """
    memory = Path("/dev/shm")
    for folder in (memory, Path(tempfile.gettempdir())):
        _remove_abandoned(folder)
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 9 * 8 * pixels
    return Path(tempfile.mkdtemp(prefix=f"twinset-{os.getpid()}-", dir=memory if fits else None))


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folders of processes that were killed: nobody else would, and memory is dear."""
    for path in folder.glob("twinset-*-*"):
        number = path.name.split("-")[1]
        with contextlib.suppress(OSError):
            # Beyond a container's walls processes are not seen, so one that still renders is told by its files' age.
            if number.isdigit() and not process_runs(int(number)) and time.time() - path.stat().st_mtime > 600:
                shutil.rmtree(path, ignore_errors=True)
