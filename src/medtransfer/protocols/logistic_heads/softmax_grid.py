"""Softmax heads of exclusive classes, all strengths at once: L-BFGS in the eigenbasis of the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.protocols.logistic_heads.softmax_features import SoftmaxFeatures

FloatArray = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Proven distance to the minimum at which a head counts as converged, as a share of the objective or of
what it has fallen below that of the class shares alone, whichever is smaller."""
ROUNDING = np.finfo(np.float64).eps
"""Error of a sum of products over cases, per case and as a share of the lengths of the two factors, at most."""
MOST_STEPS = 1000
"""Steps before a head counts as not converged."""
MEMORY = 10
"""Pairs of steps and gradient changes L-BFGS keeps."""
BACKTRACKS = 40
"""Most halvings of one step."""


@dataclass(frozen=True)
class SoftmaxHeads:
    """Heads of S strengths."""

    weights: FloatArray
    """(S, K, d); sums to 0 over the classes."""
    intercepts: FloatArray
    """(S, K)."""
    gradient_norms: FloatArray
    """(S,) Euclidean norm of the gradient of ``mean(log loss) + |w|^2 / (2 C n)``."""
    steps: npt.NDArray[np.int64]
    """(S,) steps taken."""
    converged: npt.NDArray[np.bool_]
    """(S,) whether the tolerance was reached."""


def fit_softmax_grid(
    features: SoftmaxFeatures, truth: FloatArray, strengths: FloatArray, counts: FloatArray | None = None
) -> SoftmaxHeads:
    """Return the heads of each strength, at the minimum of ``C * sum(log loss) + |w|^2 / 2``.

    The penalty alone curves the objective by 1 in every weight, so half the squared gradient bounds the
    distance to the minimum; this is what the tolerance is compared with.

    Args:
        features: Those of n cases.
        truth: One column per class, 1 where a case has it, shape (n, K), no column empty.
        strengths: Inverse regularisation C, positive, shape (S,).
        counts: How much the log loss of each case counts, positive, shape (n,); None for 1.

    Reference:
        Liu and Nocedal, "On the limited memory BFGS method for large scale optimization",
        Mathematical Programming 45, 1989.
    """
    grid = _Grid(features, truth, strengths, counts)
    grid.run()
    weights = features.weights(grid.point[:, :, :-1])
    gradient, _ = grid.gradient(np.arange(len(strengths)))
    norms = np.linalg.norm(gradient, axis=(1, 2)) / (strengths * features.cases)
    return SoftmaxHeads(weights, grid.point[:, :, -1], norms, grid.steps, grid.converged)


class _Grid:
    """Points, scores and memories of all strengths; those that have converged are left alone."""

    def __init__(
        self,
        features: SoftmaxFeatures,
        truth: FloatArray,
        strengths: FloatArray,
        counts: FloatArray | None,
    ) -> None:
        cases, classes = truth.shape
        self._features = features
        self._counts = counts
        shares = np.log(self._counted(truth.T, slice(None)).T.mean(axis=0))
        self._spreads = np.append(features.eigenvalues, cases)
        self._penalty = np.append(np.ones(len(features.eigenvalues)), 0.0)
        self._truth = np.ascontiguousarray(truth.T)
        self._strengths = strengths
        self.point = np.zeros((len(strengths), classes, len(self._penalty)))
        self.point[:, :, -1] = shares - shares.mean()
        self._scores = features.scores(self.point)
        self.steps = np.zeros(len(strengths), dtype=np.int64)
        self.converged = np.zeros(len(strengths), dtype=np.bool_)
        self._memory: list[tuple[FloatArray, FloatArray, FloatArray]] = []

    def run(self) -> None:
        """Step until every strength has converged or cannot go on."""
        active = np.arange(len(self._strengths))
        gradient, spread = self.gradient(active)
        start = objective = self._objective(active, self.point)
        stuck = self._distance(gradient, spread, active) <= self._rounding(spread)
        self.converged[stuck] = True  # class shares alone are the minimum, as where no feature varies
        for _ in range(MOST_STEPS):
            allowed = TOLERANCE * np.minimum(objective, start[active] - objective)
            done = self._distance(gradient, spread, active) <= allowed
            self.converged[active[done]] = True
            going = ~(done | stuck)
            if not going.any():
                return
            if not going.all():
                active, gradient, spread, objective = (
                    active[going],
                    gradient[going],
                    spread[going],
                    objective[going],
                )
                self._memory = [(s[going], c[going], p[going]) for s, c, p in self._memory]
            direction = self._direction(gradient, self._strengths[active], spread)
            step, length, objective = self._search(active, direction, gradient, objective)
            stuck = length == 0
            self.steps[active] += 1
            before = gradient
            gradient, spread = self.gradient(active)
            self._remember(step, gradient - before)

    def gradient(self, rows: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Return gradients (A, K, r + 1) and mean curvatures of the loss per score (A,)."""
        spread = np.zeros(len(rows))

        def slopes(part: slice) -> FloatArray:
            chances = _softmax(self._scores[:, :, part][rows])
            spread[:] += self._counted(chances * (1 - chances), part).sum(axis=(1, 2))
            off = (chances - self._truth[:, part]) * self._strengths[rows, None, None]
            return self._counted(off, part)

        gradient = self._features.gradient(slopes) + self.point[rows] * self._penalty
        return gradient, spread / self._truth.size

    def _counted(self, values: FloatArray, part: slice) -> FloatArray:
        """Return values whose last axis is that of a part's cases, each times how much its case counts."""
        return values if self._counts is None else values * self._counts[part]

    def _distance(self, gradient: FloatArray, spread: FloatArray, rows: npt.NDArray[np.intp]) -> FloatArray:
        """Return half the squared gradient, the intercepts' part by the curvature of their own, (A,)."""
        curvature = self._strengths[rows] * spread * self._spreads[-1]
        of_intercepts = (gradient[:, :, -1] ** 2).sum(axis=1) / curvature
        return np.asarray((_squares(gradient * self._penalty) + of_intercepts) / 2)

    def _rounding(self, spread: FloatArray) -> FloatArray:
        """Return the distance that rounding alone gives a point at the minimum, of all strengths, (S,)."""
        cases = self._features.cases
        counts = np.ones(cases) if self._counts is None else self._counts
        most = 2 * (counts**2).sum()  # squared slopes over cases and classes, of which a case adds 2 at most
        slopes = most * ((16 + cases) * ROUNDING) ** 2
        of_features = self._strengths**2 * slopes * (self._spreads * self._penalty).sum()
        return np.asarray((of_features + self._strengths * slopes / spread) / 2)

    def _direction(self, gradient: FloatArray, strengths: FloatArray, spread: FloatArray) -> FloatArray:
        """Return the L-BFGS direction; the first guess at the Hessian is diagonal in the eigenbasis."""
        direction = -gradient
        shares = []
        for step, change, product in reversed(self._memory):
            share = _dots(step, direction) * product
            shares.append(share)
            direction -= share[:, None, None] * change
        curvature = (strengths * spread)[:, None] * self._spreads + self._penalty
        direction /= curvature[:, None, :]
        for (step, change, product), share in zip(self._memory, reversed(shares), strict=True):
            direction += step * (share - _dots(change, direction) * product)[:, None, None]
        return direction

    def _search(
        self,
        rows: npt.NDArray[np.intp],
        direction: FloatArray,
        gradient: FloatArray,
        objective: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Move each strength along its direction; return steps, their lengths and the new objectives."""
        point = self.point[rows]
        along = self._features.scores(direction)
        slope = _dots(gradient, direction)
        length = self._newton_length(rows, point, direction, along)
        length = np.where(slope < 0, length, 0.0)
        for _ in range(BACKTRACKS):
            after = self._objective(rows, point + length[:, None, None] * direction, along, length)
            enough = after <= objective * (1 + 1e-14) + 1e-4 * length * slope
            if enough.all():
                break
            length = np.where(enough, length, length / 2)
        length = np.where(enough, length, 0.0)
        step = length[:, None, None] * direction
        self.point[rows] = point + step
        for part in self._features.parts:
            self._scores[rows, :, part] += length[:, None, None] * along[:, :, part]
        return step, length, np.where(enough, after, objective)

    def _newton_length(
        self,
        rows: npt.NDArray[np.intp],
        point: FloatArray,
        direction: FloatArray,
        along: FloatArray,
    ) -> FloatArray:
        """Return one Newton step along the line from length 1, kept within a factor of 10."""
        slope, curvature = np.zeros(len(rows)), np.zeros(len(rows))
        for part in self._features.parts:
            step = along[:, :, part]
            chances = _softmax(self._scores[:, :, part][rows] + step)
            mean = (chances * step).sum(axis=1, keepdims=True)
            slope += self._counted((chances - self._truth[:, part]) * step, part).sum(axis=(1, 2))
            curvature += self._counted(chances * (step - mean) ** 2, part).sum(axis=(1, 2))
        strengths = self._strengths[rows]
        slope = strengths * slope + _dots((point + direction) * self._penalty, direction)
        curvature = strengths * curvature + _squares(direction * self._penalty)
        return np.asarray(np.clip(1 - slope / np.maximum(curvature, 1e-300), 0.1, 10.0))

    def _objective(
        self,
        rows: npt.NDArray[np.intp],
        point: FloatArray,
        along: FloatArray | None = None,
        length: FloatArray | None = None,
    ) -> FloatArray:
        """Return the objectives at a point, whose scores lie a length along a direction's from those known."""
        total = np.zeros(len(rows))
        for part in self._features.parts:
            scores = self._scores[:, :, part][rows]
            if along is not None and length is not None:
                scores = scores + length[:, None, None] * along[:, :, part]
            top = scores.max(axis=1)
            loss = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
            loss -= (scores * self._truth[:, part]).sum(axis=1)
            total += self._counted(loss, part).sum(axis=1)
        return np.asarray(self._strengths[rows] * total + _squares(point * self._penalty) / 2)

    def _remember(self, step: FloatArray, change: FloatArray) -> None:
        product = _dots(step, change)
        usable = product > 0
        inverse = np.where(usable, 1 / np.where(usable, product, 1.0), 0.0)
        self._memory = [*self._memory, (step, change, inverse)][-MEMORY:]


def _softmax(scores: FloatArray) -> FloatArray:
    """Return probabilities over axis 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _dots(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("akr,akr->a", first, second))


def _squares(values: FloatArray) -> FloatArray:
    return _dots(values, values)
