# SPDX-License-Identifier: GPL-3.0-or-later
"""Named declarations that other code may add to for a process or for a ``with`` block: columns, distances."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Declaration(Protocol):
    """Something that is looked up by its name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Declaration)


class Declarations(dict[str, T], Generic[T]):
    """Declarations by name, in the order in which they were declared.

    Parameters
    ----------
    builtin : iterable
        What is declared from the start.
    noun : str
        What messages call a declaration, such as ``column``.
    """

    def __init__(self, builtin: Iterable[T], noun: str) -> None:
        super().__init__({one.name: one for one in builtin})
        self._noun = noun

    def register(self, new: T) -> None:
        """Add a declaration.

        Raises
        ------
        ValueError
            Where one of that name exists.
        """
        if new.name in self:
            raise ValueError(f"A {self._noun} '{new.name}' is declared already. Give the new one another name.")
        self[new.name] = new

    def unregister(self, name: str) -> None:
        """Take back what :meth:`register` added."""
        del self[name]

    @contextlib.contextmanager
    def registered(self, *new: T) -> Iterator[None]:
        """Have declarations for the length of a ``with`` block."""
        with contextlib.ExitStack() as undo:
            for one in new:
                self.register(one)
                undo.callback(self.unregister, one.name)
            yield
