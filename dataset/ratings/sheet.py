# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a sheet on which people rate, from 0 to 5, how well predicted values fit real boxes [Zhang2023, §4]."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ...alignment.columns.registry import find_column
from ...alignment.features.crops import crop_boxes
from ...engine.errors import DataError
from ..formats.dataset_folder import ImageDataset
from ..formats.image_files import ImageFiles
from ..formats.metadata_table import TableColumns
from ..report.markup import data_uri, document, tag
from ..store.frames import encode_image

COLUMNS = ("depth", "visible_share", "a_d2", "background_similarity")
"""Columns that are rated if the table has them."""

RATING = "rating_"
"""Prefix of the cells to fill in."""

_CROP = (200, 200)
_MARGIN = 0.5
_CSS = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "article{display:flex;gap:1rem;border-top:1px solid #999;padding:.8rem 0}dl{margin:0}dt{font-weight:600}"
)


@attrs.frozen(eq=False)
class RatingSheet:
    """The files of a sheet: the ``table`` to fill in (CSV), the ``page`` with the boxes (HTML), and the ``key``.

    ``key`` maps the number of each row to the annotation and to whether its values are those of another box, which
    people who rate must not know.
    """

    table: bytes
    page: bytes
    key: dict[str, dict[str, Any]]
    problems: tuple[str, ...]


def rating_sheet(
    real: ImageDataset,
    predicted: TableColumns,
    rng: np.random.Generator,
    *,
    columns: Sequence[str] = (),
    count: int = 60,
    controls: float = 0.25,
) -> RatingSheet:
    """Choose boxes at random and lay out a sheet.

    Parameters
    ----------
    real : ImageDataset
    predicted : mapping
        Predicted columns by annotation ``id``, from ``infer``.
    rng : numpy.random.Generator
    columns : sequence of str, optional
        What is rated; by default those of ``COLUMNS`` that the table has.
    count : int
        Number of boxes.
    controls : float
        Share of the boxes that show the values of another box instead: what ratings they get is what guessing is worth.

    Raises
    ------
    DataError
        If the table has none of the columns, or no box of the dataset.
    """
    names = list(columns) or [name for name in COLUMNS if name in predicted]
    missing = [name for name in names if name not in predicted]
    if missing or not names or "id" not in predicted:
        raise DataError(
            f"The table has no column {', '.join(missing) or 'that can be rated'}. Its columns: "
            f"{', '.join(sorted(predicted))}. Make it with `twinset infer`."
        )
    boxes = {a["id"]: a for a in real.coco.annotations if not a.get("iscrowd")}
    values = {
        int(id): tuple(predicted[name][row] for name in names)
        for row, id in enumerate(predicted["id"])
        if int(id) in boxes and all(_is_known(predicted[name][row]) for name in names)
    }
    if len(values) < 2:
        raise DataError(
            f"The table has values of {len(values)} boxes of '{real.coco.path}'. Rating needs at least two."
        )
    chosen = sorted(values)
    chosen = [chosen[i] for i in rng.permutation(len(chosen))[:count]]
    swapped = set(rng.permutation(len(chosen))[: round(controls * len(chosen))].tolist())
    images = {i["id"]: i for i in real.coco.images}
    files = ImageFiles(real.coco.images, real.images)
    classes = {c["id"]: c["name"] for c in real.coco.categories}
    rows, articles = list[list[str]](), list[Any]()
    key, problems = dict[str, dict[str, Any]](), list[str]()
    for place, id in enumerate(chosen):
        try:
            picture = files.read(images[boxes[id]["image_id"]])
        except DataError as error:
            problems.append(str(error))
            continue
        source = id
        if place in swapped:
            others = [other for other in chosen if other != id]
            source = others[int(rng.integers(len(others)))]
        number, name = str(len(rows) + 1), classes[boxes[id]["category_id"]]
        shown = [_shown(column, value) for column, value in zip(names, values[source], strict=True)]
        rows.append([number, name, *shown, *("" for _ in names)])
        key[number] = {"annotation": id, "image": boxes[id]["image_id"], "control": source != id}
        articles.append(_article(number, name, picture, boxes[id]["bbox"], names, shown))
    if not rows:
        raise DataError(f"No image of '{real.coco.path}' can be read. The first problem: {problems[0]}")
    table = io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(["box", "class", *names, *(RATING + name for name in names)])
    lines.writerows(rows)
    return RatingSheet(table.getvalue().encode(), _page(articles, names), key, tuple(problems))


def _article(
    number: str, name: str, picture: np.ndarray, bbox: Sequence[float], names: Sequence[str], shown: Sequence[str]
) -> Any:
    (crop,) = crop_boxes(picture, [bbox], _CROP, _MARGIN)
    source = data_uri(encode_image(crop, "jpg", 85))
    terms = [
        part
        for column, text in zip(names, shown, strict=True)
        for part in (tag("dt", find_column(column).heading), tag("dd", text))
    ]
    image = tag("img", src=source, alt=f"Box {number}", width=_CROP[0], height=_CROP[1])
    return tag("article", image, tag("div", tag("h2", f"{number}: {name}"), tag("dl", *terms)))


def _page(articles: Sequence[Any], names: Sequence[str]) -> bytes:
    listed = [tag("li", tag("b", find_column(name).heading), ": ", find_column(name).definition) for name in names]
    intro = (
        "For each box and value, write into the table how well the value fits the picture: 0 is certainly wrong, 5 is "
        "as good as you could say yourself. Leave cells empty that you cannot judge. Some boxes show the values of "
        "another box, so that ratings can be compared with guessing."
    )
    return document(
        "Rating sheet | Twinset", _CSS, tag("h1", "Rating sheet"), tag("p", intro), tag("ul", *listed), *articles
    )


def _is_known(value: Any) -> bool:
    return value not in (None, "") and not (isinstance(value, float) and not math.isfinite(value))


def _shown(column: str, value: Any) -> str:
    if not isinstance(value, int | float | np.number):
        return str(value)
    unit = find_column(column).unit
    return f"{float(value):.3g} {unit}".rstrip()
