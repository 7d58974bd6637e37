# SPDX-License-Identifier: GPL-3.0-or-later
"""The four functions of the BOP toolkit that BlenderProc calls, for any folder in BOP's published format."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import numpy as np


def replacement_modules() -> dict[str, types.ModuleType]:
    """Modules by name, for ``sys.modules``: BlenderProc would install the toolkit from the Internet at run time.

    The toolkit has a fixed list of datasets; these functions read the properties of any dataset from its files.
    """
    package, params, inout = (types.ModuleType(f"bop_toolkit_lib{part}") for part in ("", ".dataset_params", ".inout"))
    params.get_model_params, params.get_split_params = get_model_params, get_split_params  # type: ignore[attr-defined]
    inout.load_json, inout.load_scene_gt = load_json, load_scene_gt  # type: ignore[attr-defined]
    package.dataset_params, package.inout = params, inout  # type: ignore[attr-defined]
    return {module.__name__: module for module in (package, params, inout)}


def get_model_params(datasets: str, name: str, model_type: str | None = None) -> dict[str, Any]:
    """Ids of a dataset's models, and the path of a model by its id."""
    folder = Path(datasets) / name / (f"models_{model_type}" if model_type else "models")
    ids = sorted(int(key) for key in load_json(folder / "models_info.json"))
    return {"obj_ids": ids, "model_tpath": f"{_escaped(folder)}/obj_{{obj_id:06d}}.ply"}


def get_split_params(datasets: str, name: str, split: str, split_type: str | None = None) -> dict[str, Any]:
    """Paths of a split's files by scene, and the size of its images in pixels."""
    base = Path(datasets) / name
    folder = f"{_escaped(base / (f'{split}_{split_type}' if split_type else split))}/{{scene_id:06d}}"
    size = (640, 480)
    if (base / "camera.json").is_file():
        camera = load_json(base / "camera.json")
        size = (int(camera["width"]), int(camera["height"]))
    return {
        "scene_gt_tpath": f"{folder}/scene_gt.json",
        "scene_camera_tpath": f"{folder}/scene_camera.json",
        "im_size": size,
    }


def load_scene_gt(path: str) -> dict[int, list[dict[str, Any]]]:
    """Poses of the objects of each image, translations in millimetres."""
    content = load_json(path)
    arrays = {"cam_R_m2c": (3, 3), "cam_t_m2c": (3, 1)}
    for poses in content.values():
        for pose in poses:
            pose.update({key: np.array(pose[key], float).reshape(shape) for key, shape in arrays.items()})
    return {int(key): poses for key, poses in content.items()}


def load_json(path: str | Path) -> Any:
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _escaped(path: Path) -> str:
    """A path with braces escaped for ``str.format``."""
    return str(path).replace("{", "{{").replace("}", "}}")
