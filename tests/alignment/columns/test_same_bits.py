# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of pixels have the bits of NumPy's own functions, in whose words their definitions are written here."""

import numpy as np
import pytest
from twinset.alignment.columns.background_similarity import NEIGHBOURS, boundary_pairs, dilate
from twinset.alignment.columns.color_statistics import ColorMaps
from twinset.alignment.columns.image_statistics import blur, sharpness, statistics

SHAPES = [(1, 1), (1, 7), (2, 1), (3, 3), (9, 10), (37, 29), (128, 200)]


def picture(shape, channels=()):
    rng = np.random.default_rng(sum(shape))
    noise = rng.integers(0, 256, (*shape, *channels))
    return (noise // rng.choice([1, 16, 64])).astype(np.uint8)


def plain_sharpness(luma):
    padded = np.pad(np.asarray(luma, np.float32), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1]
    laplacian += padded[1:-1, :-2]
    laplacian += padded[1:-1, 2:]
    laplacian -= 4.0 * padded[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float64))


def plain_blur(luma):
    def along_columns(values):
        padded = np.pad(values, ((4, 4), (0, 0)), mode="edge")
        before, after = np.abs(values[1:] - values[:-1]), np.abs(padded[9:] - padded[:-9]) / 9
        total = float(before.sum(dtype=np.float64))
        return (total - float(np.maximum(before - after, 0.0).sum(dtype=np.float64))) / total if total else np.nan

    values = np.asarray(luma, np.float32)
    return np.fmax(along_columns(values), along_columns(values.T))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", [1, 0.37])
def test_sharpness_and_blur(shape, factor):
    luma = picture(shape) * factor
    np.testing.assert_array_equal([sharpness(luma), blur(luma)], [plain_sharpness(luma), plain_blur(luma)])


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_a_crop_are_those_of_its_copy(shape):
    whole = picture((150, 210))
    crop = whole[11 : 11 + shape[0], 5 : 5 + shape[1]]
    np.testing.assert_equal(statistics(crop), statistics(crop.copy()))


@pytest.mark.parametrize("shape", SHAPES)
def test_colors(shape):
    cv2 = pytest.importorskip("cv2")
    image = picture((150, 210), (3,))
    part = slice(11, 11 + shape[0]), slice(5, 5 + shape[1])
    scaled = image.astype(np.float32) / 255
    lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[part].reshape(-1, 3)
    mean, variance = lab.mean(0, dtype=np.float64), lab.var(0, dtype=np.float64)
    top = scaled.max(axis=2)
    saturation = ((top - scaled.min(axis=2)) / np.maximum(top, 1e-6))[part]
    maps = ColorMaps(image)
    plain = maps.gradient[part] <= np.median(maps.gradient[part])
    assert maps.statistics(part) == {
        "lab_a": mean[1],
        "lab_b": mean[2],
        "lab_spread": np.sqrt(variance[1] + variance[2]),
        "saturation": saturation.mean(dtype=np.float64),
        "noise": np.sqrt(np.pi / 2) / 6 * maps.response[part][plain].mean(dtype=np.float64),
    }


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_each_background_pixel_has_its_first_neighbour_inside(share):
    mask = np.random.default_rng(int(share * 100)).random((23, 31)) < share
    inner, outer = boundary_pairs(mask)
    expected = []
    for row, column in np.argwhere(dilate(mask) & ~mask):
        beside = [(row + down, column + right) for down, right in NEIGHBOURS]
        inside = [(r, c) for r, c in beside if 0 <= r < 23 and 0 <= c < 31 and mask[r, c]]
        expected.append((inside[0], (row, column)))
    assert [(tuple(i), tuple(o)) for i, o in zip(inner, outer, strict=True)] == expected
