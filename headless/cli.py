# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``twinset`` command: its groups put together, and the one place where errors become sentences."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from typer.core import TyperGroup

from .. import __version__
from ..engine.errors import RecipeError, TwinsetError
from .output import JsonOption, output_of

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Guarded(TyperGroup):
    """A group of commands whose expected errors end in a sentence and an exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TwinsetError as error:
            problems = error.problems if isinstance(error, RecipeError) else [str(error)]
            output_of(ctx).fail(problems)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            output_of(ctx).say("Stopped.")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            # Whoever read the results has gone, as `head` does; nothing is left to say and nobody to say it to.
            sys.stdout = None  # type: ignore[assignment]
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=Guarded,
    name="twinset",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Renders object-detection datasets whose statistics match a small real dataset.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"twinset {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is going on.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Renders object-detection datasets whose statistics match a small real dataset."""
    handler = RichHandler(console=output_of(context).err, show_time=False, show_path=False)
    root = logging.getLogger(__name__.rsplit(".", 2)[0])
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)


COMMANDS = (
    "render",
    "status",
    "verify",
    "preview",
    "tune",
    "start",
    "statistics",
    "compare",
    "report",
    "measure",
    "evaluate",
    "quality",
    "features",
    "infer",
    "curation",
    "augment",
    "farm.command",
    "plugins",
    "authoring",
    "doctor",
)
"""The modules that bring commands, in the order of the help."""


def _add_commands() -> None:
    for name in COMMANDS:
        importlib.import_module(f".{name}", __package__).add_to(app)


_add_commands()


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; ends with SystemExit."""
    app(args=None if args is None else list(args), prog_name="twinset")
