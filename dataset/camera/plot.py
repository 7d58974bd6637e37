# SPDX-License-Identifier: GPL-3.0-or-later
"""A plot of what was estimated of a camera, with other sets of pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.camera.estimates import values_of
from ...alignment.camera.fit_file import CameraFit
from ...engine.scene.srgb import decode_srgb, encode_slope
from ..atomic_files import write_atomic

COLORS = ("#2b2f36", "#d1495b", "#2e7d9a", "#e08e45", "#6a994e")
_HISTOGRAMS = {
    "blur_sigma": "Blur in px",
    "sharpen_amount": "Amount of sharpening",
    "vignette": "Light that corners lack",
    "jpeg_quality": "JPEG quality",
    "lab_a_mean": "Mean a* (green to red)",
    "lab_b_mean": "Mean b* (blue to yellow)",
    "lab_l_std": "Spread of L*",
}


def plot_camera(fit: CameraFit, path: Path, *, others: Mapping[str, CameraFit] | None = None) -> Path:
    """Write one PNG: noise against intensity, tone curves, and histograms over photos.

    Parameters
    ----------
    fit : CameraFit
        Of the photos.
    path : Path
        The file to write.
    others : mapping of str to CameraFit, optional
        Other sets by name, such as renders before and after.
    """
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 3)
    sets = {f"photos ({len(fit.photos)})": fit, **(others or {})}
    for (name, of), color in zip(sets.items(), COLORS, strict=False):
        _draw_noise(axes[0, 0], of, name, color)
        _draw_tones(axes[0, 1], of, name, color)
    for axis, (statistic, label) in zip(axes.flat[2:], _HISTOGRAMS.items(), strict=True):
        _draw_histogram(axis, sets, statistic, label)
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(sets), frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    write_atomic(path, file.getvalue())
    return path


def _draw_noise(axis: Any, fit: CameraFit, name: str, color: str) -> None:
    """Noise of a channel in grey levels against its level: each photo and their median."""
    level = np.linspace(0.04, 0.98, 60)
    light = decode_srgb(level)
    known = [photo.noise for photo in fit.photos if photo.noise is not None]
    if known:
        curves = np.array([255 * encode_slope(light) * np.sqrt(n.shot * light + n.read**2) for n in known])
        axis.plot(level, curves.T, color=color, alpha=0.12, lw=0.8)
        axis.plot(level, np.median(curves, axis=0), color=color, lw=2)
        axis.set_ylim(0, None)
    axis.set(xlabel="level, 0 to 1", ylabel="standard deviation of 255", title="Noise of a channel")


def _draw_tones(axis: Any, fit: CameraFit, name: str, color: str) -> None:
    curves = np.array([photo.luma_quantiles for photo in fit.photos])
    at = np.linspace(0, 1, curves.shape[1])
    axis.plot(at, curves.T, color=color, alpha=0.08, lw=0.8)
    axis.plot(at, np.median(curves, axis=0), color=color, lw=2, label=name.replace("$", r"\$"))
    axis.set(xlabel="share of pixels", ylabel="luma", title="Tones")


def _draw_histogram(axis: Any, sets: Mapping[str, CameraFit], statistic: str, label: str) -> None:
    values = {name: values_of(of.photos, statistic) for name, of in sets.items()}
    known = np.concatenate([v for v in values.values() if len(v)] or [np.zeros(1)])
    low, high = float(known.min()), float(known.max())
    margin = max(0.05 * (high - low), 0.02 * abs(high), 1e-3)
    bins = np.linspace(low - margin, high + margin, 21)
    for (_, v), color in zip(values.items(), COLORS, strict=False):
        if len(v):
            axis.hist(v, bins, weights=np.full(len(v), 1 / len(v)), color=color, histtype="step", lw=1.5)
            axis.axvline(float(np.median(v)), color=color, lw=1, ls=":")
    axis.set(xlabel=label, ylabel="share")
