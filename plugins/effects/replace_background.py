# SPDX-License-Identifier: GPL-3.0-or-later
"""Annotated objects on white, on a plain colour, or on photos."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.id_map import extents
from ...dataset.formats.image_files import IMAGE_SUFFIXES
from ...dataset.images.photo_places import PhotoPlace, drawn_part, read_places
from ...dataset.images.repaint import PhotoPart, photo_background, plain_background, replace_background
from ...engine.plugin import Range, param, plugin
from ...engine.recipe.input_files import listed_files
from ...engine.scene.material import color_from_text
from ...engine.stage import Labels, Shot


@plugin("effect")
class ReplaceBackground:
    """Replace everything but the annotated objects by a plain colour or a photo [Zhang2023, §4].

    Edges stay soft: the share of the old background in each pixel at an edge is exchanged for the new one. Put colours
    before other effects, so that these act on the whole picture, and photos after those that imitate the camera of the
    photos. Photos must not show the annotated classes: a detector would learn that they are background. Distractors
    that stay show it that not all that stands in front of a photo is annotated [Dwibedi et al., "Cut, paste and learn",
    2017]. Where objects stand matters as well: pasted anywhere, they may teach a detector little [Dvornik et al.,
    "Modeling visual context is key to augmenting object detection datasets", 2018]. With `places`, they stand where
    others stood.
    `twinset backgrounds` paints them out of real photos. `twinset repaint` does the same to a finished dataset.
    """

    colors: list[str] = param(
        [],
        doc="Colours to draw from, as '#ffffff' or '255, 255, 255' (sRGB); default is white; not used with photos",
        moves={"background_similarity": "-", "entropy": "-", "sharpness": "-", "brightness": "+"},
    )
    image_folder: str = param("", path=True, means="folder", doc="Folder of photos: " + " ".join(IMAGE_SUFFIXES))
    image_files: list[str] = param([], path=True, doc="More photos, by name or pattern")
    zoom: Range = param(
        (0.6, 1.0),
        min=0.01,
        max=1.0,
        doc="Size of the part of a photo that is taken, as a share of the largest that has the image's shape",
    )
    places: str = param(
        "",
        path=True,
        doc="COCO file of what stood in the photos, which `twinset backgrounds` writes beside them (annotations.json): "
        "photos are chosen and cut so that an object stands where one of its class stood",
        moves={"background_similarity": "?"},
    )
    flip: float = param(0.5, min=0.0, max=1.0, doc="Share of the photos whose left and right change sides")
    keep_distractors: float = param(
        0.0,
        min=0.0,
        max=1.0,
        doc="Share of the distractors that stay; if above 0, all stay that hide a part of an annotated object",
        moves={"entropy": "+", "background_similarity": "?"},
    )
    probability: float = param(1.0, min=0.0, max=1.0, doc="Share of the images that are changed")

    def __attrs_post_init__(self) -> None:
        for text in self.colors:
            color_from_text(text)

    @property
    def _has_photos(self) -> bool:
        return bool(self.image_folder or self.image_files)

    def draw(
        self, shot: Shot, rng: np.random.Generator, common: Callable[[str], np.random.Generator]
    ) -> dict[str, Any]:
        """Colour or photo of this frame."""
        choice = rng.random()
        drawn: dict[str, Any]
        if not self._has_photos:
            colors = self.colors or ["#ffffff"]
            drawn = {"color": colors[int(choice * len(colors))]}
        else:
            files = self._files
            number, part = int(choice * len(files)), PhotoPart.draw(rng, self.zoom, self.flip)
            if self.places:
                placed = drawn_part(self._places, _shown_boxes(shot), _size(shot), self.zoom, self.flip, rng)
                number, part = (placed.photo, placed.part) if placed else (number, part)
            drawn = {"image": files[number].name, "number": number, **attrs.asdict(part)}
        if self.keep_distractors:
            ids = _distractor_ids(shot)
            drawn["kept"] = ids[rng.random(len(ids)) < self.keep_distractors].tolist()
        return drawn

    def apply(self, image: np.ndarray, shot: Shot, rng: np.random.Generator, drawn: Mapping[str, Any]) -> np.ndarray:
        """See the class."""
        annotated = [instance.id for instance in shot.instances]
        mask = np.isin(shot.labels.ids, annotated)
        if "kept" in drawn:
            hiding = np.intersect1d(_hiding_ids(shot.labels, annotated), _distractor_ids(shot))
            mask |= np.isin(shot.labels.ids, [*drawn["kept"], *hiding])
        size = image.shape[1], image.shape[0]
        if "color" in drawn:
            background = plain_background(drawn["color"], size)
        else:
            part = PhotoPart(tuple(drawn["place"]), drawn["zoom"], drawn["flipped"])
            background = photo_background(self._files[drawn["number"]], size, part)
        return np.array(replace_background(image, mask, background), dtype=np.float32)

    @functools.cached_property
    def _places(self) -> list[PhotoPlace]:
        return read_places(Path(self.places), self._files)

    @functools.cached_property
    def _files(self) -> tuple[Path, ...]:
        owner = "effect 'replace_background'"
        return listed_files(Path(), self.image_folder, self.image_files, suffixes=IMAGE_SUFFIXES, owner=owner)


def _size(shot: Shot) -> tuple[int, int]:
    """Width and height of the picture."""
    return shot.labels.ids.shape[1], shot.labels.ids.shape[0]


def _shown_boxes(shot: Shot) -> list[tuple[str, np.ndarray]]:
    """Class and box [x, y, width, height] in pixels of each annotated object in the picture."""
    counts, boxes = extents(shot.labels.ids, [instance.id for instance in shot.instances])
    return [
        (instance.asset.class_name, box)
        for instance, count, box in zip(shot.instances, counts, boxes, strict=True)
        if count
    ]


def _distractor_ids(shot: Shot) -> np.ndarray:
    """Ids of the distractors that the labels show, in ascending order."""
    return np.setdiff1d(shot.labels.ids, [0, *(instance.id for instance in shot.instances)])


def _hiding_ids(labels: Labels, ids: Sequence[int]) -> np.ndarray:
    """Ids of what is next to a pixel of one of ``ids`` in the image and nearer to the camera, in ascending order."""
    found = []
    shown = np.isin(labels.ids, ids)
    for near, far in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        hides = shown[far] & ~shown[near] & (labels.depth[near] < labels.depth[far])
        found.append(labels.ids[near][hides])
    return np.unique(np.concatenate(found))
