# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the ONNX file format that features need: writes models with the same bytes everywhere, lists nodes,
makes inner values outputs. Field numbers are those of onnx.proto (Apache-2.0, https://github.com/onnx/onnx)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

IR_VERSION = 8
_TYPES = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10}


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def node(op: str, inputs: Sequence[str], output: str, **attributes: int | float | str | Sequence[int]) -> bytes:
    """One node with one output; the node has the output's name."""
    parts = [_bytes(1, name) for name in inputs] + [_bytes(2, output), _bytes(3, output), _bytes(4, op)]
    for name, value in sorted(attributes.items()):
        if isinstance(value, float):
            body = _varint(2 << 3 | 5) + struct.pack("<f", value) + _int(20, 1)
        elif isinstance(value, int):
            body = _int(3, value) + _int(20, 2)
        elif isinstance(value, str):
            body = _bytes(4, value) + _int(20, 3)
        else:
            body = b"".join(_int(8, v) for v in value) + _int(20, 7)
        parts.append(_bytes(5, _bytes(1, name) + body))
    return b"".join(parts)


def tensor(name: str, values: np.ndarray) -> bytes:
    """A constant of the graph; float32, float16, uint8 or int64."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    dims = b"".join(_int(1, n) for n in values.shape)
    return dims + _int(2, _TYPES[values.dtype.name]) + _bytes(8, name) + _bytes(9, little.tobytes())


def value(name: str, dtype: str, shape: Sequence[int | str]) -> bytes:
    """An input or output; a dimension with a name in place of a number is dynamic."""
    dims = b"".join(_bytes(1, _bytes(2, n) if isinstance(n, str) else _int(1, n)) for n in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, _TYPES[dtype]) + _bytes(2, dims)))


def model(
    name: str,
    *,
    nodes: Sequence[bytes],
    constants: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    opset: int = 13,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A whole ONNX model of parts made by :func:`node`, :func:`tensor` and :func:`value`."""
    graph = b"".join(
        [
            *(_bytes(1, n) for n in nodes),
            _bytes(2, name),
            *(_bytes(5, c) for c in constants),
            *(_bytes(11, v) for v in inputs),
            *(_bytes(12, v) for v in outputs),
        ]
    )
    notes = [_bytes(14, _bytes(1, k) + _bytes(2, v)) for k, v in sorted((metadata or {}).items())]
    return b"".join([_int(1, IR_VERSION), _bytes(2, "twinset"), _bytes(7, graph), _bytes(8, _int(2, opset)), *notes])


def with_output(data: bytes, name: str) -> bytes:
    """The model with one more output, the value ``name``, whose type the runtime infers.

    Protocol buffers merge a message that comes twice, so a second graph that holds nothing but the output is added to
    the first [https://protobuf.dev/programming-guides/encoding/#last-one-wins].
    """
    return data + _bytes(7, _bytes(12, _bytes(1, name)))


def node_outputs(data: bytes) -> dict[str, list[str]]:
    """The output values of each node of a model, by the node's name, or by its first value if it has no name.

    Raises ValueError if ``data`` is not a protocol buffer.
    """
    outputs_of: dict[str, list[str]] = {}
    for number, graph in _fields(memoryview(data)):
        if number != 7:
            continue
        for inner, entry in _fields(graph):
            if inner == 1:
                parts = [(n, bytes(v).decode("utf-8", "replace")) for n, v in _fields(entry) if n in (2, 3)]
                values = [text for n, text in parts if n == 2]
                names = [text for n, text in parts if n == 3 and text]
                if values:
                    outputs_of[names[0] if names else values[0]] = values
    return outputs_of


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field; the others are skipped."""
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        kind = key & 7
        if kind == 2:
            length, place = _read_varint(data, place)
            if place + length > len(data):
                raise ValueError("cut off")
            yield key >> 3, data[place : place + length]
            place += length
        elif kind == 0:
            _, place = _read_varint(data, place)
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    result = shift = 0
    while place < len(data) and shift < 70:
        byte = data[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, place
        shift += 7
    raise ValueError("cut off")
