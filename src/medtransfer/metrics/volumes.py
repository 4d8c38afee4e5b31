"""From numbers of slices to numbers of the volumes they were cut from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Volumes:
    """Which slices belong to which of V volumes."""

    order: npt.NDArray[np.int64]
    """(N,) slice numbers, volume by volume."""
    starts: npt.NDArray[np.int64]
    """(V,) where each volume begins in that order."""
    sizes: npt.NDArray[np.int64]
    """(V,) slices per volume."""

    @classmethod
    def of(cls, volume_ids: tuple[str, ...], metric: str) -> Volumes:
        """Return the volumes of N slices.

        Raises:
            UsageError: If there are no volume ids.
        """
        if not volume_ids:
            raise UsageError(
                f"{metric}: expected cases that know their volume, got images without one. "
                "Choose a metric of single images."
            )
        _, volume_of, sizes = np.unique(np.array(volume_ids), return_inverse=True, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return cls(np.argsort(volume_of, kind="stable").astype(np.int64), starts.astype(np.int64), sizes)

    def highest(self, values: FloatArray) -> FloatArray:
        """Return the highest value of each volume's slices, (N, K) -> (V, K)."""
        return np.asarray(np.maximum.reduceat(values[self.order], self.starts, axis=0))

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sum over each volume's slices, (N, ...) -> (V, ...)."""
        return np.asarray(np.add.reduceat(values[self.order], self.starts, axis=0))

    def mean_weights(self, weights: FloatArray) -> FloatArray:
        """Return the mean weight of each volume's slices, (B, N) -> (B, V).

        Patients are drawn whole, so the slices of a volume have one weight.
        """
        return np.asarray(np.add.reduceat(weights[:, self.order], self.starts, axis=1) / self.sizes)
