# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's side of Twinset: panels, operators and properties in Blender's window."""

from __future__ import annotations

import importlib
import logging
from types import ModuleType

log = logging.getLogger(__name__)

MODULES: tuple[str, ...] = (
    "settings.preferences",
    "settings.properties",
    "widgets.icons",
    "operators.lists",
    "operators.exchange",
    "operators.presets",
    "panels.recipe_panels",
    "panels.fit",
    "operators.mark",
    "settings.migration",
    "processes.process",
    "processes.preview_state",
    "processes.session",
    "operators.preview_ops",
    "widgets.overlay",
    "processes.render_job",
    "operators.render_ops",
    "panels.view_panels",
)
"""Modules of this folder with register() and unregister(), in the order in which they are registered."""

_registered: list[ModuleType] = []


def register() -> None:
    """Register all modules, or where a package is missing only the panel that says so. A second call changes nothing.

    Should one fail, those before it are taken back, so that nothing half-registered stays.
    """
    if _registered:
        return
    try:
        for name in ("missing", *MODULES) if _can_start() else ("missing",):
            module = importlib.import_module(f".{name}", __package__)
            module.register()
            _registered.append(module)
    except Exception:
        unregister()
        raise


def unregister() -> None:
    """Take everything back, last first; one module that fails keeps no other from it."""
    while _registered:
        module = _registered.pop()
        try:
            module.unregister()
        except Exception:
            log.exception("%s was not unregistered cleanly.", module.__name__)


def _can_start() -> bool:
    """Whether what the panels are made of is there; what only some buttons need, they ask for themselves."""
    from ..engine.packages import missing_packages

    return not {"attrs", "numpy"} & set(missing_packages())
