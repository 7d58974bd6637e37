# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens scenes for commands and the Python API, with few threads beside the renders."""

from __future__ import annotations

from ...engine.errors import StageError
from ...engine.recipe.settings import Recipe
from ...engine.stage import Stage
from .cores import few_cores, one_blas_thread


def open_blender_stage(recipe: Recipe, *, threads: int = 0) -> Stage:
    """Open the stage in Blender, which is imported only here: what fails earlier need not wait for it.

    Raises
    ------
    StageError
        If this Python has no Blender, or the scene cannot be opened.
    """
    one_blas_thread()
    with few_cores(threads):
        try:
            from ...blender.stage import open_stage
        except ModuleNotFoundError as error:
            if error.name != "bpy":
                raise
            raise StageError(
                "Blender is missing: this Python has no module 'bpy'. Install it with `pip install bpy` on a supported "
                "Python, or run inside Blender; see `twinset doctor`."
            ) from None
        return open_stage(recipe, threads=threads)
