# SPDX-License-Identifier: GPL-3.0-or-later
"""Densities of real boxes and layouts, and draws from them."""
