# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that make a dataset."""

from ...console.commands import Heading

HEADING = Heading("Make a dataset", order=1)
