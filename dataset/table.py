# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a dataset as one table, a row per annotation: Parquet, or CSV where pyarrow is missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .files import plain, write_file


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[Path, str]:
    """Write ``metadata.parquet`` into a folder, or ``metadata.csv`` where pyarrow is missing.

    Equal rows give equal bytes. Lists and mappings become JSON text.

    Returns
    -------
    (Path, str)
        The file, and a note for the user, which is empty for Parquet.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_cell(row.get(name)) for row in rows] for name in names}
    parquet, text = folder / "metadata.parquet", folder / "metadata.csv"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*columns.values(), strict=True))
        write_file(text, buffer.getvalue().encode())
        parquet.unlink(missing_ok=True)
        return text, f"pyarrow is not installed, so metadata is written as '{text.name}' instead of Parquet."
    table = pyarrow.table({name: _array(pyarrow, cells) for name, cells in columns.items()})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="snappy")
    write_file(parquet, sink.getvalue())
    text.unlink(missing_ok=True)
    return parquet, ""


def _array(pyarrow: Any, cells: list[Any]) -> Any:
    try:
        return pyarrow.array(cells)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):  # mixed types: text says them all
        return pyarrow.array([None if cell is None else str(cell) for cell in cells])


def _cell(value: Any) -> Any:
    value = plain(value)
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value
