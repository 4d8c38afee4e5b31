"""The body of a phantom patient and how one exam sees it; numbers only, nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator

FloatArray = npt.NDArray[np.float64]

# From the middle of the body (0) to its side (1) and from the apex (0) to the base (1).
_LUNG_OUTLINE = np.array(
    [
        *[(0.42, 0.0), (0.70, 0.05), (0.87, 0.22), (0.96, 0.45), (1.0, 0.70), (1.0, 0.98), (0.82, 0.90)],
        *[(0.55, 0.84), (0.25, 0.86), (0.04, 0.93), (0.06, 0.65), (0.10, 0.40), (0.14, 0.18), (0.25, 0.04)],
    ]
)
_NORMAL_HEART = (0.34, 0.47)
_LARGE_HEART = (0.49, 0.62)


@dataclass(frozen=True)
class Anatomy:
    """What stays the same between the exams of one patient; lengths in half image sides."""

    body_width: float
    """Half width of the trunk."""
    lungs: tuple[FloatArray, FloatArray]
    """Closed outlines on the image's left and right, (P, 2) as x, y."""
    thorax_width: float
    """Half width between the outer edges of the lungs."""
    base: float
    """Height of the lung bases, y downwards."""
    mediastinum_width: float
    """Half width of the middle shadow."""
    heart: tuple[float, float, float, float]
    """Centre x, centre y, half width, half height."""
    spine: tuple[float, float]
    """Bend and frequency of the vertebral column."""
    ribs: tuple[float, float, float, float]
    """Spacing, phase, arch and contrast."""
    lung_darkness: float
    """How much darker lungs are than the trunk."""
    breast: float
    """Contrast of the breast shadows; 0 for none."""
    vessels: tuple[FloatArray, ...]
    """Polylines from the hila into the lungs, each (Q, 2)."""


@dataclass(frozen=True)
class Exam:
    """How one picture of a patient was taken."""

    turn: float
    """Rotation in radians."""
    zoom: float
    """Magnification."""
    shift: tuple[float, float]
    """Displacement in half image sides."""
    gain: float
    """Slope of the exposure."""
    gamma: float
    """Exponent of the exposure."""
    offset: float
    """Grey value of nothing, in [0, 1]."""
    blur: float
    """Standard deviation of the focus in pixels."""
    noise: float
    """Standard deviation of the grain, grey values in [0, 1]."""

    def to_image(self, points: FloatArray) -> FloatArray:
        """Return where body points (…, 2) lie in the image, in half sides from its centre."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        placed: FloatArray = points @ (self.zoom * np.array([[cosine, sine], [-sine, cosine]])) + self.shift
        return placed

    def to_body(self, points: FloatArray) -> FloatArray:
        """Return the body points seen at image points (…, 2); the inverse of :meth:`to_image`."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        seen: FloatArray = (points - self.shift) @ (np.array([[cosine, -sine], [sine, cosine]]) / self.zoom)
        return seen


def draw_anatomy(series: str, patient: int, *, large_heart: bool) -> Anatomy:
    """Return the body of a patient; the same in every exam."""
    rng = generator("phantom-anatomy", series, patient)
    middle, apex, base = rng.uniform(0.06, 0.13), rng.uniform(-0.80, -0.66), rng.uniform(0.46, 0.68)
    width = rng.uniform(0.52, 0.66)
    outlines = [_lung(rng, side, middle, width, apex, base) for side in (-1, 1)]
    thorax = middle + width
    heart_width = thorax * rng.uniform(*(_LARGE_HEART if large_heart else _NORMAL_HEART))
    heart = (
        rng.uniform(0.05, 0.09) + 0.12 * heart_width,
        base * 0.90 - rng.uniform(0.20, 0.28),
        heart_width,
        rng.uniform(0.24, 0.33),
    )
    return Anatomy(
        body_width=thorax + rng.uniform(0.08, 0.24),
        lungs=(outlines[0], outlines[1]),
        thorax_width=thorax,
        base=base,
        mediastinum_width=middle + rng.uniform(0.01, 0.07),
        heart=heart,
        spine=(rng.normal(0, 0.025), rng.uniform(20, 26)),
        ribs=(rng.uniform(0.15, 0.20), rng.uniform(0, 1), rng.uniform(0.35, 0.75), rng.uniform(0.03, 0.09)),
        lung_darkness=rng.uniform(0.24, 0.36),
        breast=rng.uniform(0.02, 0.08) if rng.random() < 0.45 else 0.0,
        vessels=tuple(_vessel(rng, outline) for outline in outlines for _ in range(rng.integers(5, 9))),
    )


def draw_exam(series: str, patient: int, view: int) -> Exam:
    """Return how one picture is taken."""
    rng = generator("phantom-exam", series, patient, view)
    return Exam(
        turn=rng.normal(0, 0.05),
        zoom=rng.uniform(1.05, 1.28),
        shift=(rng.normal(0, 0.04), rng.normal(0.08, 0.04)),
        gain=rng.uniform(0.85, 1.15),
        gamma=rng.uniform(0.8, 1.25),
        offset=rng.uniform(-0.06, 0.10),
        blur=rng.uniform(0.35, 0.9),
        noise=rng.uniform(0.012, 0.035),
    )


def point_in_lung(outline: FloatArray, across: float, down: float) -> FloatArray:
    """Return the point at shares ``across`` (middle to side) and ``down`` (apex to base) of a lung's box."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    side = np.sign(outline[:, 0].mean())
    x = (low[0] if side > 0 else high[0]) + side * across * (high[0] - low[0])
    return np.array([x, low[1] + down * (high[1] - low[1])])


def _lung(
    rng: np.random.Generator, side: int, middle: float, width: float, apex: float, base: float
) -> FloatArray:
    outline = _LUNG_OUTLINE + rng.normal(0, 0.015, _LUNG_OUTLINE.shape)
    lift = rng.uniform(-0.02, 0.06) if side < 0 else 0.0
    x = side * (middle + width * outline[:, 0])
    y = apex + (base - lift - apex) * outline[:, 1]
    return _rounded(np.stack([x, y], axis=1))


def _rounded(outline: FloatArray) -> FloatArray:
    """Return a closed outline with its corners cut twice (Chaikin's rule)."""
    for _ in range(2):
        following = np.roll(outline, -1, axis=0)
        quarters = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], axis=1)
        outline = quarters.reshape(-1, 2)
    return outline


def _vessel(rng: np.random.Generator, outline: FloatArray) -> FloatArray:
    start = point_in_lung(outline, 0.08, rng.uniform(0.42, 0.60))
    end = point_in_lung(outline, rng.uniform(0.35, 0.9), rng.uniform(0.1, 0.9))
    shares = np.linspace(0, 1, 5)[:, None]
    bends = rng.normal(0, 0.03, (5, 2)) * shares
    return start + shares * (end - start) + bends
