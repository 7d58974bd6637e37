# SPDX-License-Identifier: GPL-3.0-or-later
"""Effects that move pixels: labels, passes, whole extents, boxes and previews follow."""

from __future__ import annotations

from pathlib import Path

import attrs
import cv2
import numpy as np
import pytest
from effect_jobs import frames, recipe, records, render
from hypothesis import given, settings
from hypothesis import strategies as st
from property_examples import examples
from recipes import plugin_table
from stages import stool_and_crate_stage
from twinset.dataset.formats.rle_masks import decode
from twinset.dataset.jobs.preview import Preview
from twinset.engine.sampling.moved_pixels import PixelMap
from twinset.engine.stage import Amodal, extent
from twinset.testing import make_shot


def brute_move(array: np.ndarray, source: np.ndarray) -> np.ndarray:
    """By a loop over pixels: each shows what the pixel shows that its source lies in."""
    height, width = array.shape[:2]
    out = np.empty((*source.shape[:2], *array.shape[2:]), array.dtype)
    for row in range(source.shape[0]):
        for column in range(source.shape[1]):
            x, y = source[row, column]
            out[row, column] = array[min(max(int(y // 1), 0), height - 1), min(max(int(x // 1), 0), width - 1)]
    return out


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(1, 12), st.integers(1, 12)), far=st.floats(0, 30))
def test_labels_and_passes_follow_any_map(seed: int, size: tuple[int, int], far: float) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    source = np.stack([x, y], -1) + far * rng.standard_normal((*size, 2))
    ids = rng.integers(0, 3, size)
    depth = rng.random(size, dtype=np.float32)
    shot = make_shot(ids, n=2, depth=depth)
    normals = rng.random((*size, 3), dtype=np.float32)
    moved = PixelMap(source).shot(attrs.evolve(shot, rendered={"normal": normals}))
    np.testing.assert_array_equal(moved.labels.ids, brute_move(ids, source))
    np.testing.assert_array_equal(moved.labels.depth, brute_move(depth, source))
    np.testing.assert_array_equal(moved.rendered["normal"], brute_move(normals, source))
    for id in (1, 2):
        np.testing.assert_array_equal(moved.amodal[id].mask, brute_move(ids == id, source))
        assert moved.amodal[id].pixels >= moved.amodal[id].mask.sum()
    assert moved.image is shot.image


@settings(max_examples=examples(30), deadline=None)
@given(a=st.floats(-0.1, 0.1), b=st.floats(-8.0, 8.0), zoom=st.floats(0.9, 1.15))
def test_the_picture_moves_with_the_labels(a: float, b: float, zoom: float) -> None:
    """A ramp shows where it was sampled, to a thirty-second of a pixel."""
    y, x = np.mgrid[:40, :60] + 0.5
    source = np.stack([30 + (x - 30) / zoom + a * y + b, 20 + (y - 20) / zoom], -1)
    ramp = np.stack([x / 60, y / 40, x / 60], -1).astype(np.float32)
    moved = PixelMap(source).image(ramp)
    want = np.stack([np.clip(source[..., 0], 0.5, 59.5) / 60, np.clip(source[..., 1], 0.5, 39.5) / 40], -1)
    np.testing.assert_allclose(moved[..., :2], want, atol=0.6 / 32 / 40 + 1e-6)


def canvas_amodal(canvas: np.ndarray, width: int, height: int) -> Amodal:
    """The amodal view of a mask on a canvas of three by three images."""
    box = extent(canvas)
    assert box is not None
    inside = canvas[height : 2 * height, width : 2 * width]
    return Amodal(inside, (box[0] - width, box[1] - height, *box[2:]), int(canvas.sum()))


@settings(max_examples=examples(60), deadline=None)
@given(
    left=st.integers(-30, 70),
    top=st.integers(-20, 45),
    size=st.tuples(st.integers(15, 40), st.integers(15, 40)),
    zoom=st.floats(1.0, 1.12),
    skew=st.floats(-8, 8),
)
def test_whole_extents_follow_to_where_they_can_be_estimated(
    left: int, top: int, size: tuple[int, int], zoom: float, skew: float
) -> None:
    """Against a move of the whole canvas, of which the engine sees the image alone."""
    width, height = 80, 60
    zoom = max(zoom, width / (width - abs(skew)))  # as effects do, so that no pixel comes from beyond the border
    canvas = np.zeros((3 * height, 3 * width), bool)
    canvas[height + top : height + top + size[1], width + left : width + left + size[0]] = True
    if not canvas[height : 2 * height, width : 2 * width].any():
        return

    def source(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        time = np.clip(y, 0, height) / height - 0.5
        return np.stack([width / 2 + (x - width / 2) / zoom + skew * time, height / 2 + (y - height / 2) / zoom], -1)

    y, x = np.mgrid[:height, :width] + 0.5
    moved = PixelMap(source(x, y)).amodal(canvas_amodal(canvas, width, height))
    y, x = np.mgrid[-height : 2 * height, -width : 2 * width] + 0.5
    truth = canvas_amodal(brute_nearest(canvas, source(x, y) + np.array([width, height])), width, height)
    np.testing.assert_array_equal(moved.mask, truth.mask)
    # What touches the border may go on beyond it, by a pixel that the image does not show.
    inside = truth.bbox[0] > 0 and truth.bbox[1] > 0
    inside &= truth.bbox[0] + truth.bbox[2] < width and truth.bbox[1] + truth.bbox[3] < height
    if inside and moved.mask.any():
        assert moved.bbox == truth.bbox and moved.pixels == truth.pixels
    for k in range(2):
        # Beyond the border only the border's own movement is known: the zoom of what lies farther out is missing.
        beyond = max(0, -truth.bbox[k], truth.bbox[k] + truth.bbox[k + 2] - (width, height)[k])
        slack = 2.5 + (zoom - 1) * beyond
        assert abs(moved.bbox[k] - truth.bbox[k]) <= slack
        assert abs(moved.bbox[k] + moved.bbox[k + 2] - truth.bbox[k] - truth.bbox[k + 2]) <= slack
    assert moved.pixels == pytest.approx(truth.pixels, rel=0.12)


def brute_nearest(array: np.ndarray, source: np.ndarray) -> np.ndarray:
    column = np.clip(np.floor(source[..., 0]), 0, array.shape[1] - 1).astype(int)
    row = np.clip(np.floor(source[..., 1]), 0, array.shape[0] - 1).astype(int)
    return array[row, column]


SHUTTER = plugin_table("rolling_shutter", skew=[14.0, 18.0], wobble=[2.0, 2.0])


def test_rows_boxes_and_masks_are_those_of_the_moved_picture(tmp_path: Path) -> None:
    plain, moved = frames(recipe(), 4), frames(recipe("noise", SHUTTER), 4)
    for still, frame in zip(plain, moved, strict=True):
        assert (still.shot.labels.ids != frame.shot.labels.ids).any()
        drawn = next(e for e in frame.effects.records if e["effect"] == "rolling_shutter")
        y, x = np.mgrid[:48, :64] + 0.5
        time = y / 48
        aside = drawn["skew"] * (time - 0.5) + drawn["wobble"] * np.sin(
            2 * np.pi * (drawn["waves"] * time + drawn["phase"])
        )
        tall = 1 / (1 + drawn["stretch"])
        zoom = max(64 / (64 - 2 * np.abs(aside).max()), tall)
        source = np.stack([32 + (x - 32) / zoom + aside, 24 + (y - 24) / zoom * tall], -1)
        assert source.min() >= -1e-9 and (source[..., 0].max(), source[..., 1].max()) <= (64, 48 + 1e-9)
        np.testing.assert_array_equal(frame.shot.labels.ids, brute_move(still.shot.labels.ids, source))
        np.testing.assert_array_equal(frame.shot.labels.depth, brute_move(still.shot.labels.depth, source))
        for row in frame.rows:
            mask = frame.shot.mask(row["id"])
            assert row["area"] == mask.sum() and row["bbox"] == extent(mask)
            alone = frame.shot.amodal[row["id"]]
            np.testing.assert_array_equal(alone.mask, brute_move(still.shot.amodal[row["id"]].mask, source))
            assert not (mask & ~alone.mask).any()
    out = tmp_path / "out"
    render(recipe("noise", SHUTTER), out)
    for record, frame in zip(records(out), moved, strict=True):
        ids = cv2.imread(str(out / "masks" / f"{record['frame']:06}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(ids, frame.shot.labels.ids)
        for row in record["instances"]:
            if row["bbox"]:
                np.testing.assert_array_equal(decode(row["segmentation"], 48, 64).astype(bool), ids == row["id"])


def test_a_preview_shows_the_moved_boxes_that_the_render_has() -> None:
    one = recipe(SHUTTER)
    preview = Preview(stool_and_crate_stage)
    list(preview.change(one))
    rendered = frames(one, 2)
    for index in range(2):
        record, frame = preview.detail(index), rendered[index]
        assert record["draws"]["effects"] == [dict(e) for e in frame.effects.records]
        assert [row["bbox"] for row in record["instances"]] == [row["bbox"] for row in frame.rows]
        picture = preview.picture(index)
        np.testing.assert_array_equal(picture.shot.image, frame.shot.image)
