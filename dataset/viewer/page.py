# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a page that shows a dataset in any browser: no server, no script from elsewhere, nothing that is fetched."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from pathlib import Path
from typing import Any

import attrs

from ..atomic_files import atomic_folder, link_or_copy, write_atomic
from ..formats.dataset_folder import ImageDataset
from ..formats.image_files import ImageFiles
from ..progress import Progress
from .contents import Picture, contents, file_name

PAGE = "index.html"

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{css}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p id="count" role="status"></p>
</header>
<form id="filters" aria-label="Filters"></form>
<main id="grid"></main>
<nav id="pages" aria-label="Pages"></nav>
<dialog id="large" aria-label="Image"></dialog>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


@attrs.frozen
class View:
    """A page that was written: its file, how many images it shows, and how many it does not."""

    page: Path
    images: int
    left_out: int


def write_view(
    found: ImageDataset,
    folder: Path,
    *,
    copies: bool,
    limit: int = 5000,
    progress: Progress = lambda done, total: None,
) -> View:
    """Write a page about a dataset into a new folder.

    Parameters
    ----------
    found : ImageDataset
        See :func:`..formats.dataset_folder.open_dataset`.
    folder : Path
        It must not exist; it appears whole or not at all.
    copies : bool
        Put the images beside the page, as hard links where possible, so that the folder can be moved. Otherwise the
        page shows the dataset's own files.
    limit : int
        At most this many images.
    progress : callable
        Called with how many images are done, and of how many.

    Raises
    ------
    DataError
        Where an image is missing.
    OutputError
        Where the folder exists or cannot be written.
    """
    pictures, left_out = contents(found.coco, limit)
    files = ImageFiles(found.coco.images, found.images)
    files.say()
    with atomic_folder(folder) as fresh:
        rows = []
        for number, picture in enumerate(pictures):
            rows.append(_row(picture, _source(picture, number, files, fresh, copies=copies)))
            progress(number + 1, len(pictures))
        data = {"classes": [category["name"] for category in found.coco.categories], "images": rows}
        name = found.coco.path.resolve()
        title = name.parent.parent.name if name.parent.name == "annotations" else name.stem
        write_atomic(fresh / PAGE, _page(title, data).encode())
    return View(folder / PAGE, sum(picture.image is not None for picture in pictures), left_out)


def _source(picture: Picture, number: int, files: ImageFiles, folder: Path, *, copies: bool) -> str:
    """The address of an image, as the page has it; "" for frames without one."""
    if picture.image is None:
        return ""
    path, data = files.shown(picture.image)
    if not copies and data is None:
        return path.resolve().as_uri()
    name = f"images/{file_name(number, path, data)}"
    if data is None:
        link_or_copy(path, folder / name)
    else:
        write_atomic(folder / name, data)
    return name


def _row(picture: Picture, source: str) -> dict[str, Any]:
    size = {} if picture.image is None else {"w": picture.image["width"], "h": picture.image["height"]}
    boxes = [
        {
            "c": box.class_number,
            "b": [round(float(value), 2) for value in box.bbox],
            "s": box.segmentation,
            "z": box.size,
            "k": dict(box.columns),
            **({"i": 1} if box.is_crowd else {}),
        }
        for box in picture.boxes
    ]
    known = {"name": picture.name, "src": source, "part": picture.part, "verdict": picture.verdict}
    return {**known, **size, "notes": picture.notes, "k": dict(picture.columns), "boxes": boxes}


def _page(title: str, data: Any) -> str:
    folder = resources.files(__package__)
    script = folder.joinpath("view.js").read_text(encoding="utf-8")
    css = folder.joinpath("view.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Only this very script runs, whatever names of files and classes contain, and only images are loaded.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file: data:; script-src 'sha256-{digest}'"
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Inside of a script element, only these could end it or begin a comment.
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    values = {"policy": html.escape(policy), "title": html.escape(title), "css": css, "script": script, "data": text}
    page = _TEMPLATE
    for key in ("policy", "title", "css", "script", "data"):  # data last: it may contain the names of the others
        page = page.replace("{" + key + "}", values[key])
    return page
