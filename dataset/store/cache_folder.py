# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results are kept that jobs share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "TWINSET_CACHE"
"""The environment variable that names the folder of results, as ``--cache`` does; ``off`` keeps none."""

OFF = "off"


def cache_folder() -> Path | None:
    """The folder of results: what :data:`VARIABLE` says, by default one in the user's folder of caches."""
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named == OFF else Path(named).absolute()
    try:
        home = Path.home()
    except RuntimeError:  # an account without one
        return None
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        place = home / "Library" / "Caches"
    else:
        place = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return place / "twinset"
