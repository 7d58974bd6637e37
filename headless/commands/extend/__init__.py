# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for writing plugins and checking the installation."""

from ...console.commands import Heading

HEADING = Heading("Extend", order=4)
