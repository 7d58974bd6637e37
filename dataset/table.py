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

from ..engine.errors import OutputError
from .files import plain, write_file

SUFFIXES = (".parquet", ".csv")
"""Endings of the names of tables that can be written."""


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[Path, str]:
    """Write ``metadata.parquet`` into a folder, or ``metadata.csv`` where pyarrow is missing.

    Equal rows give equal bytes. Lists and mappings become JSON text.

    Returns
    -------
    (Path, str)
        The file, and a note for the user, which is empty for Parquet.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
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
    cells = {name: [_cell(value) for value in plain(values)] for name, values in columns.items()}
    if path.suffix.lower() == ".csv":
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))
        write_file(path, buffer.getvalue().encode())
        return
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    table = pyarrow.table({name: _array(pyarrow, values) for name, values in cells.items()})
    pyarrow.parquet.write_table(table, sink, compression="snappy")
    write_file(path, sink.getvalue())


def _array(pyarrow: Any, cells: list[Any]) -> Any:
    try:
        return pyarrow.array(cells)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # mixed types: text says them all
        return pyarrow.array([None if cell is None else str(cell) for cell in cells])


def _cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
