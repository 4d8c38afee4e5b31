"""Logistic heads of one binary target for rising strengths, each Newton solve started from the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from medtransfer.protocols.logistic_heads.geometry import Factor, Geometry

FloatArray = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Newton's estimate of the distance to the minimum, as a share of the objective, before the last step."""
MOST_STEPS = 100
"""Newton steps per strength before a head counts as not converged."""
SINGLE_PRECISION_FACTORS = 4
"""Factorisations per strength in single precision; where more are needed, rounding may be the reason."""
REUSE_BELOW = 0.2
"""A factor serves again while each step with it brings the minimum nearer by this factor."""
SEARCH_STEPS = 40
"""Most evaluations along one line."""


@dataclass(frozen=True)
class Head:
    """One fitted head."""

    vector: FloatArray
    """The head as its geometry holds it."""
    intercept: float
    """Unpenalised intercept."""
    gradient_norm: float
    """Euclidean norm of the gradient of ``mean(log loss) + |w|^2 / (2 C n)``."""
    steps: int
    """Newton steps taken for this strength."""
    converged: bool
    """Whether the tolerance was reached."""


def fit_binary_path(
    geometry: Geometry,
    targets: FloatArray,
    strengths: Sequence[float],
    counts: FloatArray | None = None,
) -> list[Head]:
    """Return the head of each strength, at the minimum of ``C * sum(log loss) + |w|^2 / 2``.

    Hessians are factorised in single precision first; gradients, objectives and line searches are in
    double precision, so only the number of steps depends on it, not where they end.

    Args:
        geometry: Training features of n cases.
        targets: 0 or 1, shape (n,), both present.
        strengths: Inverse regularisation C, positive, ascending.
        counts: How much the log loss of each case counts, positive, shape (n,); None for 1.
    """
    path = _Path(geometry, targets, np.ones(len(targets)) if counts is None else counts)
    return [path.fit(strength) for strength in strengths]


class _Path:
    """A point that follows the minimum while the strength rises."""

    def __init__(self, geometry: Geometry, targets: FloatArray, counts: FloatArray) -> None:
        self.geometry = geometry
        self.targets = targets
        self.counts = counts
        self.signs = 2 * targets - 1
        share = (counts * targets).sum() / counts.sum()
        self.head = np.zeros(geometry.size)
        self.intercept = float(np.log(share / (1 - share)))
        self.scores = np.full(geometry.cases, self.intercept)
        self.square = 0.0
        self._chances: FloatArray | None = None
        self._loss: float | None = None
        self._strength = 0.0
        self._factor: Factor | None = None
        self._factors_made = 0

    def fit(self, strength: float) -> Head:
        """Move to the minimum for a strength above the last one."""
        if self._factor is not None:
            self._move_along_tangent(strength)
        self._strength, self._factor, self._factors_made = strength, None, 0
        steps, converged = self._descend(strength)
        slopes = self.slopes(strength)
        norm = self.geometry.gradient_norm(self.geometry.gradient(self.head, slopes))
        norm = float(np.hypot(norm, slopes.sum())) / (strength * self.geometry.cases)
        return Head(self.head, self.intercept, norm, steps, converged)

    def slopes(self, strength: float) -> FloatArray:
        """Return the derivative of the weighted loss by each case's score, (n,)."""
        return np.asarray(strength * self.counts * (self.chances - self.targets))

    @property
    def chances(self) -> FloatArray:
        """Probability of 1 of each case at this point, (n,)."""
        if self._chances is None:
            self._chances = np.asarray(expit(self.scores))
        return self._chances

    @property
    def loss(self) -> float:
        """Weighted sum of the log losses at this point."""
        if self._loss is None:
            self._loss = self.loss_at(self.scores)
        return self._loss

    def loss_at(self, scores: FloatArray) -> float:
        """Return the weighted sum of the log losses at other scores, (n,)."""
        agreement = self.signs * scores
        losses = np.log1p(np.exp(-np.abs(agreement))) - np.minimum(agreement, 0)
        return float((self.counts * losses).sum())

    def _move_along_tangent(self, strength: float) -> None:
        """Follow the path's tangent at the last minimum as far as it lowers the new objective."""
        assert self._factor is not None
        line = _Line(self, self._factor.direction(-self.head, 0.0), strength)
        if line.slope < 0:
            self._move(line, line.minimum(float(np.log(strength / self._strength))))

    def _descend(self, strength: float) -> tuple[int, bool]:
        distance = np.inf
        for step in range(1, MOST_STEPS + 1):
            line = self._newton_line(strength, distance)
            if line is None:
                return step, False
            length = line.decrease()
            if length > 0:
                self._move(line, length)
            if line.is_near:
                return step, True
            if length == 0:
                self._factor, self._factors_made = None, SINGLE_PRECISION_FACTORS
            distance = line.distance
        return MOST_STEPS, False

    def _newton_line(self, strength: float, last_distance: float) -> _Line | None:
        """Return the line along Newton's direction; None when rounding leaves no descent direction."""
        slopes = self.slopes(strength)
        gradient = self.geometry.gradient(self.head, slopes), float(slopes.sum())
        if self._factor is not None:
            line = _Line(self, self._factor.direction(*gradient), strength, slopes)
            if line.is_near or 0 < line.distance <= REUSE_BELOW * last_distance:
                return line
        curvatures = strength * self.counts * self.chances * (1 - self.chances)
        single = self._factors_made < SINGLE_PRECISION_FACTORS
        for precision in (np.float32, np.float64) if single else (np.float64,):
            self._factors_made += 1
            self._factor = self.geometry.factorise(curvatures, precision)
            if self._factor is not None:
                line = _Line(self, self._factor.direction(*gradient), strength, slopes)
                if line.is_near or line.distance > 0:
                    return line
        return None

    def _move(self, line: _Line, length: float) -> None:
        self.head = self.head + length * line.head
        self.intercept += length * line.intercept
        self.scores = self.scores + length * line.scores
        self._chances, self._loss = None, line.losses.get(length)
        self.square += length * (2 * line.cross + length * line.square)


class _Line:
    """The objective along one direction, at the cost of a few operations per case and evaluation."""

    def __init__(
        self,
        path: _Path,
        direction: tuple[FloatArray, float],
        strength: float,
        slopes: FloatArray | None = None,
    ) -> None:
        self._path = path
        self._strength = strength
        self.head, self.intercept = direction
        margins = path.geometry.margins(self.head)
        self.scores = margins + self.intercept
        self.cross = path.geometry.product(path.head, self.head, margins)
        self.square = path.geometry.product(self.head, self.head, margins)
        slopes = path.slopes(strength) if slopes is None else slopes
        self.slope = float(slopes @ self.scores) + self.cross
        self.losses: dict[float, float] = {0.0: path.loss}
        self.start = self._objective(0.0)

    @property
    def distance(self) -> float:
        """Newton's estimate of the distance to the minimum; negative when the line goes upwards."""
        return -self.slope / 2

    @property
    def is_near(self) -> bool:
        """Whether the distance is within the tolerance."""
        return abs(self.distance) <= TOLERANCE * self.start

    def decrease(self) -> float:
        """Return a step length that lowers the objective enough, 1 if possible, 0 if there is none."""
        if self._is_lower(1.0):
            return 1.0
        length = self.minimum(1.0)
        return length if self._is_lower(length) else 0.0

    def _is_lower(self, length: float) -> bool:
        allowed = self.start * (1 + 1e-14)
        return self._objective(length) <= allowed + 1e-4 * length * self.slope

    def minimum(self, first: float) -> float:
        """Return about where the objective is smallest, by Newton's method within a shrinking bracket."""
        low, high, length = 0.0, np.inf, first
        for _ in range(SEARCH_STEPS):
            slope, curvature = self._derivatives(length)
            if abs(slope) <= 0.1 * abs(self.slope):
                break
            low, high = (length, high) if slope < 0 else (low, length)
            length = length - slope / curvature if curvature > 0 else np.inf
            if not low < length < high:
                length = 2 * low if high == np.inf else (low + high) / 2
        return length

    def _objective(self, length: float) -> float:
        if length not in self.losses:
            self.losses[length] = self._path.loss_at(self._path.scores + length * self.scores)
        square = self._path.square + length * (2 * self.cross + length * self.square)
        return float(self._strength * self.losses[length] + square / 2)

    def _derivatives(self, length: float) -> tuple[float, float]:
        chances = expit(self._path.scores + length * self.scores)
        counts = self._path.counts
        slope = self._strength * ((counts * (chances - self._path.targets)) @ self.scores)
        curvature = self._strength * ((counts * chances * (1 - chances)) @ self.scores**2)
        return float(slope + self.cross + length * self.square), float(curvature + self.square)
