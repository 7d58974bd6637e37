# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a calibration file."""

from __future__ import annotations


class CalibrationError(Exception):
    """What is wrong, and the remedy: continues the words "The calibration file ..." and ends without a full stop."""
