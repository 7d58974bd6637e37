# SPDX-License-Identifier: GPL-3.0-or-later
"""What a comparison comes to in words: which columns are off, in which direction, the most important first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from .bootstrap import DISTANCES, LEVEL
from .comparison import QUANTILES

MATTERING = ("sqrt_area", "area", "center_y", "center_x", "log_aspect", "shape", "background_similarity", "depth")
"""Columns whose alignment was found to help detectors, or that say where and what boxes are [Zhang2023, §7]."""

NOT_HELPING = ("sharpness", "blur", "entropy", "brightness", "contrast")
"""Statistics of pixels: aligning them did not help detectors there."""

_WIDER = 1.25
"""From this ratio of the ranges between the 5 % and the 95 % quantile on, one sample counts as the wider."""

_FLAGS = ("touches_border", "truncated")
"""Columns of yes and no: the share of yes says what a median cannot."""

_SHIFTED = 0.06
"""So far from one half, the share of pairs in which one side is larger makes a direction."""

_MIDDLE = QUANTILES.index(0.5)

_NAMES = {"bhattacharyya": "Bhattacharyya", "ks": "KS", "wasserstein": "Wasserstein"}

# What a column is called, and what larger and smaller values of it are.
_WORDS = {
    "sqrt_area": ("box size (square root of relative area)", "larger", "smaller"),
    "area": ("box area", "larger", "smaller"),
    "center_y": ("vertical position", "lower in the picture", "higher in the picture"),
    "center_x": ("horizontal position", "further right", "further left"),
    "log_aspect": ("aspect", "broader for their height", "narrower for their height"),
    "boxes_per_image": ("boxes per image", "more numerous", "fewer"),
    "depth": ("depth", "farther away", "nearer"),
    "visible_share": ("visible share", "less hidden", "more hidden"),
    "truncated_share": ("truncated share", "cut off more by the border", "cut off less by the border"),
    "touches_border": ("boxes at the border", "more often at the border", "less often at the border"),
    "background_similarity": (
        "background similarity",
        "more like their surroundings",
        "less like their surroundings",
    ),
    "a_d2": ("occlusion a·d²", "less hidden, or of larger things", "more hidden, or of smaller things"),
    "sharpness": ("sharpness", "sharper", "softer"),
    "blur": ("blur", "more blurred", "less blurred"),
    "entropy": ("entropy", "richer in grey levels", "poorer in grey levels"),
    "brightness": ("brightness", "brighter", "darker"),
    "contrast": ("contrast", "richer in contrast", "poorer in contrast"),
}


@attrs.frozen
class Statement:
    """What is to be said of one column of one class.

    Attributes
    ----------
    class_name, column : str
    main : bool
        Whether it is of the main instances' boxes only.
    off : bool
        Whether the difference is more than chance makes: two of the three distances lie above their upper floors (the
        one distance of columns of names above its own).
    direction : str
        ``larger`` or ``smaller``, of the synthetic values; "" for neither.
    spread : str
        ``wider`` or ``narrower``, of the synthetic values; "" for neither.
    rank : int
        0 for columns whose alignment was found to matter, 1 for others, 2 for those where it did not help.
    distance, upper_floor : float
        Bhattacharyya's distance, and up to where chance takes it.
    gap : float
        Kolmogorov-Smirnov's distance in [0, 1], by which columns of one rank are ordered.
    larger_share : float
        Share of pairs in which the synthetic value is larger.
    real_median, synth_median : float
    sentence : str
        All of it in words.
    """

    class_name: str
    column: str
    main: bool
    off: bool
    direction: str
    spread: str
    rank: int
    distance: float
    upper_floor: float
    gap: float
    larger_share: float
    real_median: float
    synth_median: float
    sentence: str


@attrs.frozen
class Verdict:
    """The statements of a comparison and their summary.

    Attributes
    ----------
    off : tuple of Statement
        Columns that differ by more than chance, the most important first.
    fitting : tuple of Statement
        Columns that do not.
    unknown : tuple of Statement
        Columns of which nothing can be said, as for a single real value.
    sentences : tuple of str
        A summary, then one sentence for each column that is off.
    """

    off: tuple[Statement, ...]
    fitting: tuple[Statement, ...]
    unknown: tuple[Statement, ...]
    sentences: tuple[str, ...]


def verdict(report: Mapping[str, Any]) -> Verdict:
    """What a comparison comes to.

    Parameters
    ----------
    report : mapping
        From :func:`.comparison.compare` or :func:`.comparison.compare_measured`.

    Notes
    -----
    Ranks come from the method's findings, see ``MATTERING`` and ``NOT_HELPING``. Of two columns that say the same
    (``area`` beside ``sqrt_area``) only one is spoken of. Samples of one source are called off in about one column of
    twenty; the summary says so.
    """
    said = list(_statements(report))
    off = tuple(sorted((s for s in said if s.off), key=lambda s: (s.main, s.rank, -s.gap)))
    unknown = tuple(s for s in said if math.isnan(s.upper_floor))
    fitting = tuple(s for s in said if not s.off and not math.isnan(s.upper_floor))
    sentences = (*_summary(off, fitting, unknown), *(s.sentence for s in off), *_alone(report))
    return Verdict(off, fitting, unknown, sentences)


def _summary(
    off: tuple[Statement, ...],
    fitting: tuple[Statement, ...],
    unknown: tuple[Statement, ...],
) -> Iterator[str]:
    judged = len(off) + len(fitting)
    if not judged:
        yield "Nothing can be said: there is too little to tell a difference from chance."
    elif not off:
        yield f"None of {judged} columns differs by more than chance makes."
    else:
        yield (
            f"{len(off)} of {judged} columns differ{'s' if len(off) == 1 else ''} by more than chance makes, "
            f"which puts {1 - LEVEL:.0%} of columns so far apart:"
        )
    if judged and unknown:
        yield f"Of {len(unknown)} more nothing can be said: {', '.join(sorted({s.column for s in unknown}))}."


def _alone(report: Mapping[str, Any]) -> Iterator[str]:
    """Classes that have no counterpart."""
    for key, where in (("only_real", "real"), ("only_synth", "synthetic")):
        if report.get(key):
            yield f"Only in the {where} dataset: {', '.join(report[key])}."


def _statements(report: Mapping[str, Any]) -> Iterator[Statement]:
    for class_name, entry in report["classes"].items():
        for main, part in ((False, entry), (True, entry["main"])):
            columns = part["columns"] if part else {}
            for name, column in columns.items():
                if name == "area" and "sqrt_area" in columns:
                    continue
                yield _statement(class_name, name, main, column)


def _statement(class_name: str, name: str, main: bool, column: Mapping[str, Any]) -> Statement:
    labels = "categories" in column
    shown = DISTANCES[:1] if labels else DISTANCES
    above = sum(column[key] > column[f"{key}_upper_floor"] for key in shown)
    off = above >= (1 if labels else 2)
    direction, spread = ("", "") if labels else _way(column)
    real, synth = (math.nan, math.nan) if labels else (column[f"{k}_quantiles"][_MIDDLE] for k in ("real", "synth"))
    plain = name.removeprefix("image_")
    # The largest gap between shares of names stands for the gap between cumulative shares, which need an order.
    gap = sum(abs(a - b) for a, b in zip(column["real"], column["synth"], strict=True)) / 2 if labels else column["ks"]
    return Statement(
        class_name=class_name,
        column=name,
        main=main,
        off=off,
        direction=direction,
        spread=spread,
        rank=0 if plain in MATTERING else 2 if plain in NOT_HELPING else 1,
        distance=column["bhattacharyya"],
        upper_floor=column["bhattacharyya_upper_floor"],
        gap=gap,
        larger_share=column["larger_share"],
        real_median=real,
        synth_median=synth,
        sentence=_sentence(class_name, name, main, column, (direction, spread), off),
    )


def _way(column: Mapping[str, Any]) -> tuple[str, str]:
    """Direction and spread of the synthetic values beside the real ones."""
    share = column["larger_share"]
    direction = "larger" if share > 0.5 + _SHIFTED else "smaller" if share < 0.5 - _SHIFTED else ""
    real, synth = (column[f"{key}_quantiles"][-1] - column[f"{key}_quantiles"][0] for key in ("real", "synth"))
    if synth > _WIDER * real:
        return direction, "wider"
    return direction, "narrower" if real > _WIDER * synth else ""


def _sentence(
    class_name: str, name: str, main: bool, column: Mapping[str, Any], way: tuple[str, str], off: bool
) -> str:
    plain = name.removeprefix("image_")
    title, larger, smaller = _WORDS.get(plain, (plain.replace("_", " "), "larger", "smaller"))
    who = f"main {class_name}" if main else class_name
    if name.startswith("image_"):
        title = f"{title} of whole images"
    head = f"{who}, {title}: "
    if not off:
        what = "no more than chance" if not math.isnan(column["bhattacharyya_upper_floor"]) else column["remark"]
        return head + what.rstrip(".") + "."
    return f"{head}{_difference(name, column, way, larger, smaller)} ({_evidence(name, column)})."


def _difference(name: str, column: Mapping[str, Any], way: tuple[str, str], larger: str, smaller: str) -> str:
    if "categories" in column:
        gaps = [b - a for a, b in zip(column["real"], column["synth"], strict=True)]
        most, least = (column["categories"][gaps.index(pick(gaps))] for pick in (max, min))
        return f"shares differ, most of all too many {most} and too few {least}"
    direction, spread = way
    if name in _FLAGS and direction:
        return f"synthetic ones are {larger if direction == 'larger' else smaller}"
    parts = []
    if direction:
        word, share = (larger, column["larger_share"]) if direction == "larger" else (smaller, _rest(column))
        parts.append(f"synthetic ones are {word} in {share:.0%} of pairs")
    if spread:
        few, many = ("vary more", "vary less")
        word = few if spread == "wider" else many
        parts.append(word if parts else f"synthetic ones {word}")
    if not parts:
        return "spread and middle agree, the shape of the distribution does not"
    return " and ".join(parts)


def _rest(column: Mapping[str, Any]) -> float:
    return 1.0 - float(column["larger_share"])


def _evidence(name: str, column: Mapping[str, Any]) -> str:
    """Medians, or shares of yes, distance and chance, in numbers."""
    # The method's own distance, or the first that tells the difference from chance where that one does not.
    shown = ("bhattacharyya",) if "categories" in column else DISTANCES
    key = next(k for k in shown if column[k] > column[f"{k}_upper_floor"])
    apart = f"{_NAMES[key]} {column[key]:.2g}" if math.isfinite(column[key]) else "no common bin"
    said = f"{apart}, chance reaches {column[f'{key}_upper_floor']:.2g}"
    if "categories" in column:
        return said
    if name in _FLAGS:
        real, synth = (column[key][-1] / sum(column[key]) for key in ("real", "synth"))
        return f"{synth:.0%} instead of {real:.0%}; {said}"
    real, synth = (column[f"{key}_quantiles"][_MIDDLE] for key in ("real", "synth"))
    return f"median {synth:.3g} instead of {real:.3g}; {said}"
