# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands ``plugins`` and ``schema``, which print what a recipe can contain."""

from __future__ import annotations

import inspect
import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ....dataset.atomic_files import write_atomic
from ....engine.plugin.columns import declared_columns
from ....engine.plugin.params import Param, describe, plain_value
from ....engine.plugin.registry import Registry, summary
from ....engine.recipe.plugin_pages import CAPTIONS, plugin_pages
from ....engine.recipe.reading import json_schema
from ....engine.recipe.reference_page import recipe_reference
from ....engine.recipe.writing import toml_value
from ...console.commands import command, group
from ...console.output import JsonOption, json_option, output_of

FolderOption = Annotated[
    list[Path],
    typer.Option("--folder", metavar="FOLDER", help="Include the plugins in this folder; repeatable."),
]

app = group("plugins", "List the plugins, or show one.", package=__package__, order=10, invoke_without_command=True)


@app.callback()
def plugins(context: typer.Context, folder: FolderOption = [], json: JsonOption = False) -> None:  # noqa: B006
    """List the plugins, or show one."""
    registry = Registry(folder)
    context.obj = output_of(context)
    context.meta["registry"] = registry
    if context.invoked_subcommand:
        return
    table = Table("kind", "id", "what it does", "from")
    for cls in registry.catalogue():
        source = "Twinset" if registry.is_builtin(cls) else cls.__module__
        table.add_row(cls.plugin_kind, cls.plugin_id, summary(cls), source)  # type: ignore[attr-defined]
    output = output_of(context)
    for broken in registry.broken:
        output.message(f"The plugin '{broken.id}' ({broken.source}) cannot be used: {broken.reason}")
    listed = [_description(registry, cls) for cls in registry.catalogue()]
    output.result({"plugins": listed, "broken": registry.broken}, table)


@app.command()
def show(
    context: typer.Context,
    id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Plugin id, or kind/id.", show_default=False),
    ],
    json: JsonOption = False,
) -> None:
    """Show a plugin with its parameters."""
    registry: Registry = context.meta["registry"]
    found = registry.search(id)
    shown: list[Any] = []
    for cls in found:
        shown += [
            f"{cls.plugin_kind}/{cls.plugin_id}",  # type: ignore[attr-defined]
            inspect.getdoc(cls) or "",
            _table(describe(cls)),
            *_columns(cls),
        ]
    output_of(context).result({"plugins": [_description(registry, cls) for cls in found]}, *shown)


@app.command()
def reference(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Where to write, such as docs/plugins/reference.", show_default=False
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Write the reference pages of the built-in plugins.

    Pages link to pictures already in the folder.
    """
    captions = folder / CAPTIONS
    pages = plugin_pages(jsonlib.loads(captions.read_bytes()) if captions.is_file() else {})
    for name, text in pages.items():
        write_atomic(folder / name, text.encode())
    stale = sorted(path for path in folder.rglob("*.md") if path.relative_to(folder).as_posix() not in pages)
    for path in stale:
        path.unlink()
    result = {
        "folder": folder,
        "pages": sorted(pages),
        "removed": [path.relative_to(folder).as_posix() for path in stale],
    }
    output_of(context).result(result, f"{len(pages)} pages in {folder}")


@command(order=20)
def schema(
    context: typer.Context,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a reference page in Markdown instead.")] = False,
    json: Annotated[bool, json_option("Print the schema on one line.")] = False,
) -> None:
    """Print the JSON schema of recipes."""
    if markdown:
        typer.echo(recipe_reference(), nl=False)
    else:
        typer.echo(jsonlib.dumps(json_schema(), indent=None if output_of(context).json else 2, ensure_ascii=False))


def _columns(cls: type) -> list[Table]:
    """The columns that a metric or filter declares, as a table; nothing without any."""
    table = Table("column", "of each", "unit", "what it is")
    for column in declared_columns(cls):
        levels = " and ".join("box" if level == "bbox" else level for level in column.levels)
        table.add_row(column.name, levels, column.unit, column.definition)
    return [table] if table.row_count else []


def _table(params: list[Param]) -> Table | str:
    if not params:
        return "It has no parameters."
    table = Table("parameter", "value", "default", "meaning")
    for p in params:
        fallback = "required" if p.required else "" if p.default is None else toml_value(plain_value(p.default))
        table.add_row(p.name, p.expected(), fallback, p.doc + (f" ({p.unit})" if p.unit else ""))
    return table


def _description(registry: Registry, cls: type) -> dict[str, Any]:
    return {
        "kind": cls.plugin_kind,  # type: ignore[attr-defined]
        "id": cls.plugin_id,  # type: ignore[attr-defined]
        "summary": summary(cls),
        "builtin": registry.is_builtin(cls),
        "module": cls.__module__,
        "parameters": [_parameter(p) for p in describe(cls)],
    }


def _parameter(p: Param) -> dict[str, Any]:
    values: dict[str, Any] = {"name": p.name, "value": p.expected(), "doc": p.doc, "required": p.required}
    if not p.required:
        values["default"] = p.default
    return values | {
        key: v for key in ("min", "max", "unit", "choices") if (v := getattr(p, key)) not in (None, "", ())
    }
