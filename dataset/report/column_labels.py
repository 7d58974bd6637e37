# SPDX-License-Identifier: GPL-3.0-or-later
"""What metadata columns are called and counted in, for plots and tables."""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Label:
    """``heading`` of a column, and the ``unit`` on its axis.

    ``percent`` says that its values are shares, best read per cent, ``yes`` that they are 0 for no and 1 for yes.
    """

    heading: str
    unit: str = ""
    percent: bool = False
    yes: bool = False


DASH = "\N{EN DASH}"
"""What stands where there is no number."""

_LABELS = {
    "sqrt_area": Label("Box size", "√(box area / image area)"),
    "area": Label("Box area", "box area / image area", True),
    "center_x": Label("Horizontal position", "box centre / image width"),
    "center_y": Label("Vertical position", "box centre / image height, down"),
    "log_aspect": Label("Aspect", "ln(width / height)"),
    "boxes_per_image": Label("Boxes per image", "count"),
    "touches_border": Label("At the border", "no or yes", yes=True),
    "shape": Label("Shape"),
    "depth": Label("Depth", "m"),
    "visible_share": Label("Visible share", "visible / whole pixels", True),
    "truncated_share": Label("Truncated share", "pixels outside / whole pixels", True),
    "occluded_share": Label("Occluded share", "hidden / pixels inside", True),
    "background_similarity": Label("Background similarity", "cosine"),
    "a": Label("Visible pixels", "of the image's pixels", True),
    "a_d2": Label("Occlusion a·d²", "share of pixels · m²"),
    "brightness": Label("Brightness", "mean grey, 0 to 1"),
    "contrast": Label("Contrast", "standard deviation of grey"),
    "entropy": Label("Entropy", "bits of grey"),
    "sharpness": Label("Sharpness", "variance of the Laplacian"),
    "blur": Label("Blur", "0 sharp to 1 blurred"),
}

_ORDER = {name: i for i, name in enumerate(_LABELS)}


def label(column: str) -> Label:
    """The label of a column; unknown ones are called by their name, those of whole images by what they measure."""
    if column in _LABELS:
        return _LABELS[column]
    inner = _LABELS.get(column.removeprefix("image_"))
    if column.startswith("image_") and inner is not None:
        return attrs.evolve(inner, heading=f"{inner.heading} of images")
    return Label(column.replace("_", " ").capitalize())


def known(column: str) -> bool:
    """Whether a column has a label of its own; others are inner numbers of a renderer, for tables only."""
    return column.removeprefix("image_") in _LABELS


def order(column: str) -> tuple[int, str]:
    """A key that sorts columns for readers: boxes first, then what is seen of them, then pixels, whole images last."""
    plain = column.removeprefix("image_")
    return _ORDER.get(plain, len(_ORDER)) + (100 if plain != column else 0), column


def number(value: float) -> str:
    """Three decimals, or as many digits as tell more."""
    if not math.isfinite(value):
        return "inf"
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 10 else f"{value:.2g}" if value < 0.01 else f"{value:.4g}"


def quantity(column: str, value: float) -> str:
    """A value of a column for readers: shares in per cent, metres with their unit."""
    if not math.isfinite(value):
        return DASH
    known_as = label(column)
    if known_as.percent:
        return f"{100 * value:.3g}%"
    return f"{value:.3g} m" if known_as.unit == "m" else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
