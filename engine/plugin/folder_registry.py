# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries whose entries are the files of one folder: adding an entry is adding a file with one class."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import types
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..errors import PluginError
from .params import unknown


class Named(Protocol):
    """A class that a registry knows by its name."""

    name: ClassVar[str]


T = TypeVar("T", bound=Named)


def name_of(cls: type) -> str:
    """The name that a class has by default: that of the file which declares it."""
    return cls.__module__.rsplit(".", 1)[-1]


_registries: weakref.WeakSet[FolderRegistry[Any]] = weakref.WeakSet()


class FolderRegistry(Generic[T]):
    """The classes that the files of a folder of this package declare, by name.

    The folder is listed, and its files are imported, when the registry is first asked for something.

    Parameters
    ----------
    base : type
        What all entries derive from. An entry is a class with a ``name`` of its own.
    folder : str
        The folder as a dotted name below the package, such as ``dataset.labels``. Files whose names begin with ``_``
        declare nothing.
    noun : str
        What messages call an entry, such as ``label pass``.
    """

    def __init__(self, base: type[T], folder: str, noun: str) -> None:
        self.base = base
        self.noun = noun
        _registries.add(self)
        self._folder = folder
        self._entries: dict[str, type[T]] = {}
        self._is_listed = False

    def all(self) -> list[type[T]]:
        """All classes, in the order of their names."""
        self._list_folder()
        return [self._entries[name] for name in sorted(self._entries)]

    def names(self) -> list[str]:
        """The names of all classes, sorted."""
        return [cls.name for cls in self.all()]

    def find(self, name: str) -> type[T]:
        """The class of a name; PluginError with the known names where there is none."""
        self._list_folder()
        if name not in self._entries:
            raise PluginError(unknown(f"There is no {self.noun}", name, sorted(self._entries)))
        return self._entries[name]

    def register(self, cls: type[T]) -> type[T]:
        """Add a class that no file of the folder declares; also usable as a decorator.

        Raises
        ------
        PluginError
            Where the class is of another kind, or its name is taken.
        """
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            raise PluginError(f"{cls!r} is no {self.noun}: derive it from {self.base.__name__}.")
        other = self._entries.get(cls.name)
        if other is not None and other is not cls:
            raise PluginError(
                f"Two {self.noun} classes are named '{cls.name}' ({other.__module__} and {cls.__module__}). Rename one."
            )
        self._entries[cls.name] = cls
        return cls

    @contextlib.contextmanager
    def registered(self, cls: type[T]) -> Iterator[type[T]]:
        """Have a class in the registry for as long as the ``with`` block runs."""
        self._list_folder()
        self.register(cls)
        try:
            yield cls
        finally:
            del self._entries[cls.name]

    def _list_folder(self) -> None:
        if self._is_listed:
            return
        self._is_listed = True
        root = __name__.rsplit(".", 3)[0]
        package = importlib.import_module(f"{root}.{self._folder}")
        for info in pkgutil.iter_modules(package.__path__):
            if info.name.startswith("_"):
                continue
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            for value in list(vars(module).values()):
                is_own = isinstance(value, type) and value.__module__ == module.__name__
                if is_own and issubclass(value, self.base) and value is not self.base:
                    self.register(value)


def register_own_classes(module: types.ModuleType) -> int:
    """Register what a module of a plugin folder or package declares for any folder registry; returns how many.

    Raises
    ------
    PluginError
        Where a name is taken.
    """
    own = [v for v in list(vars(module).values()) if isinstance(v, type) and v.__module__ == module.__name__]
    found = [(registry, cls) for registry in _registries for cls in own if issubclass(cls, registry.base)]
    for registry, cls in found:
        registry.names()  # built-in ones come first
        registry.register(cls)
    return len(found)
