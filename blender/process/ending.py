# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a Python process that has used Blender end, whatever files it has opened."""

from __future__ import annotations

import atexit
import os
import sys


def release_blender_at_exit() -> None:
    """Release what keeps the bpy wheel from shutting Blender down when the process ends.

    The wheel shuts Blender down when Python frees the module, and otherwise waits for Blender's sound thread forever.
    The names that drivers may use refer to the module, from the first driver that needs Python.
    """
    try:
        import bpy
    except ModuleNotFoundError:  # code that needs it reports it
        return
    if getattr(bpy.app, "module", False):
        atexit.register(_release)


def end_process(code: int) -> None:
    """End a process that has used the bpy wheel at once, after Python's own exit functions.

    Plugins or other packages may refer to Blender's module in ways that :func:`release_blender_at_exit` does not know.
    Returns if Blender is not loaded, or if output cannot be written, which Python must report.
    """
    bpy = sys.modules.get("bpy")
    if bpy is None or os.name == "nt" or not getattr(bpy.app, "module", False):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            return
    os._exit(code)


def _release() -> None:
    import bpy

    bpy.app.driver_namespace.clear()
