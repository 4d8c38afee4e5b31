"""From values with a physical meaning to grey levels: stated windows, and ranges measured on a volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError
from medtransfer.data.image_source import UInt8Array


@dataclass(frozen=True)
class Window:
    """A range of stored values, such as Hounsfield units, that is shown from black to white."""

    low: float
    """Value shown as black; everything below is black too."""
    high: float
    """Value shown as white; everything above is white too."""

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise UsageError(f"window: expected low < high, got {self.low!r} and {self.high!r}.")

    @classmethod
    def centred(cls, centre: float, width: float) -> Window:
        """Return the window of a centre ("level") and a width.

        Example:
            >>> Window.centred(40, 400)
            Window(low=-160.0, high=240.0)
        """
        return cls(float(centre) - width / 2, float(centre) + width / 2)


@dataclass(frozen=True)
class VolumeRange:
    """The range between two percentiles of all values of a volume: for MR, whose units mean nothing."""

    lower: float = 0.5
    """Percentile shown as black."""
    upper: float = 99.5
    """Percentile shown as white."""

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 100:
            raise UsageError(
                f"volume range: expected percentiles 0 <= lower < upper <= 100, got {self.lower!r} and "
                f"{self.upper!r}."
            )

    def of(self, values: npt.NDArray[Any]) -> tuple[float, float]:
        """Return the values at the two percentiles; one value twice for a constant volume."""
        low, high = np.percentile(values, (self.lower, self.upper))
        return float(low), float(high)


Intensity = Window | VolumeRange | None
"""How values become grey levels; None takes what the file says, else the range of the image (DICOM) or
the default :class:`VolumeRange` (NIfTI)."""

WINDOWS: Final[Mapping[str, Window]] = MappingProxyType(
    {
        "lung": Window.centred(-600, 1500),
        "bone": Window.centred(400, 1800),
        "soft-tissue": Window.centred(40, 400),
        "pulmonary-embolism": Window.centred(100, 700),
        "liver": Window(-100, 400),
        "brain": Window.centred(40, 80),
    }
)
"""CT windows in Hounsfield units by name."""


def to_grey_levels(values: npt.NDArray[Any], low: float, high: float) -> UInt8Array:
    """Return values scaled linearly from [low, high] to [0, 255], rounded and clipped; all 0 when low = high.

    Args:
        values: Finite numbers of any shape.
        low: Value that becomes 0.
        high: Value that becomes 255.

    Example:
        >>> to_grey_levels(np.array([-2000, -160, 40, 240, 3000]), -160, 240).tolist()
        [0, 0, 128, 255, 255]
    """
    if low == high:
        return np.zeros(values.shape, dtype=np.uint8)
    wide = np.float64 if values.dtype.itemsize > 2 else np.float32
    levels = np.subtract(values, wide(low), dtype=wide)
    np.multiply(levels, wide(255.0), out=levels)  # before the division, so that a half is a half
    np.divide(levels, wide(high - low), out=levels)
    np.add(levels, wide(0.5), out=levels)
    return np.asarray(np.clip(levels, 0, 255, out=levels), dtype=np.uint8)
