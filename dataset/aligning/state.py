# SPDX-License-Identifier: GPL-3.0-or-later
"""What has been done in the folder of an alignment: inputs, outputs and results of each step, in ``align.json``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from filelock import FileLock, Timeout

from ... import __version__
from ...engine.errors import OutputError, TryAgainError
from ..atomic_files import json_bytes, make_folder, read_json_object, remove_stale, to_builtin_types, write_atomic

log = logging.getLogger(__name__)

FILE = "align.json"
LOCK = ".align.lock"


@attrs.frozen
class StepRecord:
    """A step as it was begun: its ``inputs``; and once it is done, hashes of its ``outputs``, and its ``result``."""

    inputs: Mapping[str, str]
    done: bool = False
    outputs: Mapping[str, str] = attrs.field(factory=dict)
    result: Mapping[str, Any] = attrs.field(factory=dict)


@contextlib.contextmanager
def open_state(out: Path) -> Iterator[AlignState]:
    """The state of a folder, which is created if it is missing, and which is left to this process meanwhile.

    Raises
    ------
    OutputError
        If the folder holds other files.
    TryAgainError
        If another process aligns into it.
    """
    if out.is_dir() and not (out / FILE).is_file() and any(p for p in out.iterdir() if p.name[0] != "."):
        raise OutputError(
            f"'{out}' holds other files, and was not made by `twinset align`. Name a new or an empty folder."
        )
    make_folder(out)
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise TryAgainError(
            f"Another `twinset align` is at work in '{out}'. Wait for it, or name another folder."
        ) from None
    except (NotImplementedError, OSError) as error:  # where files cannot be locked
        log.debug("no lock in %s: %s", out, error)
    try:
        yield AlignState(out)
    finally:
        lock.release()


class AlignState:
    """The records of the steps in a folder."""

    def __init__(self, out: Path) -> None:
        self.path = out / FILE
        remove_stale(out)
        content = read_json_object(self.path)
        steps = content.get("steps")
        if self.path.is_file() and not isinstance(steps, dict):
            raise OutputError(f"'{self.path}' is damaged. Restore it, or name another folder.")
        self._steps: dict[str, Any] = steps if isinstance(steps, dict) else {}
        if not self.path.is_file():
            self._write()

    def record(self, name: str) -> StepRecord | None:
        """The record of a step; None if it was never begun."""
        entry = self._steps.get(name)
        if not isinstance(entry, dict) or not all(isinstance(entry.get(k), dict) for k in ("inputs", "outputs")):
            return None
        result = entry.get("result")
        return StepRecord(
            entry["inputs"], entry.get("done") is True, entry["outputs"], result if isinstance(result, dict) else {}
        )

    def set(self, name: str, record: StepRecord) -> StepRecord:
        """Write the record of a step; returns it as it is read back."""
        self._steps[name] = to_builtin_types(attrs.asdict(record))
        self._write()
        written = self.record(name)
        assert written is not None
        return written

    def _write(self) -> None:
        write_atomic(self.path, json_bytes({"twinset": __version__, "steps": self._steps}))
