# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata tables with one row per annotation: Parquet, or CSV without pyarrow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError, OutputError
from ..atomic_files import PendingFiles, make_folder, output_error, to_builtin_types, write_atomic
from ..significant_digits import round_significant

SUFFIXES = (".parquet", ".csv")
"""File suffixes of tables."""

TableColumns = Mapping[str, Sequence[Any] | np.ndarray]
"""Columns of equal length by name."""

_NAMES = ("class", "shape", "file_name")
"""Columns of strings, even if they look like numbers."""


def write_table(folder: Path, columns: Mapping[str, Sequence[Any]]) -> tuple[Path, str]:
    """Write ``metadata.parquet`` into a folder, or ``metadata.csv`` without pyarrow.

    Equal columns give equal bytes. Lists and mappings become JSON text.

    Returns
    -------
    (Path, str)
        The file, and a note for the user; "" for Parquet.
    """
    parquet, text = folder / "metadata.parquet", folder / "metadata.csv"
    if not has_parquet():
        write_columns(text, columns)
        parquet.unlink(missing_ok=True)
        return text, f"pyarrow is not installed, so metadata was written as '{text.name}' instead of Parquet."
    write_columns(parquet, columns)
    text.unlink(missing_ok=True)
    return parquet, ""


def has_parquet() -> bool:
    """Whether pyarrow is installed, which Parquet files need."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def check_suffix(path: Path) -> None:
    """Raise OutputError if :func:`write_columns` cannot write a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"'{path}' must end in {' or '.join(SUFFIXES)}, which sets the file format.")
    if path.suffix.lower() == ".parquet" and not has_parquet():
        raise OutputError(f"'{path}' needs the package pyarrow. Install it, or name a .csv file.")


def write_columns(path: Path, columns: TableColumns) -> None:
    """Write columns of equal length as a table, atomically; the suffix sets the format, Parquet or CSV.

    Equal columns give equal bytes. NaN stands for a missing value; lists and mappings become JSON text.

    Raises
    ------
    OutputError
        For another suffix, without pyarrow for Parquet, or if the file cannot be written.
    """
    check_suffix(path)
    if path.suffix.lower() == ".csv":
        cells = {name: _cells(values) for name, values in columns.items()}
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))
        write_atomic(path, buffer.getvalue().encode())
        return
    import pyarrow
    import pyarrow.parquet

    # Column by column, and straight into the file: all cells at once would take several times the memory.
    table = pyarrow.table({name: _array(pyarrow, values) for name, values in columns.items()})
    make_folder(path.parent)
    with PendingFiles() as pending:
        temp = pending.reserve(path)
        try:
            pyarrow.parquet.write_table(table, temp, compression="snappy")
        except OSError as error:
            raise output_error(error, path.parent) from error
        pending.flush(temp)
        pending.commit()


def read_columns(path: Path) -> dict[str, Sequence[Any] | np.ndarray]:
    """Read a table written by :func:`write_columns`; its columns by name.

    Numbers become arrays with NaN for missing values, all else lists with None.

    Raises
    ------
    DataError
        If the file is missing or damaged, or pyarrow is not installed for a Parquet file.
    """
    if not path.is_file():
        raise DataError(f"The table '{path}' does not exist. Check the path, or create it with `twinset measure`.")
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if not has_parquet():
        raise DataError(f"'{path}' needs the package pyarrow. Install it, or write the table as .csv.")
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        columns: dict[str, Sequence[Any] | np.ndarray] = {}
        for name in table.column_names:
            column = table.column(name)
            number = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
            columns[name] = column.to_numpy() if number else column.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"'{path}' is not a Parquet table, or is damaged. Write it again.") from error
    return columns


def _read_csv(path: Path) -> dict[str, Sequence[Any] | np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is not a CSV table. Write it again.") from error
    if not rows:
        raise DataError(f"'{path}' is empty. Write it again with `twinset measure`.")
    broken = next((number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])), 0)
    if broken:
        cells, expected = len(rows[broken - 1]), len(rows[0])
        raise DataError(f"Row {broken} of '{path}' has {cells} cells, but the header has {expected}. Write it again.")
    head, *body = rows
    columns = dict(zip(head, zip(*body, strict=True) if body else ([] for _ in head), strict=True))
    return {name: _texts(cells) if name in _NAMES else _parsed(cells) for name, cells in columns.items()}


def _parsed(cells: Sequence[str]) -> Sequence[Any] | np.ndarray:
    """Cells of a CSV column as numbers or booleans if all are, else as strings."""
    if set(cells) <= {"True", "False", ""}:
        return [{"True": True, "False": False}.get(cell) for cell in cells]
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return _texts(cells)


def _texts(cells: Sequence[str]) -> list[str | None]:
    return [cell or None for cell in cells]


def _array(pyarrow: Any, values: Sequence[Any] | np.ndarray) -> Any:
    """A column of :func:`_cells` for Arrow; millions of plain numbers or words are not looked at one by one."""
    if isinstance(values, np.ndarray):
        types: set[type] = {float} if values.dtype == np.float64 else set()
    else:
        types = set(map(type, values))
    if float in types and types <= {float, type(None)}:
        numbers = round_significant(np.array(values, dtype=np.float64))
        is_missing = ~np.isfinite(numbers)
        if not is_missing.all():
            return pyarrow.array(numbers, mask=is_missing if is_missing.any() else None)
    is_plain = any(types <= {kind, type(None)} for kind in (int, str, bool)) and bool(types)
    cells = list(values) if is_plain else _cells(values)
    try:
        return pyarrow.array(cells)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # mixed types become strings
        return pyarrow.array([None if cell is None else str(cell) for cell in cells])


def _cells(values: Sequence[Any] | np.ndarray) -> list[Any]:
    rows = values.tolist() if isinstance(values, np.ndarray) else values
    return [json.dumps(v, sort_keys=True) if isinstance(v, list | dict) else v for v in map(to_builtin_types, rows)]
