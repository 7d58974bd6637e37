# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata rows of a dataset, stored as columns, so that a million of them fit in memory."""

from __future__ import annotations

import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

_TYPE_CODES = {float: "d", int: "q", bool: "b"}
_MAX_LENGTH = 16
"""Lists of up to this many numbers, such as boxes, are stored in typed arrays, too."""
_PRESENT, _NONE, _ABSENT = range(3)
_MISSING: Any = object()


class MetadataRows(Sequence[dict[str, Any]]):
    """A sequence of rows, one dict per annotation or image.

    Numbers are stored in typed arrays. A row is created on access, so changing it has no effect here.
    """

    def __init__(self) -> None:
        self._count = 0
        self._columns: dict[str, _Column] = {}

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; columns may be missing or new."""
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column()
            column.put(self._count, value)
        self._count += 1

    def add(self, name: str, values: Sequence[Any]) -> None:
        """Add or replace a column, with one value per row."""
        column = self._columns[name] = _Column()
        for number, value in enumerate(values):
            column.put(number, value)

    def names(self) -> list[str]:
        """The columns that any row has, in the order of their first use."""
        return list(self._columns)

    def column(self, name: str) -> ColumnView:
        """The values of a column; None for rows without it."""
        return ColumnView(self._columns.get(name) or _Column(), self._count)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self._row(number) for number in range(*index.indices(self._count))]
        return self._row(_checked_index(index, self._count))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._row(number) for number in range(self._count))

    def _row(self, number: int) -> dict[str, Any]:
        values = ((name, column.get(number, _MISSING)) for name, column in self._columns.items())
        return {name: value for name, value in values if value is not _MISSING}


class ColumnView(Sequence[Any]):
    """The values of a column of :class:`MetadataRows`, created one by one, as a list takes several times the memory."""

    def __init__(self, column: _Column, count: int) -> None:
        self._column = column
        self._count = count

    def numbers(self) -> np.ndarray | None:
        """The values (n,) as numbers: int64 if all rows have an integer, else float64 with NaN for missing values;
        (n, k) float64 for lists of k numbers. None if not all values are numbers of one kind."""
        return self._column.numbers(self._count)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._column.get(number, None) for number in range(*index.indices(self._count))]
        return self._column.get(_checked_index(index, self._count), None)

    def __iter__(self) -> Iterator[Any]:
        return (self._column.get(number, None) for number in range(self._count))


class _Column:
    """Values by row number: in a typed array while all are numbers, lists of equally many numbers, or strings, else in
    a list. ``kind`` is the type code, the length of lists (0 for scalars), and whether values are strings.
    """

    def __init__(self) -> None:
        self._kind: tuple[str, int, bool] | None = None
        self._values: Any = None
        self._states = bytearray()
        self._codes: dict[str, int] = {}
        self._strings: list[str] = []

    def put(self, number: int, value: Any) -> None:
        if isinstance(value, np.generic):
            value = value.item()
        self._pad(number)
        kind = None if value is None else _kind(value)
        if self._values is None and value is not None:
            self._kind = kind
            self._values = [] if kind is None else array.array(kind[0])
            self._fill(number)
        if value is not None and self._kind is not None and (kind != self._kind or not self._pack(value)):
            self._to_list()
        if value is None:
            self._states.append(_NONE)
            self._fill(1)
            return
        self._states.append(_PRESENT)
        if self._kind is None:
            self._values.append(value)

    def get(self, number: int, default: Any) -> Any:
        state = self._states[number] if number < len(self._states) else _ABSENT
        if state != _PRESENT:
            return None if state == _NONE else default
        if self._kind is None:
            return self._values[number]
        code, length, is_string = self._kind
        if length:
            return self._values[number * length : (number + 1) * length].tolist()
        value = self._values[number]
        return self._strings[value] if is_string else bool(value) if code == "b" else value

    def numbers(self, count: int) -> np.ndarray | None:
        if self._kind is None or self._kind[2]:
            return None
        code, length, _ = self._kind
        values = np.array(self._values).reshape(-1, length) if length else np.array(self._values)
        present = np.frombuffer(self._states, np.uint8) == _PRESENT
        if len(present) == count and present.all() and code != "b" and not length:
            return values
        out = np.full((count, *values.shape[1:]), np.nan)
        out[: len(values)][present] = values[present]
        return out

    def _pad(self, number: int) -> None:
        """Mark the rows up to this one as without a value."""
        missing = number - len(self._states)
        if missing > 0:
            self._states.extend(bytes([_ABSENT]) * missing)
            self._fill(missing)

    def _fill(self, count: int) -> None:
        """Reserve space for rows without a value."""
        if self._values is None or not count:
            return
        if self._kind is None:
            self._values.extend([None] * count)
        else:
            self._values.frombytes(bytes(count * max(self._kind[1], 1) * self._values.itemsize))

    def _pack(self, value: Any) -> bool:
        """Append a value of the column's kind to its array; False if it does not fit."""
        assert self._kind is not None
        _, length, is_string = self._kind
        size = len(self._values)
        try:
            if is_string:
                # Class and shape names repeat, each time as a new string object.
                code = self._codes.setdefault(value, len(self._strings))
                if code == len(self._strings):
                    self._strings.append(value)
                self._values.append(code)
            elif length:
                self._values.extend(value)
            else:
                self._values.append(value)
        except OverflowError:  # an integer of more than 64 bits
            del self._values[size:]
            return False
        return True

    def _to_list(self) -> None:
        """Store values in a list from now on."""
        self._values = [self.get(number, None) for number in range(len(self._states))]
        self._kind = None
        self._codes, self._strings = {}, []


def _kind(value: Any) -> tuple[str, int, bool] | None:
    """The kind of a value that fits into a typed array; None for others."""
    if isinstance(value, str):
        return "l", 0, True
    if isinstance(value, list):
        types = set(map(type, value))
        code = _TYPE_CODES.get(types.pop()) if len(types) == 1 and len(value) <= _MAX_LENGTH else None
        return (code, len(value), False) if code in ("d", "q") else None
    code = _TYPE_CODES.get(type(value))
    return None if code is None else (code, 0, False)


def _checked_index(index: int, count: int) -> int:
    number = index + count if index < 0 else index
    if not 0 <= number < count:
        raise IndexError(f"row {index} of {count}")
    return number
