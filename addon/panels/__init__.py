# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels in the Properties editor and the 3D view."""
