# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampling engine that the add-on and the headless command share. Pure Python and numpy, no bpy."""
