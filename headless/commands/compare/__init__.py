# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that measure and compare datasets."""

from ...console.commands import Heading

HEADING = Heading("Compare", order=2)
