# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of images that belong together: copies of one picture, and frames of one sequence."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

import attrs
import numpy as np

from ...alignment.features.near_duplicates import Keypoints, keypoints, pairs_of_one_view
from ...engine.errors import DataError
from ...engine.regular_files import open_regular
from ..formats.image_files import ImageFiles
from ..formats.pixels import read_image
from ..progress import Progress

SAME_VIEW, TIME, NAME = "same view", "time", "name"
"""Why two images belong together."""

_NUMBER = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)
_TIME_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{6})[-_ T]?(\d{6})(?!\d)")
_EXIF_TAGS = (36867, 306)  # DateTimeOriginal, DateTime
_EXIF_BLOCK = 34665


@attrs.frozen
class Link:
    """Two images, by index, that belong together, and why."""

    first: int
    second: int
    why: str


@attrs.frozen(eq=False)
class ImageGroups:
    """The group (n,) of each image, numbered from 0 in the order of the images; why images are together, problems."""

    group: np.ndarray
    links: tuple[Link, ...]
    problems: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1 if len(self.group) else 0


def group_images(
    names: Sequence[str],
    folder: Path | None,
    *,
    seconds: float = 5.0,
    name_gap: int = 1,
    trust_names: bool = False,
    progress: Progress = lambda done, total: None,
) -> ImageGroups:
    """Find which images must not be divided.

    Two images belong together if one of these holds, and so do images that are linked through others:

    - they show the same view: at least 12 corners of one are where a shift, turn and scaling puts them in the other,
      which finds resized, recompressed and cropped copies, and neighbouring frames;
    - they were taken within ``seconds`` of each other, by EXIF or by a date and time in their names;
    - the numbers at the end of their names differ by at most ``name_gap``, and 8 corners agree; with ``trust_names``
      whatever they show.

    Parameters
    ----------
    names : sequence of str
        File names of the images, relative to ``folder``.
    folder : Path or None
        None opens no image: only names count.

    Raises
    ------
    DataError
        If no image can be read.
    """
    related = _name_neighbours(names, name_gap)
    links = [Link(i, j, NAME) for i, j in sorted(related)] if trust_names else []
    times = [_time_in(name) for name in names]
    problems: list[str] = []
    if folder is not None:
        pictures = []
        files = ImageFiles((), folder)
        for done, name in enumerate(names):
            progress(done, 2 * len(names))
            try:
                path = files.path({"file_name": name})
                times[done] = _exif_time(path) or times[done]
                pictures.append(keypoints(read_image(path)))
            except DataError as error:
                problems.append(str(error))
                pictures.append(Keypoints(np.empty((0, 2)), np.empty((0, 32), np.uint8)))
        if names and len(problems) == len(names):
            raise DataError(f"None of the {len(names)} images can be read. The first problem: {problems[0]}")
        found = pairs_of_one_view(
            pictures, lambda i, j: (i, j) in related, lambda done, total: progress(total + done, 2 * total)
        )
        links += [Link(i, j, SAME_VIEW) for i, j, _ in found]
    links += _time_links(times, seconds)
    return ImageGroups(_connected(len(names), links), tuple(links), tuple(problems))


def _name_neighbours(names: Sequence[str], gap: int) -> set[tuple[int, int]]:
    """Pairs of images, by ascending index, whose names differ only in a last number, by at most ``gap``."""
    runs: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for i, name in enumerate(names):
        path = PurePosixPath(name)
        match = _NUMBER.match(path.stem)
        if match and gap > 0:
            runs.setdefault((str(path.parent), match[1], match[3]), []).append((int(match[2]), i))
    pairs = set()
    for run in runs.values():
        for (a, i), (b, j) in itertools.pairwise(sorted(run)):
            if b - a <= gap:
                pairs.add((min(i, j), max(i, j)))
    return pairs


def _time_links(times: Sequence[datetime | None], seconds: float) -> Iterator[Link]:
    known = sorted((time, i) for i, time in enumerate(times) if time is not None)
    for (a, i), (b, j) in itertools.pairwise(known):
        if (b - a).total_seconds() <= seconds:
            yield Link(min(i, j), max(i, j), TIME)


def _time_in(name: str) -> datetime | None:
    """The date and time in a name, such as ``IMG_20240131_120305``."""
    match = _TIME_IN_NAME.search(PurePosixPath(name).stem)
    try:
        return datetime.strptime("".join(match.groups()), "%Y%m%d%H%M%S") if match else None
    except ValueError:
        return None


def _exif_time(path: Path) -> datetime | None:
    try:
        from PIL import Image
    except ImportError:  # Blender's own Python has no Pillow
        return None
    try:
        with open_regular(path) as file, Image.open(file) as image:
            exif = image.getexif()
            values = {**exif, **exif.get_ifd(_EXIF_BLOCK)}
        text = next((values[tag] for tag in _EXIF_TAGS if values.get(tag)), None)
        return None if text is None else datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except Exception:  # Pillow's errors share no base class; without a time, names and pixels remain
        return None


def _connected(count: int, links: Sequence[Link]) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.array([(link.first, link.second) for link in links], dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    first = np.unique(label, return_index=True)[1]
    return np.asarray(np.argsort(np.argsort(first))[label])
