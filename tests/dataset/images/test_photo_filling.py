# SPDX-License-Identifier: GPL-3.0-or-later
"""Holes of photos get what fits at their rim, and nothing of other holes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from synthetic_photos import ramp
from twinset.dataset.images.photo_filling import HoledPhoto, fill_holes

RED = np.array([255, 0, 0])


def tiles(width: int = 320, height: int = 240) -> np.ndarray:
    """A wall that darkens to the right, above a floor of tiles of 40 x 20 pixels."""
    y, x = np.mgrid[:height, :width]
    wall = 200 - x // 8
    floor = np.where((x // 20 + y // 20) % 2, 90, 150)
    gray = np.where(y < 120, wall, floor)
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


def holed(photo: np.ndarray, *holes: tuple[slice, slice]) -> HoledPhoto:
    """A photo with red things in its holes."""
    mask = np.zeros(photo.shape[:2], bool)
    for hole in holes:
        mask[hole] = True
    seen = np.where(mask[..., None], RED, photo).astype(np.uint8)
    return HoledPhoto(lambda: seen, mask)


def test_only_the_hole_changes_and_a_ramp_continues() -> None:
    photo = ramp()
    one = holed(photo, np.s_[30:60, 80:130])
    made = fill_holes(one)
    assert np.array_equal(made[~one.holes], photo[~one.holes])
    assert np.abs(made.astype(int) - photo)[one.holes].mean() < 12
    whole = holed(photo)
    assert np.array_equal(fill_holes(whole), photo)


def test_tiles_go_on_where_a_thing_stood_before_the_wall() -> None:
    photo = tiles()
    one = holed(photo, np.s_[80:180, 120:180])
    error = np.abs(fill_holes(one).astype(int) - photo)[one.holes].mean()
    smeared = cv2.inpaint(one.read(), one.holes.astype(np.uint8), 4, cv2.INPAINT_TELEA)
    assert error < 4 < 15 < np.abs(smeared.astype(int) - photo)[one.holes].mean()


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("flipped", [False, True])
def test_what_no_part_of_a_photo_has_comes_from_another_one(scale: int, flipped: bool) -> None:
    """The other photo shows the same place, mirrored or larger."""
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(40, 220, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    larger = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    other = holed(np.ascontiguousarray(larger[:, ::-1]) if flipped else larger)
    one = holed(photo, np.s_[60:200, 60:240])
    made = fill_holes(one, [holed(ramp((320, 240))), other])
    assert np.abs(made.astype(int) - photo)[one.holes].mean() < 3


def test_holes_are_never_filled_with_holes() -> None:
    photo = tiles()
    photos = [holed(photo, np.s_[80:180, 20:90], np.s_[90:170, 150:220]), holed(photo[:, ::-1], np.s_[60:200, 30:150])]
    for one in photos:
        made = fill_holes(one, photos).astype(int)
        assert (made[..., 0] - made[..., 1] < 60).all()


def test_a_hole_that_no_part_can_fill_gets_the_colours_around_it() -> None:
    photo = ramp()
    one = holed(photo, np.s_[2:98, 4:190])
    made = fill_holes(one)
    assert np.array_equal(made[~one.holes], photo[~one.holes])
    assert np.abs(made.astype(int) - photo)[one.holes].mean() < 25
    everything = holed(photo, np.s_[:, :])
    assert fill_holes(everything).shape == photo.shape
