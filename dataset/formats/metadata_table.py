# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a dataset as one table, a row per annotation: Parquet, or CSV where pyarrow is missing."""

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

SUFFIXES = (".parquet", ".csv")
"""Endings of the names of tables that can be written."""

_NAMES = ("class", "shape", "file_name")
"""Columns of names, which may look like numbers."""


def write_table(folder: Path, columns: Mapping[str, Sequence[Any]]) -> tuple[Path, str]:
    """Write ``metadata.parquet`` into a folder, or ``metadata.csv`` where pyarrow is missing.

    Equal columns give equal bytes. Lists and mappings become JSON text.

    Returns
    -------
    (Path, str)
        The file, and a note for the user, which is empty for Parquet.
    """
    parquet, text = folder / "metadata.parquet", folder / "metadata.csv"
    if not has_parquet():
        write_columns(text, columns)
        parquet.unlink(missing_ok=True)
        return text, f"pyarrow is not installed, so metadata is written as '{text.name}' instead of Parquet."
    write_columns(parquet, columns)
    text.unlink(missing_ok=True)
    return parquet, ""


def has_parquet() -> bool:
    """Whether Parquet files can be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def check_suffix(path: Path) -> None:
    """OutputError where :func:`write_columns` cannot write a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"'{path}' must end in {' or '.join(SUFFIXES)}: its ending says what is written.")
    if path.suffix.lower() == ".parquet" and not has_parquet():
        raise OutputError(f"'{path}' needs the package pyarrow. Install it, or name a .csv file.")


def write_columns(path: Path, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> None:
    """Write a table of columns of the same length, atomically, as Parquet or CSV by the ending of its name.

    Equal columns give equal bytes. NaN means that there is no value; lists and mappings become JSON text.

    Raises
    ------
    OutputError
        Where the ending is another, pyarrow is missing, or the file cannot be written.
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

    # One column after the other, and straight into the file: the cells of them all would be several times larger.
    table = pyarrow.table({name: _array(pyarrow, _cells(values)) for name, values in columns.items()})
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
    """The columns of a table that :func:`write_columns` wrote, by name.

    Numbers come as arrays with NaN where there is no value, True and False as booleans; all else as lists with None.

    Raises
    ------
    DataError
        Where the file is missing, no such table, or damaged, or pyarrow is missing for a Parquet file.
    """
    if not path.is_file():
        raise DataError(f"The table '{path}' does not exist. Check the path, or write it with `twinset measure`.")
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if not has_parquet():
        raise DataError(f"'{path}' needs the package pyarrow. Install it, or write the table as .csv.")
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        found: dict[str, Sequence[Any] | np.ndarray] = {}
        for name in table.column_names:
            column = table.column(name)
            number = pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)
            found[name] = column.to_numpy() if number else column.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"'{path}' is no Parquet table, or is damaged. Write it again.") from error
    return found


def _read_csv(path: Path) -> dict[str, Sequence[Any] | np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is no CSV table. Write it again.") from error
    if not rows:
        raise DataError(f"'{path}' is empty. Write it again with `twinset measure`.")
    broken = next((number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])), 0)
    if broken:
        raise DataError(f"Row {broken} of '{path}' has {len(rows[broken - 1])} cells; its head has {len(rows[0])}.")
    head, *body = rows
    columns = dict(zip(head, zip(*body, strict=True) if body else ([] for _ in head), strict=True))
    return {name: _texts(cells) if name in _NAMES else _parsed(cells) for name, cells in columns.items()}


def _parsed(cells: Sequence[str]) -> Sequence[Any] | np.ndarray:
    """Cells of a CSV column as numbers where all are, as booleans where all are, else as text."""
    if set(cells) <= {"True", "False", ""}:
        return [{"True": True, "False": False}.get(cell) for cell in cells]
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return _texts(cells)


def _texts(cells: Sequence[str]) -> list[str | None]:
    return [cell or None for cell in cells]


def _array(pyarrow: Any, cells: list[Any]) -> Any:
    try:
        return pyarrow.array(cells)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # mixed types: text says them all
        return pyarrow.array([None if cell is None else str(cell) for cell in cells])


def _cells(values: Sequence[Any] | np.ndarray) -> list[Any]:
    rows = values.tolist() if isinstance(values, np.ndarray) else values
    return [json.dumps(v, sort_keys=True) if isinstance(v, list | dict) else v for v in map(to_builtin_types, rows)]
