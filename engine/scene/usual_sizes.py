# SPDX-License-Identifier: GPL-3.0-or-later
"""Usual sizes of objects, by the words in their names, and the scale of a scene that follows from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import attrs
import numpy as np

HEIGHT: dict[str, tuple[float, float]] = {
    "backpack": (0.4, 0.55),
    "bag": (0.25, 0.5),
    "bed": (0.5, 1.1),
    "bench": (0.45, 0.9),
    "bottle": (0.18, 0.33),
    "chair": (0.75, 1.05),
    "couch": (0.7, 0.95),
    "cup": (0.08, 0.13),
    "dining table": (0.7, 0.78),
    "handbag": (0.2, 0.4),
    "person": (1.5, 1.9),
    "potted plant": (0.25, 1.0),
    "refrigerator": (1.4, 1.9),
    "stool": (0.45, 0.75),
    "suitcase": (0.5, 0.78),
    "table": (0.7, 0.78),
    "toilet": (0.7, 0.85),
    "vase": (0.15, 0.45),
    "wine glass": (0.15, 0.24),
}
"""Usual heights in metres, by class."""

LONGEST_SIDE: dict[str, tuple[float, float]] = {
    "book": (0.17, 0.3),
    "bowl": (0.12, 0.28),
    "cell phone": (0.13, 0.17),
    "clock": (0.15, 0.4),
    "keyboard": (0.28, 0.46),
    "laptop": (0.3, 0.4),
    "mouse": (0.09, 0.13),
    "remote": (0.14, 0.22),
    "scissors": (0.13, 0.22),
    "tv": (0.6, 1.4),
}
"""Usual lengths of the longest side in metres, for classes of no typical height."""

FURNITURE: dict[str, tuple[float, float]] = {
    "bookcase": (1.5, 2.2),
    "desk": (0.7, 0.78),
    "door": (1.95, 2.15),
    "nightstand": (0.45, 0.65),
    "wardrobe": (1.7, 2.3),
}
"""Usual heights in metres of furniture that is not a COCO class but indicates a room's scale."""

MAX_SCALE_ERROR = 1.8
"""Factor between a scene's objects and usual sizes up to which the scene is left as it is."""

MIN_SLENDERNESS, MAX_SLENDERNESS = 0.12, 10.0
"""Heights of whole pieces of furniture, relative to their wider side. A slat or a leg of a desk is none."""

ROOM_HEIGHT, MAX_ROOM_HEIGHT = 2.7, 4.9
"""Usual height of a room in metres, and the height above which a room must be in other units."""

INDOORS = {*HEIGHT, *FURNITURE, *LONGEST_SIDE} - {"backpack", "bag", "bench", "bottle", "cup", "handbag", "person"}
INDOORS -= {"cell phone", "suitcase", "potted plant", "clock"}
"""Classes that show that the real images are of rooms."""

MAX_LONE_ERROR = 2.2
"""The same where a single object is the only one of a known kind: a bed with a high headboard proves little."""

Boxes = Mapping[str, tuple[np.ndarray, np.ndarray]]

SYNONYMS = {"couch": ("sofa",), "tv": ("television",), "potted plant": ("plant",), "dining table": ("table",)}


@attrs.frozen
class ScaleEstimate:
    """The factor that scales a scene to real size, the reason in words, and the objects that support it."""

    scale: float
    description: str
    witnesses: tuple[str, ...] = ()

    @property
    def support(self) -> str:
        """How many objects agree, in words."""
        if not self.witnesses:
            return "no object of a known kind confirms it"
        shown = ", ".join(self.witnesses[:4]) + (", ..." if len(self.witnesses) > 4 else "")
        return f"{len(self.witnesses)} objects agree: {shown}" if self.witnesses[1:] else f"only {shown} says so"


def name_words(name: str) -> list[str]:
    """Lower-case singular words of a name: ``OfficeChair_02.001`` gives office, chair."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+", name)
    return [_singular(part.lower()) for part in parts]


def name_similarity(class_name: str, name: str) -> float:
    """Similarity of a name to a class, from 0 to 1; below 0.6 the name does not match."""
    own = name_words(name)
    if not own:
        return 0.0
    best = 0.0
    for wanted in ([*name_words(class_name)], *(name_words(s) for s in SYNONYMS.get(class_name, ()))):
        if own == wanted:
            best = 1.0
        elif own[-len(wanted) :] == wanted:
            best = max(best, 0.95)  # an office chair is a chair
        elif all(word in own for word in wanted):
            best = max(best, 0.7)  # a chair cushion probably is not
        elif "".join(wanted) == "".join(own):
            best = 1.0
        elif any(word.endswith("".join(wanted)) and len("".join(wanted)) > 3 for word in own):
            best = max(best, 0.65)
    return best


def usual_size(class_name: str) -> tuple[str, tuple[float, float]] | None:
    """The usual size of a class as a key of its settings, ``height`` or ``longest_side``, and a range in metres.

    An office chair has the size of a chair. None for classes of no known size.
    """
    tables = {"height": HEIGHT | FURNITURE, "longest_side": LONGEST_SIDE}
    known = [(name_similarity(kind, class_name), len(kind), kind, key) for key in tables for kind in tables[key]]
    score, _, kind, key = max(known)
    return (key, tables[key][kind]) if score >= 0.95 else None


def detached_parts(name: str, boxes: Boxes, others: Collection[str] = ()) -> list[str]:
    """Top-level objects that touch another and extend its name: ``BedCover`` is a part of ``Bed``.

    Parameters
    ----------
    name : str
    boxes : mapping
        Top-level object to (low (3,), high (3,)) in metres.
    others : collection of str
        Names of classes besides the kinds known here; a ``BedPillow`` is a pillow if there is such a class.
    """
    if name not in boxes:
        return []
    own, (low, high) = name_words(name), boxes[name]
    kinds = {name_words(kind)[-1] for kind in (*HEIGHT, *LONGEST_SIDE, *FURNITURE, *others)} - {own[-1] if own else ""}
    reach = 0.25 * float(np.linalg.norm(high - low))
    out = []
    for other, (its_low, its_high) in boxes.items():
        parts = name_words(other)
        is_longer = len(parts) > len(own) > 0 and parts[: len(own)] == own
        gap = np.maximum(np.maximum(its_low - high, low - its_high), 0.0).max()
        if is_longer and parts[-1] not in kinds and gap <= reach:
            out.append(other)
    return sorted(out)


def estimate_scale(boxes: Boxes) -> ScaleEstimate | None:
    """The factor that scales objects of known kinds to their usual size; None if they have it.

    It is the reciprocal of the median of their relative sizes, by kind and then over all kinds, to two digits.

    Parameters
    ----------
    boxes : mapping
        Top-level object to (low (3,), high (3,)) in metres.
    """
    usual = {
        **{k: ("high", v) for k, v in {**HEIGHT, **FURNITURE}.items()},
        **{k: ("long", v) for k, v in LONGEST_SIDE.items()},
    }
    sizes: dict[str, dict[str, float]] = {}
    for name in boxes:
        score, kind = max((name_similarity(kind, name), kind) for kind in usual)
        if score < 0.95:
            continue
        group = [boxes[part] for part in (name, *detached_parts(name, boxes))]
        size = np.max([high for _, high in group], axis=0) - np.min([low for low, _ in group], axis=0)
        if usual[kind][0] == "high" and not _is_whole(size):
            continue
        sizes.setdefault(kind, {})[name] = float(size[2] if usual[kind][0] == "high" else size.max())
    middle = {kind: float(np.median(list(found.values()))) for kind, found in sizes.items()}
    ratios = {kind: size / float(np.mean(usual[kind][1])) for kind, size in middle.items() if size > 0}
    if not ratios:
        return None
    ratio = float(np.exp(np.median(np.log(list(ratios.values())))))
    if 1 / MAX_SCALE_ERROR <= ratio <= MAX_SCALE_ERROR:
        return None
    agreeing = [kind for kind, own in ratios.items() if _agree(own, ratio)]
    if 2 * len(agreeing) <= len(ratios):
        return None  # the kinds contradict each other
    kind = min(ratios, key=lambda k: (round(abs(np.log(ratios[k] / ratio)), 6), k))
    how, (low, high) = usual[kind]
    description = f"{_plural(kind)} here are {middle[kind]:.3g} m {how}, usually {low:g} to {high:g} m"
    witnesses = [
        name
        for one in sorted(agreeing, key=lambda k: (k != kind, k))
        for name, size in sizes[one].items()
        if size > 0 and _agree(size / float(np.mean(usual[one][1])), ratio)
    ]
    if len(witnesses) == 1 and 1 / MAX_LONE_ERROR <= ratio <= MAX_LONE_ERROR:
        return None
    return ScaleEstimate(float(f"{1 / ratio:.2g}"), description, tuple(witnesses))


def _is_whole(size: np.ndarray) -> bool:
    """Whether an object of this size (3,) may be a whole piece of furniture: no slat, panel or leg of one."""
    width = float(size[:2].max())
    return width > 0 and MIN_SLENDERNESS <= size[2] / width <= MAX_SLENDERNESS


def _agree(ratio: float, other: float) -> bool:
    return 1 / MAX_SCALE_ERROR <= ratio / other <= MAX_SCALE_ERROR


def room_scale(height: float, known: Collection[str]) -> ScaleEstimate | None:
    """The factor for a room whose objects have no known names; None if it may have its real size.

    Parameters
    ----------
    height : float
        Of the room in metres.
    known : collection of str
        Classes of the real images; without furniture among them, the scene need not be a room.
    """
    if not INDOORS.intersection(known) or not height > MAX_ROOM_HEIGHT:
        return None
    return ScaleEstimate(
        float(f"{ROOM_HEIGHT / height:.2g}"), f"the room here is {height:.3g} m high, usually 2.3 to 3.2 m"
    )


def _plural(word: str) -> str:
    return f"{word}{'es' if word.endswith(('s', 'ch')) else 's'}"


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word
