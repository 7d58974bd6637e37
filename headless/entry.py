# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ``twinset`` command begins: Ctrl-C while it is still being imported ends it without a traceback."""

from __future__ import annotations

import sys


def main() -> None:
    """Import and run the command; ends with SystemExit."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        raise SystemExit(130) from None
    run()
