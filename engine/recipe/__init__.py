# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: read, checked, varied and written as TOML."""
