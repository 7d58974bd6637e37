# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's state in this process: its output and its temporary files."""
