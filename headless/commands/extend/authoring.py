# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``new-plugin`` and ``check-plugin``, for authors of plugins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ....engine.errors import PluginError
from ....engine.regular_files import real_path
from ...console.commands import command
from ...console.output import JsonOption, output_of

FAILED = 1
"""Exit code if a plugin fails a check."""


@command("new-plugin", order=30)
def new_plugin(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the plugin, such as 'glare'.", show_default=False)
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "-k",
            metavar="KIND",
            help="Kind: placement, appearance, camera, effect, target, metric, filter or writer.",
        ),
    ] = "metric",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Folder to create. Default: twinset-NAME.", show_default=False
        ),
    ] = None,
    license: Annotated[
        str, typer.Option("--license", metavar="NAME", help="GPL-3.0-or-later or MIT.")
    ] = "GPL-3.0-or-later",
    json: JsonOption = False,
) -> None:
    """Create a package for a new plugin.

    It has a working plugin of the given kind, tests, and the files needed to publish it.
    """
    from .scaffold import write_package

    id, folder = write_package(name, kind, out, license)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    output_of(context).result(
        {"kind": kind, "id": id, "folder": real_path(folder), "files": files},
        f"The {kind} plugin '{id}' is in {folder}/src/twinset_{id}/{id}.py. Edit it, then run:",
        f"    twinset check-plugin {folder}",
        f"    pip install -e {folder}",
    )


@command("check-plugin", order=40)
def check_plugin(
    context: typer.Context,
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="PLUGIN",
            help="A file, a folder of files, a package folder, module:Class, an id, or kind/id.",
            show_default=False,
        ),
    ],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter, as in a recipe; repeatable."),
    ] = None,
    max_seconds: Annotated[
        float,
        typer.Option("--max-seconds", metavar="X", min=0.001, help="Time limit for a frame of the small test scene."),
    ] = 10.0,
    json: JsonOption = False,
) -> None:
    """Check a plugin against the plugin contract.

    Runs without Blender. Exit code 1 if a check fails.
    """
    from ....testing.conformance.candidates import find_classes
    from ....testing.conformance.checks import CHECKS, Subject
    from ....testing.conformance.checks import Check as Kit

    given = dict(_assignment(text) for text in values or ())
    shown: list[Table | str] = []
    listed: list[dict[str, Any]] = []
    failed = 0
    for cls in find_classes(plugin):
        subject = Subject(cls, given, max_seconds)
        found = [Kit(subject, name).finding() for name in CHECKS]
        table = Table("check", "result", "requirement", title=subject.name, title_justify="left")
        for finding in found:
            promise = " ".join((CHECKS[finding.check].__doc__ or "").replace("``", "").split())
            state = "passed" if finding.passed else f"not run: {finding.skipped}" if finding.skipped else "FAILED"
            table.add_row(finding.check, f"{state}: {finding.problem}" if finding.problem else state, promise)
        n_failed = sum(bool(f.problem) for f in found)
        failed += n_failed > 0
        outcome = f"{sum(f.passed for f in found)} of {len(found)} checks passed" + (
            f", {n_failed} failed." if n_failed else "."
        )
        shown += [table, f"{subject.name[:1].upper()}{subject.name[1:]}: {outcome}"]
        checks: list[dict[str, Any]] = [
            {"check": f.check, "passed": f.passed, "problem": f.problem, "skipped": f.skipped} for f in found
        ]
        listed.append({"plugin": subject.name, "passed": all(f.passed for f in found), "checks": checks})
    output_of(context).result({"passed": not failed, "plugins": listed}, *shown)
    if failed:
        raise typer.Exit(FAILED)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise PluginError(f"'{text}' after --set must be NAME=VALUE, such as count=3.")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value  # a string whose quotes the shell has removed
