# SPDX-License-Identifier: GPL-3.0-or-later
"""One vector per picture from any ONNX vision model, frozen [Zhang2023, §5]."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...engine.errors import DataError
from .crops import MARGIN, crop_boxes
from .model_settings import ModelSettings, read_settings
from .onnx_file import node_outputs, with_output
from .onnx_session import DEVICES, MAX_INPUT_PIXELS, open_session, picture_input, read_model, short_message
from .scattering import MODEL


class Extractor:
    """A frozen vision model: pictures in, one vector for each out.

    Parameters
    ----------
    model : path, optional
        Default: the scattering transform that is packaged, see :mod:`..scattering`. Else an ONNX file with one input, a
        batch of RGB or BGR pictures. Settings that the file does not contain are read from ``model.toml`` beside it,
        see :class:`..model_settings.ModelSettings`.
    device : str
        ``cpu``, or ``auto`` for CUDA, CoreML or DirectML if onnxruntime has them. Only ``cpu`` gives the same
        numbers on every run.
    threads : int
        Threads of the model on the CPU.
    batch : int
        Largest number of pictures at once, if the model does not fix it.
    workers : int
        Processes that compute the features of datasets, each with a model of its own; 0 for one per processor.

    Attributes
    ----------
    sha256 : str
        Hash of the model file together with its settings: equal hashes give comparable features.
    device, workers
        As given.
    model_bytes : int
        Size of the model file.
    size : (int, int)
        Width and height of the pictures that the model takes.

    Raises
    ------
    DataError
        One sentence that says what was expected and what was found.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int = 1,
        batch: int = 16,
        workers: int = 1,
    ) -> None:
        if device not in DEVICES:
            raise DataError(f"A device must be one of {', '.join(DEVICES)}. Got '{device}' instead.")
        self.path = Path(MODEL if model is None else model)
        self.device, self.workers = device, workers
        self._arguments = (model, device, threads, batch)
        data = read_model(self.path)
        session = open_session(self.path, data, device, threads)
        self.settings: ModelSettings = read_settings(self.path, session.get_modelmeta().custom_metadata_map)
        self._output = self.settings.output
        outputs = [o.name for o in session.get_outputs()]
        if not self._output:
            self._output = outputs[0]
        elif self._output not in outputs:
            self._output = _inner(self.path, data, self._output, outputs)
            session = open_session(self.path, with_output(data, self._output), device, threads)
        self._session = session
        self._input, self._type, self._channels_last, self._fixed_batch, self.size = picture_input(
            self.path, session, self.settings
        )
        # Where the model leaves the number of pictures open, as many as together are not too large for it.
        width, height = self.size
        self._batch = self._fixed_batch or max(1, min(batch, MAX_INPUT_PIXELS // (width * height)))
        settings = repr(attrs.astuple(self.settings)).encode()
        self.sha256 = hashlib.sha256(hashlib.sha256(data).digest() + settings).hexdigest()
        self.model_bytes = len(data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes open the model again."""
        return _opened, (*self._arguments, self.sha256)

    def extract(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Features of pictures of the model's size.

        Parameters
        ----------
        images : (n, height, width, 3) uint8
            RGB.

        Returns
        -------
        (n, d) float32; (0, 0) for no pictures.

        Raises
        ------
        DataError
            If the pictures have another size, or the model does not give a finite vector for each.
        """
        pictures = np.asarray(images)
        width, height = self.size
        if not len(pictures):
            return np.empty((0, 0), np.float32)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (height, width, 3):
            raise DataError(
                f"The model '{self.path}' takes (n, {height}, {width}, 3) pictures of uint8. "
                f"Got {pictures.shape} of {pictures.dtype} instead."
            )
        parts = [self._run(pictures[i : i + self._batch]) for i in range(0, len(pictures), self._batch)]
        return np.concatenate(parts)

    def extract_boxes(self, image: np.ndarray, boxes: Iterable[Iterable[float]], margin: float = MARGIN) -> np.ndarray:
        """Features (n, d) of boxes [x, y, w, h] of one RGB picture, cropped as by :func:`..crops.crop_boxes`."""
        return self.extract(crop_boxes(image, boxes, self.size, margin))

    def _run(self, pictures: np.ndarray) -> np.ndarray:
        count = len(pictures)
        if self._fixed_batch and count < self._fixed_batch:
            pictures = np.concatenate([pictures, np.repeat(pictures[-1:], self._fixed_batch - count, 0)])
        try:
            (output,) = self._session.run([self._output], {self._input: self._prepare(pictures)})
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime's errors share no base but this
            raise DataError(f"The model '{self.path}' fails while it runs: {short_message(error)}.") from error
        return self._pool(output, len(pictures))[:count]

    def _prepare(self, pictures: np.ndarray) -> np.ndarray:
        if self.settings.color == "bgr":
            pictures = pictures[..., ::-1]
        if self._type is np.uint8:
            values = pictures
        else:
            low, high = self.settings.range
            scaled = np.float32(low) + pictures.astype(np.float32) * np.float32((high - low) / 255)
            values = (scaled - np.array(self.settings.mean, np.float32)) / np.array(self.settings.std, np.float32)
        if not self._channels_last:
            values = values.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(values, dtype=self._type)

    def _pool(self, output: Any, count: int) -> np.ndarray:
        """Vectors (n, d) from the output for n pictures, which is a map, a sequence, or vectors."""
        shape: tuple[int, ...] = getattr(output, "shape", ())
        name, pooling = f"The output '{self._output}' of the model '{self.path}'", self.settings.pooling
        if len(shape) not in (2, 3, 4) or shape[0] != count or not np.issubdtype(output.dtype, np.floating):
            raise DataError(
                f"{name} must hold floats for each of {count} pictures: a vector, a sequence of tokens (n, tokens, d) "
                f"or a map. Got {shape or type(output).__name__} instead. Choose another with 'output'."
            )
        if len(shape) != {"average": 4, "token": 3, "mean": 3}.get(pooling, len(shape)):
            kind = {2: "vectors", 3: "a sequence", 4: "a map"}[len(shape)]
            raise DataError(f"{name} is {kind} {shape}, to which the pooling '{pooling}' does not apply.")
        values = output.astype(np.float32)
        if len(shape) == 4:
            values = values.mean((1, 2) if self._channels_last else (2, 3), dtype=np.float64)
        elif len(shape) == 3:
            values = values[:, 0] if pooling == "token" else values.mean(1, dtype=np.float64)
        if not np.isfinite(values).all():
            raise DataError(f"{name} is not finite. Check the range, mean and std that the model wants.")
        return values.astype(np.float32)


def _opened(model: str | Path | None, device: str, threads: int, batch: int, sha256: str) -> Extractor:
    extractor = Extractor(model, device=device, threads=threads, batch=batch)
    if extractor.sha256 != sha256:
        raise DataError(f"The model '{extractor.path}' was changed while it was used. Run the same command again.")
    return extractor


def _inner(path: Path, data: bytes, requested: str, outputs: list[str]) -> str:
    """The inner value of that name, or the first value of the node of that name."""
    nodes = node_outputs(data)
    if requested in nodes:
        return nodes[requested][0]
    values = [value for values_of_node in nodes.values() for value in values_of_node]
    if requested in values:
        return requested
    close = difflib.get_close_matches(requested, [*outputs, *nodes, *values], n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise DataError(
        f"The model '{path}' has no output, node or value '{requested}'.{hint} Its outputs: {', '.join(outputs)}; its "
        f"last nodes: {', '.join(list(nodes)[-5:])}."
    )
