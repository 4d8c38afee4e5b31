"""CT body region from any DICOM tree: whole words, what is left out, splits by patient and scan."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.body_region_terms import REGIONS, TERMS
from medtransfer.tasks.ct_body_region import body_region, ct_body_region
from medtransfer.tasks.sample_files import sample_uid, write_dicom

HEAD, THORAX, ABDOMEN, EXTREMITY, PELVIS, SPINE = range(6)


@pytest.fixture(autouse=True)
def private_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ct_body_region.write_sample(tmp_path)  # type: ignore[misc]
    return tmp_path


def headers(root: Path) -> dict[str, pydicom.Dataset]:
    return {
        path.relative_to(root).as_posix(): pydicom.dcmread(path, stop_before_pixels=True)
        for path in sorted(root.rglob("I*"))
    }


def change(root: Path, file: str, **values: object) -> None:
    dataset = pydicom.dcmread(root / file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.save_as(root / file)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        *(
            (text, HEAD)
            for text in ("HEAD", "Skull", "Kopf", "NECK", "hals", "Gehirn", "Hirn", "CCT", "Cranial")
        ),
        *((text, THORAX) for text in ("THORAX", "Thorax", "THO", "Thx", "CHEST", "torso", "Lunge", "BRUST")),
        *((text, ABDOMEN) for text in ("ABDOMEN", "Abd", "OBERBAUCH", "Bauch", "Leber", "Darm")),
        *(
            (text, EXTREMITY)
            for text in ("ARM", "Hand", "ELBOW", "Shoulder", "LEG", "Knee", "Schulter", "Bein")
        ),
        *((text, PELVIS) for text in ("HIP", "PELVIS", "Becken")),
        *((text, SPINE) for text in ("SPINE", "Spinal", "WS", "HWS", "BWS", "LWS", "CSPINE", "T-Spine")),
    ],
)
def test_words_in_english_and_german(text: str, region: int) -> None:
    assert body_region(text) == region


@pytest.mark.parametrize(
    ("spellings", "region"),
    [
        (("Schädel", "SCHÄDEL", "Schaedel", "SCHAEDEL", "Scha\u0308del"), HEAD),
        (("Hüfte", "HUEFTE", "hu\u0308fte"), PELVIS),
        (("Wirbelsäule", "WIRBELSAEULE", "WIRBELSÄULE"), SPINE),
        (("Fuß", "FUSS", "fuss"), EXTREMITY),
        (("Dünndarm", "DUENNDARM"), ABDOMEN),
    ],
)
def test_umlauts_in_every_spelling(spellings: tuple[str, ...], region: int) -> None:
    assert {body_region(text) for text in spellings} == {region}


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("ORTHO", None),  # holds tho
        ("METHOD", None),
        ("LITHOTRIPSY", None),
        ("ABDUCTION VIEW", None),  # holds abd
        ("LABDATA", None),
        ("NEWS", None),  # holds ws
        ("JAWS", None),
        ("ELBOWS", EXTREMITY),
        ("CHARM", None),  # holds arm
        ("PHARMA", None),
        ("Darm", ABDOMEN),
        ("Dickdarm", ABDOMEN),
        ("Halswirbelsäule", SPINE),  # holds Hals
        ("Brustwirbelsäule", SPINE),
        ("THORACIC SPINE", SPINE),  # holds tho
        ("ALLERGY LEGEND", None),  # holds leg
        ("WHIPPLE", None),  # holds hip
        ("Schnecke", None),  # holds neck
        ("HANDLING", None),  # holds hand
        ("AHEAD", None),  # holds head
    ],
)
def test_parts_of_words_do_not_count(text: str, region: int | None) -> None:
    assert body_region(text) == region


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("NECK AND CHEST", HEAD),
        ("Chest/Abdomen/Pelvis", THORAX),
        ("PELVIS ABDOMEN", ABDOMEN),
        ("SPINE, KNEE", EXTREMITY),
        ("WS + Becken", PELVIS),
        ("CHESTABDPELVIS", THORAX),
        ("ABDOMENPELVIS", ABDOMEN),
    ],
)
def test_of_several_regions_the_first_class_counts(text: str, region: int) -> None:
    assert body_region(text) == region


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "UNKNOWN",
        "WHOLE BODY",
        "wholebody",
        "WHOLE_BODY",
        "Ganzkörper",
        "GANZKOERPER Kopf bis Fuß",
        "123",
    ],
)
def test_nothing_is_known_of_empty_unknown_and_whole_body(text: str) -> None:
    assert body_region(text) is None


@pytest.mark.parametrize("text", ["CT_HEAD", "head-neck", "HEAD1", "  Head ", "Head.", "KOPF;ROUTINE"])
def test_what_parts_words(text: str) -> None:
    assert body_region(text) == HEAD


def test_no_term_stands_for_two_regions() -> None:
    counts = Counter(term for terms in TERMS for term in terms)
    assert len(TERMS) == len(REGIONS) == 6
    assert [term for term, number in counts.items() if number > 1] == []
    for region, terms in enumerate(TERMS):
        assert {body_region(term) for term in terms} == {region}


def test_cases_are_the_ct_slices_whose_header_names_a_region(root: Path) -> None:
    frame = ct_body_region.open(root).frame.set_index("image")
    expected = {
        "head": HEAD,
        "skull": HEAD,
        "schädel": HEAD,
        "chest": THORAX,
        "darm": ABDOMEN,
        "abdomen/pelvis": ABDOMEN,
        "fuß": EXTREMITY,
        "hüfte": PELVIS,
        "c-spine": SPINE,
    }
    seen = set()
    for file, header in headers(root).items():
        text = header.BodyPartExamined.casefold().replace("fuss", "fuß")
        if header.Modality != "CT" or text in {"", "unknown", "wholebody", "ortho"}:
            assert file not in frame.index
            continue
        case = frame.loc[file]
        assert (case["patient_id"], case["volume_id"]) == (header.PatientID, header.SeriesInstanceUID)
        if text in expected:
            seen.add(text)
            assert case["label"] == expected[text]
    assert seen == set(expected)
    assert len(frame) == 72


def test_what_is_left_out_is_one_problem_with_a_table(root: Path) -> None:
    change(root, next(iter(headers(root))), BodyPartExamined="UNKNOWN")
    (problem,) = audit_cases(ct_body_region.open(root), expected=ct_body_region.expected)
    assert problem.what == "dropped-rows"
    assert problem.found == (
        "6 other files: BodyPartExamined 'UNKNOWN' 2, '' 1, 'ORTHO' 1, 'WHOLEBODY' 1; Modality 'MR' 1"
    )


def test_a_long_table_says_how_much_it_leaves_out(root: Path) -> None:
    for number in range(120):
        tags = {"Modality": "CT", "BodyPartExamined": f"Q{number:03}", "PatientID": "p"}
        write_dicom(root / "more" / f"{number}", np.zeros((2, 2), np.uint16), tags)
    (problem,) = ct_body_region.open(root).opening_problems
    assert problem.found.startswith("125 other files: ")
    assert problem.found.count("'Q") == 98
    assert "and 24 more in 24 files; Modality" in problem.found


def test_nothing_left_out_is_no_problem(root: Path) -> None:
    for file, header in headers(root).items():
        if header.Modality != "CT" or body_region(header.BodyPartExamined) is None:
            (root / file).unlink()
    cases = ct_body_region.open(root)
    assert cases.opening_problems == ()
    assert len(cases) == 72


def test_neither_a_patient_nor_a_scan_is_cut_and_classes_are_balanced(root: Path) -> None:
    cases = ct_body_region.open(root)
    frame = cases.frame
    scans = frame.groupby("patient_id")["volume_id"].nunique()
    assert scans.max() == 2
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert (frame.groupby("volume_id")["split"].nunique() == 1).all()
    counts = frame.groupby(["split", "label"]).size().unstack()
    assert counts.loc["train"].min() >= 3
    assert counts.loc[["val", "test"]].to_numpy().min() >= 2
    assert cases.split_source == "ours"


def test_images_are_shown_from_minus_160_to_240_hu(root: Path) -> None:
    cases = ct_body_region.open(root)
    for locator in cases.frame["image"].iloc[::9]:
        hounsfield = pydicom.dcmread(root / locator).pixel_array.astype(float) - 1024
        shown = np.floor(np.clip((hounsfield + 160) / 400, 0, 1) * 255 + 0.5)
        assert np.abs(cases.source.read_image(locator) - shown).max() <= 1


def test_every_frame_of_a_file_is_a_case(root: Path) -> None:
    frames = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    tags = {
        "Modality": "CT",
        "BodyPartExamined": "HEAD",
        "PatientID": "many",
        "SeriesInstanceUID": sample_uid("many"),
    }
    write_dicom(root / "frames.dcm", frames, tags)
    cases = ct_body_region.open(root)
    part = cases.frame[cases.frame["patient_id"] == "many"]
    assert part["case_id"].tolist() == [f"frames.dcm#{k:04}" for k in range(3)]
    assert part["label"].tolist() == [HEAD] * 3
    images = [cases.source.read_image(locator) for locator in part["image"]]
    shown = [np.floor((frame + 160.0) / 400 * 255 + 0.5) for frame in frames]
    assert np.abs(np.array(images) - shown).max() <= 1


def _without_image(root: Path, file: str, modality: str) -> None:
    dataset = pydicom.dcmread(root / file)
    dataset.Modality = modality
    del dataset.PixelData, dataset.Rows, dataset.Columns
    dataset.save_as(root / file)


def test_a_report_is_counted_by_its_modality(root: Path) -> None:
    file = next(iter(headers(root)))
    _without_image(root, file, "SR")
    cases = ct_body_region.open(root)
    assert "Modality 'MR' 1, 'SR' 1" in cases.opening_problems[0].found
    assert file not in set(cases.frame["image"])


def test_a_ct_file_without_an_image_is_an_error(root: Path) -> None:
    file = next(iter(headers(root)))
    _without_image(root, file, "CT")
    with pytest.raises(DataError, match=rf"{file}: expected a DICOM image, got a file without Rows"):
        ct_body_region.open(root)


def test_a_file_cut_off_in_its_header_is_an_error(root: Path) -> None:
    path = root / next(iter(headers(root)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=rf"{path.name}: expected a"):
        ct_body_region.open(root)


@pytest.mark.parametrize("tag", ["PatientID", "SeriesInstanceUID"])
def test_slices_of_nobody_are_refused(root: Path, tag: str) -> None:
    file = ct_body_region.open(root).frame["image"].iloc[4]
    change(root, file, **{tag: ""})
    with pytest.raises(DataError, match=rf"PatientID and SeriesInstanceUID in every CT file, got {file}\."):
        ct_body_region.open(root)


def test_a_scan_of_two_patients_is_refused(root: Path) -> None:
    file = ct_body_region.open(root).frame["image"].iloc[4]
    change(root, file, PatientID="somebody else")
    with pytest.raises(DataError, match="one patient per volume"):
        ct_body_region.open(root)


def test_other_files_are_not_looked_at(root: Path) -> None:
    before = ct_body_region.open(root)
    (root / "notes.txt").write_text("HEAD " * 100)
    assert ct_body_region.open(root).frame.equals(before.frame)


def test_a_tree_without_ct_is_refused_and_says_what_is_there(root: Path) -> None:
    for file in headers(root):
        change(root, file, Modality="MR")
    with pytest.raises(DataError, match=r"expected CT slices .* got none \(Modality 'MR' 77\)"):
        ct_body_region.open(root)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got none \(no DICOM file\)"):
        ct_body_region.open(tmp_path)


def test_the_sample_is_the_same_each_time(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    ct_body_region.write_sample(other)  # type: ignore[misc]
    assert ct_body_region.open(root).content_hash() == ct_body_region.open(other).content_hash()
