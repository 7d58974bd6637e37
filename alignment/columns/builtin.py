# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata columns that Twinset knows, each declared once, in the order in which reports show them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...engine.plugin.columns import Column
from .background_similarity import background_similarity
from .box_data import BoxData
from .id_map import crop

Measured = Mapping[str, np.ndarray]

METHOD = "[Zhang2023, §2]"
ANY_NUMBER_OF_BOXES = (0.5, 20.5)
"""One histogram bin for each count from 1 to 20; more boxes count as 20."""


def _relative_area(data: BoxData) -> np.ndarray:
    return np.asarray(data.bboxes[:, 2] * data.bboxes[:, 3] / (data.width * data.height))


def _center(data: BoxData, axis: int) -> np.ndarray:
    size = (data.width, data.height)[axis]
    return np.asarray((data.bboxes[:, axis] + data.bboxes[:, axis + 2] / 2) / size)


def _touches_border(data: BoxData) -> np.ndarray:
    x, y, w, h = data.bboxes.T
    return np.asarray((x < 1) | (y < 1) | (x + w > data.width - 1) | (y + h > data.height - 1))


def _background_similarity(data: BoxData) -> np.ndarray:
    assert data.image is not None
    values = np.full(len(data), np.nan)
    for i, mask in data.outlines:
        window = crop(data.extents[i], mask.shape, margin=2)
        values[i] = background_similarity(data.image[window], mask[window])
    return values


def _area(measured: Measured) -> np.ndarray | None:
    area = measured.get("bbox_area")
    return None if area is None else np.minimum(area, 1.0)


def _sqrt_area(measured: Measured) -> np.ndarray | None:
    area = _area(measured)
    return None if area is None else np.asarray(np.sqrt(np.where(area >= 0, area, np.nan)))


def _log_aspect(measured: Measured) -> np.ndarray | None:
    if "log_aspect" in measured:
        return measured["log_aspect"]
    aspect = measured.get("aspect")
    return None if aspect is None else np.asarray(np.log(np.where(aspect > 0, aspect, np.nan)))


def _in_image(name: str, measured: Measured) -> np.ndarray | None:
    center = measured.get(name)
    return None if center is None else np.clip(center, 0.0, 1.0)


def _pixel_statistic(name: str, definition: str, **facts: object) -> Column:
    """A statistic of the luma, of each box's crop and of the whole image."""
    return Column(
        name,
        definition=definition,
        source=METHOD,
        levels=("bbox", "image"),
        needs={"pixels"},
        measure=lambda data: data.box_statistics[name],
        measure_image=lambda data: data.image_statistics[name],
        priority=2,
        **facts,  # type: ignore[arg-type]
    )


BUILTIN = (
    Column(
        "bbox_area",
        definition="Area of the box relative to its image.",
        source=METHOD,
        kind="share",
        domain=(0.0, 1.0),
        measure=_relative_area,
        synonym_of="sqrt_area",
        reported=False,
    ),
    Column(
        "aspect",
        definition="Width of the box over its height, both in pixels.",
        source=METHOD,
        domain=(0.0, np.inf),
        measure=lambda data: data.bboxes[:, 2] / data.bboxes[:, 3],
        synonym_of="log_aspect",
        reported=False,
    ),
    Column(
        "sqrt_area",
        label="Box size",
        definition="Square root of the area of the box relative to its image.",
        source=METHOD,
        axis="√(box area / image area)",
        phrase="box size (square root of relative area)",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        log=True,
        derive=_sqrt_area,
        composite=True,
        priority=0,
    ),
    Column(
        "area",
        label="Box area",
        definition="Area of the box relative to its image.",
        source=METHOD,
        kind="share",
        axis="box area / image area",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        log=True,
        derive=_area,
        synonym_of="sqrt_area",
        priority=0,
    ),
    Column(
        "center_x",
        label="Horizontal position",
        definition="Centre of the box from the left, in image widths.",
        source=METHOD,
        axis="box centre / image width",
        larger="further right",
        smaller="further left",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        measure=lambda data: _center(data, 0),
        derive=lambda measured: _in_image("center_x", measured),
        priority=0,
    ),
    Column(
        "center_y",
        label="Vertical position",
        definition="Centre of the box from the top, in image heights.",
        source=METHOD,
        axis="box centre / image height, down",
        larger="lower in the picture",
        smaller="higher in the picture",
        domain=(0.0, 1.0),
        bin_range=(0.0, 1.0),
        measure=lambda data: _center(data, 1),
        derive=lambda measured: _in_image("center_y", measured),
        composite=True,
        priority=0,
    ),
    Column(
        "log_aspect",
        label="Aspect",
        definition="Natural logarithm of the width of the box over its height.",
        source=METHOD,
        axis="ln(width / height)",
        larger="broader for their height",
        smaller="narrower for their height",
        derive=_log_aspect,
        priority=0,
    ),
    Column(
        "boxes_per_image",
        label="Boxes per image",
        definition="Boxes of the class in each image that has any.",
        levels=("image",),
        kind="count",
        axis="count",
        larger="more numerous",
        smaller="fewer",
        domain=(1.0, np.inf),
        bin_range=ANY_NUMBER_OF_BOXES,
    ),
    Column(
        "touches_border",
        label="At the border",
        definition="Whether the box reaches within a pixel of the image border, as boxes of cut objects do.",
        kind="flag",
        axis="no or yes",
        phrase="boxes at the border",
        larger="more often at the border",
        smaller="less often at the border",
        domain=(0.0, 1.0),
        measure=_touches_border,
    ),
    Column(
        "shape",
        label="Shape",
        definition="Unique name of the asset that the object was made from.",
        source=METHOD,
        kind="category",
        needs={"renderer"},
        inferred=True,
        composite=True,
        priority=0,
    ),
    Column(
        "depth",
        label="Depth",
        definition="Median planar depth under the visible mask.",
        source=METHOD,
        unit="m",
        larger="farther away",
        smaller="nearer",
        domain=(0.0, np.inf),
        log=True,
        needs={"masks", "depth"},
        measure=lambda data: data.median_depth,
        inferred=True,
        priority=0,
    ),
    Column(
        "d",
        definition="Depth as the occlusion metric reads it.",
        source=METHOD,
        unit="m",
        domain=(0.0, np.inf),
        needs={"masks", "depth"},
        synonym_of="depth",
        reported=False,
    ),
    Column(
        "a_d2",
        label="Occlusion a·d²",
        definition="Visible pixels times squared depth; the more of an object of one shape is hidden, the lower.",
        source=METHOD,
        unit="px·m²",
        axis="share of pixels · m²",
        larger="less hidden, or of larger things",
        smaller="more hidden, or of smaller things",
        domain=(0.0, np.inf),
        log=True,
        needs={"masks", "depth"},
        measure=lambda data: data.visible_pixels * data.median_depth**2,
        relative_to_image=True,
        inferred=True,
    ),
    Column(
        "visible_share",
        label="Visible share",
        definition="Visible pixels over the pixels of the whole instance, those beyond the image border included.",
        kind="share",
        axis="visible / whole pixels",
        larger="less hidden",
        smaller="more hidden",
        domain=(0.0, 1.0),
        needs={"amodal", "renderer"},
        inferred=True,
    ),
    Column(
        "truncated_share",
        label="Truncated share",
        definition="Share of the instance's own pixels that lies beyond the image border.",
        kind="share",
        axis="pixels outside / whole pixels",
        larger="cut off more by the border",
        smaller="cut off less by the border",
        domain=(0.0, 1.0),
        needs={"amodal", "renderer"},
    ),
    Column(
        "truncated",
        definition="Whether any of the instance's own pixels lies beyond the image border.",
        kind="flag",
        larger="more often cut off by the border",
        smaller="less often cut off by the border",
        domain=(0.0, 1.0),
        needs={"amodal", "renderer"},
        reported=False,
    ),
    Column(
        "occluded_share",
        label="Occluded share",
        definition="Share of the instance's pixels inside the image that something else hides.",
        kind="share",
        axis="hidden / pixels inside",
        larger="more hidden",
        smaller="less hidden",
        domain=(0.0, 1.0),
        needs={"amodal", "renderer"},
    ),
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
    Column(
        "a",
        label="Visible pixels",
        definition="Pixels of the visible mask.",
        source=METHOD,
        kind="share",  # of the image's pixels, in comparisons
        unit="px",
        axis="of the image's pixels",
        domain=(0.0, np.inf),
        log=True,
        needs={"masks"},
        measure=lambda data: data.visible_pixels,
        relative_to_image=True,
    ),
    _pixel_statistic(
        "sharpness",
        "Variance of the Laplacian of the luma, in squared grey levels.",
        axis="variance of the Laplacian",
        larger="sharper",
        smaller="softer",
        domain=(0.0, np.inf),
        resolution_dependent=True,
    ),
    _pixel_statistic(
        "blur",
        "Blur without a reference (Crete et al. 2007): how little a further blur changes neighbouring pixels.",
        axis="0 sharp to 1 blurred",
        larger="more blurred",
        smaller="less blurred",
        domain=(0.0, 1.0),
        resolution_dependent=True,
    ),
    _pixel_statistic(
        "entropy",
        "Entropy of the histogram of 256 grey levels.",
        unit="bits",
        axis="bits of grey",
        larger="richer in grey levels",
        smaller="poorer in grey levels",
        domain=(0.0, 8.0),
        resolution_dependent=True,
    ),
    _pixel_statistic(
        "brightness",
        "Mean luma, in [0, 1].",
        axis="mean grey, 0 to 1",
        larger="brighter",
        smaller="darker",
        domain=(0.0, 1.0),
    ),
    _pixel_statistic(
        "contrast",
        "Standard deviation of the luma, with luma in [0, 1].",
        axis="standard deviation of grey",
        larger="richer in contrast",
        smaller="poorer in contrast",
        domain=(0.0, 0.5),
    ),
    Column(
        "a_d2_m2",
        definition="a·d² over the squared focal length in pixels, which compares across lenses and resolutions.",
        unit="m²",
        domain=(0.0, np.inf),
        log=True,
        needs={"masks", "depth", "renderer"},
        reported=False,
    ),
    Column(
        "scale",
        definition="Factor by which the instance's asset was scaled.",
        domain=(0.0, np.inf),
        needs={"renderer"},
        reported=False,
    ),
    Column(
        "c_m2",
        definition="C of the instance's shape: the a·d²/f² that an unoccluded one has.",
        source=METHOD,
        unit="m²",
        domain=(0.0, np.inf),
        needs={"renderer"},
        reported=False,
    ),
    Column(
        "visible_share_estimate",
        definition="Visible share estimated as a·d²/f² over C, at most 1.",
        source=METHOD,
        kind="share",
        domain=(0.0, 1.0),
        needs={"renderer"},
        reported=False,
    ),
    Column(
        "feature_score",
        definition="How typical of real boxes a box looks to a vision model.",
        domain=(0.0, 1.0),
        needs={"pixels", "renderer"},
        reported=False,
    ),
)
