# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures changed by ONNX models: what they do is known by arithmetic, and models that make no picture are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from effect_pictures import applied, raw
from twinset.alignment.features import onnx_file as onnx
from twinset.engine.errors import DataError
from twinset.engine.plugin.params import build
from twinset.plugins.effects.image_model import ImageModel

OPEN = (1, 3, "height", "width")


def write(folder: Path, *nodes: bytes, constants: tuple[bytes, ...] = (), shape: Any = OPEN, out: Any = OPEN) -> str:
    """A model from ``x`` to ``y``."""
    path = folder / "style.onnx"
    data = onnx.model(
        "test",
        nodes=nodes,
        constants=constants,
        inputs=[onnx.value("x", "float32", shape)],
        outputs=[onnx.value("y", "float32", out)],
    )
    path.write_bytes(data)
    return str(path)


def negative(folder: Path, white: float, **more: Any) -> str:
    """A model that gives ``white`` minus what it gets."""
    constant = onnx.tensor("white", np.array([white], np.float32))
    return write(folder, onnx.node("Sub", ["white", "x"], "y"), constants=(constant,), **more)


def identity(folder: Path, **more: Any) -> str:
    return write(folder, onnx.node("Identity", ["x"], "y"), **more)


@pytest.mark.parametrize("low, high", [(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)])
def test_a_model_gets_and_gives_values_in_its_range(
    tmp_path: Path, scenery: np.ndarray, low: float, high: float
) -> None:
    effect = ImageModel(model=negative(tmp_path, low + high), value_range=(low, high))
    assert np.abs(applied(effect, scenery).astype(int) - (255 - scenery)).max() <= 1


def test_channels_are_red_green_blue(tmp_path: Path, scenery: np.ndarray) -> None:
    weights = np.zeros((3, 3, 1, 1), np.float32)
    weights[:, 0] = 1.0  # all channels get the first one
    convolution = onnx.node("Conv", ["x", "w"], "y")
    model = write(tmp_path, convolution, constants=(onnx.tensor("w", weights),))
    assert (applied(ImageModel(model=model), scenery) == scenery[..., :1]).all()


def test_strength_is_the_share_of_the_models_picture(tmp_path: Path, scenery: np.ndarray) -> None:
    picture = scenery.astype(np.float32) / 255
    effect = ImageModel(model=negative(tmp_path, 255.0))
    for strength in (0.0, 0.25, 1.0):
        expected = picture + strength * (1 - 2 * picture)
        np.testing.assert_allclose(raw(effect, picture, strength=strength), expected, atol=1e-5)


def test_a_model_of_one_size_gets_the_picture_scaled(tmp_path: Path, scenery: np.ndarray) -> None:
    model = identity(tmp_path, shape=(1, 3, 30, 20), out=(1, 3, 30, 20))
    picture = scenery.astype(np.float32) / 255
    small = cv2.resize(picture, (20, 30), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(small, (80, 60), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(raw(ImageModel(model=model), picture, strength=1.0), expected, atol=1e-5)


def test_a_model_that_makes_a_smaller_picture_is_scaled_back(tmp_path: Path, scenery: np.ndarray) -> None:
    pool = onnx.node("AveragePool", ["x"], "y", kernel_shape=[4, 4], strides=[4, 4])
    effect = ImageModel(model=write(tmp_path, pool, out=(1, 3, "h", "w")))
    made = applied(effect, scenery)
    assert made.shape == scenery.shape
    blocks = scenery.reshape(15, 4, 20, 4, 3).mean((1, 3))
    assert np.abs(made.reshape(15, 4, 20, 4, 3).mean((1, 3)) - blocks).mean() < 6  # of 255


def test_another_file_under_the_same_name_is_opened_again(tmp_path: Path, scenery: np.ndarray) -> None:
    import os

    path = identity(tmp_path)
    assert (applied(ImageModel(model=path), scenery) == scenery).all()
    negative(tmp_path, 255.0)
    os.utime(path, ns=(1, 1))
    assert (applied(ImageModel(model=path), scenery) == 255 - scenery).all()


@pytest.mark.parametrize(
    "nodes, shapes, sentence",
    [
        (
            (onnx.node("GlobalAveragePool", ["x"], "g"), onnx.node("Flatten", ["g"], "y")),
            {"out": (1, 3)},
            "one picture",
        ),
        ((onnx.node("Log", ["x"], "y"),), {}, "is not finite"),
        ((onnx.node("Identity", ["x"], "y"),), {"shape": (4, 3, 8, 8), "out": (4, 3, 8, 8)}, "takes 4 pictures"),
        ((onnx.node("Identity", ["x"], "y"),), {"shape": (1, 1, 8, 8), "out": (1, 1, 8, 8)}, "must have one input"),
    ],
)
def test_models_that_make_no_picture_are_refused(tmp_path: Path, nodes: Any, shapes: Any, sentence: str) -> None:
    effect = ImageModel(model=write(tmp_path, *nodes, **shapes))
    with pytest.raises(DataError, match=sentence):
        applied(effect, np.zeros((16, 16, 3), np.uint8))


def test_missing_files_and_ranges_without_extent_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.onnx' does not exist"):
        applied(ImageModel(model=str(tmp_path / "none.onnx")), np.zeros((8, 8, 3), np.uint8))
    assert "'value_range' must be [black, white]" in str(
        build(ImageModel, {"model": "a.onnx", "value_range": [1, 1]}, "effect 'image_model'")[1]
    )
