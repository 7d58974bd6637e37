# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that share one layout: moments of a sequence, and cameras of a rig."""
