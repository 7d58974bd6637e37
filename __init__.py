# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset: synthetic object-detection datasets whose statistics match a small real dataset.

This package is a Python distribution and a Blender extension at once, so it imports nothing by itself; the names of the
Python API are loaded on first use.
"""

from typing import Any

from .api import PUBLIC

__version__ = "0.2.0"


__all__ = [*PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".api.{PUBLIC[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})


def register() -> None:
    """Add Twinset to Blender; called when the extension is enabled."""
    from . import addon
    from .headless import blender_command

    blender_command.register()
    addon.register()


def unregister() -> None:
    """Take Twinset out of Blender again."""
    from . import addon
    from .headless import blender_command

    addon.unregister()
    blender_command.unregister()
