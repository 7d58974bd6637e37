# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubric: a folder per sequence as its workers write them, for TFDS builders such as those of MOVi."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ....dataset.atomic_files import json_bytes
from ....dataset.exports.asset_models import read_model
from ....dataset.exports.samples import Annotated
from ....dataset.exports.videos import Video, annotated_videos, videos_of
from ....dataset.formats import rle_masks
from ....dataset.formats.encoders import encode
from ....dataset.formats.pixels import read_channels, read_depth, read_image
from ....engine.errors import DataError
from ....engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin
from ....engine.scene.rigid import rigid_parts

FAR = 1e10
"""Blender's distance to what is not hit."""

MAX_IDS = 255


@plugin("writer")
class Kubric(Writer):
    """Write Kubric's folders: ``train/000000`` with ``rgba_00000.png``, ``segmentation_00000.png``, ``metadata.json``.

    If the recipe has them, also ``depth_00000.tiff`` (distance from the camera's centre), ``forward_flow_00000.png``
    and ``backward_flow_00000.png`` (rows before columns, scaled as ``data_ranges.json`` says; from EXR files) and
    ``normal_00000.png`` (``world_normals`` as PNG). Instances are numbered from 1, by visible pixels. Masses and the
    like are not known and 0; ``events.json`` lists no collisions. Each camera of a rig is a sequence of its own, and so
    is each image without a sequence.
    """

    folder = "kubric"
    copies_images = True
    uses_models = True
    uses_records = True
    holds = ("boxes", "masks", "holes", "parts", "empty images", "class names")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        classes = {category["id"]: category["name"] for category in dataset.categories}
        for video, annotated in annotated_videos(dataset, videos_of(dataset)):
            _VideoFolder(dataset, files, video, annotated, classes).write()


class _VideoFolder:
    def __init__(
        self,
        dataset: FinishedDataset,
        files: DatasetFiles,
        video: Video,
        annotated: Annotated,
        classes: Mapping[int, str],
    ) -> None:
        self.dataset, self.files, self.video, self.classes = dataset, files, video, classes
        self.folder = f"{video.part}/{video.name}"
        self.annotated = annotated
        self.records = [dataset.record(image) for image in video.images]

    def write(self) -> None:
        instances = self._instances()
        numbers = {id: number for number, (id, _) in enumerate(instances, 1)}
        if len(numbers) > MAX_IDS:
            raise DataError(f"The sequence '{self.video.name}' shows more than {MAX_IDS} instances: Kubric has 8 bits.")
        for frame, (image, own) in enumerate(self.annotated):
            path, data = self.dataset.image_file(image)
            pixels = read_image(path) if data is None else _decoded(data)
            rgba = np.dstack([pixels[..., ::-1], np.full(pixels.shape[:2], 255, np.uint8)])
            self.files.add(f"{self.folder}/rgba_{frame:05d}.png", encode(".png", rgba, []))
            self.files.add(f"{self.folder}/segmentation_{frame:05d}.png", self._segmentation(image, own, numbers))
            self._write_depth(frame, image)
            normals = self.dataset.label_file(image, "world_normals")
            if normals is not None and normals.suffix == ".png":
                self.files.link(f"{self.folder}/normal_{frame:05d}.png", normals)
        ranges = dict(self._flow_ranges())
        first = self.video.images[0]
        metadata = {
            "resolution": [first["width"], first["height"]],
            "frame_rate": self.video.fps,
            "num_frames": len(self.video.images),
            "num_instances": len(instances),
        }
        content = {"metadata": metadata, "camera": self._camera(), "instances": [entry for _, entry in instances]}
        self.files.add(f"{self.folder}/metadata.json", json_bytes(content))
        self.files.add(f"{self.folder}/data_ranges.json", json_bytes(ranges))
        self.files.add(f"{self.folder}/events.json", json_bytes({"collisions": []}))

    def _segmentation(
        self, image: Mapping[str, Any], own: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]
    ) -> bytes:
        out = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in own:
            if annotation.get("segmentation"):
                mask = rle_masks.decode(annotation["segmentation"], *out.shape)
                out[mask] = numbers[annotation["twinset"]["instance"]]
        return encode(".png", out, [])

    def _write_depth(self, frame: int, image: Mapping[str, Any]) -> None:
        path = self.dataset.label_file(image, "depth")
        if path is None:
            return
        depth, camera = read_depth(path), self.records[frame]["camera"]
        optics = camera.get("intrinsics")
        focal = optics["focal"] if optics else (camera["focal"], camera["focal"])
        center = optics["center"] if optics else (image["width"] / 2, image["height"] / 2)
        v, u = np.mgrid[: image["height"], : image["width"]] + 0.5
        slope = np.sqrt(1 + ((u - center[0]) / focal[0]) ** 2 + ((v - center[1]) / focal[1]) ** 2)
        distance = np.where(np.isfinite(depth), depth * slope, FAR).astype(np.float32)
        self.files.add(f"{self.folder}/depth_{frame:05d}.tiff", encode(".tiff", distance, [259, 1]))  # uncompressed

    def _flow_ranges(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Write the flow of all frames, scaled by the range of the whole video, which it yields by name."""
        for name, label in (("forward_flow", "flow"), ("backward_flow", "backward_flow")):
            paths = [self.dataset.label_file(image, label) for image in self.video.images]
            known = [path for path in paths if path is not None and path.suffix == ".exr"]
            if len(known) < len(paths):
                continue
            flows = [np.nan_to_num(np.stack(read_channels(path, ("Y", "X")), -1)) for path in known]
            low, high = float(min(f.min() for f in flows)), float(max(f.max() for f in flows))
            for frame, flow in enumerate(flows):
                steps = np.rint((flow - low) * 65535 / (high - low or 1.0)).astype(np.uint16)
                # OpenCV takes blue first; the third channel is padding.
                pixels = np.dstack([np.zeros_like(steps[..., 0]), steps[..., 1], steps[..., 0]])
                self.files.add(f"{self.folder}/{name}_{frame:05d}.png", encode(".png", pixels, []))
            yield name, {"min": low, "max": high}

    def _camera(self) -> dict[str, Any]:
        entries = [record["camera"] for record in self.records]
        matrices = [np.reshape(entry["matrix"], (4, 4)) for entry in entries]
        lens, sensor, image = entries[0]["lens"], entries[0]["sensor_width"], self.video.images[0]
        focal, ratio = lens / sensor, image["width"] / image["height"]
        return {
            "focal_length": lens,
            "sensor_width": sensor,
            "field_of_view": 2 * math.atan2(sensor / 2, lens),
            "positions": [matrix[:3, 3].tolist() for matrix in matrices],
            "quaternions": [quaternion(matrix) for matrix in matrices],
            "K": [[focal, 0.0, -0.5], [0.0, -focal * ratio, -0.5], [0.0, 0.0, -1.0]],
            "R": matrices[0].tolist(),
        }

    def _instances(self) -> list[tuple[int, dict[str, Any]]]:
        """Id and entry of each annotated instance, those with most visible pixels first."""
        found: dict[int, dict[int, Mapping[str, Any]]] = {}
        for frame, (_, own) in enumerate(self.annotated):
            for annotation in own:
                found.setdefault(annotation["twinset"]["instance"], {})[frame] = annotation
        visible = {id: sum(a["area"] for a in frames.values()) for id, frames in found.items()}
        order = sorted(found, key=lambda id: (-visible[id], id))
        return [(id, self._instance(id, found[id])) for id in order]

    def _instance(self, id: int, shown: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        rows = [next(row for row in record["instances"] if row["id"] == id) for record in self.records]
        matrices = [np.reshape(row["matrix"], (4, 4)) for row in rows]
        path = self.dataset.model_file(self.video.images[0], rows[0]["shape"])
        if path is None:
            raise DataError(f"There is no model of '{rows[0]['shape']}'. Render into the same folder once more.")
        vertices = read_model(path).vertices
        low, high = vertices.min(0), vertices.max(0)
        corners = np.where(np.array(list(np.ndindex(2, 2, 2))), high, low)
        boxes = [corners @ matrix[:3, :3].T + matrix[:3, 3] for matrix in matrices]
        places = np.array([matrix[:3, 3] for matrix in matrices])
        size = np.array([self.video.images[0]["width"], self.video.images[0]["height"]], float)
        extents = {frame: np.array(a["bbox"], float) / np.tile(size, 2) for frame, a in shown.items()}
        return {
            "asset_id": rows[0]["shape"],
            "category": self.classes[next(iter(shown.values()))["category_id"]],
            "scale": rigid_parts(matrices[0])[2],
            **dict.fromkeys(("mass", "friction", "restitution"), 0.0),
            "positions": places.tolist(),
            "quaternions": [quaternion(matrix) for matrix in matrices],
            "velocities": self._per_second(places),
            "angular_velocities": np.zeros_like(places).tolist(),
            "bboxes_3d": [box.tolist() for box in boxes],
            "image_positions": [self._image_position(frame, place) for frame, place in enumerate(places)],
            "bboxes": [[y, x, y + h, x + w] for x, y, w, h in (extents[frame].tolist() for frame in extents)],
            "bbox_frames": list(extents),
            "visibility": [int(shown[frame]["area"]) if frame in shown else 0 for frame in range(len(rows))],
        }

    def _image_position(self, frame: int, place: np.ndarray) -> list[float]:
        """Where the camera sees a point, from 0 to 1 across the image."""
        camera, image = self.records[frame]["camera"], self.video.images[frame]
        local = np.linalg.inv(np.reshape(camera["matrix"], (4, 4))) @ (*place, 1.0)
        x, y = local[:2] / max(-local[2], 1e-9) * camera["focal"]
        return [0.5 + float(x) / image["width"], 0.5 - float(y) / image["height"]]

    def _per_second(self, places: np.ndarray) -> list[list[float]]:
        return (np.gradient(places, axis=0) * self.video.fps if len(places) > 1 else np.zeros_like(places)).tolist()


def quaternion(matrix: np.ndarray) -> list[float]:
    """The rotation of a matrix (4, 4) as a unit quaternion w, x, y, z with w >= 0."""
    r = rigid_parts(matrix)[0]
    # The eigenvector of the largest eigenvalue [Bar-Itzhack, 2000], which no rotation makes unstable.
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r.trace()],
        ]
    )
    x, y, z, w = np.linalg.eigh(k / 3, UPLO="L")[1][:, -1]
    return [float(v) for v in np.array([w, x, y, z]) * (1 if w >= 0 else -1)]


def _decoded(data: bytes) -> np.ndarray:
    import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
