# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of single tables of a recipe; the others are in ``settings.py``."""
