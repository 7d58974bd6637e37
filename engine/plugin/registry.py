# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds plugins: built-in ones, those of installed packages, and those in folders that the user names."""

from __future__ import annotations

import contextlib
import importlib
import logging
import pkgutil
import sys
import types
import zlib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import get_args

import attrs

from ..errors import PluginError
from .columns import IDENTIFIERS, KINDS_WITH_COLUMNS, declared_columns
from .contract import CONTRACT, KINDS
from .folder_registry import register_own_classes
from .hooks import hooks_of, lacks_method
from .kinds import INSTEAD, METHODS
from .params import Direction, coerce, describe, unknown

GROUP = "twinset.plugins"
"""Entry-point group of installed packages: ``my_id = "my_package.my_module"`` or ``"my_package.my_module:MyClass"``."""

RESERVED = ("plugin", "weight")
"""Keys of a recipe's plugin tables that no parameter may be called."""

log = logging.getLogger(__name__)


@attrs.frozen
class Broken:
    """A plugin that cannot be used: ``kind`` is "" where that is not known. ``reason`` is a whole sentence."""

    kind: str
    id: str
    source: str
    reason: str


class Registry:
    """All known plugins. One that fails to import is set aside and reported when asked for; it breaks no other.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Folders with plugin files, one per plugin, written like the built-in ones
        (``from ...engine.plugin import plugin``). Names that begin with ``_`` are helpers of theirs.
    entry_points : bool
        Whether to include plugins of installed packages.
    """

    def __init__(self, folders: Sequence[Path] = (), *, entry_points: bool = True) -> None:
        self._found: dict[tuple[str, str], type] = {}
        self._broken: list[Broken] = []
        self._builtin: set[tuple[str, str]] = set()
        for kind in KINDS:
            self._add_builtin(kind)
        self._builtin = set(self._found)
        if entry_points:
            self._add_entry_points()
        for folder in folders:
            self.add_folder(folder)

    def find(self, kind: str, id: str) -> type:
        """The plugin class of this kind and id.

        Raises
        ------
        PluginError
            Unknown kind or id, with the known ones; or a plugin that could not be loaded, with the reason.
        """
        if kind not in KINDS:
            raise PluginError(unknown("There is no kind of plugin", kind, KINDS))
        id = self.current_id(kind, id)
        if (kind, id) in self._found:
            return self._found[kind, id]
        for broken in self._broken:
            if broken.id == id and broken.kind in ("", kind):
                raise PluginError(
                    f"The {kind} plugin '{id}' ({broken.source}) cannot be used: {broken.reason} "
                    "Repair it or remove it from the recipe."
                )
        raise PluginError(unknown(f"There is no {kind} plugin", id, self.ids(kind)))

    def current_id(self, kind: str, id: str) -> str:
        """The id that a plugin has today, where ``id`` is one that it had before; else ``id`` itself."""
        if (kind, id) in self._found:
            return id
        renamed = (i for (k, i), cls in self._found.items() if k == kind and former_id(cls) == id)
        return next(renamed, id)

    def ids(self, kind: str, *, builtin: bool = False) -> list[str]:
        """Known ids of a kind, sorted."""
        return sorted(i for k, i in self._found if k == kind and (not builtin or (k, i) in self._builtin))

    def catalogue(self, *, builtin: bool = False) -> list[type]:
        """All plugin classes by kind, in the order of :data:`..plugin.KINDS`, then by id."""
        return [self._found[kind, id] for kind in KINDS for id in self.ids(kind, builtin=builtin)]

    def search(self, id: str) -> list[type]:
        """The plugin classes of an id of any kind, or of ``kind/id``; PluginError if no usable one exists."""
        kind, slash, name = id.rpartition("/")
        if slash:
            return [self.find(kind, name)]
        classes = [self.find(k, name) for k in KINDS if self.current_id(k, name) in self.ids(k)]
        for broken in self._broken:
            if broken.id == name and not classes:
                raise PluginError(f"The plugin '{name}' ({broken.source}) cannot be used: {broken.reason}")
        if not classes:
            raise PluginError(unknown("There is no plugin", name, sorted({i for k in KINDS for i in self.ids(k)})))
        return classes

    @property
    def broken(self) -> list[Broken]:
        """Plugins that cannot be used."""
        return list(self._broken)

    def is_builtin(self, cls: type) -> bool:
        """Whether a plugin class came with Twinset."""
        return (cls.plugin_kind, cls.plugin_id) in self._builtin  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def registered(self, cls: type) -> Iterator[type]:
        """Have a plugin class in the registry for the length of a ``with`` block; PluginError where it is invalid."""
        kind, id = getattr(cls, "plugin_kind", ""), getattr(cls, "plugin_id", "")
        if reason := check_declaration(cls) or ("its id is taken." if (kind, id) in self._found else ""):
            raise PluginError(f"The {kind} plugin '{id}' cannot be registered: {reason}")
        self._found[kind, id] = cls
        try:
            yield cls
        finally:
            del self._found[kind, id]

    def add_folder(self, folder: Path) -> None:
        """Add the plugin files of a folder; a missing folder raises PluginError."""
        folder = Path(folder).resolve()
        if not folder.is_dir():
            raise PluginError(f"The plugin folder {folder} does not exist. Create it or correct the path.")
        package = _folder_package(folder)
        for path in sorted(folder.glob("*.py")):
            if not path.stem.startswith("_"):
                self._add_module("", path.stem, f"{package}.{path.stem}", str(path))

    def _add_builtin(self, kind: str) -> None:
        self._add_package(kind, f"{_root()}.plugins.{kind}s")

    def _add_package(self, kind: str, name: str) -> None:
        """Add the built-in plugins of a folder and of the folders in it."""
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
            if module.ispkg:
                self._add_package(kind, f"{name}.{module.name}")
            elif not module.name.startswith("_"):
                self._add_module(kind, module.name, f"{name}.{module.name}", f"{name}.{module.name}")

    def _add_entry_points(self) -> None:
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
            module, _, attribute = entry.value.partition(":")
            self._add_module("", entry.name, module, entry.value, attribute)

    def _add_module(self, kind: str, id: str, module: str, source: str, attribute: str = "") -> None:
        try:
            classes = classes_of_module(module, attribute)
        except (Exception, SystemExit) as error:  # whatever a third party's module does on import
            text = str(error).rstrip(".")
            self._set_aside(Broken(kind, id, source, f"its import failed with {type(error).__name__}: {text}."))
            return
        try:
            others = 0 if kind else register_own_classes(sys.modules[module])
        except PluginError as error:
            self._set_aside(Broken(kind, id, source, str(error)))
            return
        if not (classes or others):
            self._set_aside(Broken(kind, id, source, "it declares no class with @plugin(kind)."))
        for cls in classes:
            self._add(cls, kind, id, source)

    def _add(self, cls: type, kind: str, id: str, source: str) -> None:
        reason = check_declaration(cls)
        own_kind, own_id = getattr(cls, "plugin_kind", kind), getattr(cls, "plugin_id", id)
        key = (own_kind, own_id)
        if not reason and kind and own_kind != kind:
            reason = f"it is in the folder of kind '{kind}' but is declared as a {own_kind}."
        if not reason and self._found.get(key, cls) is not cls:
            reason = f"another {own_kind} plugin is already called '{own_id}' ({self._found[key].__module__})."
        reason = reason or self._taken_column(cls)
        if reason:
            self._set_aside(Broken(own_kind, own_id, source, reason))
        else:
            self._found[key] = cls
            if not kind and declared_columns(cls):
                _with_columns[key] = cls

    def _taken_column(self, cls: type) -> str:
        """Which column of a plugin a built-in one declares otherwise, as one sentence; "" if none."""
        taken = {c.name: (owner, c) for owner in self.catalogue(builtin=True) for c in declared_columns(owner)}
        for column in declared_columns(cls) if self._builtin else ():
            owner, known = taken.get(column.name, (cls, column))
            if known.definition != column.definition:
                where = f"{owner.plugin_kind} '{owner.plugin_id}'"  # type: ignore[attr-defined]
                return f"its column '{column.name}' is one of the built-in {where}. Rename it."
        return ""

    def _set_aside(self, broken: Broken) -> None:
        log.info("plugin '%s' (%s) is set aside: %s", broken.id, broken.source, broken.reason)
        self._broken.append(broken)


def check_declaration(cls: type) -> str:
    """What is wrong with the declaration of a plugin class, as one sentence; "" if nothing is."""
    kind = getattr(cls, "plugin_kind", None)
    if not isinstance(cls, type) or kind not in KINDS:
        return "it is not a class declared with @plugin(kind)."
    contract = cls.plugin_contract  # type: ignore[attr-defined]
    if contract != CONTRACT:
        older = "Twinset" if contract > CONTRACT else "the plugin"
        return f"it is made for contract {contract} and this Twinset has contract {CONTRACT}; update {older}."
    methods = [METHODS[kind], *([INSTEAD[kind]] if kind in INSTEAD else [])]
    if all(lacks_method(cls, method) for method in methods):
        return f"a {kind} plugin needs the method {' or '.join(map(repr, methods))}."
    if not (cls.__doc__ or "").strip():
        return "it has no docstring, whose first line describes it."
    return _check_params(cls) or _check_columns(cls)


def former_id(cls: type) -> str:
    """The id that a plugin had in an earlier release; "" where it had no other."""
    return cls.plugin_formerly  # type: ignore[attr-defined]


def summary(cls: type) -> str:
    """The one-line description of a plugin: the first paragraph of its docstring."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def _check_columns(cls: type) -> str:
    if cls.plugin_kind not in KINDS_WITH_COLUMNS:  # type: ignore[attr-defined]
        return ""
    columns = cls.columns  # type: ignore[attr-defined]
    if not isinstance(columns, tuple | list) or len(declared_columns(cls)) != len(columns):
        return "its 'columns' must be a tuple of Column(...)."
    for column in declared_columns(cls):
        if not isinstance(column.name, str) or not column.name.isidentifier():
            return f"its column {column.name!r} must be called by letters, digits and underscores alone."
        if column.name in IDENTIFIERS:
            return f"its column '{column.name}' has the name of a column that says which box a row is. Rename it."
    return ""


def _check_params(cls: type) -> str:
    try:
        params = describe(cls)
    except Exception as error:  # type hints are the plugin's own code
        return f"its parameters cannot be read: {error}."
    undeclared = {f.name for f in attrs.fields(cls)} - {p.name for p in params}
    if undeclared:
        return f"its fields {', '.join(sorted(undeclared))} are not declared with param(...)."
    names = {p.name for p in params}
    for p in params:
        if p.formerly in names:
            return f"its parameter '{p.name}' was formerly '{p.formerly}', which is another parameter of it."
        if p.name in RESERVED or p.name in hooks_of(cls.plugin_kind):  # type: ignore[attr-defined]
            return f"a parameter cannot be called '{p.name}'."
        if not p.doc.strip():
            return f"its parameter '{p.name}' has no doc."
        if wrong := [way for way in p.moves.values() if way not in get_args(Direction)]:
            return f"its parameter '{p.name}' moves a column by {wrong[0]!r}, which must be '+', '-' or '?'."
        if p.unused_with not in ("", *KINDS):
            return f"its parameter '{p.name}' is unused_with '{p.unused_with}'. Kinds: {', '.join(KINDS)}."
        try:
            if not p.required:
                coerce(p, p.default)
        except (TypeError, ValueError) as error:
            return f"the default of its parameter '{p.name}' must be {p.expected()} ({error})."
    return ""


def _plugins_of(module: types.ModuleType) -> Iterator[type]:
    """Classes declared as plugins in this very module, not those that it imports or derives from."""
    for value in vars(module).values():
        if isinstance(value, type) and "plugin_kind" in vars(value) and value.__module__ == module.__name__:
            yield value


def classes_of_file(path: Path) -> list[type]:
    """The plugin classes that a file declares, valid or not; exceptions of its import pass through."""
    package = _folder_package(path.parent.resolve())
    return list(_plugins_of(importlib.import_module(f"{package}.{path.stem}")))


def classes_of_module(name: str, attribute: str = "") -> list[type]:
    """The plugin classes of an installed module, or the one called ``attribute``; exceptions pass through."""
    module = importlib.import_module(name)
    return [getattr(module, attribute)] if attribute else list(_plugins_of(module))


def _folder_package(folder: Path) -> str:
    """A package whose modules are the files of ``folder``, beside the built-in kinds.

    So its files have the same relative imports as built-in ones, which work wherever Twinset itself is installed: in
    site-packages or in Blender's extension folder.
    """
    name = f"{_root()}.plugins._folder_{zlib.crc32(str(folder).encode()):08x}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    importlib.invalidate_caches()
    return name


def _root() -> str:
    return __name__.rsplit(".", 3)[0]


_default: list[Registry] = []
_with_columns: dict[tuple[str, str], type] = {}
"""Plugins beside the built-in ones that declare columns, of all registries: reports know no recipe's folders."""


def default() -> Registry:
    """The registry without folders of its own, made on first use; plugins are looked for once per process."""
    if not _default:
        _default.append(Registry())
    return _default[0]


def added_with_columns() -> list[type]:
    """Plugin classes with columns of packages and folders, those of the recipes read so far among them."""
    return list(_with_columns.values())


def find(kind: str, id: str) -> type:
    """:meth:`Registry.find` of the default registry."""
    return default().find(kind, id)


def catalogue() -> list[type]:
    """:meth:`Registry.catalogue` of the default registry."""
    return default().catalogue()


def add_folder(folder: Path) -> None:
    """:meth:`Registry.add_folder` of the default registry."""
    default().add_folder(folder)
