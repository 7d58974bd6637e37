# SPDX-License-Identifier: GPL-3.0-or-later
"""COCO-VID and TAO: COCO's file with videos and tracks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dataset.atomic_files import json_bytes
from ....dataset.exports.samples import Annotated
from ....dataset.exports.videos import Video, annotated_videos, track_of, videos_of
from ....engine.plugin import CONTENTS, DatasetFiles, FinishedDataset, Writer, plugin


@plugin("writer")
class CocoVid(Writer):
    """Write ``annotations/videos.json``, and one per part: COCO with ``videos`` and ``tracks``.

    Images have ``video_id`` and ``frame_id`` (from 0, as CocoVID has it; ``frame_index`` in TAO), annotations
    ``track_id`` as in TAO, the same as ``instance_id``, and ``video_id``. Tracks are numbered from 1. Each camera of a
    rig is a video of its own, and so is each image without a sequence.
    """

    holds = tuple(CONTENTS)

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        videos = videos_of(dataset)
        self._write(dataset, files, "videos", videos)
        for part in dataset.parts:
            self._write(dataset, files, f"videos_{part}", [video for video in videos if video.part == part])

    def _write(self, dataset: FinishedDataset, files: DatasetFiles, name: str, videos: list[Video]) -> None:
        content: dict[str, list[Any]] = {"videos": [], "images": [], "annotations": [], "tracks": []}
        for id, (video, annotated) in enumerate(annotated_videos(dataset, videos), 1):
            _add_video(id, video, annotated, content)
        head = {"info": dict(dataset.info), "licenses": list(dataset.licenses)}
        files.add(f"annotations/{name}.json", json_bytes({**head, **content, "categories": list(dataset.categories)}))


def _add_video(id: int, video: Video, annotated: Annotated, content: Mapping[str, list[Any]]) -> None:
    first = video.images[0]
    size = {"width": first["width"], "height": first["height"]}
    content["videos"].append({"id": id, "name": video.name, "fps": video.fps, "length": len(video.images), **size})
    tracks: dict[int, int] = {}
    for frame, (image, own) in enumerate(annotated):
        place = {"video_id": id, "frame_id": frame, "frame_index": frame, "video": video.name}
        content["images"].append({**image, **place})
        for annotation in own:
            known = track_of(annotation)
            if known not in tracks:
                tracks[known] = len(content["tracks"]) + 1
                entry = {"id": tracks[known], "video_id": id, "category_id": annotation["category_id"]}
                content["tracks"].append(entry)
            numbers = {"video_id": id, "track_id": tracks[known], "instance_id": tracks[known]}
            content["annotations"].append({**annotation, **numbers})
