# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for the files that Blender renders into, in memory if there is room, and for its own temporary files."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from ...dataset.atomic_files import is_process_running

ABANDONED_AFTER = 600.0
"""Seconds after which a folder whose process is gone counts as abandoned."""

LOCK = ".lock"
"""A file in each folder, locked by its process: the lock ends with the process, however it ends."""

_locks: dict[Path, BaseFileLock] = {}
"""The locks of this process by folder."""


def scratch_folder(pixels: int) -> Path:
    """A folder in memory if the largest files fit twice, otherwise in the temporary directory.

    The largest are those of single instances: nine images of two 32-bit channels. Containers often allow 64 MiB.
    """
    memory = Path("/dev/shm")
    for folder in (memory, Path(tempfile.gettempdir())):
        _remove_abandoned(folder)
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 9 * 8 * pixels
    return _new_folder(memory if fits else None)


def remove_scratch(folder: Path) -> None:
    """Remove a folder of this process, if it is still there."""
    lock = _locks.pop(folder, None)
    if lock is not None:
        lock.release()  # first: Windows does not remove open files
    shutil.rmtree(folder, ignore_errors=True)


def import_blender_in_scratch_folder() -> None:
    """Import Blender, unless it is imported already, so that its temporary files are in a scratch folder.

    Blender creates ``blender_XXXXXX`` when it starts and removes it when it ends. A killed process would leave it
    behind, and its name does not identify the process.
    """
    if "bpy" in sys.modules or os.name == "nt":
        return
    base = Path(tempfile.gettempdir())  # chosen by Python before the variable below is set
    try:
        _remove_abandoned(base)
        folder = _new_folder(None)
    except OSError:
        return
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        with contextlib.suppress(ModuleNotFoundError):  # code that needs it reports it
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


def _lock(folder: Path) -> BaseFileLock | None:
    """The lock of a folder, acquired; None if another process has it, or the file system has no locks."""
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except (Timeout, NotImplementedError, OSError):
        return None
    return lock


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folders of killed processes, which would occupy memory forever."""
    for path in folder.glob("twinset-*-*"):
        with contextlib.suppress(OSError):
            if not _is_abandoned(path):
                continue
            lock = _lock(path)
            # Processes in other containers are not visible, but their locks are.
            if lock is not None:
                lock.release()
                shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    """Whether a folder has the process id of an ended process of this user, and is old enough."""
    number = path.name.split("-")[1]
    entry = path.lstat()
    is_own = stat.S_ISDIR(entry.st_mode) and (not hasattr(os, "getuid") or entry.st_uid == os.getuid())
    is_old = time.time() - entry.st_mtime > ABANDONED_AFTER
    return is_own and is_old and number.isdigit() and not is_process_running(int(number))
