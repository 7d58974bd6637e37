# SPDX-License-Identifier: GPL-3.0-or-later
"""Twinset's plugins in BlenderProc scripts."""

from ..blenderproc.adapter import blenderproc
from .bridge import Bridge
from .frames import AddedFrame, PlacedObject, segmentation

__all__ = ["AddedFrame", "Bridge", "PlacedObject", "blenderproc", "segmentation"]
