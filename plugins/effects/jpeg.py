# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression as cameras and web sites do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...alignment.camera.drawn_photo import draw_photo, length_scale
from ...engine.plugin import param, plugin
from ...engine.stage import Shot

_SHRUNK = 0.9
"""Images smaller than this share of a photo's size are compressed at the photo's size."""

SUBSAMPLINGS = ("4:4:4", "4:4:0", "4:2:2", "4:2:0", "4:1:1")


@plugin("effect")
class Jpeg:
    """Compress the picture as JPEG and decompress it, for its blocks and blurred colours.

    Images that are written as JPEG are compressed once more; `[output]` can write PNG, or JPEG of quality 100.
    """

    quality: tuple[int, int] | None = param(
        None,
        min=1,
        max=100,
        doc="Lowest and highest quality, on the scale of libjpeg; default is 60 to 95",
        moves={"sharpness": "-"},
    )
    subsampling: list[str] = param(
        ["4:2:0"],
        choices=SUBSAMPLINGS,
        doc="How much less resolution colour has: one of these is drawn for each image; 4:4:4 is full resolution",
    )
    fit: str = param(
        "",
        path=True,
        doc="File of `twinset fit-camera`: quality and subsampling are those of a photo drawn for the frame; smaller "
        "images get what is left of its blocks when the photo is shrunk to their size",
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are compressed")

    def __attrs_post_init__(self) -> None:
        if self.fit and self.quality:
            raise ValueError("'fit' says the quality. Remove 'fit' or 'quality'.")
        if self.quality and self.quality[0] > self.quality[1]:
            raise ValueError(f"'quality' must be [lowest, highest]. Got {list(self.quality)} instead.")
        if not self.subsampling:
            raise ValueError(f"'subsampling' must name one or more of {', '.join(SUBSAMPLINGS)}.")

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Quality and subsampling of this frame; quality 0 for a photo that is no JPEG."""
        if not self.fit:
            low, high = self.quality or (60, 95)
            quality = int(rng.integers(low, high, endpoint=True))
            return {"quality": quality, "subsampling": self.subsampling[int(rng.integers(len(self.subsampling)))]}
        photo = draw_photo(self.fit, common)
        if photo.jpeg is None:
            return {"photo": photo.file, "quality": 0, "subsampling": "4:4:4"}
        file = {"photo": photo.file, "quality": photo.jpeg.quality, "subsampling": photo.jpeg.subsampling}
        scale = length_scale(photo, shot.labels.ids.shape)
        # Small differences of size are not worth two changes of size.
        return {**file, "scale": scale} if scale < _SHRUNK else file

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        import cv2

        if not drawn["quality"]:
            return image
        if "scale" not in drawn:
            return _decompressed(image, drawn)
        height, width = image.shape[:2]
        factor = 1.0 / (drawn["scale"] * shot.scale)
        size = (round(width * factor), round(height * factor))
        enlarged = np.clip(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
        # What compression changed is shrunk, not the picture, which enlarging and shrinking would blur.
        change = _decompressed(enlarged, drawn) - enlarged
        return image + cv2.resize(change, (width, height), interpolation=cv2.INTER_AREA)


def _decompressed(image: np.ndarray, drawn: Mapping[str, Any]) -> np.ndarray:
    import cv2

    file = compressed(image, drawn["quality"], drawn["subsampling"])
    return cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / np.float32(255)


def compressed(image: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    """A JPEG file (N,) uint8 of a picture (H, W, 3) float32 in [0, 1]."""
    import cv2

    # 4:1:0 halves the rows of 4:1:1; libjpeg writes it, OpenCV has no name for it.
    name = subsampling if subsampling in SUBSAMPLINGS else "4:1:1"
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name.replace(':', '')}")
    eight_bit = np.rint(image[..., ::-1] * np.float32(255)).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    return cv2.imencode(".jpg", eight_bit, options)[1]
