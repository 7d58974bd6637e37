# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe as Blender properties: definitions, conversion, validation, presets, migration."""
