# SPDX-License-Identifier: GPL-3.0-or-later
"""The vision models that users name, opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...alignment.features.extractor import Extractor

PACKAGED, BOX = "packaged", "box"
DEFAULT_MODELS = (PACKAGED, f"{PACKAGED}+{BOX}")


def open_models(names: Sequence[str], threads: int = 1, workers: int = 1) -> dict[str, list[Extractor | None]]:
    """The extractors of each choice, by its name in tables; each file is opened once.

    Parameters
    ----------
    names : sequence of str
        ONNX files, ``packaged``, ``box`` (a box's own size and position, for which None stands), or several joined by
        ``+``.
    threads, workers : int
        See :class:`...alignment.features.extractor.Extractor`.
    """
    opened: dict[str, Extractor | None] = {BOX: None}
    models: dict[str, list[Extractor | None]] = {}
    for text in names:
        parts = [text] if Path(text).is_file() else text.split("+")
        for part in parts:
            if part not in opened:
                opened[part] = Extractor(None if part == PACKAGED else part, threads=threads, workers=workers)
        name = "+".join(Path(part).stem for part in parts)
        models[text if name in models else name] = [opened[part] for part in parts]
    return models
