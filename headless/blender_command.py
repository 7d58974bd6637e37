# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line inside Blender: ``blender --command twinset ...`` for nodes that have Blender but no pip.

Only the extension's register() imports this module, the only one in this package that imports bpy.
"""

from __future__ import annotations

import sys
from typing import Any

import bpy

_handle: Any = None


def register() -> None:
    """Register ``twinset`` for ``blender --command``. A second call has no effect."""
    global _handle
    if _handle is None:
        _handle = bpy.utils.register_cli_command("twinset", execute)


def unregister() -> None:
    """Unregister the command. Without a registered command, this has no effect."""
    global _handle
    if _handle is not None:
        bpy.utils.unregister_cli_command(_handle)
        _handle = None


def execute(arguments: list[str]) -> int:
    """Run the command line with the arguments that follow ``--command twinset``.

    Returns
    -------
    int
        The exit code for Blender: that of the command line, or 2 if a package is missing.
    """
    # Imported here: enabling the extension must be fast, and must work before the packages are installed.
    try:
        from .cli import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(__package__.split(".")[0]):
            raise
        sys.stderr.write(
            f"Twinset needs the Python package '{error.name}', which is missing from the Python at "
            f"{sys.executable}. Install it there, or use the twinset command of a pip installation.\n"
        )
        return 2
    try:
        main(arguments)
    except SystemExit as end:  # how the command line ends; Blender expects a number
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
