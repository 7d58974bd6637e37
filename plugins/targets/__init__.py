# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that learn from real boxes what a frame should show."""
