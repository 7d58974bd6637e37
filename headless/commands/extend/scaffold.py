# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a new package with one plugin from the templates beside this file."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

from .... import __version__
from ....dataset.atomic_files import atomic_folder, output_error
from ....engine.errors import PluginError
from ....engine.plugin.contract import CONTRACT, KINDS
from ....engine.plugin.registry import default

LICENSES = ("GPL-3.0-or-later", "MIT")
_TEMPLATES = Path(__file__).parent / "plugin_template"
_PARAMETERS = {"placement": 'surfaces = ["Floor*"]\n'}


def write_package(name: str, kind: str, folder: Path | None, license: str) -> tuple[str, Path]:
    """Write a package with a working plugin, its tests, and the files needed to publish it.

    Parameters
    ----------
    name : str
        Name of the plugin; its id is the name in lower case with underscores.
    kind : str
        One of :data:`..engine.plugin.KINDS`.
    folder : Path, optional
        Folder to create; default is ``twinset-NAME`` in the working directory.
    license : str
        One of :data:`LICENSES`.

    Returns
    -------
    (str, Path)
        Id of the plugin, and the folder.

    Raises
    ------
    PluginError
        If the name, kind or licence is not valid, or a plugin with this id exists.
    OutputError
        If the folder exists already or cannot be written.
    """
    if kind not in KINDS:
        raise PluginError(f"'{kind}' is not a kind of plugin. Kinds: {', '.join(KINDS)}.")
    if license not in LICENSES:
        raise PluginError(f"There is no template for the licence '{license}'. Licences: {', '.join(LICENSES)}.")
    id = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_").removeprefix("twinset_")
    if not id.isidentifier() or keyword.iskeyword(id):
        raise PluginError(
            f"'{name}' is not a valid plugin name. Use a word that begins with a letter, such as 'glare'."
        )
    if id in default().ids(kind):
        raise PluginError(f"A {kind} plugin '{id}' already exists. Choose another name.")
    folder = Path(f"twinset-{id.replace('_', '-')}") if folder is None else folder
    files = _files(id, kind, license)
    with atomic_folder(folder) as fresh:
        try:
            for path, text in files.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise output_error(error, folder) from error
    return id, folder


def _files(id: str, kind: str, license: str) -> dict[str, str]:
    """The content of all files by their path in the package."""
    plugin, tests = _template(kind), _template(f"{kind}_test")
    package, cls = f"twinset_{id}", "".join(part.capitalize() for part in id.split("_"))
    if re.search(rf"\b{cls}\b", plugin + tests):
        cls += kind.capitalize()
    imports, _, body = tests.partition("===\n")
    values = {"ID": id, "KIND": kind, "CLASS": cls, "PACKAGE": package, "DIST": package.replace("_", "-")}
    values |= {"LICENSE": license, "TWINSET": __version__, "CONTRACT": str(CONTRACT)}
    values["SUMMARY"] = _summary(_filled(plugin, values))
    title = f"[{kind}]" if kind == "target" else f"[[{kind}]]"
    values["RECIPE"] = f'{title}\nplugin = "{id}"\n{_PARAMETERS.get(kind, "")}'.rstrip()
    values["IMPORTS"], values["TESTS"] = _filled(imports, values).rstrip(), _filled(body, values).rstrip()
    texts = {
        "pyproject.toml": _template("pyproject.toml"),
        "README.md": _template("README.md"),
        ".github/workflows/test.yml": _template("workflow.yml"),
        f"src/{package}/__init__.py": _template("init.py"),
        f"src/{package}/py.typed": "",
        f"src/{package}/{id}.py": plugin,
        f"tests/test_{id}.py": _template("test.py"),
    }
    return {path: _filled(text, values) for path, text in texts.items()}


def _template(name: str) -> str:
    path = _TEMPLATES / f"{name}.in"
    return (path if path.is_file() else _TEMPLATES / f"{name}.py.in").read_text(encoding="utf-8")


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: values.get(match[1], match[0]), text)


def _summary(source: str) -> str:
    """The first line of the docstring of the last class, the plugin."""
    *_, cls = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return (ast.get_docstring(cls) or "").split("\n")[0]
