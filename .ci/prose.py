# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds words that our prose does without, in documents, in the help of commands, and in docstrings and messages.

python .ci/prose.py [FILE...]      without files: everything; ends with exit code 1 if a word was found
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("prose_words.toml")
GENERATED = ("docs/recipes/reference.md", "docs/plugins/reference/")
"""Pages written from declarations: their words are found where they are declared."""

NOT_PROSE = ("CHANGELOG.md", "tests/")
"""What was said at its time stays, and tests may quote anything."""


class Finding(NamedTuple):
    """A word that should not be there."""

    place: str
    found: str
    instead: str


def load(path: Path = LIST) -> list[tuple[re.Pattern[str], str]]:
    """The list: patterns, each with what to write instead."""
    groups = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        (re.compile(rf"\b(?:{word.replace(' ', chr(92) + 's+')})\b", re.IGNORECASE), instead)
        for group in groups.values()
        for word, instead in group.items()
    ]


def search(text: str, words: Iterable[tuple[re.Pattern[str], str]]) -> Iterator[tuple[int, str, str]]:
    """Line, what was found and what to write instead, for each finding in a text."""
    for pattern, instead in words:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), instead


def prose_of_markdown(text: str) -> str:
    """A page without its code; lines keep their numbers."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"^```.*?^```|<!--.*?-->", blank, text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", blank, text)


def prose_of_python(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of the docstrings and messages of a module; f-strings without what is filled in."""
    tree = ast.parse(text)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else " ... " for part in node.values]
            yield node.lineno, "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            is_name = " " not in node.value.strip()
            yield node.lineno, "" if is_name else re.sub(r"`[^`]*`", " ", node.value)


def helps() -> Iterator[tuple[str, str]]:
    """Each command's help and those of its options, by the name of the command."""
    import typer
    from twinset.headless.cli import app

    def walk(name: str, command: Any) -> Iterator[tuple[str, str]]:
        yield name, " ".join(filter(None, [command.help, command.epilog]))
        for param in command.params:
            yield f"{name} {'/'.join(param.opts)}", getattr(param, "help", None) or ""
        for below, other in getattr(command, "commands", {}).items():
            yield from walk(f"{name} {below}", other)

    return walk("twinset", typer.main.get_command(app))


def check(paths: Iterable[Path], words: list[tuple[re.Pattern[str], str]]) -> Iterator[Finding]:
    """All findings in files."""
    for path in paths:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        text = path.read_text(encoding="utf-8")
        parts = [(1, prose_of_markdown(text))] if path.suffix == ".md" else prose_of_python(text)
        for first, part in parts:
            for line, found, instead in search(part, words):
                yield Finding(f"{name}:{first + line - 1}", found, instead)


def files() -> list[Path]:
    """The files of the repository whose prose is checked."""
    listed = subprocess.run(["git", "ls-files", "*.md", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\n") if name and not name.startswith((*GENERATED, *NOT_PROSE))]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def main(arguments: list[str]) -> int:
    """Print what was found."""
    words = load()
    given = [Path(argument).resolve() for argument in arguments]
    findings = list(check(given or files(), words))
    if not given:
        findings += [Finding(n, found, new) for n, text in helps() for _, found, new in search(text, words)]
    for finding in findings:
        print(f"{finding.place}: '{finding.found}'; write instead: {finding.instead}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
