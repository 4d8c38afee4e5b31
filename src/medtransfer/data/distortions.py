"""Curved distortions of a view: fields of displacements that join the affine map, so pixels are sampled once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import UsageError

Field = npt.NDArray[np.float32]
"""(size, size, 2): for every pixel of the view, the column and row of the undistorted view it shows."""

REFERENCE_SIZE = 224
"""Pixels the lengths of the settings are in; they grow with the side of the view."""


@dataclass(frozen=True)
class Distortion:
    """Which distortion a case gets: one of three kinds with equal chance, or none."""

    probability: float = 0.3
    """Chance of any distortion."""
    elastic_alpha: float = 120.0
    """Elastic: factor of the smoothed noise at a side of 224; displacements keep in proportion to the side."""
    elastic_sigma: float = 6.0
    """Elastic: standard deviation of the smoothing, in pixels of a side of 224."""
    elastic_affine: float = 3.6
    """Elastic: largest shift of three corners, in pixels of a side of 224."""
    grid_steps: int = 5
    """Grid: cells along each side."""
    grid_limit: float = 0.3
    """Grid: largest relative change of a cell's width or height."""
    optical_limit: float = 2.0
    """Optical: largest lens coefficient either way."""
    optical_shift: float = 0.5
    """Optical: largest shift of the lens's centre, in pixels."""

    def __post_init__(self) -> None:
        valid = (
            0 <= self.probability <= 1
            and min(self.elastic_alpha, self.elastic_affine, self.optical_limit, self.optical_shift) >= 0
            and self.elastic_sigma > 0
            and self.grid_steps >= 1
            and 0 <= self.grid_limit < 1
        )
        if not valid:
            raise UsageError(
                "augmentation distortion: expected a probability in [0, 1], limits of at least 0 and a grid limit "
                f"below 1, got {self}. Change the values outside."
            )


KINDS = ("elastic", "grid", "optical")


@dataclass(frozen=True)
class ElasticBend:
    """Noise to be smoothed, and a small affine change.

    Reference:
        Simard et al., "Best Practices for Convolutional Neural Networks Applied to Visual Document
        Analysis", ICDAR 2003.
    """

    noise: Field
    """(size, size, 2), uniform in [-1, 1)."""
    matrix: npt.NDArray[np.float32]
    """(2, 3), the affine change of places."""
    sigma: float
    """Standard deviation of the smoothing in pixels."""
    factor: float
    """What the smoothed noise is multiplied by."""

    @classmethod
    def draw(cls, distortion: Distortion, random: np.random.Generator, size: int) -> ElasticBend:
        """Return a drawn one for views of ``size`` pixels."""
        scale = size / REFERENCE_SIZE
        noise = random.uniform(-1, 1, (size, size, 2)).astype(np.float32)
        third = size / 3
        corners = np.array([[third, third], [2 * third, third], [third, 2 * third]], dtype=np.float32)
        reach = distortion.elastic_affine * scale
        moved = corners + random.uniform(-reach, reach, (3, 2)).astype(np.float32)
        matrix = np.asarray(cv2.getAffineTransform(corners, moved), dtype=np.float32)
        # Smoothing over twice the pixels halves the noise, so this factor keeps displacements in proportion.
        return cls(noise, matrix, distortion.elastic_sigma * scale, distortion.elastic_alpha * scale**2)

    def field(self) -> Field:
        """Return the places."""
        smooth = cv2.GaussianBlur(self.noise, (0, 0), self.sigma, borderType=cv2.BORDER_REFLECT_101)
        straight = _places(len(self.noise)) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.asarray(straight + self.factor * smooth, dtype=np.float32)


@dataclass(frozen=True)
class GridBend:
    """Columns and rows of a grid, stretched and shrunk."""

    columns: npt.NDArray[np.float64]
    """(size,) place of every column."""
    rows: npt.NDArray[np.float64]
    """(size,) place of every row."""

    @classmethod
    def draw(cls, distortion: Distortion, random: np.random.Generator, size: int) -> GridBend:
        """Return a drawn one for views of ``size`` pixels."""
        columns, rows = (_stretched(distortion, random, size) for _ in range(2))
        return cls(columns, rows)

    def field(self) -> Field:
        """Return the places."""
        columns, rows = np.meshgrid(self.columns, self.rows)
        return np.stack([columns, rows], axis=2).astype(np.float32)


@dataclass(frozen=True)
class OpticalBend:
    """A lens with equal second and fourth order coefficients."""

    size: int
    """Side of the views in pixels, which is also the focal length."""
    strength: float
    """Both coefficients."""
    centre: tuple[float, float]
    """Column and row of the lens's centre."""

    @classmethod
    def draw(cls, distortion: Distortion, random: np.random.Generator, size: int) -> OpticalBend:
        """Return a drawn one for views of ``size`` pixels."""
        strength = random.uniform(-distortion.optical_limit, distortion.optical_limit)
        shift = random.uniform(-distortion.optical_shift, distortion.optical_shift, 2)
        return cls(size, strength, (size / 2 + shift[0], size / 2 + shift[1]))

    def field(self) -> Field:
        """Return the places."""
        size, (column, row) = self.size, self.centre
        camera = np.array([[size, 0, column], [0, size, row], [0, 0, 1]])
        lens = np.array([self.strength, self.strength, 0.0, 0.0, 0.0])
        columns, rows = cv2.initUndistortRectifyMap(
            camera, lens, np.eye(3), camera, (size, size), cv2.CV_32FC1
        )
        return np.stack([columns, rows], axis=2)


Bend = ElasticBend | GridBend | OpticalBend
"""What was drawn for one case; its field is computed where the view is."""


def draw_bend(distortion: Distortion, random: np.random.Generator, size: int) -> Bend | None:
    """Return one case's distortion, or None when it is drawn without.

    Args:
        distortion: Ranges and probability.
        random: The case's own generator.
        size: Side of the view in pixels.
    """
    if random.random() >= distortion.probability:
        return None
    kind = KINDS[int(random.integers(len(KINDS)))]
    if kind == "elastic":
        return ElasticBend.draw(distortion, random, size)
    return (GridBend if kind == "grid" else OpticalBend).draw(distortion, random, size)


def _stretched(distortion: Distortion, random: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    widths = 1 + random.uniform(-distortion.grid_limit, distortion.grid_limit, distortion.grid_steps)
    ends = np.concatenate([[0.0], np.cumsum(widths)]) / widths.sum() * (size - 1)
    ends_of_cells = np.linspace(0, size - 1, distortion.grid_steps + 1)
    return np.asarray(np.interp(np.arange(size), ends_of_cells, ends), dtype=np.float64)


def _places(size: int) -> Field:
    columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    return np.stack([columns, rows], axis=2)
