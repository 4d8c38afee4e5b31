"""Chest-like phantom pictures: a random body, an exposure and findings, drawn from formulas."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.data.phantom_anatomy import Anatomy, Exam, FloatArray, draw_anatomy, draw_exam
from medtransfer.data.phantom_fields import (
    SIDE,
    SUBPIXEL_BITS,
    Field,
    UInt8Array,
    blurred,
    smooth_noise,
    soft_step,
    to_bytes,
    to_fixed_point,
)
from medtransfer.data.phantom_findings import (
    CARDIOMEGALY,
    FINDINGS,
    Scene,
    shadows,
)


@dataclass(frozen=True)
class ChestPicture:
    """One exam of one phantom patient."""

    image: UInt8Array
    """(80, 80) grey values."""
    lungs: UInt8Array
    """(80, 80): 1 in the lungs, without the heart's shadow; findings do not shrink them."""


def draw_chest(series: str, patient: int, view: int, findings: Collection[str]) -> ChestPicture:
    """Draw an exam; the same arguments always give the same picture.

    Args:
        series: Name of the collection; patients of two series have nothing in common.
        patient: Number of the patient; body and heart are theirs in every view.
        view: Number of the exam; pose, exposure, grain and the places of findings are its own.
        findings: Names out of :data:`.phantom_findings.FINDINGS`.
    """
    anatomy = draw_anatomy(series, patient, large_heart=CARDIOMEGALY in findings)
    exam = draw_exam(series, patient, view)
    scene, lungs = _place(anatomy, exam)
    rng = generator("phantom-picture", series, patient, view)
    opacity = _normal_chest(scene, exam, rng)
    for name in FINDINGS:
        if name in findings and name in shadows:
            opacity += shadows[name](generator("phantom-finding", series, patient, view, name), scene)
    return ChestPicture(_expose(opacity, exam, rng), lungs)


def _place(anatomy: Anatomy, exam: Exam) -> tuple[Scene, UInt8Array]:
    centres = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    body = exam.to_body(np.stack(np.meshgrid(centres, centres), axis=-1)).astype(np.float32)
    x, y = body[..., 0], body[..., 1]
    filled = np.zeros((SIDE, SIDE), dtype=np.uint8)
    cv2.fillPoly(filled, [_pixels(outline, exam) for outline in anatomy.lungs], 1, shift=SUBPIXEL_BITS)
    filled[_heart_depth(anatomy, x, y) > 0] = 0
    filled[np.abs(x) < anatomy.mediastinum_width] = 0
    return Scene(anatomy, x, y, blurred(filled, 0.9)), filled


def _pixels(points: FloatArray, exam: Exam) -> npt.NDArray[np.int32]:
    """Return body points as fixed-point pixel positions, as OpenCV draws them."""
    return to_fixed_point((exam.to_image(points) + 1) / 2 * SIDE - 0.5)


def _heart_depth(anatomy: Anatomy, x: Field, y: Field) -> Field:
    """Return how far pixels lie inside the heart: 1 at its centre, 0 on its edge, negative outside."""
    centre_x, centre_y, half_width, half_height = anatomy.heart
    lean = 0.25 * (y - centre_y)
    depth: Field = 1 - np.hypot((x - centre_x - lean) / half_width, (y - centre_y) / half_height)
    return depth


def _normal_chest(scene: Scene, exam: Exam, rng: np.random.Generator) -> Field:
    """Return the opacity (S, S) of a chest without findings, about 0 for air and 1 for bone."""
    anatomy, x, y = scene.anatomy, scene.x, scene.y
    shoulders = 1 - 0.45 * soft_step(-0.68 - y, 0.12)
    body = soft_step(anatomy.body_width * shoulders - np.abs(x), 0.04)
    below = soft_step(y - anatomy.base, 0.08)
    middle = np.exp(-((x / anatomy.mediastinum_width) ** 4))
    opacity = 0.05 + 0.50 * body + 0.05 * below - anatomy.lung_darkness * scene.lungs + 0.05 * middle
    opacity += 0.09 * soft_step(_heart_depth(anatomy, x, y), 0.12)
    opacity += _bones(scene) * body
    if anatomy.breast:
        shelf = np.hypot((np.abs(x) - 0.5) / 0.36, (y - 0.28) / 0.34)
        opacity += anatomy.breast * soft_step(1 - shelf, 0.15)
    opacity += _vessels(anatomy, exam) * scene.lungs
    opacity += 0.018 * smooth_noise(rng, 9) + 0.016 * smooth_noise(rng, 26) * scene.lungs
    return np.asarray(opacity, dtype=np.float32)


def _bones(scene: Scene) -> Field:
    """Return ribs, spine and clavicles."""
    anatomy, x, y = scene.anatomy, np.abs(scene.x), scene.y
    spacing, phase, arch, contrast = anatomy.ribs
    cycle = (y - arch * (x - 0.28) ** 2) / spacing + phase
    ribs = np.exp(-(((cycle % 1 - 0.5) / 0.2) ** 2))
    cage = soft_step(anatomy.thorax_width + 0.03 - x, 0.03) * soft_step(y + 0.78, 0.06)
    cage = cage * soft_step(anatomy.base - y, 0.1)
    bend, frequency = anatomy.spine
    vertebrae = 1 + 0.35 * np.cos(frequency * y)
    column = vertebrae * np.exp(-(((scene.x - bend * np.sin(2 * y)) / 0.06) ** 2))
    clavicle = np.exp(-(((y + 0.60 + 0.22 * x) / 0.03) ** 2)) * soft_step(0.62 - x, 0.04)
    bones: Field = (
        contrast * ribs * cage + 0.07 * column + 1.2 * contrast * clavicle * soft_step(x - 0.1, 0.03)
    )
    return bones


def _vessels(anatomy: Anatomy, exam: Exam) -> Field:
    layer = np.zeros((SIDE, SIDE), dtype=np.uint8)
    cv2.polylines(
        layer,
        [_pixels(vessel, exam) for vessel in anatomy.vessels],
        isClosed=False,
        color=255,
        lineType=cv2.LINE_AA,
        shift=SUBPIXEL_BITS,
    )
    hila = [point for vessel in anatomy.vessels for point in _pixels(vessel[:2], exam)]
    for point in hila[::2]:
        cv2.circle(layer, point.tolist(), 22, 255, -1, cv2.LINE_AA, SUBPIXEL_BITS)
    return blurred(layer, 0.7) * (0.13 / 255)


def _expose(opacity: Field, exam: Exam, rng: np.random.Generator) -> UInt8Array:
    focused = blurred(opacity, exam.blur).clip(0, 1)
    grain = exam.noise * rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    return to_bytes(1.15 * exam.gain * focused**exam.gamma + exam.offset + grain)
