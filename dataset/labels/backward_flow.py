# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow to the beginning of the exposure."""

from __future__ import annotations

from .flow import Flow


class BackwardFlow(Flow):
    """From where each pixel's surface is to where it was at the beginning of the exposure, in pixels; see ``flow``."""

    key = folder = "backward_flow"
    doc = "Optical flow to the beginning of the exposure, in pixels: EXR, or Middlebury .flo"
    share = -0.5
