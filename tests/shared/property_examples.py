# SPDX-License-Identifier: GPL-3.0-or-later
"""How many examples property tests try: TWINSET_EXAMPLES multiplies them, 10 in the nightly run."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """The number of examples where ``count`` are tried by default."""
    return max(1, round(count * float(os.environ.get("TWINSET_EXAMPLES") or 1)))
