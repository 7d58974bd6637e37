# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset: synthetic object-detection datasets whose statistics match a small real dataset.

This package is a Python distribution and a Blender extension at once, so it imports nothing by itself.
"""

__version__ = "0.2.0"


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
