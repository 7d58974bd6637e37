# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that measure metadata of a shot."""
