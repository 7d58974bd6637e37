# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays in front of another background: annotated objects, what hides them, and a share of the distractors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from twinset.engine.stage import Shot
from twinset.plugins.effects.replace_background import ReplaceBackground
from twinset.testing.fixtures.shots import make_shot

COLORS = {0: (0.5, 0.5, 0.5), 1: (0.8, 0.1, 0.1), 2: (0.1, 0.6, 0.1), 3: (0.1, 0.1, 0.7), 4: (0.6, 0.6, 0.1)}
NEAR = {0: 9.0, 1: 3.0, 2: 2.0, 3: 5.0, 4: 4.0}
"""A chair (1), and distractors: one before it (2), one behind it (3), and one that touches neither (4)."""


@pytest.fixture
def shot() -> Shot:
    ids = np.zeros((80, 120), np.int32)
    ids[30:60, 50:80] = 3
    ids[20:70, 20:60] = 1
    ids[40:70, 10:35] = 2
    ids[5:25, 90:115] = 4
    depth = np.vectorize(NEAR.get)(ids).astype(np.float32)
    return make_shot(ids, n=1, depth=depth)


def kept(plugin: ReplaceBackground, shot: Shot, seed: int = 0) -> tuple[set[int], dict[str, Any]]:
    """The ids of which a pixel at the middle is as before."""
    picture = np.array([COLORS[k] for k in range(5)], np.float32)[shot.labels.ids]
    drawn = plugin.draw(shot, np.random.default_rng(seed), lambda name: np.random.default_rng(0))
    made = plugin.apply(picture, shot, np.random.default_rng(0), drawn)
    same = np.abs(made - picture).max(-1) < 1e-3
    middles = {1: (25, 45), 2: (55, 20), 3: (45, 72), 4: (15, 100), 0: (75, 110)}
    return {id for id, place in middles.items() if same[place]}, drawn


def test_only_annotated_objects_stay_unless_distractors_are_asked_for(shot: Shot) -> None:
    ids, drawn = kept(ReplaceBackground(colors=["#ffffff"]), shot)
    assert ids == {1} and "kept" not in drawn
    assert kept(ReplaceBackground(keep_distractors=1.0), shot)[0] == {1, 2, 3, 4}


def test_what_hides_an_annotated_object_always_stays(shot: Shot) -> None:
    assert kept(ReplaceBackground(keep_distractors=1e-9), shot)[0] == {1, 2}


def test_the_share_of_the_others_is_the_one_asked_for(shot: Shot) -> None:
    counts = [len(kept(ReplaceBackground(keep_distractors=0.3), shot, seed)[0] & {3, 4}) for seed in range(400)]
    # Two distractors each with a chance of 0.3; three standard errors are 0.1.
    assert abs(np.mean(counts) - 0.6) < 0.1 and set(counts) == {0, 1, 2}


def test_an_object_stands_where_one_of_its_class_stood(shot: Shot, tmp_path: Path) -> None:
    """What stood in the photo is white: the chair (1), which is as high and wide, covers it in the picture."""
    photo = np.full((160, 240, 3), 60, np.uint8)
    photo[70:120, 90:130] = 255
    assert cv2.imwrite(str(tmp_path / "photo.png"), photo)
    image = {"id": 1, "file_name": "photo.png", "width": 240, "height": 160}
    stood = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [90, 70, 40, 50], "area": 2000, "iscrowd": 0}
    places = tmp_path / "annotations.json"
    places.write_text(
        json.dumps({"images": [image], "annotations": [stood], "categories": [{"id": 1, "name": "chair"}]})
    )
    plugin = ReplaceBackground(image_folder=str(tmp_path), places=str(places), zoom=(0.3, 1.0), flip=0.0)
    drawn = plugin.draw(shot, np.random.default_rng(0), lambda name: np.random.default_rng(0))
    picture = np.zeros((80, 120, 3), np.float32)
    made = plugin.apply(picture, shot, np.random.default_rng(0), drawn)
    hidden = shot.mask(1) | shot.mask(2)  # by the chair, and by what stood before it
    assert (made[~hidden].max(-1) > 0.9).sum() <= 30
    assert drawn["zoom"] == pytest.approx(0.5)
    empty = make_shot(np.zeros((80, 120), np.int32), n=1)
    assert 0.3 <= plugin.draw(empty, np.random.default_rng(0), lambda name: np.random.default_rng(0))["zoom"] <= 1.0


def test_the_background_drawn_does_not_depend_on_distractors(shot: Shot) -> None:
    some = ["#ffffff", "#000000", "#ff0000"]
    with_them, without = (
        [kept(ReplaceBackground(colors=some, keep_distractors=share), shot, seed)[1]["color"] for seed in range(30)]
        for share in (0.5, 0.0)
    )
    assert with_them == without and len(set(without)) == 3
