# SPDX-License-Identifier: GPL-3.0-or-later
"""The meshes of a dataset's assets as PLY files, for formats that carry models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import DataError
from ...engine.physics.convex_pieces import hull_vertices
from ...engine.regular_files import read_regular
from ...engine.stage import Asset, Mesh
from ..atomic_files import escapes_folder, write_atomic

FOLDER = "models"
"""Where a rendered dataset has them. Files are named by their content: rooms may have different assets of one name."""

KEY = "models"
"""What ``stage.json``, or the entry of a room in it, calls the files of its assets."""

MAX_FILE_BYTES = 2**30

_VERTEX = np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3)])
_FACE = np.dtype([("corners", "u1"), ("vertices", "<i4", 3)])
_HEADER = """ply
format binary_little_endian 1.0
comment {unit}
element vertex {vertices}
property float x
property float y
property float z
property float nx
property float ny
property float nz
element face {faces}
property list uchar int vertex_indices
end_header
"""
_METRES = "metres, z up"


def write_models(out: Path, assets: Iterable[Asset]) -> dict[str, str]:
    """Write the meshes of assets into the folder of a dataset; returns the path of each in it, by the asset's name."""
    paths = {}
    for asset in assets:
        data = encode_ply(asset.mesh, _METRES)
        path = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:16]}.ply"
        if not (out / path).is_file():
            write_atomic(out / path, data)
        paths[asset.name] = path
    return paths


def recorded_models(stage: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Paths of models by room (``""`` where the recipe has none) and asset, from the content of ``stage.json``."""
    rooms = stage.get("rooms")
    reports = rooms if isinstance(rooms, dict) else {"": stage}
    found: dict[str, dict[str, str]] = {}
    for room, report in reports.items():
        models = report.get(KEY) if isinstance(report, dict) else None
        named = models.items() if isinstance(models, dict) else ()
        found[room] = {name: path for name, path in named if isinstance(path, str) and not escapes_folder(path)}
    return found


def encode_ply(mesh: Mesh, comment: str) -> bytes:
    """A mesh with vertex normals as the bytes of a binary PLY file; equal meshes give equal bytes."""
    vertices = np.zeros(len(mesh.vertices), _VERTEX)
    vertices["xyz"], vertices["normal"] = mesh.vertices, vertex_normals(mesh)
    faces = np.empty(len(mesh.triangles), _FACE)
    faces["corners"], faces["vertices"] = 3, mesh.triangles
    header = _HEADER.format(unit=comment, vertices=len(vertices), faces=len(faces))
    return header.encode() + vertices.tobytes() + faces.tobytes()


def read_model(path: Path) -> Mesh:
    """The mesh of a file that :func:`write_models` has written.

    Raises
    ------
    DataError
        If it is missing or not such a file.
    """
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise DataError(f"The model '{path}' cannot be read: {error.strerror or error}. Render again.") from error
    header, end, body = data.partition(b"end_header\n")
    words = [line.split() for line in header.decode(errors="replace").splitlines()]
    counts = {line[1]: int(line[2]) for line in words if line[:1] == ["element"] and line[2:] and line[2].isdecimal()}
    vertices, faces = counts.get("vertex", 0), counts.get("face", 0)
    expected = _HEADER.format(unit=_METRES, vertices=vertices, faces=faces).encode()
    if header + end != expected or len(body) != vertices * _VERTEX.itemsize + faces * _FACE.itemsize:
        raise DataError(f"'{path}' is not a model that Twinset has written. Delete it and render again.")
    points = np.frombuffer(body, _VERTEX, vertices)["xyz"].astype(float)
    triangles = np.frombuffer(body, _FACE, faces, vertices * _VERTEX.itemsize)["vertices"]
    if faces and not 0 <= triangles.min() <= triangles.max() < vertices:
        raise DataError(f"'{path}' has faces without vertices. Delete it and render again.")
    return Mesh(points, triangles.astype(np.int32))


def vertex_normals(mesh: Mesh) -> np.ndarray:
    """Unit normals (V, 3) of vertices: those of the faces around, weighted by angle [Thürmer & Wüthrich, 1998].

    Vertices at one place share theirs only if they are one vertex; (0, 0, 1) for a vertex without faces.
    """
    corners = mesh.vertices[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = _unit(normals)
    sums = np.zeros_like(mesh.vertices, dtype=float)
    for k in range(3):
        along = _unit(corners[:, (k + 1) % 3] - corners[:, k])
        back = _unit(corners[:, (k + 2) % 3] - corners[:, k])
        angle = np.arccos(np.clip((along * back).sum(1), -1.0, 1.0))
        np.add.at(sums, mesh.triangles[:, k], normals * angle[:, None])
    out = _unit(sums)
    out[~out.any(1)] = (0.0, 0.0, 1.0)
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=float), where=lengths > 0))


def diameter(points: np.ndarray) -> float:
    """The largest distance between any two of some points (P, 3), in their unit."""
    from scipy.spatial.distance import cdist

    points, _ = hull_vertices(points)
    # In pieces: all pairs of a finely modelled ball would take gigabytes.
    return max((float(cdist(points[k : k + 256], points).max()) for k in range(0, len(points), 256)), default=0.0)
