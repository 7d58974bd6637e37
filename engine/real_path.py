# SPDX-License-Identifier: GPL-3.0-or-later
"""Absolute paths without links, also where links lead in a circle."""

from __future__ import annotations

import os
from pathlib import Path


def real_path(path: str | os.PathLike[str]) -> Path:
    """An absolute path in which all links are followed; those in a circle stay, and cannot be opened.

    ``Path.resolve`` raises RuntimeError for them before Python 3.13.
    """
    return Path(os.path.realpath(path))
