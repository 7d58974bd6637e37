# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's Asset Browser: assets as objects of classes, and classes as catalogues."""
