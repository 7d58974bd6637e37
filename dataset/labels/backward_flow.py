# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow to the beginning of the exposure."""

from __future__ import annotations

from .flow import Flow


class BackwardFlow(Flow):
    """Where what each pixel shows was at the beginning of the exposure, from where it is, in pixels; see :class:`.flow.Flow`."""

    key = folder = "backward_flow"
    doc = "Optical flow to the beginning of the exposure, in pixels: EXR, or Middlebury .flo"
    share = -0.5
