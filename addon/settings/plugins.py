# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugins that have panels, and the preferences' folder with plugins of the user's own."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import bpy

from ...engine.plugin.registry import Registry
from ...engine.plugin.trusted_folders import trust

log = logging.getLogger(__name__)

_loaded: list[Registry] = []


def extension_name() -> str:
    """The module name of this extension in Blender."""
    return __package__.rsplit(".", 2)[0]


def preferences() -> bpy.types.AddonPreferences | None:
    """The preferences; None if the package is used without being enabled as an extension."""
    addon = bpy.context.preferences.addons.get(extension_name())
    return addon.preferences if addon is not None else None


def plugin_folders() -> list[Path]:
    """The folders with plugins that the user has enabled in the preferences."""
    own = preferences()
    if own is None or not getattr(own, "use_plugin_folder", False) or not own.plugin_folder:
        return []
    return [Path(bpy.path.abspath(own.plugin_folder))]


def processes() -> int:
    """The number of processes that render in parallel."""
    own = preferences()
    return int(own.processes) if own is not None and hasattr(own, "processes") else 1


def registry() -> Registry:
    """The plugins that have panels: built-in ones, those of packages, and those of the preferences' folder."""
    if not _loaded:
        plugins = Registry()
        for folder in plugin_folders():
            if folder.is_dir():
                trust([folder])  # the user has named it: recipes and the Blender that renders may use it as well
                plugins.add_folder(folder)
            else:
                log.warning("The plugin folder %s of Twinset's preferences does not exist.", folder)
        _loaded.append(plugins)
    return _loaded[0]


def forget_plugins() -> None:
    """Look for plugins again at the next use."""
    _loaded.clear()


def folder_of_plugin(kind: str, id: str) -> Path | None:
    """The preferences' folder that a plugin was loaded from; None for built-in ones and those of packages."""
    if id not in registry().ids(kind):
        return None
    module = sys.modules[registry().find(kind, id).__module__]
    own = Path(str(module.__file__)).resolve().parent
    return next((folder for folder in plugin_folders() if folder.resolve() == own), None)
