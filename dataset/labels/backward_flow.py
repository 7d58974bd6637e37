# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow to the moment before, or to the beginning of the exposure."""

from __future__ import annotations

from .flow import Flow


class BackwardFlow(Flow):
    """From where each pixel's surface is to where it was a moment ago in a sequence, or else at the beginning of the
    exposure, in pixels; see ``flow``."""

    key = folder = "backward_flow"
    doc = "Optical flow back to the moment before of a [sequence], or to the beginning of the exposure: EXR, or .flo"
    share = -0.5
