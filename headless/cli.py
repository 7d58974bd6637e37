# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``twinset`` command: its groups put together, and the one place where errors become sentences."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from typer.core import TyperGroup

from .. import __version__
from ..engine.errors import RecipeError, TryAgainError, TwinsetError
from ..engine.plugin.trusted_folders import VARIABLE, trust
from .console.output import JsonOption, output_of

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Guarded(TyperGroup):
    """A group of commands whose expected errors end in a sentence and an exit code, never in a traceback.

    ``--plugins FOLDER`` may stand anywhere.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _first(args, "--plugins"))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TwinsetError as error:
            problems = error.problems if isinstance(error, RecipeError) else [str(error)]
            output_of(ctx).fail(problems)
            raise typer.Exit(error.exit_code) from None
        except MemoryError:
            output_of(ctx).fail(
                ["Memory ran out. What is written is whole: free some memory, and run the same command again."]
            )
            raise typer.Exit(TryAgainError.exit_code) from None
        except KeyboardInterrupt:
            output_of(ctx).say("Stopped.")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            # Whoever read the results has gone, as `head` does; nothing is left to say and nobody to say it to.
            sys.stdout = None  # type: ignore[assignment]
            raise typer.Exit(0) from None


def _first(args: list[str], option: str) -> list[str]:
    """Arguments with an option, and its values, moved before all others but those behind ``--``."""
    end = args.index("--") if "--" in args else len(args)
    front, rest, k = list[str](), list[str](), 0
    while k < end:
        count = 2 if args[k] == option and k + 1 < end else 1
        (front if args[k] == option or args[k].startswith(f"{option}=") else rest).extend(args[k : k + count])
        k += count
    return [*front, *rest, *args[end:]]


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
    plugins: Annotated[
        list[Path],
        typer.Option(
            help="A folder whose Python files recipes may run as plugins (plugin_folders); may stand anywhere, several "
            f"times. The environment variable {VARIABLE} does the same.",
        ),
    ] = [],  # noqa: B006
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Renders object-detection datasets whose statistics match a small real dataset."""
    handler = RichHandler(console=output_of(context).err, show_time=False, show_path=False)
    root = logging.getLogger(__name__.rsplit(".", 2)[0])
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    if plugins:
        # Processes that the command starts see them too; whoever calls it from Python does not, afterwards.
        context.call_on_close(partial(_put_back, os.environ.get(VARIABLE)))
        trust(plugins)


def _put_back(value: str | None) -> None:
    if value is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = value


COMMANDS = (
    "commands.generate.render",
    "commands.generate.status",
    "commands.generate.verify",
    "commands.generate.preview",
    "commands.generate.tune",
    "commands.generate.init",
    "commands.compare.fit",
    "commands.compare.compare",
    "commands.compare.report",
    "commands.compare.measure",
    "commands.compare.evaluate",
    "commands.compare.quality",
    "commands.improve.fit_features",
    "commands.compare.infer",
    "commands.improve.curation",
    "commands.improve.augment",
    "farm.command",
    "commands.extend.plugins",
    "commands.extend.authoring",
    "commands.extend.doctor",
)
"""The modules that bring commands, in the order of the help."""


def _add_commands() -> None:
    for name in COMMANDS:
        importlib.import_module(f".{name}", __package__).add_to(app)


_add_commands()


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; ends with SystemExit."""
    app(args=None if args is None else list(args), prog_name="twinset")
