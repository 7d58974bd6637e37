# SPDX-License-Identifier: GPL-3.0-or-later
"""No file of the add-on or of blender/ imports itself through other files, not even inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest


def imported_files(path: Path) -> set[Path]:
    """The files that a file imports relatively, at its top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for alias in node.names:
            candidates = (base / f"{alias.name}.py", base / alias.name / "__init__.py", base.with_suffix(".py"))
            found.update([c for c in candidates if c.is_file()][:1])
    return found


def circle(imports: dict[Path, set[Path]]) -> list[Path]:
    """The files of a circle of imports, or none: files whose imports are all harmless are taken out until none is."""
    left = dict(imports)
    while harmless := [path for path, others in left.items() if not others & left.keys()]:
        for path in harmless:
            del left[path]
    return sorted(left)


def test_the_search_finds_a_circle() -> None:
    a, b, c, d = map(Path, "abcd")
    assert circle({a: {b}, b: {c}, c: {d}, d: set()}) == []
    assert circle({a: {b}, b: {c}, c: {b, d}, d: set()}) == [a, b, c]


@pytest.mark.parametrize("folder", ["addon", "blender"])
def test_imports_go_one_way(root: Path, folder: str) -> None:
    imports = {path: imported_files(path) for path in (root / folder).rglob("*.py")}
    assert sum(map(len, imports.values())) > 50
    assert circle(imports) == []
