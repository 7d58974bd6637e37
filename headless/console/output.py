# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a command writes: results to standard output, as text or JSON, all else to standard error."""

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
        """Write a result: ``values`` where JSON is asked for, else the text or tables of ``shown``."""
        if self.json:
            self.line(values)
            return
        # Names of classes and files are text, though brackets in them look like rich's markup.
        console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
        for item in shown:
            console.print(item, soft_wrap=isinstance(item, str))

    def line(self, values: Mapping[str, Any]) -> None:
        """Write one JSON object on one line, in ASCII: a pipe need not have an encoding that knows every letter."""
        sys.stdout.write(json.dumps(_plain(values), allow_nan=False) + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Write a message for people."""
        self.err.print(text, markup=False, soft_wrap=True)

    def fail(self, problems: list[str]) -> None:
        """Write why a command cannot go on."""
        for problem in problems:
            self.say(problem)
        if self.json:
            self.line({"error": problems})


def output_of(context: typer.Context) -> Output:
    """The output of a running command."""
    root = context.find_root()
    if not isinstance(root.obj, Output):
        root.obj = Output()
    return root.obj


def _wants_json(context: typer.Context, value: bool) -> bool:
    if value:
        output_of(context).json = True
    return value


JsonOption = Annotated[
    bool, typer.Option("--json", callback=_wants_json, help="Write results as JSON, for other programs.")
]
"""The option ``--json``, which may stand before or behind the command's name."""


def reserve_stdout() -> None:
    """Keep standard output for results: what Blender's own threads print, at any time, goes to standard error."""
    try:
        if sys.stdout.fileno() != 1:
            return
        sys.stdout.flush()
        own = os.dup(1)
        os.dup2(2, 1)
    except (AttributeError, OSError, ValueError):  # no stream, or one that is no file: nothing of C's gets there
        return
    sys.stdout = open(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, buffering=1)  # noqa: SIM115


def _plain(value: Any) -> Any:
    """``value`` for JSON: paths become strings, numpy becomes Python, what is not finite becomes null."""
    if attrs.has(type(value)):
        return {f.name: _plain(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
