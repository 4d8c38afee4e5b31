"""What can be wrong with a phantom chest: each finding adds its shadow to a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medtransfer.data.phantom_anatomy import Anatomy, FloatArray, point_in_lung
from medtransfer.data.phantom_fields import Field, smooth_noise, soft_step

CARDIOMEGALY = "cardiomegaly"
"""The finding that is in the anatomy, not in a shadow."""


@dataclass(frozen=True)
class Scene:
    """The place a shadow is cast in."""

    anatomy: Anatomy
    """The patient."""
    x: Field
    """(S, S) body coordinate of every pixel, to the image's right."""
    y: Field
    """(S, S) body coordinate of every pixel, downwards."""
    lungs: Field
    """(S, S) lungs with soft edges, in [0, 1]."""

    def distance(self, centre: FloatArray, stretch: float = 1.0) -> Field:
        """Return the distance of every pixel to a point; heights count ``stretch`` times."""
        away: Field = np.hypot(self.x - float(centre[0]), stretch * (self.y - float(centre[1])))
        return away


def _nodule(rng: np.random.Generator, scene: Scene) -> Field:
    centre = point_in_lung(_any_lung(rng, scene), rng.uniform(0.3, 0.85), rng.uniform(0.12, 0.75))
    radius = rng.uniform(0.05, 0.105)
    ball = soft_step(radius - scene.distance(centre, rng.uniform(0.85, 1.15)), 0.02)
    return ball * scene.lungs * rng.uniform(0.09, 0.2)


def _effusion(rng: np.random.Generator, scene: Scene) -> Field:
    outline = _any_lung(rng, scene)
    side = np.sign(outline[:, 0].mean())
    across = (side * scene.x / scene.anatomy.thorax_width).clip(0, 1)
    level = outline[:, 1].max() - rng.uniform(0.14, 0.42) - rng.uniform(0.1, 0.25) * across**3
    fluid = soft_step(scene.y - level, 0.03) * (side * scene.x > 0)
    return np.asarray(fluid * scene.lungs * rng.uniform(0.14, 0.30))


def _consolidation(rng: np.random.Generator, scene: Scene) -> Field:
    centre = point_in_lung(_any_lung(rng, scene), rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.8))
    patches = smooth_noise(rng, 14)
    inside = rng.uniform(0.13, 0.26) - scene.distance(centre, rng.uniform(0.7, 1.1)) + 0.04 * patches
    return soft_step(inside, 0.07) * (0.8 + 0.25 * patches) * scene.lungs * rng.uniform(0.10, 0.22)


def _pneumothorax(rng: np.random.Generator, scene: Scene) -> Field:
    outline = _any_lung(rng, scene)
    centre = point_in_lung(outline, 0.05, 0.85)
    reach = np.hypot(*(point_in_lung(outline, 0.8, 0.1) - centre)) * rng.uniform(0.70, 0.88)
    beyond = scene.distance(centre, 0.85) - reach
    line = np.exp(-((beyond / 0.015) ** 2))
    same_side = np.sign(outline[:, 0].mean()) * scene.x > 0
    air = (0.10 * line - 0.11 * soft_step(beyond, 0.02)) * scene.lungs * same_side
    return np.asarray(air * rng.uniform(0.7, 1.3))


def _interstitial(rng: np.random.Generator, scene: Scene) -> Field:
    field = smooth_noise(rng, 34)
    net = np.exp(-((field / 0.35) ** 2)) - 0.4
    basal = soft_step(scene.y - rng.uniform(-0.5, 0.0), 0.3)
    return np.asarray(net * basal * scene.lungs * rng.uniform(0.07, 0.15))


def _tube(rng: np.random.Generator, scene: Scene) -> Field:
    tip = rng.uniform(-0.35, 0.1)
    bend = rng.normal(0, 0.08)
    middle = rng.normal(-0.02, 0.03) + bend * (scene.y + 1) + 0.03 * np.sin(3 * scene.y + rng.uniform(0, 6))
    line = np.exp(-(((scene.x - middle) / 0.016) ** 2))
    return np.asarray(line * soft_step(tip - scene.y, 0.02) * rng.uniform(0.1, 0.2))


shadows: Mapping[str, Callable[[np.random.Generator, Scene], Field]] = {
    "nodule": _nodule,
    "effusion": _effusion,
    "consolidation": _consolidation,
    "pneumothorax": _pneumothorax,
    "interstitial": _interstitial,
    "tube": _tube,
}
"""How each finding changes the opacity (S, S); cardiomegaly is not here, it changes the anatomy."""

FINDINGS = ("nodule", "effusion", "consolidation", CARDIOMEGALY, "pneumothorax", "interstitial", "tube")
"""All findings a chest can have, in the order labels are given."""


def _any_lung(rng: np.random.Generator, scene: Scene) -> FloatArray:
    return scene.anatomy.lungs[int(rng.integers(2))]
