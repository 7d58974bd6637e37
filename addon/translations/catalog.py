# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives Blender the translations of the panels' words, which are in ``words.csv``: a column for each language."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import bpy

_FILE = Path(__file__).with_name("words.csv")

LOCALES = {"de": ("de_DE",), "fr": ("fr_FR",), "es": ("es",), "ja": ("ja_JP",), "zh": ("zh_HANS",)}
"""Blender's names of the languages, by column."""

_CONTEXTS = ("*", "Operator")
"""Where Blender looks up words: labels, and buttons of operators."""


def words() -> dict[str, dict[str, str]]:
    """The translations of each English word or sentence, by language."""
    with open(_FILE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    return {row["en"]: {language: row[language] for language in LOCALES} for row in rows}


def table() -> dict[str, dict[tuple[str, str], str]]:
    """The translations in the form of ``bpy.app.translations``."""
    out: dict[str, dict[tuple[str, str], str]] = {}
    for text, translated in words().items():
        for language, names in LOCALES.items():
            for name in names:
                entries = out.setdefault(name, {})
                for context in _CONTEXTS:
                    entries[context, text] = translated[language]
    return out


def worded(template: str, *values: Any) -> str:
    """A text with values at its ``{}``, in the user's language."""
    return str(bpy.app.translations.pgettext_iface(template)).format(*values)


def register() -> None:
    """Give Blender the translations."""
    bpy.app.translations.register(__name__, table())


def unregister() -> None:
    """Take them back."""
    bpy.app.translations.unregister(__name__)
