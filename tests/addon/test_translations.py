# SPDX-License-Identifier: GPL-3.0-or-later
"""Every word of the add-on's panels has a translation in five languages."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from twinset.addon.settings.display_names import label_of
from twinset.engine.plugin.contract import KINDS
from twinset.engine.plugin.params import describe
from twinset.engine.plugin.registry import Registry
from twinset.engine.recipe.settings import LISTS, TABLES, JobSettings, ModelSettings

LANGUAGES = ("de", "fr", "es", "ja", "zh")
TEXTS = ("text", "heading", "placeholder")
"""Arguments of Blender's layouts that are shown."""
FIRST = {"draw_text": None, "draw_wide_text": None, "_draw_pair": None, "worded": 0, "Step": 1, "LightingPreset": 0}
"""Functions whose arguments are shown: which one, or all."""


@pytest.fixture(scope="module")
def table(root: Path) -> dict[str, dict[str, str]]:
    with open(root / "addon/translations/words.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    texts = [row["en"] for row in rows]
    assert len(texts) == len(set(texts)), "a word is listed twice"
    return {row["en"]: row for row in rows}


def texts_in(node: ast.AST) -> Iterator[str]:
    """The string literals that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts_in(node.body)
        yield from texts_in(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts_in(value)


def shown_by(call: ast.Call) -> Iterator[str]:
    """The literals that a call shows in a panel."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    own = {keyword.arg: keyword.value for keyword in call.keywords}
    if isinstance(own.get("translate"), ast.Constant):
        return  # names of the user's own things
    shown = [own[key] for key in TEXTS if key in own]
    if name.endswith("Property") or name == "_weight":
        shown += [own[key] for key in ("name",) if key in own]
        for item in getattr(own.get("items"), "elts", ()):
            shown += item.elts[1:2] if isinstance(item, ast.Tuple) else []
    if name in FIRST:
        position = FIRST[name]
        shown += call.args if position is None else call.args[position : position + 1]
    for each in shown:
        yield from texts_in(each)


def words_in(source: str) -> set[str]:
    """The words that a file shows in panels."""
    out: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            out |= set(shown_by(node))
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") in ("bl_label", "title") for t in node.targets):
            out |= set(texts_in(node.value))
    return {text for text in out if re.search(r"[A-Za-z]{2}", text)}


def generated_words() -> set[str]:
    """The labels that are made from declarations of settings and plugins."""
    registry, out = Registry(), {label_of(kind) for kind in KINDS}
    classes = [JobSettings, ModelSettings, *TABLES.values(), *LISTS.values()]
    for kind in KINDS:
        out |= {label_of(id) for id in registry.ids(kind)}
        classes += [registry.find(kind, id) for id in registry.ids(kind)]
    for cls in classes:
        for p in describe(cls):
            choices = p.choices or [each for each in get_args(p.type) if isinstance(each, str)]
            out |= {label_of(text) for text in (p.name, *choices) if text}
    return {text for text in out if re.search(r"[A-Za-z]", text)}


def test_every_word_of_the_panels_is_translated(root: Path, table: dict[str, dict[str, str]]) -> None:
    files = sorted((root / "addon").rglob("*.py"))
    words = {word for file in files for word in words_in(file.read_text(encoding="utf-8"))}
    assert len(words) > 150 and {"Next Step", "Choose Annotations...", "Render {} Images"} <= words
    missing = sorted((words | generated_words()) - set(table))
    assert not missing, f"addon/translations/words.csv has no translations of {missing}"


def test_translations_are_complete(table: dict[str, dict[str, str]]) -> None:
    for text, row in table.items():
        for language in LANGUAGES:
            translated = row[language]
            assert translated and translated == translated.strip(), (text, language)
            assert translated.count("{}") == text.count("{}"), (text, language)
            assert translated.endswith("...") == text.endswith("..."), (text, language)
            if len(text.split()) > 3:
                assert translated != text, (text, language)


def test_asian_translations_are_in_their_scripts(table: dict[str, dict[str, str]]) -> None:
    """Sentences and labels, but not names such as COCO."""
    for text, row in table.items():
        if len(text.split()) > 1 and not row["ja"] == row["de"] == row["zh"]:
            assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", row["ja"]), text
            assert re.search(r"[\u4e00-\u9fff]", row["zh"]), text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('layout.label(text="A word")', {"A word"}),
        ('row.operator("twinset.fit", text="One" if x else "Another")', {"One", "Another"}),
        ('layout.label(text="chair", translate=False)', set()),
        ('layout.label(text=f"{count} things")', set()),
        ('x = bpy.props.EnumProperty(name="Room", items=[("A", "This Scene", "tip")])', {"Room", "This Scene"}),
        ('class P:\n    bl_label = "Panel"', {"Panel"}),
        ('draw_text(layout, context, "A sentence.")', {"A sentence."}),
        ('worded("{} of them", 3)', {"{} of them"}),
    ],
)
def test_words_are_found(code: str, words: set[str]) -> None:
    assert words_in(code) == words
