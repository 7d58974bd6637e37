# SPDX-License-Identifier: GPL-3.0-or-later
"""A new package with one plugin, written from the templates beside this."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from .... import __version__
from ....dataset.atomic_files import atomic_folder
from ....engine.errors import PluginError
from ....engine.plugin.contract import CONTRACT, KINDS
from ....engine.plugin.registry import default

LICENSES = ("GPL-3.0-or-later", "MIT")
_TEMPLATES = Path(__file__).parent / "plugin_template"
_PARAMETERS = {"placement": 'surfaces = ["Floor*"]\n'}


def write_package(name: str, kind: str, folder: Path | None, license: str) -> tuple[str, Path]:
    """Write a package with a working plugin of a kind, its tests, and all that it takes to publish it.

    Parameters
    ----------
    name : str
        What the plugin is called; its id is that in lower case with underscores.
    kind : str
        One of :data:`..engine.plugin.KINDS`.
    folder : Path, optional
        The folder to be made; default is ``twinset-NAME`` in the working folder.
    license : str
        One of :data:`LICENSES`.

    Returns
    -------
    (str, Path)
        The plugin's id and the folder.

    Raises
    ------
    PluginError
        Something of that cannot be a plugin's name, kind or licence, or there is a plugin of that id.
    OutputError
        The folder is there already, or cannot be written.
    """
    if kind not in KINDS:
        raise PluginError(f"'{kind}' is not a kind of plugin. Kinds: {', '.join(KINDS)}.")
    if license not in LICENSES:
        raise PluginError(f"There is no template for the licence '{license}'. Known ones: {', '.join(LICENSES)}.")
    id = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_").removeprefix("twinset_")
    if not id.isidentifier() or keyword.iskeyword(id):
        raise PluginError(
            f"'{name}' cannot be a plugin's name. Take a word that begins with a letter, such as 'glare'."
        )
    if id in default().ids(kind):
        raise PluginError(f"There is a {kind} plugin '{id}' already. Take another name.")
    folder = Path(f"twinset-{id.replace('_', '-')}") if folder is None else folder
    files = _files(id, kind, license)
    with atomic_folder(folder) as fresh:
        for path, text in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, encoding="utf-8")
    return id, folder


def _files(id: str, kind: str, license: str) -> dict[str, str]:
    """The texts of all files by their path in the package."""
    plugin, tests = _template(kind), _template(f"{kind}_test")
    package, cls = f"twinset_{id}", "".join(part.capitalize() for part in id.split("_"))
    if re.search(rf"\b{cls}\b", plugin + tests):
        cls += kind.capitalize()
    imports, _, body = tests.partition("===\n")
    words = {"ID": id, "KIND": kind, "CLASS": cls, "PACKAGE": package, "DIST": package.replace("_", "-")}
    words |= {"LICENSE": license, "TWINSET": __version__, "CONTRACT": str(CONTRACT)}
    words["SUMMARY"] = _summary(_filled(plugin, words))
    title = f"[{kind}]" if kind == "target" else f"[[{kind}]]"
    words["RECIPE"] = f'{title}\nplugin = "{id}"\n{_PARAMETERS.get(kind, "")}'.rstrip()
    words["IMPORTS"], words["TESTS"] = _filled(imports, words).rstrip(), _filled(body, words).rstrip()
    texts = {
        "pyproject.toml": _template("pyproject.toml"),
        "README.md": _template("README.md"),
        ".github/workflows/test.yml": _template("workflow.yml"),
        f"src/{package}/__init__.py": _template("init.py"),
        f"src/{package}/py.typed": "",
        f"src/{package}/{id}.py": plugin,
        f"tests/test_{id}.py": _template("test.py"),
    }
    return {path: _filled(text, words) for path, text in texts.items()}


def _template(name: str) -> str:
    path = _TEMPLATES / f"{name}.in"
    return (path if path.is_file() else _TEMPLATES / f"{name}.py.in").read_text(encoding="utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: words.get(found[1], found[0]), text)


def _summary(source: str) -> str:
    """The first line of the docstring of the last class, which is the plugin."""
    *_, cls = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return (ast.get_docstring(cls) or "").split("\n")[0]
