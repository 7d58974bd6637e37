# SPDX-License-Identifier: GPL-3.0-or-later
"""The image files of a dataset: found by the names in its annotations, and read as they were annotated."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ..image_header import ImageHeader, read_header
from ..image_names import inner_path, own_names
from .encoders import encode
from .pixels import read_image

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_MAX_FILES = 1_000_000
"""Files that are looked at in a search by name."""

_trusted_folders: set[Path] = set()
_said: set[tuple[Path, str]] = set()


def trust_links(folder: Path) -> None:
    """Follow links in a folder that the user has named, wherever they lead."""
    _trusted_folders.add(Path(os.path.abspath(folder)))


class ImageFiles:
    """The image files of a dataset.

    Annotations follow either the stored pixels, or the upright picture that viewers show by its EXIF orientation. Where
    an orientation swaps width and height, the annotated size says which; other images follow the majority, and upright
    is the default.

    Parameters
    ----------
    images : iterable of mappings
        COCO images: ``id``, ``file_name``, ``width``, ``height``.
    folder : Path
        The folder that their names start from.
    """

    def __init__(self, images: Iterable[Mapping[str, Any]], folder: Path) -> None:
        self.folder = Path(folder)
        self._images = list(images)
        self._paths: dict[str, Path] = {}
        self._real_folders: dict[Path, str] = {}

    def path(self, image: Mapping[str, Any]) -> Path:
        """Where an image is.

        The file of its name; otherwise the one file below the folder with the same base name, with or without the
        prefix that Label Studio adds.

        Raises
        ------
        DataError
            If it is not found, or a link leads out of the folder, which only a folder named by the user may do.
        """
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError("An image has no 'file_name'.")
        if name in self._paths:
            return self._paths[name]
        path = inner_path(self.folder, name)
        if path is None or not os.path.lexists(path):
            found = self._by_base_name(name)
            if len(found) > 1:
                raise DataError(
                    f"The image '{name}' is not in '{self.folder}', and several files there are called like it: "
                    f"'{found[0]}', '{found[1]}'. Name their own folder with --images."
                )
            if not found and path is None:
                raise DataError(
                    f"The image '{name}' lies outside '{self.folder}', and no file there has its name. Name the folder "
                    "of the images with --images."
                )
            path = found[0] if found else path
        assert path is not None
        if self._leads_out(path):
            raise DataError(
                f"The image '{path}' is a link to a file outside '{self.folder}'. Name the folder with --images to "
                "follow its links."
            )
        self._paths[name] = path
        return path

    def is_upright(self, image: Mapping[str, Any]) -> bool:
        """Whether the annotations of an image follow its upright picture."""
        header = self._headers.get(image["id"])
        own = _evidence(image, header) if header is not None else None
        return self._majority_upright if own is None else own

    def is_turned(self, image: Mapping[str, Any]) -> bool:
        """Whether viewers turn or mirror the stored picture of an image."""
        return image["id"] in self._headers

    def read(self, image: Mapping[str, Any]) -> np.ndarray:
        """The pixels (H, W, 3) uint8 RGB of an image as it was annotated.

        Raises DataError if it is missing, damaged, or not of the annotated size.
        """
        path = self.path(image)
        return read_annotated(path, (int(image["width"]), int(image["height"])), upright=self.is_upright(image))

    def shown(self, image: Mapping[str, Any]) -> tuple[Path, bytes | None]:
        """Where an image is, and its bytes as PNG where viewers would turn it and its annotations do not follow."""
        path = self.path(image)
        if not self.is_turned(image) or self.is_upright(image):
            return path, None
        return path, encode(".png", np.ascontiguousarray(self.read(image)[..., ::-1]), [])

    def note(self) -> str:
        """A sentence on what was done about EXIF orientations; "" if no image has one."""
        turned = [i for i in self._images if i["id"] in self._headers]
        if not turned:
            return ""
        known = [e for i in turned if (e := _evidence(i, self._headers[i["id"]])) is not None]
        head = f"{len(turned)} of {len(self._images)} images in '{self.folder}' are turned by EXIF"
        if not known:
            return f"{head}. Their sizes do not say how they were annotated; they are read upright, as viewers do."
        upright = sum(known)
        if 0 < upright < len(known):
            return (
                f"{head}. By the annotated sizes, {upright} were annotated upright and {len(known) - upright} as "
                f"stored; each is read so, all others {'upright' if self._majority_upright else 'as stored'}."
            )
        what = "upright, as viewers show them" if upright else "as stored"
        return f"{head}. By the annotated sizes, they were annotated {what}, and are read so."

    def say(self) -> None:
        """Log :meth:`note`, once for each folder."""
        text = self.note()
        if text and (self.folder, text) not in _said:
            _said.add((self.folder, text))
            log.warning("%s", text)

    @cached_property
    def _headers(self) -> dict[Any, ImageHeader]:
        """Headers of the images with an EXIF orientation, by image id."""
        headers = {}
        for image in self._images:
            try:
                header = read_header(self.path(image))
            except (DataError, OSError):
                continue  # said where it is read
            if header is not None and header.orientation != 1:
                headers[image["id"]] = header
        return headers

    @cached_property
    def _majority_upright(self) -> bool:
        votes = [_evidence(i, self._headers[i["id"]]) for i in self._images if i["id"] in self._headers]
        return votes.count(True) >= votes.count(False)

    def _by_base_name(self, name: str) -> list[Path]:
        """The files below the folder that are called like an image, those with the longest common path first."""
        for candidate in own_names(name):
            found = self._files.get(candidate.lower(), [])
            if len(found) > 1:
                tail = name.replace("\\", "/").split("/")[::-1]
                common = [_common(tail, path.parts[::-1]) for path in found]
                best = [path for path, length in zip(found, common, strict=True) if length == max(common)]
                found = best if len(best) == 1 else found
            if found:
                return found
        return []

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """The image files below the folder by their names in lower case, without following links of folders."""
        files: dict[str, list[Path]] = {}
        seen = 0
        for folder, subfolders, names in os.walk(self.folder):
            subfolders.sort()
            for name in sorted(names):
                if name.lower().endswith(IMAGE_SUFFIXES):
                    files.setdefault(name.lower(), []).append(Path(folder, name))
            seen += len(names)
            if seen > _MAX_FILES:
                break
        return files

    def _leads_out(self, path: Path) -> bool:
        if Path(os.path.abspath(self.folder)) in _trusted_folders:
            return False
        if path.is_symlink():
            real = os.path.realpath(path)
        else:  # of thousands of files in a folder, only the folder is resolved
            if path.parent not in self._real_folders:
                self._real_folders[path.parent] = os.path.realpath(path.parent)
            real = os.path.join(self._real_folders[path.parent], path.name)
        return not real.startswith(os.path.join(self._real_folder, ""))

    @cached_property
    def _real_folder(self) -> str:
        return os.path.realpath(self.folder)


def read_annotated(path: Path, size: tuple[int, int], *, upright: bool) -> np.ndarray:
    """The pixels of an image file, which must have the annotated width and height."""
    picture = read_image(path, upright=upright)
    height, width = picture.shape[:2]
    if (width, height) != size:
        raise DataError(f"'{path}' has {width} by {height} px, but is annotated as {size[0]} by {size[1]}.")
    return picture


def _evidence(image: Mapping[str, Any], header: ImageHeader) -> bool | None:
    """Whether an image was annotated upright, by its annotated size; None if that fits both, or neither."""
    size = (image.get("width"), image.get("height"))
    if header.size == header.upright_size or size not in (header.size, header.upright_size):
        return None
    return size == header.upright_size


def _common(a: Iterable[str], b: Iterable[str]) -> int:
    """How many first elements are equal."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
