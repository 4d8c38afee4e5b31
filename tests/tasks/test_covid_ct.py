"""COVID-CT in its official layout: lists, folders, JPEG data in files named PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.covid_ct import covid_ct, source_group

LISTS = {
    ("COVID", "train"): ["paper-a-p3-1%0.png", "paper-a-p3-1%1.png"],
    ("COVID", "val"): ["paper-b-p1-2.png"],
    ("COVID", "test"): ["paper-c-p9-3.png"],
    ("NonCOVID", "train"): ["11%0.jpg", "11%1.jpg"],
    ("NonCOVID", "val"): ["12.jpg"],
    ("NonCOVID", "test"): ["13.jpg"],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw = np.random.default_rng(2)
    for (kind, split), names in LISTS.items():
        folder = tmp_path / "Images-processed" / f"CT_{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            pixels = draw.integers(0, 256, (20, 24), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name, format="JPEG" if "%1" in name else "PNG")
        lists = tmp_path / "Data-split" / kind
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}CT_{kind}.txt").write_text("\n".join(names) + "\n\n")
    return tmp_path


def test_lists_give_splits_folders_give_labels(root: Path) -> None:
    cases = covid_ct.open(root)
    frame = cases.frame
    for (kind, split), names in LISTS.items():
        for name in names:
            (row,) = frame[frame["case_id"] == f"CT_{kind}/{name}"].itertuples()
            assert (row.split, cases.classes[row.label]) == (
                split,
                "covid" if kind == "COVID" else "non-covid",
            )


def test_figures_of_one_paper_are_one_group(root: Path) -> None:
    frame = covid_ct.open(root).frame
    groups = frame.groupby("patient_id")["case_id"].count()
    assert groups["CT_COVID:paper-a"] == 2
    assert groups["CT_NonCOVID:11"] == 2
    assert source_group("2020.02.10-p6-52%1.png") == "2020.02.10"


def test_content_decides_how_a_file_is_decoded(root: Path) -> None:
    cases = covid_ct.open(root)
    jpeg_named_png = "Images-processed/CT_COVID/paper-a-p3-1%1.png"
    assert (root / jpeg_named_png).read_bytes().startswith(b"\xff\xd8")
    assert cases.source.read_image(jpeg_named_png).shape == (20, 24)


def test_counts_and_images_in_no_list_are_reported(root: Path) -> None:
    (root / "Images-processed" / "CT_COVID" / "extra.png").write_bytes(b"")
    problems = {(p.what, p.where): p for p in audit_cases(covid_ct.open(root))}
    assert problems["unexpected-count", "Images-processed/CT_COVID"].expected == "349 images"
    assert problems["unexpected-count", "Images-processed/CT_COVID"].found == "5"
    assert "extra.png" in problems["unlisted-image", "Data-split"].found


def test_a_listed_image_that_is_missing_is_refused(root: Path) -> None:
    (root / "Images-processed" / "CT_NonCOVID" / "12.jpg").unlink()
    with pytest.raises(DataError, match=r"valCT_NonCOVID\.txt.*'12\.jpg'"):
        covid_ct.open(root)


def test_an_image_in_two_lists_is_refused(root: Path) -> None:
    with (root / "Data-split" / "COVID" / "testCT_COVID.txt").open("a") as file:
        file.write("paper-b-p1-2.png\n")
    with pytest.raises(DataError, match=r"each image in one list.*paper-b-p1-2\.png"):
        covid_ct.open(root)


@pytest.mark.parametrize("gone", ["Images-processed/CT_COVID", "Data-split/COVID/valCT_COVID.txt"])
def test_what_is_missing_is_named(root: Path, gone: str) -> None:
    (root / gone).rename(root / "elsewhere")
    with pytest.raises(DataError, match=Path(gone).name):
        covid_ct.open(root)


def test_the_sample_mixes_what_the_data_set_mixes(tmp_path: Path) -> None:
    assert covid_ct.write_sample is not None
    covid_ct.write_sample(tmp_path / "a")
    covid_ct.write_sample(tmp_path / "b")
    modes, written = set(), {}
    for path in (tmp_path / "a" / "Images-processed").rglob("*.*"):
        name = path.relative_to(tmp_path / "a").as_posix()
        assert path.read_bytes() == (tmp_path / "b" / name).read_bytes()
        with Image.open(path) as image:
            modes.add((path.parent.name, path.suffix, image.format, image.mode))
            written[name] = np.array(image.convert("L"), dtype=int)
    assert {mode for folder, suffix, _, mode in modes if folder == "CT_COVID"} == {"L", "RGB", "RGBA"}
    assert ("CT_COVID", ".png", "JPEG", "RGB") in modes
    assert {(suffix, kind) for folder, suffix, kind, _ in modes if folder == "CT_NonCOVID"} >= {
        (".jpg", "JPEG"),
        (".png", "PNG"),
    }
    cases = covid_ct.open(tmp_path / "a")
    assert set(cases.frame["image"]) == set(written)
    for locator, pixels in written.items():
        seen = cases.source.read_image(locator).astype(int)
        assert np.abs((seen if seen.ndim == 2 else seen[..., 0]) - pixels).max() <= 1


def test_the_sample_has_both_classes_in_every_split_and_no_paper_in_two(tmp_path: Path) -> None:
    assert covid_ct.write_sample is not None
    covid_ct.write_sample(tmp_path)
    cases = covid_ct.open(tmp_path)
    counts = cases.frame.groupby(["split", "label"]).size()
    assert counts.to_dict() == {
        **{("train", label): 18 for label in (0, 1)},
        **{("val", label): 6 for label in (0, 1)},
        **{("test", label): 10 for label in (0, 1)},
    }
    assert {problem.what for problem in audit_cases(cases)} == {"unexpected-count"}
    groups = cases.frame.groupby("patient_id")
    assert (groups["split"].nunique() == 1).all()
    assert set(groups.size()[lambda sizes: sizes.index.str.startswith("CT_COVID")]) == {2}


def test_only_the_lists_of_the_authors_count_as_official(root: Path) -> None:
    assert covid_ct.open(root).split_source == "user"
    for (kind, split), number in {
        ("COVID", "train"): 191,
        ("COVID", "val"): 60,
        ("COVID", "test"): 98,
        ("NonCOVID", "train"): 234,
        ("NonCOVID", "val"): 58,
        ("NonCOVID", "test"): 105,
    }.items():
        names = [f"{split}{number}.png" for number in range(number)]
        for name in names:
            (root / "Images-processed" / f"CT_{kind}" / name).write_bytes(b"")
        (root / "Data-split" / kind / f"{split}CT_{kind}.txt").write_text("\n".join(names))
    assert covid_ct.open(root).split_source == "official"
