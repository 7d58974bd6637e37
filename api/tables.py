# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that print well in a terminal and a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, overload

from ..dataset.report.markup import tag, to_html


class Table(Sequence[Mapping[str, Any]]):
    """Rows of equal keys, in order.

    Parameters
    ----------
    rows : sequence of mappings
    columns : sequence of str
        Keys of the rows, in the order in which they are shown.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        self._rows = list(rows)
        self.columns = tuple(columns)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Table: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Table:
        return Table(self._rows[index], self.columns) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self._rows, columns=list(self.columns))

    def __repr__(self) -> str:
        cells = [list(self.columns), *([format_cell(row[c]) for c in self.columns] for row in self._rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(len(self.columns))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)

    def _repr_html_(self) -> str:
        head = tag("tr", [tag("th", name) for name in self.columns])
        body = [tag("tr", [tag("td", format_cell(row[name])) for name in self.columns]) for row in self._rows]
        return to_html(tag("table", tag("thead", head), tag("tbody", body)))


def format_cell(value: Any) -> str:
    """A value as text: numbers with four significant digits, nothing for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, tuple | list):
        return " to ".join(format_cell(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
