# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender add-on: panels, operators and properties."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType

log = logging.getLogger(__name__)

REQUIRED_PACKAGES = {"attrs", "filelock", "numpy"}
"""Packages that the modules below import; operators check for others that only they need."""

MODULES: tuple[str, ...] = (
    # Properties, which everything else uses; preferences first, since they name the folder of plugins.
    "settings.preferences",
    "settings.properties",
    "settings.migration",
    "preview.properties",
    # Background processes.
    "processes.process",
    "processes.scene_digest",
    "processes.preview_session",
    "processes.render_job",
    "processes.render_queue",
    "processes.dataset_check",
    # What panels and viewports are drawn with.
    "preview.overlay",
    "preview.scene_overlay",
    "preview.views",
    "widgets.icons",
    "widgets.lists",
    "browser.filters",
    # Operators.
    "operators.assets",
    "operators.renders.browser",
    "operators.entries",
    "operators.fit",
    "operators.guide",
    "operators.look",
    "operators.marking",
    "operators.plugins",
    "operators.presets",
    "operators.preview",
    "operators.problems",
    "operators.recipe",
    "operators.renders.render",
    "operators.renders.queue",
    "operators.zones",
    # Panels, in the order in which Blender shows those without an order of their own.
    "panels.recipe",
    "panels.real_dataset",
    "panels.presets",
    "panels.guide",
    "panels.marking",
    "panels.view3d",
    "panels.look",
    "panels.browser",
    "panels.menus",
    "panels.sidebar_settings",
    # Keys, help and translations, which name the operators.
    "settings.keymaps",
    "documentation",
    "translations.catalog",
)
"""Modules with register() and unregister(), in the order of registration."""

_registered: list[ModuleType] = []


def register() -> None:
    """Register all modules, or only the panel with the missing packages if there are any. A second call does nothing.

    If a module fails, those before it are unregistered.
    """
    if _registered:
        return
    try:
        for name in ("missing_packages", *MODULES) if _can_start() else ("missing_packages",):
            module = importlib.import_module(f".{name}", __package__)
            module.register()
            _registered.append(module)
    except Exception:
        unregister()
        raise


def unregister() -> None:
    """Unregister all modules in reverse order, even if one of them fails."""
    while _registered:
        module = _registered.pop()
        try:
            module.unregister()
        except Exception:
            log.exception("Unregistering %s failed.", module.__name__)


def _can_start() -> bool:
    """Whether the packages that registering needs are installed."""
    from ..engine.packages import missing_packages

    return not REQUIRED_PACKAGES & set(missing_packages())
