# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module offers a command: under which heading of the help it stands, in which place, and how it is parsed."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

import attrs
import typer
from typer.core import TyperCommand, TyperGroup

from .deprecated_options import replace_deprecated

F = TypeVar("F", bound=Callable[..., None])


@attrs.frozen
class Heading:
    """A heading of the help: a package of commands has one as ``HEADING`` in its ``__init__``.

    Attributes
    ----------
    title : str
    order : int
        Headings with a smaller number come first.
    """

    title: str
    order: int


@attrs.frozen
class _Registered:
    """A command or group, the package that it was declared in, and its place under the package's heading."""

    package: str
    order: int
    add: Callable[[typer.Typer, str], None]


_registered: list[_Registered] = []


class Command(TyperCommand):
    """A command that still takes the option names of the last release."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, replace_deprecated(ctx, args))

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)
        for p in params:
            if p.param_type_name == "argument":
                p.display_type_rich = _no_type
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        # As most programs print it: REAL, and not {REAL}.
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(getattr(p, "metavar", None) or p.name or "").upper() for p in arguments)]


def _no_type(ctx: Any) -> str:
    """Shown for the type of an argument, whose name and description say it already: Typer prints Python's types."""
    return ""


class Group(TyperGroup):
    """A group of commands whose help lists them under their headings."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, Any]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                heading = getattr(command, "rich_help_panel", None)
                sections.setdefault(heading if isinstance(heading, str) else "Commands", []).append((name, command))
        if not sections:
            return
        # One width for all sections, so that their descriptions line up.
        width = max(len(name) for section in sections.values() for name, _ in section)
        for heading, commands in sections.items():
            rows = [(name.ljust(width), c.get_short_help_str(formatter.width - 6 - width)) for name, c in commands]
            with formatter.section(heading):
                formatter.write_dl(rows)


class Commands(typer.Typer):
    """A group of commands such as ``twinset farm``; its functions become commands by ``@group.command()``."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        options.setdefault("cls", Command)
        return super().command(name, **options)


def command(name: str | None = None, *, order: int) -> Callable[[F], F]:
    """Make a function a command of ``twinset``.

    The folder of its module decides under which heading of the help it stands.

    Parameters
    ----------
    name : str, optional
        Name of the command; by default that of the function.
    order : int
        Place under the heading; commands with a smaller number come first.
    """

    def register(function: F) -> F:
        def add(app: typer.Typer, heading: str) -> None:
            app.command(name, cls=Command, rich_help_panel=heading)(function)

        _registered.append(_Registered(function.__module__.rpartition(".")[0], order, add))
        return function

    return register


def group(name: str, help: str, *, package: str, order: int, **options: Any) -> Commands:
    """Make a group of commands of ``twinset``.

    Parameters
    ----------
    name, help : str
    package : str
        ``__package__`` of the module, which decides under which heading of the help it stands.
    order : int
        Place under the heading.
    **options
        More arguments for :class:`typer.Typer`.
    """
    commands = Commands(help=help, cls=Group, rich_markup_mode=None, **options)

    def add(app: typer.Typer, heading: str) -> None:
        app.add_typer(commands, name=name, rich_help_panel=heading)

    _registered.append(_Registered(package, order, add))
    return commands


def add_commands(app: typer.Typer, package: str) -> None:
    """Add the commands that the modules in all folders of a package declare."""
    headings: dict[str, Heading] = {}
    for folder in _names(package):
        heading = getattr(sys.modules[folder], "HEADING", None)
        if heading is None:
            continue
        headings[folder] = heading
        _names(folder)
    for folder in sorted(headings, key=lambda name: headings[name].order):
        own = [one for one in _registered if one.package == folder]
        for one in sorted(own, key=attrgetter("order")):
            one.add(app, headings[folder].title)


def _names(package: str) -> list[str]:
    """The modules and packages directly in a package, imported."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    return [importlib.import_module(info.name).__name__ for info in found]
