# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that write job files for render farms."""

from ...console.commands import Heading

HEADING = Heading("Farm", order=5)
