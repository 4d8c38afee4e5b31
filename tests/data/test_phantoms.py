"""Phantoms: the same locator gives the same picture, and findings are where they are said to be."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medtransfer.core.errors import BadImageError
from medtransfer.data import phantoms
from medtransfer.data.phantom_anatomy import draw_anatomy, draw_exam
from medtransfer.data.phantom_chest import draw_chest
from medtransfer.data.phantom_findings import FINDINGS, shadows
from medtransfer.data.phantom_photographs import draw_photograph, motifs
from medtransfer.data.phantoms import PhantomSource, chest_locator, photograph_locator

LOCATORS = [chest_locator("test", 3, 1, ["effusion", "tube"]), photograph_locator("test", "stars", 5)]


@pytest.mark.parametrize("locator", LOCATORS)
def test_a_locator_gives_the_same_picture_in_every_process(locator: str) -> None:
    code = (
        "import sys, hashlib; from medtransfer.data.phantoms import PhantomSource; "
        "PhantomSource().read_image('chest/other/1/0/none'); "
        "sys.stdout.write(hashlib.sha256(PhantomSource().read_image(sys.argv[1]).tobytes()).hexdigest())"
    )
    script = f"import sys; sys.path[:] = {sys.path!r}\n{code}"
    elsewhere = subprocess.run(
        [sys.executable, "-c", script, locator], capture_output=True, text=True, check=True
    )
    here = PhantomSource().read_image(locator)
    assert elsewhere.stdout == hashlib.sha256(here.tobytes()).hexdigest()


def test_pictures_have_the_shapes_a_source_promises() -> None:
    source = pickle.loads(pickle.dumps(PhantomSource()))
    chest, photograph = (source.read_image(locator) for locator in LOCATORS)
    assert (chest.shape, chest.dtype) == ((80, 80), np.uint8)
    assert (photograph.shape, photograph.dtype) == ((80, 80, 3), np.uint8)
    assert set(np.unique(source.read_mask(LOCATORS[0]))) == {0, 1}


def test_series_patients_views_and_findings_all_change_the_picture() -> None:
    base = draw_chest("a", 1, 0, ()).image
    others = [("b", 1, 0, ()), ("a", 2, 0, ()), ("a", 1, 1, ()), *(("a", 1, 0, (name,)) for name in FINDINGS)]
    for arguments in others:
        assert (draw_chest(*arguments).image != base).any(), arguments


def test_the_order_of_findings_does_not_matter() -> None:
    one = draw_chest("a", 1, 0, ["tube", "nodule"]).image
    np.testing.assert_array_equal(one, draw_chest("a", 1, 0, ["nodule", "tube"]).image)
    assert chest_locator("a", 1, 0, ["tube", "nodule"]) == chest_locator("a", 1, 0, ["nodule", "tube"])


@pytest.mark.parametrize("finding", list(shadows))
def test_a_finding_changes_the_picture_only_where_it_can_be(finding: str) -> None:
    changed_somewhere = 0
    for patient in range(12):
        without = draw_chest("place", patient, 0, ())
        change = draw_chest("place", patient, 0, (finding,)).image.astype(int) - without.image
        grown = np.pad(without.lungs, 5)
        near = np.max([np.roll(grown, (r, c), (0, 1)) for r in range(-5, 6) for c in range(-5, 6)], axis=0)[
            5:-5, 5:-5
        ]
        if finding == "tube":
            assert change.min() >= -1
        else:
            assert np.abs(change[near == 0]).max() <= 1
        changed_somewhere += np.abs(change).max() > 8
    assert changed_somewhere >= 10


@pytest.mark.parametrize("finding", ["nodule", "effusion", "consolidation"])
def test_dense_findings_make_lungs_brighter(finding: str) -> None:
    for patient in range(8):
        change = (
            draw_chest("dense", patient, 0, (finding,)).image.astype(int)
            - draw_chest("dense", patient, 0, ()).image
        )
        assert change.sum() > 0


def test_a_large_heart_is_wider_than_any_normal_one_and_leaves_less_lung() -> None:
    share = {
        large: [
            anatomy.heart[2] / anatomy.thorax_width
            for anatomy in (draw_anatomy("heart", patient, large_heart=large) for patient in range(60))
        ]
        for large in (False, True)
    }
    assert max(share[False]) < min(share[True])
    for patient in range(5):
        normal, large = (
            draw_chest("heart", patient, 0, findings).lungs for findings in ((), ("cardiomegaly",))
        )
        assert large.sum() < normal.sum()
        assert (large <= normal).all()


def test_other_findings_do_not_change_the_lungs() -> None:
    for finding in shadows:
        np.testing.assert_array_equal(
            draw_chest("a", 1, 0, (finding,)).lungs, draw_chest("a", 1, 0, ()).lungs
        )


def test_lungs_are_two_dark_regions_of_plausible_size() -> None:
    for patient in range(40):
        picture = draw_chest("size", patient, 0, ())
        regions, _, facts, _ = cv2.connectedComponentsWithStats(picture.lungs, connectivity=4)
        large = facts[1:, cv2.CC_STAT_AREA] > 100
        assert large.sum() == 2, (patient, regions)
        assert 0.12 < picture.lungs.mean() < 0.5
        ring = cv2.dilate(picture.lungs, np.ones((9, 9), np.uint8)) - cv2.dilate(
            picture.lungs, np.ones((3, 3), np.uint8)
        )
        assert picture.image[picture.lungs == 1].mean() < picture.image[ring == 1].mean() - 20


def test_two_exams_of_a_patient_share_the_body_not_the_pose() -> None:
    first, second = (draw_exam("a", 1, view) for view in (0, 1))
    assert first != second
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(first.to_body(first.to_image(points)), points, atol=1e-12)
    np.testing.assert_array_equal(
        draw_anatomy("a", 1, large_heart=True).lungs[0], draw_anatomy("a", 1, large_heart=False).lungs[0]
    )


def test_photographs_cannot_be_told_apart_by_their_colours_alone() -> None:
    pictures = {motif: [draw_photograph("mean", motif, n) for n in range(30)] for motif in motifs}
    colours = np.array([[p.mean((0, 1)) for p in group] for group in pictures.values()]).reshape(-1, 3)
    labels = np.repeat(np.arange(len(motifs)), 30)
    even, odd = np.arange(len(labels)) % 2 == 0, np.arange(len(labels)) % 2 == 1
    guess = LogisticRegression(max_iter=500).fit(colours[even] / 255, labels[even])
    assert guess.score(colours[odd] / 255, labels[odd]) < 0.25


@pytest.mark.parametrize("motif", list(motifs))
def test_photographs_of_a_motif_differ_and_show_something(motif: str) -> None:
    first, second = (draw_photograph("test", motif, number) for number in (0, 1))
    assert (first != second).mean() > 0.5
    assert first.std(axis=(0, 1)).max() > 8


def test_the_content_hash_changes_with_locator_and_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    source = PhantomSource()
    first = source.content_hash(LOCATORS[0])
    assert first == source.content_hash(LOCATORS[0])
    assert first != source.content_hash(LOCATORS[1])
    monkeypatch.setattr(phantoms, "GENERATOR_REVISION", 10**6)
    assert source.content_hash(LOCATORS[0]) != first


@pytest.mark.parametrize(
    "locator",
    [
        "",
        "chest",
        "chest/a/1/0",
        "chest/a/x/0/none",
        "chest/a/-1/0/none",
        "chest/a/1/0/headache",
        "chest/a/1/0/none+nodule",
        "chest/a/1/0/none/more",
        "photograph/a/portrait/1",
        "photograph/a/stars/one",
        "../secret.png",
    ],
)
def test_a_locator_of_nothing_is_refused(locator: str) -> None:
    with pytest.raises(BadImageError, match=r"phantom .*: expected"):
        PhantomSource().read_image(locator)


def test_a_photograph_has_no_lungs() -> None:
    with pytest.raises(BadImageError, match="expected"):
        PhantomSource().read_mask(LOCATORS[1])
