# SPDX-License-Identifier: GPL-3.0-or-later
"""BOP: poses of objects in space with their models, masks, depth maps and visible shares, for pose estimation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...dataset.atomic_files import json_bytes
from ...dataset.exports.asset_models import diameter, encode_ply, read_model
from ...dataset.exports.image_names import part_names, shown_suffix
from ...dataset.formats import rle_masks
from ...dataset.formats.encoders import encode
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.formats.pixels import read_depth
from ...engine.errors import DataError
from ...engine.plugin import DatasetFiles, FinishedDataset, Writer, param, plugin
from ...engine.scene.rigid import rigid_parts
from ...engine.stage import Mesh

PARTS = ("train", "val", "test")
SCALES = (0.1, 1.0)
"""Millimetres that a step of a depth map is: of these the first with which the farthest point fits into 16 bits."""

MAX_STEPS = 65535
SAME_SCALE = 1e-3
"""Instances of one object differ in size by no more than this share."""

TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""From Blender's camera frame (y up, looking along -z) to OpenCV's (y down, z forward)."""

MIN_TARGET_SHARE = 0.1
"""Evaluations ask for objects of which at least this share is visible [BOP Challenge 2019]."""


@attrs.frozen(eq=False)
class _Object:
    """An object of the dataset: ``mesh`` in millimetres with the centre of its box at the origin; ``scale`` is that of
    its instances, ``center`` (3,) that of its box in the asset's own frame, in metres."""

    id: int
    asset: str
    class_name: str
    scale: float
    center: np.ndarray
    mesh: Mesh


@attrs.define(eq=False)
class _Scene:
    """The JSON files of one scene, by the image's number in it."""

    cameras: dict[str, Any] = attrs.field(factory=dict)
    truth: dict[str, list[dict[str, Any]]] = attrs.field(factory=dict)
    info: dict[str, list[dict[str, Any]]] = attrs.field(factory=dict)


@plugin("writer")
class Bop(Writer):
    """Write BOP's folders for pose estimation, which ``bop_toolkit`` reads and scores.

    ``train_pbr/000000`` holds the images, depth maps, masks, poses and cameras of up to ``scene_images`` frames
    (``val_pbr`` and ``test_pbr`` those of other parts; without ``_pbr`` for PNG images), ``models`` the meshes of the
    assets, each of which is an object. Lengths are millimetres; the centre of the first pixel is (0, 0), as in OpenCV.
    Objects have one size in BOP, so classes need a fixed scale; cameras must not distort. Distractors belong to the
    background.
    """

    scene_images: int = param(1000, min=1, max=1_000_000, doc="Images in the folder of a scene")
    any_turn: list[str] = param([], doc="Assets (patterns) that look the same turned by any angle about z")
    half_turn: list[str] = param([], doc="Assets (patterns) that look the same turned by 180 degrees about z")
    quarter_turn: list[str] = param([], doc="Assets (patterns) that look the same turned by 90 degrees about z")

    folder = "bop"
    copies_images = True
    uses_models = True
    uses_records = True
    uses_labels = ("depth",)
    image_files = tuple(
        (part + kind, suffix) for part in PARTS for kind in ("", "_pbr") for suffix in (".json", *IMAGE_SUFFIXES)
    )
    holds = ("boxes", "masks", "holes", "parts", "empty images")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        objects = _objects(dataset)
        is_jpeg = all(shown_suffix(*dataset.image_file(image)) in (".jpg", ".jpeg") for image in dataset.images)
        part_of = part_names(dataset.parts, dataset.images)
        for part in dict.fromkeys(part_of.values()):
            folder = f"{part}_pbr" if is_jpeg else part
            chosen = [image for image in dataset.images if part_of[image["id"]] == part]
            targets: list[dict[str, int]] = []
            for number, start in enumerate(range(0, len(chosen), self.scene_images)):
                scene = _Scene()
                path = f"{folder}/{number:06d}"
                for k, image in enumerate(chosen[start : start + self.scene_images]):
                    _add_image(dataset, files, path, k, image, objects, scene)
                files.add(f"{path}/scene_camera.json", json_bytes(scene.cameras))
                files.add(f"{path}/scene_gt.json", json_bytes(scene.truth))
                files.add(f"{path}/scene_gt_info.json", json_bytes(scene.info))
                targets += _targets(number, scene)
            files.add(f"{part}_targets_bop19.json", json_bytes(targets))
        self._write_models(objects, files)
        files.add("camera.json", json_bytes(_common_camera(dataset)))

    def _write_models(self, objects: Mapping[Any, _Object], files: DatasetFiles) -> None:
        info, names = {}, {}
        for each in objects.values():
            name = f"obj_{each.id:06d}.ply"
            path = files.add(f"models/{name}", encode_ply(each.mesh, "millimetres, z up"))
            files.link(f"models_eval/{name}", path)
            low, high = each.mesh.vertices.min(0), each.mesh.vertices.max(0)
            info[str(each.id)] = {
                "diameter": diameter(each.mesh.vertices),
                **{f"min_{axis}": float(value) for axis, value in zip("xyz", low, strict=True)},
                **{f"size_{axis}": float(value) for axis, value in zip("xyz", high - low, strict=True)},
                **self._symmetries(each.asset),
            }
            names[str(each.id)] = {"name": each.asset, "class": each.class_name, "scale": each.scale}
        for folder in ("models", "models_eval"):
            files.add(f"{folder}/models_info.json", json_bytes(info))
        files.add("models/names.json", json_bytes(names))

    def _symmetries(self, asset: str) -> dict[str, Any]:
        if _matches(asset, self.any_turn):
            return {"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]}
        turns = (1, 2, 3) if _matches(asset, self.quarter_turn) else (2,) if _matches(asset, self.half_turn) else ()
        return {"symmetries_discrete": [_turn(quarters) for quarters in turns]} if turns else {}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _turn(quarters: int) -> list[float]:
    """A matrix (4, 4), row by row, that turns by so many right angles about z."""
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    return [float(v) for v in (cos, -sin, 0, 0, sin, cos, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)]


def _objects(dataset: FinishedDataset) -> dict[tuple[str, Path], _Object]:
    """All objects by asset and model file; numbered by class and name, so that the order of frames does not matter."""
    scales: dict[tuple[str, str, Path], tuple[float, float]] = {}
    for image in dataset.images:
        for instance in dataset.record(image)["instances"]:
            path = dataset.model_file(image, instance["shape"])
            if path is None:
                raise DataError(
                    f"There is no model of '{instance['shape']}', because the writer 'bop' was not in the recipe when "
                    'the scene was opened. Add [[writer]] with plugin = "bop" to the recipe and render into the same '
                    "folder: the frames are kept."
                )
            scale = rigid_parts(_matrix(instance["matrix"]))[2]
            key = (instance["class"], instance["shape"], path)
            low, high = scales.get(key, (scale, scale))
            scales[key] = (min(low, scale), max(high, scale))
    objects = {}
    for id, ((class_name, asset, path), (low, high)) in enumerate(sorted(scales.items()), 1):
        if high > low * (1 + SAME_SCALE):
            raise DataError(
                f"Instances of '{asset}' are scaled by {low:.3g} to {high:.3g}, but an object of BOP has one size. Set "
                f"scale_range = [1.0, 1.0] in the class '{class_name}'."
            )
        mesh = read_model(path)
        center = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
        scaled = Mesh((mesh.vertices - center) * low * 1000, mesh.triangles)
        objects[asset, path] = _Object(id, asset, class_name, low, center, scaled)
    return objects


def _matrix(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=float).reshape(4, 4)


def _add_image(
    dataset: FinishedDataset,
    files: DatasetFiles,
    folder: str,
    number: int,
    image: Mapping[str, Any],
    objects: Mapping[tuple[str, Path], _Object],
    scene: _Scene,
) -> None:
    """Write the image with its maps, and add it to the scene."""
    record, key = dataset.record(image), str(number)
    depth = _write_depth(dataset, files, f"{folder}/depth/{number:06d}.png", image)
    files.image(f"{folder}/rgb/{number:06d}", dataset, image)
    to_camera = TO_OPENCV @ np.linalg.inv(_matrix(record["camera"]["matrix"]))
    scene.cameras[key] = {
        "cam_K": _intrinsics(record, image).ravel().tolist(),
        "depth_scale": depth.scale,
        **_pose("w2c", to_camera),
    }
    scene.truth[key], scene.info[key] = [], []
    for instance in record["instances"]:
        if not _mask(instance, "amodal_segmentation", image).any():
            continue  # it is out of view
        each = objects[instance["shape"], dataset.model_file(image, instance["shape"])]  # type: ignore[index]
        to_asset = np.eye(4)
        to_asset[:3, 3] = each.center
        pose = _pose("m2c", to_camera @ _matrix(instance["matrix"]) @ to_asset)
        scene.truth[key].append({"obj_id": each.id, **pose})
        scene.info[key].append(_info(instance, image, depth.known))
        name = f"{number:06d}_{len(scene.truth[key]) - 1:06d}.png"
        for kind, entry in (("mask", "amodal_segmentation"), ("mask_visib", "segmentation")):
            files.add(f"{folder}/{kind}/{name}", encode(".png", _mask(instance, entry, image) * np.uint8(255), []))


def _pose(name: str, matrix: np.ndarray) -> dict[str, list[float]]:
    rotation, translation, _ = rigid_parts(matrix)
    return {f"cam_R_{name}": rotation.ravel().tolist(), f"cam_t_{name}": (translation * 1000).tolist()}


def _mask(instance: Mapping[str, Any], entry: str, image: Mapping[str, Any]) -> np.ndarray:
    size = image["height"], image["width"]
    found = instance.get(entry)
    return rle_masks.decode(found, *size) if found else np.zeros(size, bool)


def _info(instance: Mapping[str, Any], image: Mapping[str, Any], known: np.ndarray) -> dict[str, Any]:
    """Counts of pixels and boxes; boxes as ``bop_toolkit`` has them, whose sides are one less than the pixels."""
    whole, visible = _mask(instance, "amodal_segmentation", image), int(_mask(instance, "segmentation", image).sum())
    # What is beyond the image is known by its share alone.
    pixels = max(round(int(whole.sum()) / (1 - min(instance["truncated_share"], 1 - 1e-9))), visible)
    return {
        "px_count_all": pixels,
        "px_count_valid": int((whole & known).sum()),
        "px_count_visib": visible,
        "visib_fract": visible / pixels if pixels else 0.0,
        "bbox_obj": _sides(instance["amodal_bbox"]) if visible else [-1, -1, -1, -1],
        "bbox_visib": _sides(instance["bbox"]) if visible else [-1, -1, -1, -1],
    }


def _sides(box: Sequence[float]) -> list[int]:
    x, y, w, h = (round(value) for value in box)
    return [x, y, w - 1, h - 1]


@attrs.frozen(eq=False)
class _Depth:
    """``scale`` is the millimetres of a step, ``known`` (H, W) where anything was hit."""

    scale: float
    known: np.ndarray


def _write_depth(dataset: FinishedDataset, files: DatasetFiles, name: str, image: Mapping[str, Any]) -> _Depth:
    path = dataset.label_file(image, "depth")
    if path is None:
        raise DataError(
            f"The image '{image['file_name']}' has no depth map, which BOP needs. Render with depth = \"png\" or "
            'depth = "exr" in [output].'
        )
    metres = read_depth(path)
    known = np.isfinite(metres)
    if path.suffix == ".png":
        files.link(name, path)
        return _Depth(1.0, known)
    millimetres = np.where(known, metres.astype(float) * 1000, 0.0)
    scale = next((scale for scale in SCALES if millimetres.max() < MAX_STEPS * scale), SCALES[-1])
    steps = np.clip(np.rint(millimetres / scale), 0, MAX_STEPS).astype(np.uint16)
    files.add(name, encode(".png", steps, []))
    return _Depth(scale, known)


def _intrinsics(record: Mapping[str, Any], image: Mapping[str, Any]) -> np.ndarray:
    """The matrix K (3, 3) of OpenCV, in which the first pixel's centre is (0, 0)."""
    camera = record["camera"]
    optics = camera.get("intrinsics")
    if optics and (optics["distortion"] == "fisheye" or any(optics["coefficients"])):
        raise DataError("BOP knows no distortion, which this camera has. Leave it out of the recipe's camera.")
    fx, fy = optics["focal"] if optics else (camera["focal"], camera["focal"])
    cx, cy = optics["center"] if optics else (image["width"] / 2, image["height"] / 2)
    return np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])


def _common_camera(dataset: FinishedDataset) -> dict[str, Any]:
    """The camera of the first image: BOP has one for the whole dataset, too."""
    image = dataset.images[0]
    k = _intrinsics(dataset.record(image), image)
    size = {"width": image["width"], "height": image["height"]}
    return {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "depth_scale": SCALES[-1], **size}


def _targets(number: int, scene: _Scene) -> Iterator[dict[str, int]]:
    """What evaluations ask for: how many instances of each object are in each image."""
    for key, truth in scene.truth.items():
        counts: dict[int, int] = {}
        for instance, info in zip(truth, scene.info[key], strict=True):
            if info["visib_fract"] >= MIN_TARGET_SHARE:
                counts[instance["obj_id"]] = counts.get(instance["obj_id"], 0) + 1
        for id, count in sorted(counts.items()):
            yield {"im_id": int(key), "inst_count": count, "obj_id": id, "scene_id": number}
