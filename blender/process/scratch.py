# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for the files that Blender renders into, in memory where there is room, and for its own temporary ones."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ...dataset.atomic_files import is_process_running

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ABANDONED_AFTER = 600.0
"""Seconds after which a folder whose process is gone counts as abandoned."""

_locks: dict[Path, int] = {}
"""The open folders of this process. Each is locked, which ends with the process, however it ends."""


def scratch_folder(pixels: int) -> Path:
    """A folder in memory where the largest files fit twice, otherwise among the temporary ones.

    The largest are those of lone instances: nine images of two 32-bit channels. Containers often allow 64 MiB.
    """
    memory = Path("/dev/shm")
    for folder in (memory, Path(tempfile.gettempdir())):
        _remove_abandoned(folder)
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 9 * 8 * pixels
    return _new_folder(memory if fits else None)


def remove_scratch(folder: Path) -> None:
    """Remove a folder of this process, if it is still there."""
    shutil.rmtree(folder, ignore_errors=True)
    lock = _locks.pop(folder, None)
    if lock is not None:
        with contextlib.suppress(OSError):
            os.close(lock)


def shelter_blender() -> None:
    """Import Blender, where that is not done yet, so that its own temporary files lie in a folder of ours.

    It makes ``blender_XXXXXX`` at its start and removes it at its end. Of a killed process it would stay for ever:
    nobody could tell whose it was.
    """
    if "bpy" in sys.modules or os.name == "nt":
        return
    base = Path(tempfile.gettempdir())  # Python's own choice, made before the variable below says otherwise
    try:
        _remove_abandoned(base)
        folder = _new_folder(None)
    except OSError:
        return
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        with contextlib.suppress(ModuleNotFoundError):  # whoever needs it says so
            importlib.import_module("bpy")
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
    if "bpy" in sys.modules:
        atexit.register(remove_scratch, folder)
    else:
        remove_scratch(folder)


def _new_folder(where: Path | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"twinset-{os.getpid()}-", dir=where))
    lock = _lock(folder)
    if lock is not None:
        _locks[folder] = lock
    return folder


def _lock(folder: Path) -> int | None:
    """A folder, opened and locked; None where somebody else has it, or the system knows no locks."""
    if fcntl is None:
        return None
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folders of processes that were killed: nobody else would, and memory is dear."""
    for path in folder.glob("twinset-*-*"):
        with contextlib.suppress(OSError):
            if not _is_abandoned(path):
                continue
            lock = _lock(path)
            # Beyond a container's walls processes are not seen, but their locks are.
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _is_abandoned(path: Path) -> bool:
    """Whether a folder bears the number of a process of ours that is gone, and is no new one."""
    number = path.name.split("-")[1]
    facts = path.lstat()
    own = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return (
        own
        and number.isdigit()
        and not is_process_running(int(number))
        and time.time() - facts.st_mtime > ABANDONED_AFTER
    )
