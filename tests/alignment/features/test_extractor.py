# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of ONNX models: what goes in and comes out by arithmetic done by hand, and how wrong models are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from twinset.alignment.features import onnx_file as onnx
from twinset.alignment.features.crops import crop_boxes
from twinset.alignment.features.extractor import Extractor
from twinset.engine.errors import DataError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def write(
    folder: Path,
    *nodes: bytes,
    shape: tuple[Any, ...] = ("n", 3, 6, 8),
    dtype: str = "float32",
    constants: tuple[bytes, ...] = (),
    sidecar: str = "",
    out: Any = ("n", 3, 6, 8),
    **more: Any,
) -> Path:
    """A model from ``x`` to ``y``; by default it gives back what it gets."""
    path = folder / "model.onnx"
    path.write_bytes(
        onnx.model(
            "test",
            nodes=nodes or (onnx.node("Identity", ["x"], "y"),),
            constants=constants,
            inputs=[onnx.value("x", dtype, shape)],
            outputs=[onnx.value("y", "float16" if dtype == "float16" else "float32", out)],
            **more,
        )
    )
    if sidecar:
        (folder / "model.toml").write_text(sidecar)
    return path


@pytest.mark.parametrize(
    ("device", "present", "expected"),
    [
        ("cpu", ["TensorrtExecutionProvider", "CUDAExecutionProvider"], []),
        ("auto", ["TensorrtExecutionProvider", "CUDAExecutionProvider"], ["CUDAExecutionProvider"]),
        ("auto", ["DmlExecutionProvider"], ["DmlExecutionProvider"]),
        ("auto", ["CoreMLExecutionProvider"], ["CoreMLExecutionProvider"]),
        ("auto", [], []),
    ],
)
def test_models_run_on_the_providers_that_are_installed(
    monkeypatch: pytest.MonkeyPatch, device: str, present: list[str], expected: list[str]
) -> None:
    import onnxruntime

    opened: list[list[str]] = []
    start = onnxruntime.InferenceSession

    def session(data: bytes, options: object, providers: list[str]) -> object:
        opened.append(providers)
        return start(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*present, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    assert Extractor(device=device).size == (128, 128)
    assert opened == [[*expected, "CPUExecutionProvider"]]


def test_pixels_go_in_as_the_settings_say(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
    plain = Extractor(write(tmp_path))
    assert plain.size == (8, 6)
    np.testing.assert_allclose(plain.extract(images), images.mean((1, 2)) / 255, rtol=1e-5)
    told = "range = [-1, 1]\nmean = [0.1, 0.2, 0.3]\nstd = [0.5, 1, 2]\ncolor = 'bgr'"
    expected = (images[..., ::-1].mean((1, 2)) / 127.5 - 1 - [0.1, 0.2, 0.3]) / [0.5, 1, 2]
    settled = Extractor(write(tmp_path, sidecar=told))
    np.testing.assert_allclose(settled.extract(images), expected, rtol=1e-4, atol=1e-6)
    assert settled.sha256 != plain.sha256


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("last", [False, True])
def test_layouts_and_types(tmp_path: Path, rng: np.random.Generator, dtype: str, last: bool) -> None:
    images = rng.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    shape = ("n", 6, 8, 3) if last else ("n", 3, 6, 8)
    nodes = [onnx.node("Cast", ["x"], "y", to=1)] if dtype == "uint8" else []
    features = Extractor(write(tmp_path, *nodes, shape=shape, dtype=dtype, out=shape)).extract(images)
    assert features.dtype == np.float32
    scale = 1 if dtype == "uint8" else 255
    np.testing.assert_allclose(features, images.mean((1, 2)) / scale, rtol=2e-3 if dtype == "float16" else 1e-5)


def test_one_picture_counts_for_itself_whatever_the_batch(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (7, 6, 8, 3), dtype=np.uint8)
    open_batch = Extractor(write(tmp_path), batch=3).extract(images)
    single = np.concatenate([Extractor(write(tmp_path)).extract(images[i : i + 1]) for i in range(7)])
    fixed = Extractor(write(tmp_path, shape=(4, 3, 6, 8), out=(4, 3, 6, 8))).extract(images)
    assert np.array_equal(open_batch, single)
    assert np.array_equal(open_batch, fixed)


def test_sequences_give_a_token_or_their_mean(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    nodes = [onnx.node("Reshape", ["x", "to"], "tokens"), onnx.node("Transpose", ["tokens"], "y", perm=[0, 2, 1])]
    parts = {"constants": (onnx.tensor("to", np.array([0, 3, 48])),), "out": ("n", 48, 3)}
    mean = Extractor(write(tmp_path, *nodes, **parts, sidecar="pooling = 'mean'")).extract(images)
    np.testing.assert_allclose(mean, images.mean((1, 2)) / 255, rtol=1e-5)
    token = Extractor(write(tmp_path, *nodes, **parts, sidecar="pooling = 'token'")).extract(images)
    np.testing.assert_allclose(token, images[:, 0, 0] / 255, rtol=1e-5)
    with pytest.raises(DataError, match=r"is a sequence .* pooling 'average' does not apply"):
        Extractor(write(tmp_path, *nodes, **parts, sidecar="pooling = 'average'")).extract(images)


def test_inner_values_are_found_by_name(tmp_path: Path, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    nodes = [onnx.node("Neg", ["x"], "minus"), onnx.node("Relu", ["minus"], "y")]
    assert not Extractor(write(tmp_path, *nodes)).extract(images).any()
    inner = Extractor(write(tmp_path, *nodes, sidecar="output = 'minus'")).extract(images)
    np.testing.assert_allclose(inner, -images.mean((1, 2)) / 255, rtol=1e-5)
    with pytest.raises(DataError, match=r"no output, node or value 'minos'\. Did you mean 'minus'\?"):
        Extractor(write(tmp_path, *nodes, sidecar="output = 'minos'"))


def test_the_model_may_carry_its_settings_and_the_file_beside_it_wins(tmp_path: Path) -> None:
    path = write(tmp_path, metadata={"twinset": "color = 'bgr'\nrange = [0, 255]"}, sidecar="range = [0, 2]")
    settings = Extractor(path).settings
    assert (settings.color, settings.range) == ("bgr", (0.0, 2.0))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"shape": (3, 6, 8), "out": (3, 6, 8)}, r"must have one input.*It has 'x' tensor\(float\) \[3, 6, 8\]"),
    ({"shape": ("n", 1, 6, 8), "out": ("n", 1, 6, 8)}, "must have one input"),
    ({"shape": ("n", "c", "h", "w"), "out": ("n", "c", "h", "w")}, "write layout"),
    ({"shape": ("n", 3, "h", "w"), "out": ("n", 3, "h", "w")}, r"any size.*Write size = \[width, height\]"),
    ({"shape": ("n", 3, 6, 3), "out": ("n", 3, 6, 3)}, "write layout"),
    ({"sidecar": "size = [9, 6]"}, "has the width 8, but its settings say 9"),
    ({"sidecar": "size = [9]"}, "width, height"),
    ({"sidecar": "std = [1, 1, 0]"}, "'std' parameter"),
    ({"sidecar": "colour = 'rgb'"}, "Did you mean 'color'"),
    ({"sidecar": "color = rgb"}, "not valid TOML"),
    ({"opset": 99}, "cannot be run by onnxruntime .*opset"),
]


@pytest.mark.parametrize(("parts", "sentence"), WRONG)
def test_wrong_models_and_settings_are_refused(tmp_path: Path, parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        Extractor(write(tmp_path, **parts))
    assert "\n" not in str(caught.value)
    assert "model." in str(caught.value)


def test_dynamic_models_run_once_told(tmp_path: Path, rng: np.random.Generator) -> None:
    shape = ("n", "c", "h", "w")
    path = write(tmp_path, shape=shape, out=shape, sidecar="size = [8, 6]\nlayout = 'NCHW'")
    images = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(Extractor(path).extract(images), images.mean((1, 2)) / 255, rtol=1e-5)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path).read_bytes()
    cases = {"empty": b"", "text": b"no model at all", "cut": whole[: len(whole) // 2]}
    for name, data in cases.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(data)
        with pytest.raises(DataError, match="no ONNX file, or it is cut off"):
            Extractor(path)
    with pytest.raises(DataError, match="does not exist"):
        Extractor(tmp_path / "missing.onnx")
    with pytest.raises(DataError, match="cannot be read"):
        Extractor(tmp_path)
    huge = tmp_path / "huge.onnx"
    with open(huge, "wb") as file:
        file.truncate(2**31)  # sparse: takes no room
    with pytest.raises(DataError, match=r"has 2\.1 GB; one ONNX file can hold 2"):
        Extractor(huge)


def test_unknown_operators_and_two_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No Op registered for Shimmer"):
        Extractor(write(tmp_path, onnx.node("Shimmer", ["x"], "y")))
    inputs = [onnx.value(n, "float32", (1, 3, 6, 8)) for n in ("x", "z")]
    path = tmp_path / "large.onnx"
    sides = (1, 3, 10**6, 10**6)
    values = {"inputs": [onnx.value("x", "float32", sides)], "outputs": [onnx.value("y", "float32", sides)]}
    path.write_bytes(onnx.model("large", nodes=[onnx.node("Relu", ["x"], "y")], constants=[], **values))
    with pytest.raises(DataError, match="1 pictures of 1000000 x 1000000 pixels at once, more than"):
        Extractor(path)
    path = tmp_path / "two.onnx"
    nodes = [onnx.node("Add", ["x", "z"], "y")]
    path.write_bytes(
        onnx.model("two", nodes=nodes, constants=[], inputs=inputs, outputs=[onnx.value("y", "float32", (1, 3, 6, 8))])
    )
    with pytest.raises(DataError, match=r"must have one input.*'x'.*'z'"):
        Extractor(path)


def test_what_is_no_vector_per_picture_is_refused(tmp_path: Path) -> None:
    black = np.zeros((2, 6, 8, 3), np.uint8)
    total = Extractor(write(tmp_path, onnx.node("ReduceMean", ["x"], "y", axes=[0, 1, 2, 3], keepdims=0), out=()))
    with pytest.raises(DataError, match="must hold floats for each of 2 pictures"):
        total.extract(black)
    with pytest.raises(DataError, match="is not finite"):
        Extractor(write(tmp_path, onnx.node("Log", ["x"], "y"))).extract(black)
    with pytest.raises(DataError, match=r"takes \(n, 6, 8, 3\) pictures"):
        Extractor(write(tmp_path)).extract(black.astype(float))
    assert Extractor(write(tmp_path)).extract(black[:0]).shape == (0, 0)


def test_crops_keep_proportions_and_repeat_the_border() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:50] = 200  # a square of 20 pixels
    (plain,) = crop_boxes(image, [[30, 20, 20, 20]], (10, 10), margin=0.0)
    assert (plain == 200).all()
    (wide,) = crop_boxes(image, [[30, 20, 20, 20]], (20, 20), margin=0.5)
    assert (wide[5:15, 5:15] == 200).all()
    assert not wide[:5].any() and not wide[:, :5].any()
    # A box twice as wide as high still shows the square as a square.
    (flat,) = crop_boxes(image, [[20, 20, 40, 20]], (40, 40), margin=0.0)
    assert (flat[:, :, 0] == 200).sum() == 20 * 20
    image[:] = 0
    image[:, 0] = 90
    (edge,) = crop_boxes(image, [[-10, 10, 11, 20]], (20, 20), margin=0.0)
    assert (edge[:, :15] == 90).all()


def test_impossible_crops_are_rejected() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    for box in ([10, 10, 0, 5], [90, 10, 5, 5], [float("nan"), 0, 5, 5]):
        with pytest.raises(DataError, match="cannot be cropped"):
            crop_boxes(image, [box], (8, 8))
    with pytest.raises(DataError, match="must be an"):
        crop_boxes(image[..., 0], [[0, 0, 5, 5]], (8, 8))
    assert crop_boxes(image, [], (8, 6)).shape == (0, 6, 8, 3)


def test_a_real_detector_gives_its_backbone(tmp_path: Path, data: Path) -> None:
    import shutil

    shutil.copy(data / "onnx" / "FastestDet.onnx", tmp_path / "model.onnx")
    images = np.random.default_rng(0).integers(0, 256, (2, 352, 352, 3), dtype=np.uint8)
    assert Extractor(tmp_path / "model.onnx").extract(images).shape == (2, 85)
    (tmp_path / "model.toml").write_text("output = 'Concat_245'")
    backbone = Extractor(tmp_path / "model.onnx")
    found = backbone.extract(images)
    assert found.shape[1] > 85
    assert np.array_equal(found, Extractor(tmp_path / "model.onnx").extract(images))
    boxes = backbone.extract_boxes(images[0], [[0, 0, 352, 352]], margin=0.0)
    np.testing.assert_allclose(boxes, found[:1], rtol=1e-4, atol=1e-5)


def test_a_model_of_large_pictures_gets_few_at_once(tmp_path: Path) -> None:
    """The number of pictures is open, so theirs together must be bounded here."""
    path = tmp_path / "large.onnx"
    sides = ("n", 3, 4096, 8192)
    values = {"inputs": [onnx.value("x", "float32", sides)], "outputs": [onnx.value("y", "float32", sides)]}
    path.write_bytes(onnx.model("large", nodes=[onnx.node("Identity", ["x"], "y")], constants=[], **values))
    assert Extractor(path, batch=16)._batch == 2
    assert Extractor(write(tmp_path), batch=16)._batch == 16
