# SPDX-License-Identifier: GPL-3.0-or-later
"""Line numbers of the tables and keys of a valid TOML text."""

from __future__ import annotations

import re
from collections.abc import Sequence

KeyPath = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SKIP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)


class LineNumbers:
    """Line numbers in a TOML text.

    A key path is such as ``("class", 0, "height")``: table names, positions in arrays of tables, a key.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[KeyPath, int] = {}
        self._text = text
        self._scan()

    def line(self, key_path: Sequence[str | int]) -> int | None:
        """The line, from 1, of a key path or of the closest table around it; None if the text has neither."""
        for length in range(len(key_path), 0, -1):
            line = self._lines.get(tuple(key_path[:length]))
            if line is not None:
                return line
        return None

    def rename(self, old: KeyPath, new: KeyPath) -> None:
        """Make the lines of a key path, and of all below it, known by another key path, too."""
        for key_path, line in list(self._lines.items()):
            if key_path[: len(old)] == old:
                self._lines.setdefault((*new, *key_path[len(old) :]), line)

    def _scan(self) -> None:
        text, pos = self._text, 0
        table: KeyPath = ()
        counts: dict[KeyPath, int] = {}
        while True:
            if skipped := _SKIP.match(text, pos):
                pos = skipped.end()
            if pos >= len(text):
                return
            line = text.count("\n", 0, pos) + 1
            if text[pos] == "[":
                is_array = text.startswith("[[", pos)
                keys, pos = self._keys(pos + 1 + is_array)
                table = self._enter(keys, is_array, counts)
                for length in range(1, len(table) + 1):
                    self._lines.setdefault(table[:length], line)
                pos = text.find("\n", pos)
                if pos < 0:
                    return
            else:
                keys, pos = self._keys(pos)
                for length in range(1, len(keys) + 1):
                    self._lines.setdefault((*table, *keys[:length]), line)
                pos = self._after_value(pos)

    @staticmethod
    def _enter(keys: list[str], is_array: bool, counts: dict[KeyPath, int]) -> KeyPath:
        """The key path of a header: names, with the index of the latest element after each array of tables."""
        key_path: KeyPath = ()
        for key in keys[:-1]:
            key_path = (*key_path, key)
            if key_path in counts:
                key_path = (*key_path, counts[key_path])
        key_path = (*key_path, keys[-1])
        if is_array:
            counts[key_path] = counts.get(key_path, -1) + 1
            key_path = (*key_path, counts[key_path])
        return key_path

    def _keys(self, pos: int) -> tuple[list[str], int]:
        """The dotted key at ``pos`` and the position behind it."""
        keys: list[str] = []
        while True:
            pos = _BLANK.match(self._text, pos).end()  # type: ignore[union-attr]
            quoted = self._text[pos] in "\"'"
            match = (_STRING if quoted else _BARE).match(self._text, pos)
            assert match is not None, "only valid TOML is scanned"
            keys.append(match.group()[1:-1] if quoted else match.group())
            pos = _BLANK.match(self._text, match.end()).end()  # type: ignore[union-attr]
            if pos >= len(self._text) or self._text[pos] != ".":
                return keys, pos
            pos += 1

    def _after_value(self, pos: int) -> int:
        """The end of the value that begins behind ``pos``: the line's, or where its last bracket closes."""
        depth = 0
        while pos < len(self._text):
            char = self._text[pos]
            if char in "\"'" and (match := _STRING.match(self._text, pos)):
                pos = match.end()
                continue
            if char == "#":
                end = self._text.find("\n", pos)
                pos = len(self._text) if end < 0 else end
                continue
            if char == "\n" and depth == 0:
                return pos
            depth += (char in "[{") - (char in "]}")
            pos += 1
        return pos
