# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of image files in annotations, which may be those of another system or server."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from .atomic_files import escapes_folder

_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of uploaded files."""


def base_name(name: str) -> str:
    """The file's own name in a path or URL of any system: ``C:\\\\photos\\\\a.jpg`` gives ``a.jpg``."""
    parts = urlsplit(name) if "://" in name or "?" in name else None
    if parts is not None:
        stored = parse_qs(parts.query).get("d")  # Label Studio: /data/local-files/?d=photos/a.jpg
        name = stored[0] if stored else unquote(parts.path)
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def own_names(name: str) -> list[str]:
    """The names that an image's own file may have: its base name, and that without what Label Studio puts before it."""
    base = base_name(name)
    plain = _UPLOAD_PREFIX.sub("", base)
    return [n for n in dict.fromkeys((base, unquote(base), plain, unquote(plain))) if n and "/" not in n]


def inner_path(folder: Path, name: str) -> Path | None:
    """The path of a named file below a folder; None where the name leads out of the folder."""
    if not name or "\0" in name or escapes_folder(name):
        return None
    path = folder / name
    other = folder / name.replace("\\", "/")
    return other if other != path and not os.path.lexists(path) else path
