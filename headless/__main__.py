# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m twinset.headless``: the twinset command."""

from .cli import main

main()
