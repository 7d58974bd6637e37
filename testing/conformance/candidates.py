# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds plugin classes, valid or not, by class, file, folder, module or id."""

from __future__ import annotations

import contextlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from ...engine.errors import PluginError
from ...engine.plugin.registry import GROUP, classes_of_file, classes_of_module, default


def find_classes(spec: type | str | Path) -> list[type]:
    """The classes that ``spec`` stands for, see :func:`..conformance.check_plugin`.

    Raises
    ------
    PluginError
        There is none, or its import failed, with the reason.
    """
    if not isinstance(spec, str | Path):
        return [spec]
    path = Path(spec)
    if path.is_dir():
        return _of_project(path) if (path / "pyproject.toml").is_file() else _of_folder(path)
    if path.suffix == ".py":
        if not path.is_file():
            raise PluginError(f"The file {path} does not exist. Correct the path.")
        return _loaded(str(path), lambda: classes_of_file(path))
    module, colon, attribute = str(spec).partition(":")
    if colon:
        return _loaded(str(spec), lambda: classes_of_module(module, attribute))
    return default().search(str(spec))


def _of_folder(folder: Path) -> list[type]:
    files = [p for p in sorted(folder.glob("*.py")) if not p.stem.startswith("_")]
    if not files:
        raise PluginError(f"The folder {folder} holds no plugin file. Name a file, or the folder that holds them.")
    return [cls for path in files for cls in _loaded(str(path), lambda path=path: classes_of_file(path))]  # type: ignore[misc]


def _of_project(folder: Path) -> list[type]:
    """The plugins that the pyproject.toml of a package names, installed or not."""
    file = folder / "pyproject.toml"
    try:
        entries = tomllib.loads(file.read_text("utf-8"))["project"]["entry-points"][GROUP]
    except (KeyError, ValueError):
        raise PluginError(f'{file} offers no plugin. Add [project.entry-points."{GROUP}"], or name a file.') from None
    with _on_path(folder / "src" if (folder / "src").is_dir() else folder):
        targets = [str(value).partition(":")[::2] for value in entries.values()]
        return [
            cls
            for module, attribute in targets
            for cls in _loaded(
                f"{file}, {module}",
                lambda module=module, attribute=attribute: classes_of_module(module, attribute),  # type: ignore[misc]
            )
        ]


def _loaded(source: str, load: Callable[[], list[type]]) -> list[type]:
    try:
        classes = load()
    except (Exception, SystemExit) as error:  # whatever a third party's module does on import
        raise PluginError(
            f"The import of {source} failed with {type(error).__name__}: {str(error).rstrip('.')}."
        ) from error
    if not classes:
        raise PluginError(f"{source} declares no class with @plugin(kind).")
    return classes


@contextlib.contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
