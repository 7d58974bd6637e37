# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets as sums over their images, so that distances of many resamples of whole images are products of matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import numpy as np

from ..distance import Distance
from ..feature_distance import cubic_kernel
from ..image_order import image_numbers
from .components import Bins, Samples

if TYPE_CHECKING:
    from scipy.sparse import csr_array

AT_A_TIME = 64
"""Resamples that are made together."""


@attrs.frozen(eq=False)
class ImageSums:
    """A dataset as sums over its images.

    Attributes
    ----------
    sums : dict of str to (images, bins) float
        Counts per bin of each metadata component, of each feature component the number of its vectors (images, 1).
    features : dict of str to (n, d) float
        Vectors of the feature components, image by image.
    n_values : dict of str to int
    measures : mapping of str to Distance
        Of the metadata components.
    """

    sums: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    n_values: dict[str, int]
    measures: Mapping[str, Distance]
    _kernels: dict[tuple[str, ImageSums], tuple[np.ndarray, np.ndarray]] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, samples: Samples, bins: Mapping[str, Bins], measures: Mapping[str, Distance]) -> ImageSums:
        """The sums of the samples of a dataset, by component."""
        images = np.unique(np.concatenate([sample.images for sample in samples.values()]))
        sums, told = {}, {}
        rows = {name: np.searchsorted(images, sample.images) for name, sample in samples.items()}
        for name, sample in samples.items():
            row, width = rows[name], bins[name].bins if name in bins else 1
            at = row * width + (bins[name].index(sample.values) if name in bins else 0)
            sums[name] = np.bincount(at, minlength=len(images) * width).reshape(len(images), width).astype(float)
            told[name] = sums[name]
            if name not in bins:
                total = np.bincount(row, sample.values.sum(1), minlength=len(images))
                told[name] = np.stack([total, sums[name][:, 0]], 1)
        # Whatever order images are in, the same ones are drawn.
        order = np.argsort(image_numbers(np.concatenate([told[name] for name in sorted(told)], axis=1)))
        place = np.argsort(order)
        features = {
            name: sample.values[np.argsort(place[rows[name]], kind="stable")]
            for name, sample in samples.items()
            if name not in bins
        }
        n_values = {name: len(sample.values) for name, sample in samples.items()}
        return cls({name: of_images[order] for name, of_images in sums.items()}, features, n_values, measures)

    @property
    def n_images(self) -> int:
        """Images with a value of any component."""
        return len(next(iter(self.sums.values())))

    @property
    def once(self) -> np.ndarray:
        """Weights (1, images) of the dataset itself: each image once."""
        return np.ones((1, self.n_images))

    def resampled(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Weights (count, images): how often each image is in resamples of whole images."""
        return rng.multinomial(self.n_images, np.full(self.n_images, 1.0 / self.n_images), count).astype(float)

    def distances(self, other: ImageSums, own: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
        """Distances (r,) of all components between resamples of two datasets.

        Parameters
        ----------
        other : ImageSums
        own, others : (r, images) float
            Weights of the images of either dataset.

        Returns
        -------
        dict of str to (r,) float
            NaN where a resample has no value.
        """
        out = {}
        for name, sums in self.sums.items():
            p, q = own @ sums, others @ other.sums[name]
            if name in self.features:
                out[name] = self._kernel_distances(name, other, own, others, p[:, 0], q[:, 0])
            else:
                is_empty = (p.sum(1) == 0) | (q.sum(1) == 0)
                between = self.measures[name].between_counts
                out[name] = np.array([np.nan if e else between(*pair) for e, *pair in zip(is_empty, p, q, strict=True)])
        return out

    def split_half_distances(self, rng: np.random.Generator, n_splits: int) -> dict[str, np.ndarray]:
        """Distances (n_splits,) between random halves of the images; those without a value are left out, and the others
        repeated. Zeros where all are."""
        drawn: dict[str, list[np.ndarray]] = {name: [] for name in self.sums}
        for done in range(0, n_splits, AT_A_TIME):
            inside = np.zeros((min(AT_A_TIME, n_splits - done), self.n_images))
            for row in inside:
                row[rng.permutation(self.n_images)[: self.n_images // 2]] = 1.0
            for name, values in self.distances(self, inside, 1.0 - inside).items():
                drawn[name].append(values[np.isfinite(values)])
        together = {name: np.concatenate(values) for name, values in drawn.items()}
        return {name: np.resize(v, n_splits) if len(v) else np.zeros(n_splits) for name, v in together.items()}

    def _kernel_distances(
        self, name: str, other: ImageSums, own: np.ndarray, others: np.ndarray, n: np.ndarray, m: np.ndarray
    ) -> np.ndarray:
        """KID (r,) of resamples with n and m vectors: the squared maximum mean discrepancy of a cubic kernel."""
        (within, alone), (of_other, other_alone) = self._kernel(name, self), other._kernel(name, other)
        between, _ = self._kernel(name, other)
        own, others = own[:, self._has_vectors(name)], others[:, other._has_vectors(name)]
        with np.errstate(divide="ignore", invalid="ignore"):
            real = (((own @ within) * own).sum(1) - own @ alone) / (n * (n - 1))
            synth = (((others @ of_other) * others).sum(1) - others @ other_alone) / (m * (m - 1))
            distance = real + synth - 2 * ((own @ between) * others).sum(1) / (n * m)
        return np.where((n > 1) & (m > 1), distance, np.nan)

    def _has_vectors(self, name: str) -> np.ndarray:
        """Whether each image (images,) has vectors of a feature component: of a large set, few may."""
        return np.asarray(self.sums[name][:, 0] > 0)

    def _kernel(self, name: str, other: ImageSums) -> tuple[np.ndarray, np.ndarray]:
        """Sums of :func:`.cubic_kernel` between vectors of two images, and those of vectors with themselves; for the
        images with vectors, and those of the other."""
        if (name, other) not in self._kernels:
            values = cubic_kernel(self.features[name], other.features[name])
            with_itself = (np.square(self.features[name]).mean(1) + 1.0) ** 3
            own, others = (_image_of_vectors(of.sums[name][of._has_vectors(name), 0]) for of in (self, other))
            self._kernels[name, other] = (others @ (own @ values).T).T, own @ with_itself
        return self._kernels[name, other]


def _image_of_vectors(counts: np.ndarray) -> csr_array:
    """Which image each vector is of: a matrix (images, n) of ones, for vectors that are sorted by image."""
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    return csr_array((np.ones(ends[-1]), np.arange(ends[-1]), ends), shape=(len(counts), ends[-1]))
