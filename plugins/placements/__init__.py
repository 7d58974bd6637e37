# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that put instances on the stage."""
