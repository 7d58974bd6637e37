# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of Blender in this process and the devices that Cycles can use."""

from __future__ import annotations

from typing import Any

import bpy

from .devices import choose_device


def blender_info() -> dict[str, Any]:
    """``version`` of Blender, ``backend`` of Cycles and ``devices`` by name, as rendering would choose them."""
    device = choose_device("auto", ())
    return {"version": bpy.app.version_string, "backend": device.backend or "CPU", "devices": list(device.names)}
