# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of an output folder's files: inside the files that a job keeps, and in a list of those it makes at its end.

A list alone would not do: several machines write the same files, and a stop between a file and its entry must not count
as damage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..engine.regular_files import open_regular, read_regular
from .atomic_files import escapes_folder, json_bytes, read_json_object, write_atomic

log = logging.getLogger(__name__)

FILE = "checksums.json"
"""The list of the files that `finish` writes, with their SHA-256."""

_TEXT_LINE = re.compile(rb"\n# SHA-256 of the lines above: ([0-9a-f]{64})\n\Z")

_said: set[str] = set()


def append_checksum(record: bytes) -> bytes:
    """Add a last key ``sha256`` to the bytes of a JSON object: the hash of the bytes before it."""
    body = record.rstrip()[:-1]
    comma = b"" if body == b"{" else b","
    return body + comma + b'"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def remove_checksum(data: bytes, record: dict[str, Any]) -> bool:
    """Remove the checksum of a parsed record; whether it matches the bytes. Records without a checksum pass."""
    expected = record.pop("sha256", None)
    if expected is None:
        return True
    body, _, _ = data.rpartition(b'"sha256":')
    return hashlib.sha256(body.removesuffix(b",")).hexdigest() == expected


def append_text_checksum(text: str) -> str:
    """Add a last comment line with the hash of all lines before it."""
    body = text if text.endswith("\n") else f"{text}\n"
    return f"{body}# SHA-256 of the lines above: {hashlib.sha256(body[:-1].encode()).hexdigest()}\n"


def remove_text_checksum(text: str) -> str:
    """A text without the line of :func:`append_text_checksum`."""
    data = text.encode("utf-8", "surrogateescape")
    return _TEXT_LINE.sub(b"\n", data).decode("utf-8", "surrogateescape")


def has_text_checksum(path: Path) -> bool:
    """Whether a text has the line of :func:`append_text_checksum`."""
    try:
        return _TEXT_LINE.search(read_regular(path)) is not None
    except OSError:
        return False


def file_problem(path: Path) -> str:
    """What is wrong with a file that holds its own checksum: a clause, "" where it is as written, or has none.

    A JSON object is damaged where it is none; a text where its last line does not match.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if path.suffix != ".json":
        line = _TEXT_LINE.search(data)
        if line is None:
            return "was changed after it was written" if b"# SHA-256 of the lines" in data[-120:] else ""
        matches = hashlib.sha256(data[: line.start()]).hexdigest().encode() == line[1]
        return "" if matches else "was changed after it was written"
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return "is damaged"
    return "" if isinstance(value, dict) and remove_checksum(data, value) else "was changed after it was written"


def read_own(path: Path) -> dict[str, Any]:
    """The JSON object in a file that holds its own checksum; empty where it is missing or damaged, which is logged."""
    problem = file_problem(path)
    if problem and problem != "is missing":
        say(f"'{path}' {problem}, so it is not used.")
    value = {} if problem else read_json_object(path)
    value.pop("sha256", None)
    return value


def write_list(out: Path, files: Iterable[Path], kept: Iterable[Path] = ()) -> None:
    """Write the list of the files that a job has made at its end, without those that do not exist.

    Files that were only ``kept`` keep their checksum, so that damage to them is not taken for their content.
    """
    listed = _listed(out) or {}
    hashes = {path.relative_to(out).as_posix(): file_hash(path) for path in files if path.is_file()}
    for path in kept:
        name = path.relative_to(out).as_posix()
        if name in listed or path.is_file():
            hashes[name] = listed.get(name) or file_hash(path)
    write_atomic(out / FILE, append_checksum(json_bytes({"files": hashes})))


def drop_from_list(path: Path) -> None:
    """Take a file from the list before Twinset writes it again, so that it never counts as damaged."""
    for out in _folders_above(path):
        listed = dict(_listed(out) or {})
        if listed.pop(path.absolute().relative_to(out).as_posix(), None):
            write_atomic(out / FILE, append_checksum(json_bytes({"files": listed})))


def changed_files(out: Path) -> list[tuple[str, str]]:
    """Listed files that are not as they were written, each with a clause on it; the list itself where it is damaged."""
    problem = file_problem(out / FILE)
    if problem:
        return [(FILE, problem)]
    found = []
    for name, expected in (_listed(out) or {}).items():
        clause = _problem(out, name, expected)
        if clause:
            found.append((name, clause))
    return found


def warn_if_changed(path: Path) -> None:
    """Log a warning if a file of an output folder is not as `finish` wrote it."""
    for out in _folders_above(path):
        name = path.absolute().relative_to(out).as_posix()
        expected = (_listed(out) or {}).get(name)
        clause = _problem(out, name, expected) if expected else ""
        if clause:
            say(f"'{path}' {clause}. `twinset finish {out}` writes it again.")


def say(text: str) -> None:
    """Log a warning once."""
    if text not in _said:
        _said.add(text)
        log.warning("%s", text)


def _problem(out: Path, name: str, expected: str) -> str:
    if escapes_folder(name):
        return "lies outside the folder"
    try:
        return "" if file_hash(out / name) == expected else "was changed after it was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _folders_above(path: Path) -> list[Path]:
    """The output folders that may list a file: its own and the one above."""
    path = path.absolute()
    return [folder for folder in (path.parent, path.parent.parent) if (folder / FILE).is_file()]


def _listed(out: Path) -> Mapping[str, str] | None:
    if file_problem(out / FILE):
        return None
    files = read_json_object(out / FILE).get("files")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        return None
    return files


def file_hash(path: Path) -> str:
    """The SHA-256 of a regular file; raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
