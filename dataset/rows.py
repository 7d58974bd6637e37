# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata rows of a whole dataset, kept as columns, so that a million of them fit in memory."""

from __future__ import annotations

import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

_TYPE_CODES = {float: "d", int: "q"}


class Rows(Sequence[dict[str, Any]]):
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

    def column(self, name: str) -> list[Any]:
        """The values of a column, None for rows without it."""
        return [self._columns[name].get(number, None) for number in range(self._count)]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self._row(number) for number in range(*index.indices(self._count))]
        number = index + self._count if index < 0 else index
        if not 0 <= number < self._count:
            raise IndexError(f"row {index} of {self._count}")
        return self._row(number)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._row(number) for number in range(self._count))

    def _row(self, number: int) -> dict[str, Any]:
        found = ((name, column.get(number, _ABSENT)) for name, column in self._columns.items())
        return {name: value for name, value in found if value is not _ABSENT}


_ABSENT: Any = object()


class _Column:
    """Values by row number. A typed array as long as all rows have a number of one type; a list from then on."""

    def __init__(self) -> None:
        self._values: Any = None
        self._texts: dict[str, str] = {}

    def put(self, number: int, value: Any) -> None:
        if self._values is None:
            code = _TYPE_CODES.get(type(value)) if number == 0 else None
            self._values = [] if code is None else array.array(code)
        if isinstance(self._values, array.array):
            if number == len(self._values) and _TYPE_CODES.get(type(value)) == self._values.typecode:
                try:
                    self._values.append(value)
                    return
                except OverflowError:  # an integer of more than 64 bits
                    pass
            self._values = list(self._values)
        self._values.extend([_ABSENT] * (number - len(self._values)))
        # Names of classes and shapes come again and again, each time as another string.
        self._values.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)

    def get(self, number: int, default: Any) -> Any:
        value = self._values[number] if number < len(self._values) else _ABSENT
        return default if value is _ABSENT else value
