# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python files of the repository, what each imports, and which part of the package may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What each part of the package may import besides itself. "" is the root, which imports nothing and holds the version.
LOWER = {
    "": {"api", "headless", "addon"},
    "engine": {""},
    "alignment": {"", "engine"},
    "dataset": {"", "engine", "alignment"},
    "plugins": {"", "engine", "alignment", "dataset"},
    "blender": {"", "engine", "alignment", "dataset", "plugins"},
    "headless": {"", "engine", "alignment", "dataset", "plugins", "blender", "testing"},
    "api": {"", "engine", "alignment", "dataset", "plugins", "blender", "headless"},
    "addon": {"", "engine", "alignment", "dataset", "plugins", "blender"},
    "testing": {"", "engine", "alignment", "dataset", "plugins"},
}


def tree_files() -> list[str]:
    """All Python files of the repository, as POSIX paths relative to the root; ignored and hidden ones left out."""
    found = []
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if not any(p.startswith(".") or p in ("__pycache__", "build", "dist") for p in parts):
            found.append("/".join(parts))
    return sorted(found)


def in_package(path: str) -> bool:
    """Whether a file is part of the package ``twinset``, and not of its tests, docs or benchmarks."""
    return path == "__init__.py" or path.split("/")[0] in LOWER or path.removesuffix(".py") in LOWER


def imports(path: str, tree: ast.AST) -> Iterator[tuple[int, tuple[str, ...] | None, str]]:
    """All imports of a file: (line, parts below the root or None when absolute, absolute top-level name)."""
    folder = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, None, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, None, (node.module or "").split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = node.level - 1
            if above > len(folder):
                yield node.lineno, ("..",), ""
                continue
            base = [*folder[: len(folder) - above], *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                target = (*base, alias.name)
                is_module = (ROOT / "/".join(target)).is_dir() or (ROOT / ("/".join(target) + ".py")).is_file()
                yield node.lineno, target if is_module else tuple(base), ""
