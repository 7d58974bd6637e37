# SPDX-License-Identifier: GPL-3.0-or-later
"""MOTChallenge: a folder per sequence with its images, a line per box with its track, and ``seqinfo.ini``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....dataset.exports.image_names import number_text
from ....dataset.exports.samples import Annotated
from ....dataset.exports.videos import Video, annotated_videos, track_of, videos_of
from ....dataset.formats.image_files import IMAGE_SUFFIXES
from ....engine.plugin import DatasetFiles, FinishedDataset, Writer, plugin

PARTS = ("train", "val", "test")


@plugin("writer")
class Mot(Writer):
    """Write MOTChallenge's folders for tracking: ``train/000000/img1``, ``gt/gt.txt`` and ``seqinfo.ini``.

    ``gt.txt`` has frame, track, box, 1 (0 for crowds, which evaluators skip), class and visible share; frames, tracks,
    pixels and classes are counted from 1, and ``classes.txt`` names the classes in that order. Each camera of a rig is
    a sequence of its own, and so is each image without a sequence.
    """

    folder = "mot"
    copies_images = True
    image_files = tuple((part, suffix) for part in PARTS for suffix in IMAGE_SUFFIXES)
    holds = ("boxes", "decimals", "crowds", "parts", "empty images", "class names")

    def write(self, dataset: FinishedDataset, files: DatasetFiles) -> None:
        classes = {category["id"]: number for number, category in enumerate(dataset.categories, 1)}
        for video, annotated in annotated_videos(dataset, videos_of(dataset)):
            _write_video(dataset, files, video, annotated, classes)
        names = "".join(f"{category['name']}\n" for category in dataset.categories)
        files.add("classes.txt", names.encode())


def _write_video(
    dataset: FinishedDataset, files: DatasetFiles, video: Video, annotated: Annotated, classes: Mapping[int, int]
) -> None:
    folder, numbers, lines, suffix = f"{video.part}/{video.name}", dict[int, int](), [], ""
    for frame, (image, own) in enumerate(annotated, 1):
        suffix = "." + files.image(f"{folder}/img1/{frame:06d}", dataset, image).rpartition(".")[2]
        for annotation in own:
            track = numbers.setdefault(track_of(annotation), len(numbers) + 1)
            lines.append(_line(frame, track, annotation, classes))
    first = video.images[0]
    info = {
        "name": video.name,
        "imDir": "img1",
        "frameRate": number_text(video.fps),
        "seqLength": len(video.images),
        "imWidth": first["width"],
        "imHeight": first["height"],
        "imExt": suffix,
    }
    files.add(f"{folder}/gt/gt.txt", "".join(lines).encode())
    text = "".join(f"{key}={value}\n" for key, value in info.items())
    files.add(f"{folder}/seqinfo.ini", f"[Sequence]\n{text}".encode())


def _line(frame: int, track: int, annotation: Mapping[str, Any], classes: Mapping[int, int]) -> str:
    x, y, w, h = annotation["bbox"]
    box = ",".join(map(number_text, (x + 1, y + 1, w, h)))
    counts = 0 if annotation.get("iscrowd") else 1
    visible = (annotation.get("twinset") or {}).get("visible_share")
    share = 1.0 if visible is None else visible
    return f"{frame},{track},{box},{counts},{classes[annotation['category_id']]},{share:.6g}\n"
