# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of photos in which an object stands where another stood."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from twinset.dataset.images.photo_places import PhotoPlace, drawn_part, matching_part, read_places
from twinset.dataset.images.repaint import covering
from twinset.engine.errors import DataError

SIZE = 160, 120


def box_of(mask: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom of what a mask shows."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def shown(place: PhotoPlace, part) -> np.ndarray:
    """Where the place is in the picture that is made of its photo."""
    photo = np.zeros((place.size[1], place.size[0], 3), np.uint8)
    x, y, w, h = map(round, place.box)
    photo[y : y + h, x : x + w] = 255
    return box_of(covering(photo, SIZE, part)[..., 0] > 127)


@given(st.data(), st.booleans())
def test_the_place_is_where_the_object_is(data, flipped):
    photo = data.draw(st.sampled_from([(640, 480), (480, 640), (800, 450)]))
    w, h = data.draw(st.integers(60, 200)), data.draw(st.integers(60, 200))
    x, y = data.draw(st.integers(0, photo[0] - w)), data.draw(st.integers(0, photo[1] - h))
    place = PhotoPlace(3, "chair", (x, y, w, h), photo)
    scale = data.draw(st.floats(0.9, 2.6))
    assume(scale <= min(photo[0] / SIZE[0], photo[1] / SIZE[1]))
    # What a part of this photo shows; a box of other proportions, as high and wide as this one on average.
    free = photo[0] - scale * SIZE[0], photo[1] - scale * SIZE[1]
    start = [data.draw(st.floats(0, 1)) * f for f in free]
    box = np.array([x - start[0], y - start[1], w, h]) / scale
    if flipped:
        box[0] = SIZE[0] - box[0] - box[2]
    found = matching_part(place, box, SIZE, (0.05, 1.0), flipped=flipped)
    assert found.photo == 3 and found.part.flipped == flipped
    assert found.iou == pytest.approx(1, abs=1e-6)
    inside = np.clip([*box[:2], *(box[:2] + box[2:])], 0, SIZE * 2)
    assume((inside[2:] - inside[:2] > 4).all())
    np.testing.assert_allclose(shown(place, found.part), inside, atol=2.5)


def test_parts_stay_inside_their_photo_and_range():
    place = PhotoPlace(0, "chair", (0, 0, 40, 40), (640, 480))
    found = matching_part(place, (100, 60, 50, 50), SIZE, (0.5, 1.0), flipped=False)
    assert found.part.zoom == pytest.approx(0.5) and found.part.place == (0.0, 0.0)
    assert found.iou == 0  # its corner cannot be in the middle of a picture
    whole = PhotoPlace(0, "chair", (0, 0, 640, 480), (640, 480))
    assert matching_part(whole, (70, 50, 10, 10), SIZE, (0.3, 1.0), flipped=True).part.zoom == 1.0


def test_one_of_the_good_places_of_the_class_is_drawn():
    box = (60.0, 40.0, 40.0, 60.0)
    good = [PhotoPlace(n, "chair", (240 + 20 * n, 160, 160, 240), (640, 480)) for n in range(3)]
    others = [PhotoPlace(7, "table", good[0].box, (640, 480)), PhotoPlace(8, "chair", (0, 0, 640, 30), (640, 480))]
    rng = np.random.default_rng(0)
    drawn = [drawn_part([*good, *others], [("chair", box)], SIZE, (0.3, 1.0), 0.5, rng) for _ in range(60)]
    assert {part.photo for part in drawn} == {0, 1, 2}
    assert 15 < sum(part.part.flipped for part in drawn) < 45
    assert drawn_part(others[:1], [("chair", box)], SIZE, (0.3, 1.0), 0.5, rng) is None
    assert drawn_part(others[1:], [("chair", box)], SIZE, (0.3, 1.0), 0.5, rng).photo == 8  # the best there is


def test_a_file_of_other_photos_is_refused(tmp_path):
    image = {"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "chair"}]}))
    assert read_places(path, [tmp_path / "b.jpg", tmp_path / "a.jpg"]) == [
        PhotoPlace(1, "chair", (1, 2, 3, 4), (10, 10))
    ]
    with pytest.raises(DataError, match=r"has no box in one of the 1 photos\. Name the file"):
        read_places(path, [tmp_path / "b.jpg"])
