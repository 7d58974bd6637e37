# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage in plain numpy for small scenes: brute-force rays, collisions and pictures, no Blender."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ..engine.errors import StageError
from ..engine.stage import Amodal, Asset, CameraPose, Hits, Instance, Labels, Mesh, Shot, Surface
from .geometry import contains, point_distances, ray_distances, surface_distance, triangles_meet
from .raster import rasterise

_CHUNK = 2_000_000


class BruteStage:
    """The stage protocol on named meshes, every ray against every triangle.

    Parameters
    ----------
    scene : mapping of str to Mesh
        Static meshes in world coordinates, by object name.
    assets : sequence of Asset
        What may be placed.
    masks : mapping of (object name, mask name) to (T,) bool, optional
        Faces of vertex groups or materials.
    kept : sequence of (Asset, matrix), optional
        Assets that stand in the scene as the artist left them.
    resolution : (int, int)
        Width and height of the images in pixels.
    cameras : sequence of CameraPose, optional
        Cameras that came with the scene.
    folder : pathlib.Path
        Where relative paths start.

    Attributes
    ----------
    calls : list of (str, dict)
        What appearance plugins asked for, in order: method name and its arguments. :meth:`clear` empties it.
    """

    def __init__(
        self,
        scene: Mapping[str, Mesh],
        assets: Sequence[Asset] = (),
        *,
        masks: Mapping[tuple[str, str], np.ndarray] | None = None,
        kept: Sequence[tuple[Asset, np.ndarray]] = (),
        resolution: tuple[int, int] = (160, 120),
        cameras: Sequence[CameraPose] = (),
        folder: Path = Path(),
    ) -> None:
        self._scene = {name: mesh.vertices[mesh.triangles].astype(float) for name, mesh in scene.items()}
        self._assets: dict[str, list[Asset]] = {}
        for asset in assets:
            self._assets.setdefault(asset.class_name, []).append(asset)
        self._masks = dict(masks or {})
        self._kept = list(kept)
        self._resolution = resolution
        self._cameras = list(cameras)
        self.folder = folder
        self._instances: dict[int, Instance] = {}
        self._camera: CameraPose | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []

    @property
    def assets(self) -> Mapping[str, Sequence[Asset]]:
        return self._assets

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(self._instances.values())

    @property
    def resolution(self) -> tuple[int, int]:
        return self._resolution

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.concatenate([c.reshape(-1, 3) for c in self._scene.values()])
        return points.min(0), points.max(0)

    def surfaces(self, names: Sequence[str], mask: str = "") -> list[Surface]:
        found = []
        for name, corners in self._scene.items():
            if not any(fnmatchcase(name, pattern) for pattern in names):
                continue
            if mask:
                if (name, mask) not in self._masks:
                    continue
                corners = corners[self._masks[name, mask]]
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            length = np.linalg.norm(normals, axis=1, keepdims=True)
            found.append(Surface(name, corners, normals / np.where(length > 0, length, 1.0)))
        if not found:
            raise StageError(f"No surface matches {list(names)} with mask '{mask}'. Known: {', '.join(self._scene)}.")
        return found

    def place(self, asset: Asset, matrix: np.ndarray) -> Instance:
        instance = Instance(len(self._instances) + 1, asset, np.array(matrix, dtype=float))
        self._instances[instance.id] = instance
        return instance

    def move(self, instance: Instance, matrix: np.ndarray) -> Instance:
        moved = Instance(instance.id, instance.asset, np.array(matrix, dtype=float))
        self._instances[instance.id] = moved
        return moved

    def take_back(self, count: int) -> None:
        for id in list(self._instances)[len(self._instances) - count :]:
            del self._instances[id]

    def keep(
        self,
        class_names: Collection[str],
        rng: np.random.Generator | None = None,
        *,
        among: Collection[str] | None = None,
    ) -> tuple[Instance, ...]:
        chosen = [
            (asset, matrix)
            for asset, matrix in self._kept
            if asset.class_name in class_names and (among is None or asset.name in among)
        ]
        order = range(len(chosen)) if rng is None else rng.permutation(len(chosen))
        return tuple(self.place(*chosen[i]) for i in order)

    def cast(self, origins: np.ndarray, directions: np.ndarray, *, ignore: Collection[int] = ()) -> Hits:
        origins = np.atleast_2d(np.asarray(origins, dtype=float))
        directions = np.broadcast_to(np.asarray(directions, dtype=float), origins.shape)
        corners, owner = self._triangles(ignore)
        hits = Hits(np.full(len(origins), np.inf), np.zeros((len(origins), 3)), np.full(len(origins), -1))
        for part in np.array_split(np.arange(len(origins)), max(1, len(origins) * len(corners) // _CHUNK)):
            distance = ray_distances(origins[part], directions[part], corners)
            nearest = distance.argmin(1)
            hits.distance[part] = distance[np.arange(len(part)), nearest]
            hits.owner[part] = np.where(np.isfinite(hits.distance[part]), owner[nearest], -1)
            a, b, c = corners[nearest].transpose(1, 0, 2)
            normal = np.cross(b - a, c - a)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            hits.normal[part] = np.where(np.isfinite(hits.distance[part])[:, None], normal, 0.0)
        return hits

    def collides(self, asset: Asset, matrix: np.ndarray, *, gap: float = 0.0, ignore: Collection[int] = ()) -> str:
        """See the protocol. A static mesh that encloses the asset counts unless it is the only one or holds others."""
        corners = _world(asset, np.asarray(matrix, dtype=float))
        low, high = corners.min((0, 1)), corners.max((0, 1))
        for name, other in self._scene.items():
            touching = _boxes_touch(other, low, high)
            if touching.any() and triangles_meet(corners, other[touching]).any():
                return name
            if contains(corners, other[0, 0]) or (contains(other, corners[0, 0]) and not self._is_room(name)):
                return name
        for id, instance in self._instances.items():
            if id in ignore:
                continue
            other = _world(instance.asset, instance.matrix)
            if not _boxes_touch(other, low - gap, high + gap).any():
                continue
            if triangles_meet(corners, other).any() or (gap > 0 and surface_distance(corners, other) < gap):
                return instance.asset.name
            if contains(corners, other[0, 0]) or contains(other, corners[0, 0]):
                return instance.asset.name
        return ""

    def clearance(self, points: np.ndarray, *, ignore: Collection[int] = ()) -> np.ndarray:
        return point_distances(np.atleast_2d(points), self._triangles(ignore)[0]).min(1)

    def existing_cameras(self) -> list[CameraPose]:
        return list(self._cameras)

    def pose_camera(self, pose: CameraPose) -> None:
        self._camera = pose

    def probe(self, scale: float = 0.25, region: tuple[int, int, int, int] | None = None) -> Labels:
        pose = self._pose()
        width, height = (max(1, round(n * scale)) for n in (pose.width, pose.height))
        corners, owner = self._triangles(())
        ids, depth = rasterise(attrs.evolve(pose, width=width, height=height), corners, owner)
        if region is not None:
            x0, y0, x1, y1 = region
            outside = np.ones(ids.shape, bool)
            outside[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = False
            ids[outside], depth[outside] = 0, np.inf
        return Labels(np.maximum(ids, 0), depth)

    def set_world(
        self,
        *,
        hdri: Path | None,
        color: Sequence[float],
        strength: float,
        rotation: float,
        max_radiance: float | None = None,
    ) -> None:
        arguments = {"hdri": hdri, "color": tuple(color), "strength": strength, "rotation": rotation}
        self._log("set_world", **arguments, max_radiance=max_radiance)

    def scale_lights(self, factor: float, tint: Sequence[float]) -> None:
        self._log("scale_lights", factor=factor, tint=tuple(tint))

    def add_light(self, position: Sequence[float], *, power: float, color: Sequence[float], radius: float) -> None:
        self._log("add_light", position=tuple(position), power=power, color=tuple(color), radius=radius)

    def set_background(self, image: Path | None) -> None:
        self._log("set_background", image=image)

    def clear(self) -> None:
        self._instances.clear()
        self._camera = None
        self.calls.clear()

    def shoot(self, seed: int = 0) -> Shot:
        """A flat picture: each triangle as grey as it faces the camera. Amodal extents reach one image size beyond.

        There is no noise, so ``seed`` changes nothing.
        """
        pose = self._pose()
        image, labels = self._picture(pose)
        annotated = tuple(i for i in self.instances if i.asset.class_name)
        amodal = {i.id: self._amodal(pose, i) for i in annotated}
        return Shot(image, labels, annotated, amodal, pose)

    def draft(self, seed: int = 0, *, scale: float = 0.5, samples: int = 2) -> np.ndarray:
        """The picture that :meth:`shoot` takes, at another size; there is no noise to save samples on."""
        pose = self._pose()
        width, height = (max(1, round(n * scale)) for n in (pose.width, pose.height))
        return self._picture(attrs.evolve(pose, width=width, height=height))[0]

    def info(self) -> dict[str, Any]:
        return {"stage": "brute", "meshes": len(self._scene)}

    def _picture(self, pose: CameraPose) -> tuple[np.ndarray, Labels]:
        corners, owner = self._triangles(())
        index, depth = rasterise(pose, corners, np.arange(len(corners)))
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        facing = np.abs((normal @ pose.matrix[:3, 2]) / np.linalg.norm(normal, axis=1))
        grey = np.append((40 + 200 * facing).astype(np.uint8), np.uint8(0))[index]
        ids = np.append(owner, 0)[index].astype(np.int32)
        return np.repeat(grey[..., None], 3, axis=2), Labels(ids, depth)

    def amodal(self) -> dict[int, Amodal]:
        pose = self._pose()
        return {i.id: self._amodal(pose, i) for i in self.instances if i.asset.class_name}

    def _amodal(self, pose: CameraPose, instance: Instance) -> Amodal:
        w, h = pose.width, pose.height
        corners = _world(instance.asset, instance.matrix)
        seen = rasterise(pose, corners, np.ones(len(corners), dtype=int), (-w, -h, 3 * w, 3 * h))[0] == 1
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        box = (0, 0, 0, 0)
        if len(rows):
            x, y = int(columns[0]), int(rows[0])
            box = (x - w, y - h, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)
        return Amodal(seen[h : 2 * h, w : 2 * w], box, int(seen.sum()))

    def _pose(self) -> CameraPose:
        if self._camera is None:
            raise StageError("No camera is posed. Call pose_camera first.")
        return self._camera

    def _triangles(self, ignore: Collection[int]) -> tuple[np.ndarray, np.ndarray]:
        parts = [(0, corners) for corners in self._scene.values()]
        parts += [(i.id, _world(i.asset, i.matrix)) for i in self.instances if i.id not in ignore]
        return np.concatenate([c for _, c in parts]), np.repeat([id for id, _ in parts], [len(c) for _, c in parts])

    def _is_room(self, name: str) -> bool:
        return len(self._scene) == 1 or any(
            contains(self._scene[name], corners[0, 0]) for other, corners in self._scene.items() if other != name
        )

    def _log(self, method: str, **arguments: Any) -> None:
        self.calls.append((method, arguments))


def _world(asset: Asset, matrix: np.ndarray) -> np.ndarray:
    vertices = asset.mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return vertices[asset.mesh.triangles]


def _boxes_touch(corners: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return ((corners.min(1) <= high) & (corners.max(1) >= low)).all(1)
