# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe tables [[class]] and [[distractor]]: the sources of assets, their sizes and variants."""

from __future__ import annotations

import attrs

from ...plugin.params import Range, param

BLENDERPROC_OBJECTS = ("bop", "shapenet", "pix3d")
"""Loaders of BlenderProc whose objects can be assets."""


@attrs.frozen
class ClassSettings:
    """One class and the sources of its assets; several sources are combined."""

    name: str = param(means="class", doc="Category name, as in the real annotations")
    models: list[str] = param([], path=True, doc="Model files or glob patterns; each file is one asset")
    collection: str = param(
        "",
        means="collection",
        doc="Collection of the scene; each of its top-level objects or collection instances is one asset",
    )
    objects: list[str] = param(
        [], means="object", doc="Name patterns of objects of the scene; each object with its children is one asset"
    )
    builtin: str = param(
        "",
        doc="Built-in shapes: chair, armchair or 'any chair' (both), table, 'glass table' or 'any table' (both), bag "
        "(all kinds), handbag, backpack or suitcase; as distractors also clutter (all that follow), book, cup, bottle, "
        "bowl, vase, can, box or 'potted plant'; workpiece (parts of machines) and bin",
    )
    blenderproc: str = param(
        "",
        choices=("", *BLENDERPROC_OBJECTS),
        doc="BlenderProc's loader for a dataset whose objects are assets; needs twinset[blenderproc]",
    )
    dataset: str = param("", path=True, means="folder", doc="Folder of that dataset")
    select: list[str] = param(
        [],
        doc="Name patterns of objects of the dataset or of their categories; default is all, if they are not too many",
    )
    exclude: list[str] = param(
        [],
        doc="Name patterns of assets to exclude, by their names in the column shape; the others keep their names",
    )
    weights: dict[str, float] = param(
        {},
        min=0.0,
        min_exclusive=True,
        doc="How often assets are placed: name patterns, each with a factor; the last match counts, the default is 1",
    )
    height: Range | None = param(
        None, min=0.0, min_exclusive=True, unit="m", doc="Real height; assets are scaled to it"
    )
    longest_side: Range | None = param(
        None,
        min=0.0,
        min_exclusive=True,
        unit="m",
        doc="Real length of the longest side; use it instead of height",
        formerly="longest",
    )
    up_axis: str = param(
        "z",
        choices=("x", "-x", "y", "-y", "z", "-z"),
        doc="Which axis of the models points up, as imported",
        formerly="up",
    )
    shape_variants: int = param(
        0,
        min=0,
        max=100,
        doc="Variants of each asset with other proportions, which are placed in its place; they have the same "
        "proportions in every job",
    )
    thickness: Range = param(
        (0.5, 1.0),
        min=0.1,
        max=3.0,
        doc="Factors for legs, slats, seats and other thin parts of variants, across and upwards; the whole keeps its "
        "size",
    )
    stretch: Range = param(
        (0.9, 1.1), min=0.2, max=5.0, doc="Factors for width, depth and height of variants, before they are scaled"
    )
    poses: int = param(
        0,
        min=0,
        max=1_000,
        doc="Poses of each asset, which are placed in its place: random frames of its animations, and joints within "
        "their ranges; they are the same in every job",
    )
    pose_actions: list[str] = param(
        [],
        doc="Name patterns of animations (actions), of which each pose has a random one; default is what animates the "
        "asset in its file",
    )
    pose_frames: Range | None = param(
        None, doc="First and last frame that poses are taken from; default is the whole animation"
    )
    joints: list[str] = param(
        [],
        doc="What moves in poses, as 'PART.CHANNEL: LOWEST, HIGHEST': PART is a name pattern of objects or bones, and "
        "CHANNEL is rotation_x, rotation_y, rotation_z (degrees), location_x, location_y, location_z (metres), or the "
        "name of a shape key or custom property",
    )
    keypoints: list[str] = param(
        [],
        doc="Named points of its assets, in order: empties, bones or vertex groups; 'NAME: tail' is the end of a bone, "
        "'NAME: x, y, z' a place in metres above the middle of the asset's bottom",
    )
    skeleton: list[str] = param([], doc="Edges between keypoints, as 'NAME - NAME'")


@attrs.frozen
class DistractorSettings(ClassSettings):
    """Assets that are placed and rendered but never annotated."""

    name: str = param("", doc="What they are, such as 'cup': the class that real photos have of them")


def joint_range(text: str) -> tuple[str, Range]:
    """``PART.CHANNEL`` and range of an entry of ``joints``. Raises ValueError with a sentence for what is none."""
    name, _, values = text.rpartition(":")
    try:
        low, high = (float(value) for value in values.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if "." not in name.strip(".") or not low <= high < float("inf"):
        raise ValueError(
            f"the joint '{text}' must be 'PART.CHANNEL: LOWEST, HIGHEST', such as 'Door.rotation_z: 0, 90'."
        )
    return name.strip(), (low, high)
