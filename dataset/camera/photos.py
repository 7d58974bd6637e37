# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos as their camera wrote them: pixels, luma as stored, JPEG tables and EXIF."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.camera.tone import LUMA
from ...engine.errors import DataError
from ...engine.regular_files import read_regular
from ..formats.dataset_folder import INSTANCES, open_dataset
from ..formats.image_files import IMAGE_SUFFIXES
from ..formats.pixels import MAX_FILE_BYTES, read_image
from ..image_header import MAX_PIXELS

_EXIF = {
    "focal_length": 0x920A,
    "focal_length_35mm": 0xA405,
    "f_number": 0x829D,
    "exposure_time": 0x829A,
    "iso": 0x8827,
}
_MODEL, _EXIF_BLOCK = 0x0110, 0x8769


@attrs.frozen(eq=False)
class Photo:
    """One photo, not turned by its EXIF orientation.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB.
    luma : (H, W) float
        In [0, 255]: of JPEG files as stored, before conversion to RGB.
    tables : tuple of (8, 8) int
        Quantisation tables for luma and chroma; empty for other formats.
    factors : tuple of (int, int)
        Sampling factors of each component; empty for other formats.
    exif : dict
        What is known of ``focal_length`` and ``focal_length_35mm`` (mm), ``f_number``, ``exposure_time`` (s), ``iso``
        and ``model``.
    """

    image: np.ndarray
    luma: np.ndarray
    tables: tuple[np.ndarray, ...]
    factors: tuple[tuple[int, int], ...]
    exif: dict[str, Any]


def read_photo(path: Path) -> Photo:
    """Read a photo.

    Raises
    ------
    DataError
        If the file is missing, no image, or too large.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError("Reading what cameras write into photos needs the package Pillow. Install it.") from None
    try:
        data = read_regular(path, MAX_FILE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of EXIF data and sizes; the size is checked here
            with Image.open(io.BytesIO(data)) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise DataError(f"The photo '{path}' has more than {MAX_PIXELS:,} pixels. Use a smaller one.")
                return _read(file, path)
    except FileNotFoundError:
        raise DataError(f"The photo '{path}' does not exist.") from None
    except DataError:
        raise
    except Exception as error:  # Pillow's errors share no base class
        raise DataError(f"The photo '{path}' is damaged or in an unknown format.") from error


def _read(file: Any, path: Path) -> Photo:
    exif = _exif(file)
    tables: tuple[np.ndarray, ...] = ()
    factors: tuple[tuple[int, int], ...] = ()
    if file.format in ("JPEG", "MPO"):
        layers = file.layer  # (id, horizontal, vertical, table) of each component
        factors = tuple((int(layer[1]), int(layer[2])) for layer in layers)
        numbers = dict.fromkeys(int(layer[3]) for layer in layers)
        tables = tuple(np.array(file.quantization[n]).reshape(8, 8) for n in numbers if n in file.quantization)
        if len(layers) == 3:
            file.draft("YCbCr", file.size)
    if file.mode == "YCbCr":
        luma = np.asarray(file)[..., 0].astype(float)
        return Photo(np.asarray(file.convert("RGB")), luma, tables, factors, exif)
    # Pillow cuts off what more than 8 bits hold; OpenCV scales it.
    image = read_image(path) if file.mode.startswith(("I", "F")) else np.asarray(file.convert("RGB"))
    return Photo(image, image @ LUMA, tables, factors, exif)


def _exif(file: Any) -> dict[str, Any]:
    """Known values; whatever is damaged or absurd is left out."""
    try:
        tags = file.getexif()
        block = tags.get_ifd(_EXIF_BLOCK)
    except Exception:  # damaged EXIF data raise errors of many kinds
        return {}
    found: dict[str, Any] = {}
    for name, tag in _EXIF.items():
        value = block.get(tag)
        try:
            number = float(value[0] if isinstance(value, tuple) else value)
        except (TypeError, ValueError, ZeroDivisionError, IndexError, OverflowError):
            continue
        if math.isfinite(number) and 0 < number < 1e5:
            found[name] = number
    model = tags.get(_MODEL)
    if isinstance(model, str) and model.strip("\0 "):
        found["model"] = model.strip("\0 ")[:100]
    return found


def photo_paths(sources: Sequence[Path], images: Path | None = None, classes: Sequence[str] = ()) -> list[Path]:
    """The photos of folders, of datasets, or given one by one; each once, in the order of their sources.

    Parameters
    ----------
    sources : sequence of path
        Image files, folders of images, and datasets: COCO files or folders of rendered ones.
    images : path, optional
        Image folder of the datasets; by default searched for.
    classes : sequence of str
        Of datasets, take only photos with a box of one of these classes; default is all photos.

    Raises
    ------
    DataError
        If a source is missing or has no images, or classes are given for photos without annotations.
    """
    found: dict[Path, None] = {}
    for source in sources:
        if source.suffix.lower() in IMAGE_SUFFIXES:
            if classes:
                raise DataError(f"'{source}' has no annotations, so it has no class. Give a dataset.")
            paths = [source]
        else:
            # A rendered folder has pictures of its own beside its images, such as the contact sheet.
            is_plain = source.is_dir() and not (source / INSTANCES).is_file()
            paths = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES) if is_plain else []
            if not paths:
                dataset = open_dataset(source, images)
                listed = dataset.coco.images
                if classes:
                    owners = {a["image_id"] for name in classes for a in dataset.coco.annotations_of(name)}
                    listed = [image for image in listed if image["id"] in owners]
                    if not listed:
                        raise DataError(f"No photo of '{source}' has a box of {' or '.join(map(repr, classes))}.")
                names = (image.get("file_name") for image in listed)
                paths = [dataset.images / name for name in names if isinstance(name, str) and name]
            elif classes:
                raise DataError(f"'{source}' has no annotations, so its photos have no classes. Give a dataset.")
        if not paths:
            raise DataError(f"'{source}' has no photos. Give image files, a folder of them, or a dataset.")
        found.update(dict.fromkeys(paths))
    return list(found)
