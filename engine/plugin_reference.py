# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference page of built-in plugins, written from their declarations and docstrings so that it cannot drift."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from .params import describe
from .plugin import KINDS
from .reference import KIND_NOTES, parameter_table
from .registry import Registry, default

_INTRO = """# Built-in plugins

<!-- Written by `twinset plugins reference > docs/plugins_reference.md`. Change the plugins, not this page. -->

What each does, how a recipe asks for it, and its parameters. Lengths are in metres, angles in degrees.
How to write your own is in [plugins.md](plugins.md), the rest of a recipe in [recipe.md](recipe.md).
"""

_FLAGS = {
    "first": "It runs before other placements, which place around what it puts on the stage.",
    "by_frame": "It goes by the frame's goals, too.",
    "early": "It judges the probe, too, before the render is paid for.",
    "from_labels": "It needs no picture, so it measures probes as well.",
}

_EXAMPLES = {
    "appearance/around": 'frames = "best.frames.json"',
    "appearance/background": 'image_folder = "backgrounds"',
    "appearance/world": 'hdri_folder = "skies"',
    "camera/around": 'frames = "best.frames.json"',
    "filter/feature_score": 'features = "chair.features"',
    "placement/around": 'frames = "best.frames.json"\nsurfaces = ["Floor*", "Table*"]',
    "placement/on_surface": 'surfaces = ["Floor*", "Table*"]\ncount = [2, 5]',
}
"""What is written for those that need more than their name."""


def plugin_reference(registry: Registry | None = None) -> str:
    """The page as Markdown; built-in plugins only, for it is the same on every machine."""
    return "\n".join(_lines(registry or default()))


def example(cls: type) -> str:
    """The table of a recipe that uses a built-in plugin."""
    kind, id = cls.plugin_kind, cls.plugin_id  # type: ignore[attr-defined]
    title = "[target]" if kind == "target" else f"[[{kind}]]"
    return "\n".join(filter(None, [title, f'plugin = "{id}"', _EXAMPLES.get(f"{kind}/{id}", "")]))


def _lines(registry: Registry) -> Iterator[str]:
    yield _INTRO
    for kind in KINDS:
        ids = registry.ids(kind, builtin=True)
        yield f"- {kind}: " + ", ".join(f"[`{id}`](#{kind}-{id})" for id in ids)
    for kind in KINDS:
        yield f"\n## {kind.capitalize()}\n\n{KIND_NOTES[kind]}\n"
        for id in registry.ids(kind, builtin=True):
            yield from _plugin(kind, id, registry.find(kind, id))


def _plugin(kind: str, id: str, cls: type) -> Iterator[str]:
    yield f"### {kind} `{id}`\n\n{_markdown(inspect.getdoc(cls) or '')}\n"
    flags = [text for name, text in _FLAGS.items() if getattr(cls, name, False) is True]
    if flags:
        yield " ".join(flags) + "\n"
    yield f"```toml\n{example(cls)}\n```\n"
    yield from parameter_table(describe(cls))


def _markdown(text: str) -> str:
    """A docstring's text as Markdown: code in single backticks, roles by their last name."""
    text = re.sub(r":\w+:`~?[.\w]*?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")
