# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads JSON files of annotations and predictions, also of hundreds of megabytes, and says what is wrong with one."""

from __future__ import annotations

import codecs
import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.errors import DataError
from ..engine.regular_files import read_regular, read_regular_pages

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escaped surrogate: characters beyond the first 65,536 are escaped as two of them."""

_SURROGATE_BYTES = re.compile(_SURROGATE_ESCAPE.pattern.encode())

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""A lone surrogate; pairs have become one character."""

_BATCH = 20_000
"""Entries of a list after whose reading the memory of their text is given back."""

_MOST_TEXTS = 10_000
"""Different texts of a list that are remembered to be shared; names of images, which never recur, fill it at worst."""


def read_json(path: Path) -> Any:
    """The content of a JSON file of annotations or predictions; raises DataError if it is missing or invalid."""
    try:
        found = _quickly_read(path)
        if found is not None:
            return found[0]
        text = read_regular(path).removeprefix(codecs.BOM_UTF8).decode()
    except FileNotFoundError:
        raise DataError(f"The annotation file '{path}' does not exist. Check the path.") from None
    except IsADirectoryError:
        raise DataError(f"'{path}' is a folder. Name the COCO file inside it.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not JSON: it is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise DataError(f"The annotation file '{path}' cannot be read: {error.strerror or error}.") from error
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"'{path}' is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
            "Correct it there or export the file again."
        ) from error
    except RecursionError as error:
        raise DataError(f"'{path}' is not a COCO file: its JSON is nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"'{path}' is not a COCO file: it has a number with thousands of digits.") from error
    broken = _SURROGATE_ESCAPE.search(text) and _LONE_SURROGATE.search(json.dumps(data, ensure_ascii=False))
    if broken:
        # Text with a lone surrogate could not be written as UTF-8.
        context = broken.string[max(broken.start() - 20, 0) : broken.end() + 20]
        raise DataError(
            f"'{path}' has an invalid character, the lone surrogate \\u{ord(broken[0]):x}, in {context!a}. Correct it "
            "there or export the file again."
        )
    return data


def _quickly_read(path: Path) -> list[Any] | None:
    """The value of a JSON file, in a list; None if it must be read with care, or msgspec is missing.

    Msgspec reads bytes, and in a third of the time, but it does not say where an error is, and refuses values such as
    NaN that :mod:`json` reads.
    """
    try:
        import msgspec
    except ImportError:
        return None
    content = read_regular_pages(path)
    if _SURROGATE_BYTES.search(content):
        return None
    text = memoryview(content)[len(codecs.BOM_UTF8) if content[:3] == codecs.BOM_UTF8 else 0 :]
    try:
        try:
            return [_by_entries(content, text)]
        except msgspec.ValidationError:  # no object
            return [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _by_entries(content: mmap.mmap, text: memoryview) -> dict[str, Any]:
    """An object whose long lists are read entry by entry, so that text and values are not in memory together.

    Text that was read is lost. Raises msgspec.ValidationError before, if it is no object.
    """
    from msgspec import Raw, ValidationError
    from msgspec.json import Decoder

    begin = _address(memoryview(content))
    decode, entries_of = Decoder().decode, Decoder(list[Raw]).decode

    def values(entries: list[Raw]) -> Iterator[Any]:
        share = _Shared()
        for k, entry in enumerate(entries):
            yield share(decode(entry))
            if k % _BATCH == _BATCH - 1:
                _give_back(content, _address(memoryview(entry)) - begin)
                entries[k + 1 - _BATCH : k + 1] = [Raw()] * _BATCH

    found: dict[str, Any] = {}
    for key, value in Decoder(dict[str, Raw]).decode(text).items():
        try:
            entries = entries_of(value)
        except ValidationError:  # no list
            found[key] = decode(value)
        else:
            found[key] = list(values(entries))
    return found


class _Shared:
    """Lets entries of a list share equal values: short texts that recur, and what the entry before has under a key."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.before: dict[str, Any] = {}

    def __call__(self, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        before = self.before
        self._share_texts(entry)
        for key, value in entry.items():
            kind = type(value)
            if kind is dict:
                self._share_texts(value)
            elif kind is int and value == before.get(key) and type(before[key]) is int:
                entry[key] = before[key]
        self.before = entry
        return entry

    def _share_texts(self, values: dict[str, Any]) -> None:
        texts = self.texts
        for key, value in values.items():
            if type(value) is str:
                if len(texts) < _MOST_TEXTS:
                    texts.setdefault(value, value)
                values[key] = texts.get(value, value)


def _address(data: memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])


def _give_back(content: mmap.mmap, end: int) -> None:
    """Give the memory of the first bytes back to the system, where it takes parts."""
    if hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED, 0, end // mmap.PAGESIZE * mmap.PAGESIZE)
