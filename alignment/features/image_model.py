# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX models that make a picture of a picture: style transfer, translation between domains, restoration."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from ...engine.errors import DataError
from .model_settings import ModelSettings
from .onnx_session import MAX_INPUT_PIXELS, open_session, picture_input, read_model, short_message


class ImageModel:
    """A model whose one input and first output are pictures (1, 3, H, W) or (1, H, W, 3).

    Parameters
    ----------
    path : Path
        ONNX file. A model of one fixed size gets the picture scaled to it, and its output is scaled back.
    value_range : (float, float)
        Values of black and white, in input and output.

    Raises
    ------
    DataError
        If the file is no such model.
    """

    def __init__(self, path: Path, value_range: tuple[float, float] = (0.0, 255.0)) -> None:
        self.path, self._range = Path(path), value_range
        self._session = open_session(self.path, read_model(self.path), "cpu", 1)
        self._input, self._type, self._channels_last, batch, self._size = picture_input(
            self.path, self._session, ModelSettings(), open_size=True
        )
        self._output = self._session.get_outputs()[0].name
        if batch > 1:
            raise DataError(f"The model '{self.path}' takes {batch} pictures at once. Export it for one.")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """What the model makes of a picture (H, W, 3) with values in [0, 1]: another of the same size and range."""
        import cv2

        height, width = image.shape[:2]
        own_width, own_height = self._size[0] or width, self._size[1] or height
        if own_width * own_height > MAX_INPUT_PIXELS:
            raise DataError(f"A picture of {width} x {height} pixels is too large for the model '{self.path}'.")
        image = image.astype(np.float32)
        if (own_width, own_height) != (width, height):
            shrinks = own_width * own_height < width * height
            image = cv2.resize(
                image, (own_width, own_height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )
        made = self._run(image)
        if made.shape[:2] != (height, width):
            made = cv2.resize(made, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(made, 0.0, 1.0)

    def _run(self, image: np.ndarray) -> np.ndarray:
        """The output (h, w, 3) for a picture of the model's own size; values in about [0, 1]."""
        low, high = self._range
        values = np.float32(low) + image * np.float32(high - low)
        if self._type is np.uint8:
            values = np.rint(image * 255)
        values = (values if self._channels_last else values.transpose(2, 0, 1))[None]
        try:
            (made,) = self._session.run([self._output], {self._input: np.ascontiguousarray(values, self._type)})
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's errors share no base but this
            raise DataError(f"The model '{self.path}' fails while it runs: {short_message(error)}.") from error
        if getattr(made, "ndim", 0) != 4 or len(made) != 1 or made.shape[3 if self._channels_last else 1] != 3:
            raise DataError(
                f"The model '{self.path}' must make one picture of three channels. It made "
                f"{getattr(made, 'shape', type(made).__name__)}."
            )
        made = made[0] if self._channels_last else made[0].transpose(1, 2, 0)
        if made.dtype == np.uint8:
            return np.ascontiguousarray(made, np.float32) / np.float32(255)
        made = np.ascontiguousarray(made, np.float32)
        if not np.isfinite(made).all():
            raise DataError(f"The picture that the model '{self.path}' makes is not finite. Check its value range.")
        return (made - np.float32(low)) / np.float32(high - low)


def open_image_model(path: str, value_range: tuple[float, float]) -> ImageModel:
    """The model of a file, which is opened once."""
    file = Path(path)
    return _opened(path, value_range, file.stat().st_mtime_ns if file.is_file() else 0)


@functools.lru_cache(maxsize=4)
def _opened(path: str, value_range: tuple[float, float], changed: int) -> ImageModel:
    return ImageModel(Path(path), value_range)
