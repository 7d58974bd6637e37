# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``twinset`` command: collects all commands, and turns errors into sentences and exit codes in one place."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.logging import RichHandler

from .. import __version__
from ..dataset.atomic_files import DISK_FULL
from ..dataset.imports.repairs import VARIABLE as STRICT
from ..dataset.store.cache_folder import VARIABLE as CACHE
from ..engine.errors import RecipeError, TryAgainError, TwinsetError
from ..engine.plugin.trusted_folders import VARIABLE, trust
from .console.commands import Group, add_commands
from .console.interrupt import STOPPED
from .console.output import JsonOption, Output, output_of


class RootGroup(Group):
    """The command ``twinset``: expected errors end in a sentence and an exit code, never in a traceback.

    The options ``--plugins FOLDER``, ``--cache FOLDER`` and ``--strict`` may stand anywhere.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        front = _moved_to_front(_moved_to_front(args, "--cache"), "--plugins")
        return super().parse_args(ctx, _moved_to_front(front, "--strict", values=0))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TwinsetError as error:
            output_of(ctx).errors(error.problems if isinstance(error, RecipeError) else [str(error)])
            raise typer.Exit(error.exit_code) from None
        except MemoryError:
            output_of(ctx).errors(
                ["Out of memory. Files written so far are complete; free some memory and run the same command again."]
            )
            raise typer.Exit(TryAgainError.exit_code) from None
        except KeyboardInterrupt:
            output_of(ctx).message("Stopped. No file is half-written; run the same command to start again.")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            # The reader of the results has closed the pipe, as `head` does: not an error.
            sys.stdout = None
            raise typer.Exit(0) from None


def _moved_to_front(args: list[str], option: str, values: int = 1) -> list[str]:
    """The arguments with an option and its values before all others, except those after ``--``."""
    end = args.index("--") if "--" in args else len(args)
    front, rest, k = list[str](), list[str](), 0
    while k < end:
        count = 1 + values if args[k] == option and k + values < end else 1
        (front if args[k] == option or args[k].startswith(f"{option}=") else rest).extend(args[k : k + count])
        k += count
    return [*front, *rest, *args[end:]]


app = typer.Typer(
    cls=RootGroup,
    name="twinset",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Render object-detection datasets whose statistics match a small real dataset.",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"twinset {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more messages.")] = False,
    plugins: Annotated[
        list[Path],
        typer.Option(
            metavar="FOLDER",
            help="Trust the plugins in this folder, so that recipes may run them. Can be repeated, and given "
            f"anywhere on the command line. The environment variable {VARIABLE} does the same.",
        ),
    ] = [],  # noqa: B006
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Refuse annotations that would have to be repaired, instead of repairing them with a warning. Can be "
            "given anywhere on the command line.",
        ),
    ] = False,
    cache: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="Folder of surveys and fits that jobs on the same files share, such as one on a disk of all machines; "
            "'off' computes them again. Default: a folder in the user's cache. The environment variable "
            f"{CACHE} does the same.",
            show_default=False,
        ),
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Render object-detection datasets whose statistics match a small real dataset."""
    handler = RichHandler(console=output_of(context).err, show_time=False, show_path=False)
    root = logging.getLogger(__name__.rsplit(".", 2)[0])
    root.handlers = [handler]
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    if plugins:
        # Processes that the command starts inherit the variable; a Python program that calls the command must not.
        context.call_on_close(partial(_restore_variable, VARIABLE, os.environ.get(VARIABLE)))
        trust(plugins)
    if strict:
        context.call_on_close(partial(_restore_variable, STRICT, os.environ.get(STRICT)))
        os.environ[STRICT] = "1"
    if cache:
        context.call_on_close(partial(_restore_variable, CACHE, os.environ.get(CACHE)))
        os.environ[CACHE] = cache


def _restore_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


add_commands(app, f"{__package__}.commands")


def _run(args: Sequence[str] | None) -> None:
    """Run the command; a full disk under its standard output is an expected error, too."""
    try:
        try:
            app(args=None if args is None else list(args), prog_name="twinset")
        finally:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # here, where it can still be reported
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _discard_stdout()
        Output().message(f"The output cannot be written ({error.strerror}). Free some space there.")
        raise SystemExit(TryAgainError.exit_code) from None


def _discard_stdout() -> None:
    """Send what is still in the buffer of standard output nowhere: Python would report it again when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; ends with SystemExit.

    Without ``args``, the command is the whole process, which then ends whatever has been left in Blender.
    """
    try:
        _run(args)
    except SystemExit as end:
        if args is None and "bpy" in sys.modules:
            from ..blender.process.ending import end_process

            end_process(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
