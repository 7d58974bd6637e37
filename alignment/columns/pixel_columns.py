# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns that pixels give: background similarity, image statistics, feature score."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...engine.plugin.columns import METHOD, Column
from .background_similarity import background_similarity
from .box_data import BoxData
from .id_map import crop


def _background_similarity(data: BoxData) -> np.ndarray:
    assert data.image is not None
    values = np.full(len(data), np.nan)
    for i, mask in data.outlines:
        window = crop(data.extents[i], mask.shape, margin=2)
        values[i] = background_similarity(data.image[window], mask[window])
    return values


def pixel_statistic(
    name: str,
    definition: str,
    of_boxes: Callable[[BoxData], Mapping[str, np.ndarray]],
    of_image: Callable[[BoxData], Mapping[str, float]],
    **facts: object,
) -> Column:
    """A statistic of each box's crop and of the whole image, from functions that give several of them by name."""
    return Column(
        name,
        definition=definition,
        levels=("bbox", "image"),
        needs={"pixels"},
        measure=lambda data: of_boxes(data)[name],
        measure_image=lambda data: of_image(data)[name],
        priority=2,
        **facts,  # type: ignore[arg-type]
    )


def _luma_statistic(name: str, definition: str, **facts: object) -> Column:
    return pixel_statistic(
        name, definition, lambda data: data.box_statistics, lambda data: data.image_statistics, source=METHOD, **facts
    )


COLUMNS = (
    Column(
        "background_similarity",
        label="Background similarity",
        definition=(
            "Cosine of the colours along the object's outline and those of the background next to them; 1 where the "
            "object blends into its surroundings."
        ),
        source=METHOD,
        axis="cosine",
        larger="more like their surroundings",
        smaller="less like their surroundings",
        domain=(0.0, 1.0),
        needs={"pixels", "masks"},
        measure=_background_similarity,
        inferred=True,
        composite=True,
        priority=0,
    ),
    _luma_statistic(
        "sharpness",
        "Variance of the Laplacian of the luma, in squared grey levels.",
        axis="variance of the Laplacian",
        larger="sharper",
        smaller="softer",
        domain=(0.0, np.inf),
        resolution_dependent=True,
    ),
    _luma_statistic(
        "blur",
        "Blur without a reference (Crete et al. 2007): how little a further blur changes neighbouring pixels.",
        axis="0 sharp to 1 blurred",
        larger="more blurred",
        smaller="less blurred",
        domain=(0.0, 1.0),
        resolution_dependent=True,
    ),
    _luma_statistic(
        "entropy",
        "Entropy of the histogram of 256 grey levels.",
        unit="bits",
        axis="bits of grey",
        larger="richer in grey levels",
        smaller="poorer in grey levels",
        domain=(0.0, 8.0),
        resolution_dependent=True,
    ),
    _luma_statistic(
        "brightness",
        "Mean luma, in [0, 1].",
        axis="mean grey, 0 to 1",
        larger="brighter",
        smaller="darker",
        domain=(0.0, 1.0),
    ),
    _luma_statistic(
        "contrast",
        "Standard deviation of the luma, with luma in [0, 1].",
        axis="standard deviation of grey",
        larger="richer in contrast",
        smaller="poorer in contrast",
        domain=(0.0, 0.5),
    ),
    Column(
        "feature_score",
        definition="How typical of real boxes a box looks to a vision model.",
        domain=(0.0, 1.0),
        needs={"renderer"},
        reported=False,
    ),
)
