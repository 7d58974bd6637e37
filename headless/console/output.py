# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a command prints: results on standard output, as text or JSON, everything else on standard error."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import attrs
import numpy as np
import typer
from rich.console import Console, RenderableType


@attrs.define
class Output:
    """The two streams of a command.

    Attributes
    ----------
    json : bool
        Results are JSON, one object per line, instead of text.
    err : rich.console.Console
        Progress and messages.
    """

    json: bool = False
    err: Console = attrs.field(factory=lambda: Console(stderr=True, highlight=False, markup=False))

    def result(self, values: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print a result: ``values`` with ``--json``, otherwise the text and tables of ``shown``."""
        if self.json:
            self.json_line(values)
            return
        # Without markup: brackets in the names of classes and files are plain text.
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
        for item in shown:
            console.print(item, soft_wrap=isinstance(item, str))

    def json_line(self, values: Mapping[str, Any]) -> None:
        """Print one JSON object on one line, in ASCII: the encoding of a pipe may lack other characters."""
        sys.stdout.write(json.dumps(_json_value(values), allow_nan=False) + "\n")
        sys.stdout.flush()

    def message(self, text: str) -> None:
        """Print a message for people on standard error."""
        self.err.print(text, markup=False, soft_wrap=True)

    def errors(self, problems: list[str]) -> None:
        """Print why a command cannot continue."""
        for problem in problems:
            self.message(problem)
        if self.json:
            self.json_line({"error": problems})


def output_of(context: typer.Context) -> Output:
    """The output of a running command."""
    root = context.find_root()
    if not isinstance(root.obj, Output):
        root.obj = Output()
    return root.obj


def _set_json(context: typer.Context, value: bool) -> bool:
    if value:
        output_of(context).json = True
    return value


def json_option(help: str) -> Any:
    """The option ``--json`` with another description."""
    return typer.Option("--json", callback=_set_json, help=help)


JsonOption = Annotated[bool, json_option("Print results as JSON.")]
"""The option ``--json``, which may stand before or after the command's name."""


def reserve_stdout() -> None:
    """Keep standard output for results: whatever Blender's own threads print goes to standard error."""
    try:
        if sys.stdout.fileno() != 1:
            return
        sys.stdout.flush()
        own = os.dup(1)
        os.dup2(2, 1)
    except (AttributeError, OSError, ValueError):  # no stream, or not a file: C code cannot print to it
        return
    sys.stdout = open(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, buffering=1)  # noqa: SIM115


def _json_value(value: Any) -> Any:
    """``value`` for JSON: paths become strings, NumPy values become Python's, infinity and NaN become null."""
    if attrs.has(type(value)):
        return {f.name: _json_value(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(k): _json_value(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return _json_value(value.tolist())
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_json_value(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
