# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments and options that several commands have: one spelling and one description for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...engine.errors import DataError

DATASET_FORMATS = "a COCO file, or the folder of a rendered, YOLO, VOC, KITTI or other dataset"

RecipeArgument = Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe (TOML).", show_default=False)]
JobArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Output folder of `twinset render`.", show_default=False)
]
DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help=f"Dataset: {DATASET_FORMATS}.", show_default=False)
]
RealArgument = Annotated[
    Path, typer.Argument(metavar="REAL", help=f"Real dataset: {DATASET_FORMATS}.", show_default=False)
]
SynthArgument = Annotated[
    Path, typer.Argument(metavar="SYNTH", help=f"Synthetic dataset: {DATASET_FORMATS}.", show_default=False)
]

RenderFolderOption = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="FOLDER", help="Output folder; created if missing.", show_default=False),
]
TableOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="FILE", dir_okay=False, help="Table to write (.parquet or .csv).", show_default=False
    ),
]
RecipeFileOption = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="FILE", dir_okay=False, help="Recipe to write (TOML).", show_default=False),
]
NewDatasetOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FOLDER",
        help="Folder of the new dataset; must not exist. By default no dataset is written.",
        show_default=False,
    ),
]
RequiredNewDatasetOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="FOLDER", help="Folder of the new dataset; must not exist.", show_default=False
    ),
]
PlotsOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FOLDER",
        file_okay=False,
        help="Write plots to this folder. By default none are drawn.",
        show_default=False,
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite an existing recipe.")]

FrameCountOption = Annotated[
    int | None,
    typer.Option("--images", metavar="N", min=1, max=10_000_000, help="Number of frames, overriding the recipe."),
]
RecipeSeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="Random seed, overriding the recipe.")
]
SamplesOption = Annotated[
    int | None,
    typer.Option("--samples", metavar="N", min=1, max=1_000_000, help="Samples per pixel, overriding the recipe."),
]

ClassOption = Annotated[
    str, typer.Option("--class", metavar="NAME", help="Compare only this class. Default: all classes.")
]
ClassesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME",
        help="Use only this class; repeatable. Default: all classes that the datasets have in common.",
        show_default=False,
    ),
]
RequiredClassOption = Annotated[str, typer.Option("--class", metavar="NAME", help="Class.", show_default=False)]

ImagesOption = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="FOLDER",
        help="Image folder. Default: found next to the annotations.",
        show_default=False,
    ),
]
RealImagesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Image folder of the real dataset. Default: found next to the annotations.",
        show_default=False,
    ),
]
SynthImagesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Image folder of the synthetic dataset. Default: found next to the annotations.",
        show_default=False,
    ),
]

ModelOption = Annotated[
    Path | None,
    typer.Option(metavar="ONNX", help="Vision model. Default: the packaged one.", show_default=False),
]
MethodOption = Annotated[str, typer.Option(metavar="METHOD", help="Density estimate of real features: knn or kde.")]
MarginOption = Annotated[
    float, typer.Option(metavar="X", min=0.0, max=10.0, help="Context around a box, as a share of its side.")
]
MinBoxSideOption = Annotated[
    float, typer.Option(metavar="PIXELS", min=1.0, help="Ignore boxes whose shorter side is below this.")
]
MaxBoxesOption = Annotated[
    int, typer.Option(metavar="N", min=20, help="Use at most N boxes per dataset and class for features.")
]
LearnedBoxesOption = Annotated[
    int,
    typer.Option(
        metavar="N", min=20, help="Learn from at most about N boxes of a class: those of random images of the dataset."
    ),
]
ThreadsOption = Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Threads for the vision model.")]
WorkersOption = Annotated[int, typer.Option(metavar="N", min=0, max=1024, help="Processes; 0 for one per processor.")]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Random seed of the resampling.")]


def check_choice(option: str, value: str, known: Sequence[str]) -> None:
    """Raise DataError if the value of an option is none of those that it may have."""
    if value not in known:
        raise DataError(f"{option} must be one of {', '.join(known)}, not '{value}'.")
