# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that lie elsewhere since the release before; whoever imports the old place gets a note in the log."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def moved_to(
    old: str, new: str, renamed: Mapping[str, str] | None = None, importer: str = "a plugin"
) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that has moved.

    Parameters
    ----------
    old : str
        The module's own ``__name__``.
    new : str
        Where its names are now, below the package of the module, such as ``plugin.params``.
    renamed : mapping of str to str, optional
        Names that have changed as well, and what they are called now.
    importer : str
        Who imports it, for the note.
    """

    def look_up(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module '{old}' has no attribute '{name}'")
        root = old.rpartition(".")[0]
        own_name = (renamed or {}).get(name, name)
        warn = importlib.import_module(f"{__package__}.plugin.renames").warn
        warn(f"an import of {importer}", f"{old}.{name}", f"{root}.{new}.{own_name}")
        return getattr(importlib.import_module(f"{root}.{new}"), own_name)

    return look_up
