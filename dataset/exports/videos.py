# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of a dataset: one for each sequence and camera; images that belong to none are videos of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from ...engine.plugin.finished_dataset import FinishedDataset
from .image_names import flat_names, part_names
from .samples import Annotated, grouped

FPS = 1.0
"""Of a video of one image."""


@attrs.frozen
class Video:
    """The images of one camera in the order of time; ``name`` is a name for files."""

    name: str
    part: str
    fps: float
    images: Sequence[Mapping[str, Any]]


def videos_of(dataset: FinishedDataset) -> list[Video]:
    """The videos of a dataset, in the order of their first images."""
    parts, names = part_names(dataset.parts, dataset.images), flat_names(dataset.images)
    groups: dict[tuple[int, ...], list[Mapping[str, Any]]] = {}
    for image in dataset.images:
        role = image.get("twinset") or {}
        is_whole = isinstance(role.get("sequence"), int) and isinstance(role.get("step"), int)
        key = (role["sequence"], role.get("view", 0)) if is_whole else (-1, image["id"])
        groups.setdefault(key, []).append(image)
    has_rig = any(key[0] >= 0 and key[1] for key in groups)
    videos = []
    for (number, view), images in groups.items():
        own = sorted(images, key=lambda image: (image.get("twinset") or {}).get("step", 0))
        name = names[own[0]["id"]] if number < 0 else f"{number:06d}_{view}" if has_rig else f"{number:06d}"
        videos.append(Video(name, parts[own[0]["id"]], _fps(own), own))
    return videos


def annotated_videos(dataset: FinishedDataset, videos: Sequence[Video]) -> Iterator[tuple[Video, Annotated]]:
    """Videos with the annotations of their images, in one pass over the dataset."""
    return zip(videos, grouped(dataset, [video.images for video in videos]), strict=True)


def track_of(annotation: Mapping[str, Any]) -> int:
    """What an annotation's object is called in all frames of its sequence; its own id where frames are independent."""
    return int(annotation.get("track_id", annotation["id"]))


def _fps(images: Sequence[Mapping[str, Any]]) -> float:
    known = [image.get("twinset") or {} for image in images]
    times = [(role["step"], role["time"]) for role in known if "step" in role and "time" in role]
    if len(times) < 2 or times[-1][1] == times[0][1]:
        return FPS
    return float((times[-1][0] - times[0][0]) / (times[-1][1] - times[0][1]))
