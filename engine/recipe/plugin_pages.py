# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference pages of built-in plugins, written from their declarations and docstrings so that they cannot drift."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping

from ..output.label_pass import example_line
from ..plugin.columns import declared_columns
from ..plugin.contract import KINDS
from ..plugin.hooks import flags_of
from ..plugin.params import describe
from ..plugin.registry import Registry, default, summary
from .reference_page import kind_note, parameter_table

INDEX = "README.md"
"""The page that lists the others, which lie in a folder per kind."""

CAPTIONS = "pictures.json"
"""The file beside the pages that says which plugins have a picture, and what it shows."""

_WRITTEN = (
    "<!-- Written by `twinset plugins reference -o docs/plugins/reference`. Change the plugin, not this page. -->\n"
)

_INTRO = f"""# Built-in plugins

{_WRITTEN}
Each page describes a plugin, shows an example image, and lists its parameters. How to write your own is in
[the tutorial](../tutorial.md), the rest of a recipe in [the recipe reference](../../recipes/reference.md).
"""

_FLAGS = {
    "runs_first": "It runs before other placements, which place around what it puts on the stage.",
    "uses_goals": "It goes by the frame's goals, too.",
    "follows_camera": "It follows the camera, so each view of a layout is varied by itself.",
    "judges_probes": "It judges the probe, too, before the render is paid for.",
    "measures_probes": "It needs no picture, so it measures probes as well.",
}


def plugin_pages(captions: Mapping[str, str], registry: Registry | None = None) -> dict[str, str]:
    """The pages as Markdown by path; built-in plugins only, for they are the same on every machine.

    Parameters
    ----------
    captions : mapping
        By :func:`page_name` what the picture beside the page shows; pages of others have no picture.
    """
    registry = registry or default()
    classes_by_kind = {kind: [registry.find(kind, id) for id in registry.ids(kind, builtin=True)] for kind in KINDS}
    pages = {
        f"{page_name(cls)}.md": "\n".join(_page(cls, captions))
        for classes in classes_by_kind.values()
        for cls in classes
    }
    return {INDEX: "\n".join(_index(classes_by_kind, registry)), **pages}


def page_name(cls: type) -> str:
    """Path of a plugin's page and picture, without their endings, such as camera/orbit."""
    return f"{cls.plugin_kind}/{cls.plugin_id}"  # type: ignore[attr-defined]


def example(cls: type) -> str:
    """The table of a recipe that uses a built-in plugin."""
    kind, id = cls.plugin_kind, cls.plugin_id  # type: ignore[attr-defined]
    title = "[target]" if kind == "target" else f"[[{kind}]]"
    labels = getattr(cls, "uses_labels", ())
    before = ["[output]", *map(example_line, labels), ""] if labels else []
    return "\n".join([*before, *filter(None, [title, f'plugin = "{id}"', cls.recipe_example])])  # type: ignore[attr-defined]


def _index(classes_by_kind: Mapping[str, list[type]], registry: Registry) -> Iterator[str]:
    yield _INTRO
    for kind, classes in classes_by_kind.items():
        yield f"## {kind.capitalize()}\n\n{kind_note(kind, registry)}\n"
        for cls in classes:
            yield f"- [`{cls.plugin_id}`]({page_name(cls)}.md): {_markdown(summary(cls))}"  # type: ignore[attr-defined]
        yield ""


def _page(cls: type, captions: Mapping[str, str]) -> Iterator[str]:
    name = page_name(cls)
    yield f"# {cls.plugin_kind} `{cls.plugin_id}`\n\n{_WRITTEN}"  # type: ignore[attr-defined]
    yield f"{_markdown(inspect.getdoc(cls) or '')}\n"
    flags = [text for flag, text in _FLAGS.items() if flag in flags_of(cls)]
    if flags:
        yield " ".join(flags) + "\n"
    if name in captions:
        yield f"![{captions[name]}]({cls.plugin_id}.jpg)\n\n*{captions[name]}*\n"  # type: ignore[attr-defined]
    yield f"```toml\n{example(cls)}\n```\n"
    yield from parameter_table(describe(cls))
    yield from _columns_table(cls)
    yield f"[All built-in plugins](../{INDEX})\n"


def _columns_table(cls: type) -> Iterator[str]:
    """What a metric or filter declares of its columns."""
    columns = declared_columns(cls)
    if not columns:
        return
    yield "| column | of each | unit | what it is |\n| --- | --- | --- | --- |"
    for column in columns:
        levels = " and ".join("box" if level == "bbox" else level for level in column.levels)
        yield f"| `{column.name}` | {levels} | {column.unit} | {' '.join([column.definition, column.source]).strip()} |"
    yield ""


def _markdown(text: str) -> str:
    """A docstring's text as Markdown: code in single backticks, roles by their last name."""
    text = re.sub(r":\w+:`~?[.\w]*?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")
