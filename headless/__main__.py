# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m twinset.headless``: the twinset command."""

from .entry import main

main()
