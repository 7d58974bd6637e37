# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata rows of a whole dataset, kept as columns, so that a million of them fit in memory."""

from __future__ import annotations

import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

_TYPE_CODES = {float: "d", int: "q", bool: "b"}
_LONGEST = 16
"""Lists of so many numbers, such as boxes, lie in typed arrays, too."""
_IS_THERE, _IS_NONE, _IS_ABSENT = range(3)
_ABSENT: Any = object()


class MetadataRows(Sequence[dict[str, Any]]):
    """A sequence of rows, each a dict of what is known of one annotation.

    Numbers lie in typed arrays; a row is put together when it is asked for, so changing it changes nothing here.
    """

    def __init__(self) -> None:
        self._count = 0
        self._columns: dict[str, _Column] = {}

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; it may lack columns that others have, and bring new ones."""
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Column()
            column.put(self._count, value)
        self._count += 1

    def add(self, name: str, values: Sequence[Any]) -> None:
        """Add a column, or replace one; it has one value per row."""
        column = self._columns[name] = _Column()
        for number, value in enumerate(values):
            column.put(number, value)

    def names(self) -> list[str]:
        """The columns that any row has, in the order in which they came."""
        return list(self._columns)

    def column(self, name: str) -> ColumnView:
        """The values of a column, None for rows without it."""
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
        return self._row(_place(index, self._count))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._row(number) for number in range(self._count))

    def _row(self, number: int) -> dict[str, Any]:
        found = ((name, column.get(number, _ABSENT)) for name, column in self._columns.items())
        return {name: value for name, value in found if value is not _ABSENT}


class ColumnView(Sequence[Any]):
    """The values of a column of :class:`MetadataRows`, taken out one by one: a list of them is several times larger."""

    def __init__(self, column: _Column, count: int) -> None:
        self._column = column
        self._count = count

    def numbers(self) -> np.ndarray | None:
        """The values (n,) as numbers: whole ones as int64 where each row has one, else float64 with NaN for rows
        without; (n, k) float64 for lists of k numbers. None where not all values are numbers of one kind."""
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
        return self._column.get(_place(index, self._count), None)

    def __iter__(self) -> Iterator[Any]:
        return (self._column.get(number, None) for number in range(self._count))


class _Column:
    """Values by row number, in a typed array as long as all are numbers, lists of as many numbers, or texts; as they
    are from then on. ``kind`` is the type code, the length of lists (0 for plain values), and whether they are texts.
    """

    def __init__(self) -> None:
        self._kind: tuple[str, int, bool] | None = None
        self._values: Any = None
        self._states = bytearray()
        self._texts: dict[str, int] = {}
        self._said: list[str] = []

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
            self._loosen()
        if value is None:
            self._states.append(_IS_NONE)
            self._fill(1)
            return
        self._states.append(_IS_THERE)
        if self._kind is None:
            self._values.append(value)

    def get(self, number: int, default: Any) -> Any:
        state = self._states[number] if number < len(self._states) else _IS_ABSENT
        if state != _IS_THERE:
            return None if state == _IS_NONE else default
        if self._kind is None:
            return self._values[number]
        code, length, is_text = self._kind
        if length:
            return self._values[number * length : (number + 1) * length].tolist()
        value = self._values[number]
        return self._said[value] if is_text else bool(value) if code == "b" else value

    def numbers(self, count: int) -> np.ndarray | None:
        if self._kind is None or self._kind[2]:
            return None
        code, length, _ = self._kind
        found = np.array(self._values).reshape(-1, length) if length else np.array(self._values)
        there = np.frombuffer(self._states, np.uint8) == _IS_THERE
        if len(there) == count and there.all() and code != "b" and not length:
            return found
        out = np.full((count, *found.shape[1:]), np.nan)
        out[: len(found)][there] = found[there]
        return out

    def _pad(self, number: int) -> None:
        """Note that the rows up to this one have no value."""
        missing = number - len(self._states)
        if missing > 0:
            self._states.extend(bytes([_IS_ABSENT]) * missing)
            self._fill(missing)

    def _fill(self, count: int) -> None:
        """Keep the places of rows without a value."""
        if self._values is None or not count:
            return
        if self._kind is None:
            self._values.extend([None] * count)
        else:
            self._values.frombytes(bytes(count * max(self._kind[1], 1) * self._values.itemsize))

    def _pack(self, value: Any) -> bool:
        """Put a value of the column's kind into its array; False where it does not fit."""
        assert self._kind is not None
        _, length, is_text = self._kind
        size = len(self._values)
        try:
            if is_text:
                # Names of classes and shapes come again and again, each time as another string.
                code = self._texts.setdefault(value, len(self._said))
                if code == len(self._said):
                    self._said.append(value)
                self._values.append(code)
            elif length:
                self._values.extend(value)
            else:
                self._values.append(value)
        except OverflowError:  # an integer of more than 64 bits
            del self._values[size:]
            return False
        return True

    def _loosen(self) -> None:
        """Keep values as they are from now on."""
        self._values = [self.get(number, None) for number in range(len(self._states))]
        self._kind = None
        self._texts, self._said = {}, []


def _kind(value: Any) -> tuple[str, int, bool] | None:
    """How a value can be packed; None where it cannot."""
    if isinstance(value, str):
        return "l", 0, True
    if isinstance(value, list):
        types = set(map(type, value))
        code = _TYPE_CODES.get(types.pop()) if len(types) == 1 and len(value) <= _LONGEST else None
        return (code, len(value), False) if code in ("d", "q") else None
    code = _TYPE_CODES.get(type(value))
    return None if code is None else (code, 0, False)


def _place(index: int, count: int) -> int:
    number = index + count if index < 0 else index
    if not 0 <= number < count:
        raise IndexError(f"row {index} of {count}")
    return number
