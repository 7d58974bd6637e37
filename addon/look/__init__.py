# SPDX-License-Identifier: GPL-3.0-or-later
"""Lighting presets, with the pictures that show them."""
