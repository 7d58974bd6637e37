# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset's plugins in a script for BlenderProc."""

from .session import Added, Bridge, Placed, blenderproc, segmentation

__all__ = ["Added", "Bridge", "Placed", "blenderproc", "segmentation"]
