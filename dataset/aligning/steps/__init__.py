# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of an alignment, one per file, in the order in which they run."""

from __future__ import annotations

from ..workspace.step import Step
from .areas import Areas
from .backgrounds import Backgrounds
from .baseline import Baseline
from .camera import Camera
from .features import Features
from .filtering import Filter
from .final_dataset import FinalDataset
from .inference import Infer
from .photos import Photos
from .report import Report
from .shapes import Shapes

STEPS: tuple[Step, ...] = (
    Photos(),
    Baseline(),
    Areas(),
    Camera(),
    Backgrounds(),
    Infer(),
    Features(),
    Shapes(),
    FinalDataset(),
    Filter(),
    Report(),
)

PHOTOS = Photos.name
"""The step that all others need; skipping it only leaves out the division of the photos."""
