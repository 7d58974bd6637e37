# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python API, available as ``import twinset as ts``: every public name and the module that holds it.

Names listed here stay as they are within a minor version: a name or parameter is removed only after one minor version
in which it still works and warns. Names outside of this list, and of :mod:`twinset.engine.plugin` and
:mod:`twinset.testing`, may change at any time.
"""

PUBLIC = {
    "Alignment": "aligning",
    "Camera": "cameras",
    "Comparison": "results",
    "Dataset": "datasets",
    "Evaluation": "results",
    "Fit": "results",
    "Frame": "rendering",
    "Inference": "results",
    "Measurements": "results",
    "Recipe": "recipes",
    "Report": "results",
    "Table": "tables",
    "TwinsetError": "errors",
    "align": "aligning",
    "compare": "analysis",
    "evaluate": "analysis",
    "fit": "analysis",
    "fit_camera": "cameras",
    "infer": "analysis",
    "iter_frames": "rendering",
    "load_dataset": "datasets",
    "load_recipe": "recipes",
    "measure": "analysis",
    "render": "rendering",
    "report": "analysis",
}
"""Public names, each with the module of this folder that defines it."""
