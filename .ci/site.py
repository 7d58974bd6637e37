# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of the documentation site: pages of built-in plugins, links out of docs/, the Python API, and notebooks."""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED = ("engine", "api", "testing")
"""What mkdocstrings may read: the whole root would include tests, environments and Blender's side."""

BUILT_IN = "Built-in plugins"
"""The entry of the navigation that is filled with a page for each plugin."""

_API = "<!-- api -->"
_NOTEBOOK = re.compile(r"<!-- notebook: (\S+) -->")
_package = tempfile.TemporaryDirectory(prefix="twinset-site-")


@event_priority(100)  # before mkdocstrings reads where to look
def on_config(config: Any) -> Any:
    """Lay the documented modules out as the package ``twinset``, whatever the checkout is called; list the plugins."""
    package = Path(_package.name) / "twinset"
    package.mkdir(exist_ok=True)
    for name in DOCUMENTED:
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (package / "__init__.py").touch()
    config.plugins["mkdocstrings"].config["handlers"]["python"]["paths"] = [str(package.parent)]
    _fill(config.nav)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the examples, which pages link to; a page among them is not in the navigation."""
    for path in sorted(path for path in ROOT.glob("examples/**/*.*") if path.is_file()):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links to and from examples at the site's copies, list the Python API, and show notebooks."""
    name = page.file.src_uri
    folder = posixpath.dirname(name if name.startswith("examples/") else "docs/" + name)
    markdown = _NOTEBOOK.sub(lambda match: notebook(ROOT / folder / match[1]), markdown)

    def inside(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        if not target.startswith("examples/") and not (name.startswith("examples/") and target.startswith("docs/")):
            return match[0]
        return f"]({posixpath.relpath(target.removeprefix('docs/'), posixpath.dirname(name))}"

    markdown = re.sub(r"\]\(((?:\.\./)+[^)#\s]+)", inside, markdown)
    return markdown.replace(_API, "\n\n".join(f"::: twinset.{name}" for name in api_names()))


def notebook(path: Path) -> str:
    """The cells of a notebook as Markdown, without outputs."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts)


def api_names() -> list[str]:
    """The public names of the Python API, as dotted paths below ``twinset``, functions first."""
    for node in ast.parse((ROOT / "api" / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PUBLIC":
            names: dict[str, str] = ast.literal_eval(node.value)
            return [f"api.{names[name]}.{name}" for name in sorted(names, key=lambda name: (name[0].isupper(), name))]
    raise SystemExit("api/__init__.py does not say what is public.")


def _fill(nav: list[Any]) -> None:
    for entry in nav:
        for title, below in entry.items() if isinstance(entry, dict) else ():
            if title == BUILT_IN:
                entry[title] = [below, *_reference((ROOT / "docs" / below).parent)]
            elif isinstance(below, list):
                _fill(below)


def _reference(folder: Path) -> list[dict[str, list[str]]]:
    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    docs = ROOT / "docs"
    return [{k.name.capitalize(): [p.relative_to(docs).as_posix() for p in sorted(k.glob("*.md"))]} for k in kinds]
