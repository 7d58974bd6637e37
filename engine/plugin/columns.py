# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration of a metadata column: what tables, comparisons, reports and panels need to know of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np

KINDS_OF_VALUES = ("number", "share", "count", "flag", "category")
LEVELS = ("bbox", "image")
KINDS_WITH_COLUMNS = ("metric", "filter")
"""Kinds of plugins that have the class attribute ``columns``."""
METHOD = "[Zhang2023, §2]"
"""Source of the columns that the method defines."""

IDENTIFIERS = frozenset(
    {
        *("image_id", "id", "class", "file_name", "instance", "instance_id", "frame", "image_frame", "main"),
        *("category_id", "image_width", "image_height"),
        *("image_layout", "image_sequence", "image_step", "image_time", "image_view"),
        *(f"{box}_{axis}" for box in ("bbox", "amodal_bbox") for axis in "xywh"),
        "area",  # of measured columns, in pixels; tables derive the relative one of the same name
    }
)
"""Measured columns that are no metadata: they say which box a row is and where it lies."""

NEEDS = ("pixels", "masks", "depth", "amodal", "renderer")


def _words(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _names(given: Iterable[str]) -> frozenset[str]:
    return frozenset(_words(given))


@attrs.frozen
class Column:
    """One metadata column. Only the name is required; a metric plugin lists its own in the class attribute ``columns``.

    Attributes
    ----------
    name : str
        As the metric returns it. In tables, a column of whole images is called ``image_<name>``.
    label : str
        Heading in plots and tables; made from the name where left out.
    definition : str
        What the values are, in one sentence.
    source : str
        Where the definition comes from, such as ``[Zhang2023, §2]``.
    levels : tuple of {"bbox", "image"}
        Whether there is one value per box, one per image, or both.
    kind : {"number", "share", "count", "flag", "category"}
        Shares are shown in per cent; flags are 0 or 1; categories are names.
    unit : str
        Unit of the values, such as ``m``.
    axis : str
        Text on the axis of charts; the unit where left out.
    phrase : str
        The column in the middle of a sentence; the label in lower case where left out.
    larger, smaller : str
        What boxes with larger and smaller values are: "farther away", "nearer".
    domain : (float, float)
        Smallest and largest possible value.
    bin_range : (float, float), optional
        Fixed range of histograms; left out, they span the bulk of the samples.
    log : bool
        Values spread over decades: mixtures are fitted to their logarithms.
    needs : frozenset of {"pixels", "masks", "depth", "amodal", "renderer"}
        What values are measured from beside the boxes of the annotations: the picture, outlines, a depth map, each
        instance rendered alone, or what only the renderer knows.
    measure : callable, optional
        ``measure(data)`` returns the values (n,) of the boxes of a dataset or image: see :class:`.box_data.BoxData`.
        A column without one is read from the annotations' ``twinset`` entries or from a table.
    measure_image : callable, optional
        ``measure_image(data)`` returns the value of the whole image.
    derive : callable, optional
        ``derive(measured)`` returns the values (N,) from the measured columns of a class, or None where these lack
        what it needs.
    synonym_of : str
        The column that says the same and is compared in its place.
    relative_to_image : bool
        Values count pixels; comparisons divide them by the number of pixels of the image.
    resolution_dependent : bool
        Values depend on how many pixels the picture has, even for the same scene.
    inferred : bool
        Real photos lack it; ``infer`` predicts it by default.
    composite : bool
        Part of the composite distance of ``quality`` by default.
    priority : int
        Order of findings: 0 for columns whose alignment was found to help detectors, or that say where and what boxes
        are; 2 for those whose alignment did not help; 1 for the others.
    reported : bool
        Whether reports chart it; tables list every column.
    """

    name: str
    label: str = ""
    definition: str = ""
    source: str = ""
    levels: tuple[str, ...] = attrs.field(default=("bbox",), converter=_words)
    kind: str = "number"
    unit: str = ""
    axis: str = ""
    phrase: str = ""
    larger: str = "larger"
    smaller: str = "smaller"
    domain: tuple[float, float] = (-math.inf, math.inf)
    bin_range: tuple[float, float] | None = None
    log: bool = False
    needs: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    measure: Callable[[Any], np.ndarray] | None = None
    measure_image: Callable[[Any], float] | None = None
    derive: Callable[[Mapping[str, np.ndarray]], np.ndarray | None] | None = None
    synonym_of: str = ""
    relative_to_image: bool = False
    resolution_dependent: bool = False
    inferred: bool = False
    composite: bool = False
    priority: int = 1
    reported: bool = True

    def __attrs_post_init__(self) -> None:
        choices = ((self.kind, KINDS_OF_VALUES), *((x, LEVELS) for x in self.levels), *((x, NEEDS) for x in self.needs))
        for value, known in choices:
            if value not in known:
                raise ValueError(f"Column '{self.name}' has '{value}', which must be one of {', '.join(known)}.")

    @property
    def heading(self) -> str:
        """The label, or one made from the name."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def in_words(self) -> str:
        """The column in the middle of a sentence."""
        heading = self.heading
        acronym = len(heading) > 1 and heading[1].isupper()
        return self.phrase or (heading if acronym else heading[:1].lower() + heading[1:])

    @property
    def axis_text(self) -> str:
        """Text on the axis of charts."""
        return self.axis or self.unit

    def of_images(self) -> Column:
        """The same quantity of whole images, as tables name it."""
        return attrs.evolve(
            self,
            name=f"image_{self.name}",
            label=f"{self.heading} of images",
            phrase=f"{self.in_words} of whole images",
            levels=("image",),
            composite=False,
            inferred=False,
        )


def declared_columns(cls: type) -> tuple[Column, ...]:
    """The columns that a plugin class declares; those of kinds without columns may call a parameter so.

    They are recognised by their class's name: a plugin may have imported it from the installed package, while this one
    is Blender's extension.
    """
    declared = cls.columns if cls.plugin_kind in KINDS_WITH_COLUMNS else ()  # type: ignore[attr-defined]
    return tuple(column for column in declared if type(column).__name__ == Column.__name__)
