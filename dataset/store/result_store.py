# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys and fits on disk, for all workers of a job, the machines of a farm, and later jobs on the same inputs.

An entry that cannot be read is computed again, and one that cannot be written is not kept: the store only saves time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...engine.errors import TwinsetError
from ...engine.recipe.settings import Recipe
from ...engine.regular_files import read_regular
from ...engine.sampling.kept_results import hash_of
from ...engine.stage import Stage
from ..atomic_files import remove_stale, write_atomic
from .cache_folder import cache_folder
from .inputs import read_inputs, read_linked_files

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**20
"""Size of all entries; of more, those that were used least recently are removed."""

MAX_WAIT = 600.0
"""Seconds to wait for another process that computes the same result, before computing it, too."""

_LOCKS = 64
_PACKAGES = ("numpy", "scipy", "scikit-learn", "bpy")
_PARTS = ("engine", "alignment", "dataset", "plugins", "blender")
_KEYS = ("scene", "room", "class", "distractor", "placement", "camera", "camera_model")
"""First words of the recipe keys whose files a survey depends on."""


class DiskResults:
    """Results in a folder, one file each.

    Parameters
    ----------
    folder : Path
        Created when it is needed.
    scene : callable
        Gives a hash of what results about the open scene also depend on, "" where that is unknown.
    max_bytes : int
        As :data:`MAX_BYTES`.
    """

    def __init__(self, folder: Path, scene: Callable[[], str] = str, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self._scene = scene
        self._max_bytes = max_bytes

    def get(self, kind: str, key: str, compute: Callable[[], Any], *, of_scene: bool) -> Any:
        """As :meth:`...engine.sampling.kept_results.ResultStore.get`."""
        scene = self._scene() if of_scene else ""
        if of_scene and not scene:
            return compute()
        name = hash_of([key, scene, program_key()])
        path = self.folder / f"{kind}-{name}.json"
        found = self._read(path)
        if found is None:
            with self._alone(int(name[:8], 16) % _LOCKS):
                found = self._read(path)  # it may have been computed in the meantime
                if found is None:
                    found = [compute()]
                    self._write(path, found)
        return found[0]

    def _read(self, path: Path) -> list[Any] | None:
        """The value of an entry, in a list; None if there is none, or it is damaged."""
        try:
            digest, _, body = read_regular(path).partition(b"\n")
            if digest.decode() != hashlib.sha256(body).hexdigest():
                raise ValueError("it differs from its checksum")
            value = json.loads(body)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.info("%s is computed again: %s", path, error)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return [value]

    def _write(self, path: Path, value: list[Any]) -> None:
        try:
            # Unlike records, with all digits: later frames must be those that the computed values give.
            body = json.dumps(value[0]).encode()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            self._shrink()
        except (OSError, TwinsetError) as error:
            log.info("the result is not kept in %s: %s", self.folder, error)

    def _shrink(self) -> None:
        """Remove abandoned files, and the entries that were used least recently if there are too many."""
        remove_stale(self.folder)
        entries = []
        for path in self.folder.glob("*-*.json"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime, stat.st_size, path))
        size = sum(each for _, each, _ in entries)
        for _, each, path in sorted(entries):
            if size <= self._max_bytes:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            size -= each

    @contextlib.contextmanager
    def _alone(self, number: int) -> Iterator[None]:
        """Hold one of the folder's locks, which ends with this process; without it where files cannot be locked."""
        lock = FileLock(self.folder / f"{number:02}.lock")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(timeout=MAX_WAIT, poll_interval=0.1)
        except (NotImplementedError, OSError, Timeout) as error:
            log.debug("no lock in %s: %s", self.folder, error)
        try:
            yield
        finally:
            lock.release()


def results_of(recipe: Recipe, stage: Stage) -> DiskResults | None:
    """The store of results about the scene of a recipe that is open, or None where none are kept."""
    folder = cache_folder()
    return None if folder is None else DiskResults(folder, lambda: _scene_key(recipe, stage))


@functools.cache
def program_key() -> str:
    """A hash of this program, of the packages that it computes with, and of the kind of machine.

    Processors of different kinds may round the last bit differently, and each must get what it computes itself.
    """
    import numpy as np

    root = Path(__file__).parents[2]
    files = [path for part in _PARTS for path in sorted((root / part).rglob("*.py"))]
    hashes = [[path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
    try:
        from numpy._core import _multiarray_umath

        features = sorted(name for name, has in getattr(_multiarray_umath, "__cpu_features__", {}).items() if has)
    except ImportError:
        features = []
    machine = [platform.system(), platform.machine(), platform.python_version(), *features]
    return hash_of([hashes, machine, np.__version__, [[name, _version(name)] for name in _PACKAGES]])


def _version(package: str) -> str:
    if package == "bpy" and package in sys.modules:  # Blender itself is no package
        return str(sys.modules[package].app.version_string)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _scene_key(recipe: Recipe, stage: Stage) -> str:
    """A hash of all files that the open scene, its assets and what is placed in it come from.

    "" unless Blender has opened it: other stages may hold anything.
    """
    blender = stage.info().get("blender")
    if not blender:
        return ""
    links = read_linked_files(recipe, getattr(stage, "links", ()), "scene")
    named = {
        name: entry
        for name, entry in read_inputs(recipe).items()
        if any(key.split(".")[0] in _KEYS for key in entry["used"])
    }
    return hash_of([blender, [[name, entry["sha256"]] for name, entry in sorted((named | links).items())]])
