# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage on bpy: the only code besides the add-on that imports bpy."""

from .process.scratch import shelter_blender

shelter_blender()
