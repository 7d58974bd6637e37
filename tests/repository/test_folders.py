# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files do not import each other in circles, folders stay small, and the engine names no plugin."""

from __future__ import annotations

import ast
import re

import pytest
from source_tree import ROOT, imports, in_package, tree_files

MAX_FILES = 15
MAY_NAME_PLUGINS = {"engine/recipe/reference_page.py"}  # it shows recipes to their authors
COLUMNS_OF_ROWS = {"bbox", "depth", "shape"}
"""Metrics that are called like what they measure, which rows have whatever measured it."""
KEYS_OF_RECIPES = {"materials", "bop"}
"""Keys of tables other than plugins', and values of them, that a plugin is called like."""


def import_graph() -> dict[str, set[str]]:
    """The files of the package that each of its files imports, wherever in the file it does so.

    The root's ``__init__.py``, which registers the add-on lazily, is left out.
    """
    files = {path for path in tree_files() if in_package(path) and path != "__init__.py"}
    graph: dict[str, set[str]] = {}
    for path in sorted(files):
        graph[path] = set()
        for _, target, _ in imports(path, ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            name = "/".join(target or ())
            graph[path] |= {found for found in (f"{name}.py", f"{name}/__init__.py") if found in files} - {path}
    return graph


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes each of which leads to all others of its group, by what is reached from where."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += graph.get(node, ())
        reached[start] = seen
    groups = {frozenset(n for n in seen if start in reached.get(n, ())) for start, seen in reached.items()}
    return sorted(sorted(group) for group in groups if group)


def test_no_circle_of_imports_between_folders() -> None:
    folders: dict[str, set[str]] = {}
    for path, targets in import_graph().items():
        folders.setdefault(folder_of(path), set()).update({folder_of(t) for t in targets} - {folder_of(path)})
    assert len(folders) > 20
    found = circles(folders)
    assert not found, f"These folders import each other: {found}. Move what they share to a folder below both."


def test_no_circle_of_imports_between_files() -> None:
    found = circles(import_graph())
    assert not found, f"These files import each other: {found}."


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"f"}, "f": {"e"}}) == [
        ["a", "b", "c"],
        ["e", "f"],
    ]
    assert circles({"a": {"a"}}) == [["a"]]


def test_no_folder_holds_too_many_files() -> None:
    counts: dict[str, int] = {}
    for path in tree_files():
        if not path.endswith("__init__.py"):
            counts[folder_of(path)] = counts.get(folder_of(path), 0) + 1
    crowded = {folder: n for folder, n in counts.items() if n > MAX_FILES}
    assert not crowded, f"These folders hold more than {MAX_FILES} code files: {crowded}. Divide them by subject."


def plugin_ids(source: str, plugins: set[str]) -> list[tuple[int, str]]:
    """Line and text of strings that name a plugin (``kind/id``), docstrings and other bare strings left out."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    ids = {name.rpartition("/")[2] for name in plugins} - COLUMNS_OF_ROWS - KEYS_OF_RECIPES
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            words = set(re.findall(r"[\w/]+", node.value)) if len(node.value.split()) == 1 else set()
            words |= set(re.findall(r"[\"'`]([\w/]+)[\"'`]", node.value))
            if words & (plugins | ids):
                found.append((node.lineno, node.value))
    return found


def test_the_engine_names_no_built_in_plugin() -> None:
    plugins = {
        f"{path.split('/')[1].removesuffix('s')}/{path.split('/')[-1].removesuffix('.py')}"
        for path in tree_files()
        if path.startswith("plugins/") and path.count("/") >= 2 and not path.endswith("__init__.py")
    }
    assert {"camera/framed", "metric/bbox", "placement/on_surface"} <= plugins
    named = [
        f"{path}:{line} names a built-in plugin: {text!r}; ask for a hook instead"
        for path in tree_files()
        if path.startswith("engine/") and path not in MAY_NAME_PLUGINS
        for line, text in plugin_ids((ROOT / path).read_text(encoding="utf-8"), plugins)
    ]
    assert not named, "\n" + "\n".join(named)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('x = use.id == "on_surface"', 1),
        ('"""Written for `on_surface`."""\nx = 1', 0),
        ("x = \"Use 'on_surface' instead.\"", 1),
        ('find("metric", "bbox")', 0),
        ('x = "metric/bbox"', 1),
        ('x = "on surface"', 0),
    ],
)
def test_names_of_plugins_are_found(code: str, count: int) -> None:
    assert len(plugin_ids(code, {"placement/on_surface", "metric/bbox"})) == count
