# SPDX-License-Identifier: GPL-3.0-or-later
"""The features that need no download: a scattering transform, fixed filters known from theory, as an ONNX graph.

python -m twinset.alignment.features.scattering    # writes scattering.onnx again
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from . import onnx_file as onnx

MODEL = Path(__file__).with_suffix(".onnx")
"""The graph, as it is packaged."""

SIZE = 128
"""Width and height of its input in pixels."""

SCALES = 4
ORIENTATIONS = 6

OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]], np.float64) / np.sqrt([[3], [2], [6]])
"""Intensity, red against green, yellow against blue: an orthonormal change of the RGB axes."""

FLOOR = 1e-3
"""Added before the logarithm, a quarter of a grey level: what is weaker than that is noise."""


def morlet(scale: float, angle: float, slant: float) -> np.ndarray:
    """A Morlet wavelet of dilation 2^scale, (2r + 1, 2r + 1) complex, without any response to constants.

    ``psi(u) = exp(-(u_1^2 + (slant u_2)^2) / 2 s^2) (exp(i k u_1) - c)``, u_1 along ``angle`` and u_2 across, with
    s = 0.8 2^scale and k = 3 pi / 4 2^-scale [Bruna & Mallat, "Invariant Scattering Convolution Networks", IEEE TPAMI
    35(8), 2013, doi 10.1109/TPAMI.2012.230, §2.1]. Its envelope sums to one.
    """
    sigma, wave = 0.8 * 2**scale, 0.75 * math.pi / 2**scale
    radius = math.ceil(3 * sigma / min(slant, 1.0))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(float)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    envelope = np.exp(-(along**2 + (slant * across) ** 2) / (2 * sigma**2))
    envelope /= envelope.sum()
    carrier = np.exp(1j * wave * along)
    return envelope * (carrier - (envelope * carrier).sum())


def bank(scale: int) -> np.ndarray:
    """Wavelets of one scale and all orientations as weights (2 L, 1, k, k): the real parts, then the imaginary ones.

    Rounded to 7 digits. Processors differ in the last bit of a cosine, so a value between two such numbers may become
    either: the packaged file, not this function, defines the features.
    """
    angles = np.arange(ORIENTATIONS) * math.pi / ORIENTATIONS
    filters = np.stack([morlet(scale, a, 4 / ORIENTATIONS) for a in angles])
    return np.concatenate([filters.real, filters.imag])[:, None].round(7).astype(np.float32)


def build() -> bytes:
    """The ONNX graph: pictures (n, 3, 128, 128) of uint8, RGB, to vectors (n, 75).

    They hold the mean of each opponent channel, then the logarithm of the mean modulus of each wavelet transform:
    ``log(0.001 + mean |x * psi|)`` by scale, channel and orientation, so that a change of contrast is a shift. This is
    the first order of a scattering transform [Bruna & Mallat 2013] averaged over the whole picture, which makes it
    blind to where in the box something is. A second order (723 numbers, some five times the cost) and averages over
    quarters or sixteenths of the image did not separate real boxes from others better on the whole.
    """
    nodes: list[bytes] = []
    constants: list[bytes] = []

    def constant(name: str, values: np.ndarray) -> str:
        constants.append(onnx.tensor(name, values))
        return name

    def add(op: str, inputs: list[str], output: str, **attributes: int | str | list[int]) -> str:
        nodes.append(onnx.node(op, inputs, output, **attributes))
        return output

    add("Cast", ["image"], "bytes", to=1)
    add("Mul", ["bytes", constant("unit", np.array(1 / 255, np.float32))], "rgb")
    add("Conv", ["rgb", constant("opponent", OPPONENT.astype(np.float32)[:, :, None, None])], "channels")
    parts = [add("ReduceMean", ["channels"], "means", axes=[2, 3], keepdims=0)]
    # Every channel meets the same wavelets: channels stand in line as pictures of their own.
    add("Reshape", ["channels", constant("in line", np.array([-1, 1, SIZE, SIZE]))], "planes")
    constant("both parts", np.array([1]))
    for scale in range(SCALES):
        name = f"scale {scale}: "
        weights = bank(scale)
        reach = weights.shape[-1] // 2
        step = 2 ** max(scale - 1, 0)  # a wavelet's modulus is twice as smooth at twice the size
        side = (SIZE - 1) // step + 1
        around = constant(name + "border", np.array([0, 0, reach, reach, 0, 0, reach, reach]))
        padded = add("Pad", ["planes", around], name + "padded", mode="edge")
        both = add("Conv", [padded, constant(name + "wavelets", weights)], name + "transform", strides=[step, step])
        squares = add("Mul", [both, both], name + "squares")
        shape = constant(name + "shape", np.array([-1, 2, ORIENTATIONS, side, side]))
        split = add("Reshape", [squares, shape], name + "split")
        power = add("ReduceSum", [split, "both parts"], name + "power", keepdims=0)
        modulus = add("Sqrt", [power], name + "modulus")
        mean = add("ReduceMean", [modulus], name + "mean", axes=[2, 3], keepdims=0)
        vector = add("Reshape", [mean, constant(name + "ends", np.array([-1, 3 * ORIENTATIONS]))], name + "vector")
        raised = add("Add", [vector, constant(name + "floor", np.array(FLOOR, np.float32))], name + "raised")
        parts.append(add("Log", [raised], name + "log"))
    add("Concat", parts, "features", axis=1)
    return onnx.model(
        "scattering",
        nodes=nodes,
        constants=constants,
        inputs=[onnx.value("image", "uint8", ["n", 3, SIZE, SIZE])],
        outputs=[onnx.value("features", "float32", ["n", 3 + 3 * SCALES * ORIENTATIONS])],
    )


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL).write_bytes(build())
