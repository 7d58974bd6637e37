# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that improve a dataset or recipe by what real boxes look like."""

from ...console.commands import Heading

HEADING = Heading("Improve", order=3)
