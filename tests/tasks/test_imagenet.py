"""ImageNet: sorted WordNet ids as labels, validation images halved, in every layout there is."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from medtransfer.core.errors import DataError
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.imagenet import WORDNET_IDS, imagenet_tasks
from medtransfer.tasks.imagenet_validation import labelled_validation_images

BY_NAME = {task.name: task for task in imagenet_tasks}
TEN = BY_NAME["imagenet-10"]
SOLUTION = "LOC_val_solution.csv"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
KIT = "ILSVRC2012_devkit_t12/data"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imagenet")
    assert TEN.write_sample is not None
    TEN.write_sample(folder)
    return folder


def classes_of(folder: Path) -> dict[str, str]:
    """The class of each validation image, by the table."""
    with (folder / SOLUTION).open(newline="") as stream:
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(stream)}


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """Only the ten classes of imagenet-10, as from a smaller download, with the labels of all."""
    folder = tmp_path / "set"
    for wnid in WORDNET_IDS[::100]:
        shutil.copytree(whole / "train" / wnid, folder / "train" / wnid)
    (folder / "val").mkdir()
    for image, wnid in classes_of(whole).items():
        if wnid in WORDNET_IDS[::100]:
            shutil.copy(whole / "val" / f"{image}.JPEG", folder / "val")
    shutil.copy(whole / SOLUTION, folder)
    return folder


def nest(folder: Path) -> None:
    """Sort validation images into a folder per class."""
    for image, wnid in classes_of(folder).items():
        if (folder / "val" / f"{image}.JPEG").is_file():
            (folder / "val" / wnid).mkdir(exist_ok=True)
            (folder / "val" / f"{image}.JPEG").rename(folder / "val" / wnid / f"{image}.JPEG")
    (folder / SOLUTION).unlink()


def write_kit(folder: Path, labels: dict[str, str], order: list[str], below: str = KIT) -> None:
    """Write the label file of the development kit: numbers that count classes in another order."""
    (folder / below).mkdir(parents=True, exist_ok=True)
    numbers = {wnid: number for number, wnid in enumerate(order, 1)}
    lines = [str(numbers[labels[image]]) for image in sorted(labels)]
    (folder / below / TRUTH).write_text("\n".join(lines) + "\n")
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    synsets = np.array(
        [(n, wnid, "a thing", 0) for wnid, n in numbers.items()] + [(1001, "n00001740", "all", 9)], kinds
    )
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets.reshape(-1, 1)})
    (folder / below / "meta.mat").write_bytes(stream.getvalue())


def contents(folder: Path) -> Counter[tuple[str, int, str]]:
    frame = TEN.open(folder).frame
    return Counter(zip(frame["case_id"], frame["label"], frame["split"], strict=True))


def test_the_classes_are_the_list_every_model_is_trained_by() -> None:
    timm = importlib.util.find_spec("timm")
    assert timm is not None
    assert timm.submodule_search_locations is not None
    listed = Path(timm.submodule_search_locations[0]) / "data" / "_info" / "imagenet_synsets.txt"
    names = listed.read_text().split()
    assert list(WORDNET_IDS) == names == sorted(names)
    assert BY_NAME["imagenet-1k"].classes == tuple(names)
    assert BY_NAME["imagenet-100"].classes == tuple(names[::10])
    assert TEN.classes == tuple(names[::100])
    assert [len(task.classes) for task in imagenet_tasks] == [1000, 100, 10]


def test_the_records_need_no_timm() -> None:
    program = (
        "import sys; import medtransfer.tasks.imagenet;"
        "print(sorted({'timm', 'torch', 'pydicom', 'nibabel', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", BY_NAME)
def test_folders_and_the_table_give_labels(name: str, whole: Path) -> None:
    cases = BY_NAME[name].open(whole)
    by_stem = classes_of(whole)
    wanted = set(BY_NAME[name].classes)
    train = {path.stem: path.parent.name for path in (whole / "train").rglob("*.JPEG")}
    expected = {stem: wnid for stem, wnid in (train | by_stem).items() if wnid in wanted}
    frame = cases.frame
    assert {
        stem: cases.classes[label] for stem, label in zip(frame["case_id"], frame["label"], strict=True)
    } == expected
    assert set(frame["case_id"][frame["split"] == "train"]) == set(train) & set(expected)
    assert BY_NAME[name].purpose == "control"


@pytest.mark.parametrize("name", BY_NAME)
def test_validation_is_halved_class_by_class(name: str, whole: Path) -> None:
    frame = BY_NAME[name].open(whole).frame
    counts = frame.groupby(["label", "split"]).size().unstack()
    assert (counts["val"] == counts["test"]).all()
    assert counts.min().min() >= (1 if name == "imagenet-1k" else 2)


def test_the_three_tasks_share_their_division(whole: Path) -> None:
    splits = [task.open(whole).frame.set_index("case_id")["split"] for task in imagenet_tasks]
    assert splits[0][splits[1].index].equals(splits[1])
    assert splits[1][splits[2].index].equals(splits[2])


def test_fifty_images_of_a_class_become_25_and_25(root: Path) -> None:
    nest(root)
    for wnid in TEN.classes:
        have = len(list((root / "val" / wnid).iterdir()))
        for number in range(have, 50):
            (root / "val" / wnid / f"ILSVRC2012_val_{wnid[1:]}{number}.JPEG").touch()
    frame = TEN.open(root).frame
    counts = frame[frame["split"] != "train"].groupby(["label", "split"]).size()
    assert set(counts) == {25}
    assert TEN.expected is not None
    assert TEN.expected.variants == (dict.fromkeys(("val", "test"), 25 * 10),)


def test_every_layout_gives_the_same_cases(root: Path) -> None:
    before, labels = contents(root), classes_of(root)
    nested = root.with_name("nested")
    shutil.copytree(root, nested)
    nest(nested)
    assert contents(nested) == before
    kaggle = root.with_name("kaggle")
    for part in ("train", "val"):
        shutil.copytree(root / part, kaggle / "ILSVRC/Data/CLS-LOC" / part)
    shutil.copy(root / SOLUTION, kaggle)
    assert contents(kaggle) == before
    (root / SOLUTION).unlink()
    mixed = [str(wnid) for wnid in np.random.default_rng(1).permutation(WORDNET_IDS)]
    numbered = {f"ILSVRC2012_val_{n:08}": "" for n in range(1, max(int(image[-8:]) for image in labels) + 1)}
    write_kit(root, {image: labels.get(image, WORDNET_IDS[1]) for image in numbered}, mixed)
    assert contents(root) == before
    shutil.move(root / KIT / TRUTH, root)
    shutil.move(root / KIT / "meta.mat", root)
    assert contents(root) == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda path: path.unlink(),
            "expected the file ILSVRC2012_devkit_t12/data/meta.mat, which says what",
        ),
        (lambda path: path.write_bytes(b"no table"), "meta.mat: expected the class table of ImageNet"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:900]),
            "meta.mat: expected the class table of ImageNet",
        ),
        (lambda path: savemat(path, {"other": 1}), "meta.mat: expected the class table of ImageNet"),
    ],
)
def test_numbers_without_their_meaning_are_refused(
    root: Path, spoil: Callable[[Path], object], message: str
) -> None:
    labels = classes_of(root)
    (root / SOLUTION).unlink()
    write_kit(root, labels, list(WORDNET_IDS))
    spoil(root / KIT / "meta.mat")
    with pytest.raises(DataError, match=message):
        TEN.open(root)


def test_a_table_that_lacks_classes_is_refused(root: Path) -> None:
    labels = {image: wnid for image, wnid in classes_of(root).items() if wnid in TEN.classes}
    (root / SOLUTION).unlink()
    write_kit(root, labels, list(TEN.classes))
    with pytest.raises(DataError, match="expected numbers for 1000 classes, got 10"):
        TEN.open(root)


@pytest.mark.parametrize("line", ["0", "1001", "1.0", "n01440764"])
def test_a_number_of_no_class_is_refused(root: Path, line: str) -> None:
    labels = classes_of(root)
    (root / SOLUTION).unlink()
    write_kit(root, labels, list(WORDNET_IDS))
    lines = (root / KIT / TRUTH).read_text().splitlines()
    (root / KIT / TRUTH).write_text("\n".join([*lines[:6], line, *lines[7:]]))
    with pytest.raises(
        DataError, match=f"expected a class number from meta.mat in every line, got line 7: '{line}'"
    ):
        TEN.open(root)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ILSVRC2012_val_00000001,n99999999 1 2 3 4 ", "'ILSVRC2012_val_00000001' 'n99999999 1 2 3 4'"),
        ("ILSVRC2012_val_00000001,", "'ILSVRC2012_val_00000001' ''"),
        ("ILSVRC2012_val_00000001,n01440764 1 2 3 4 n01443537 1 2 3 4", "n01443537 1 2 3 4'"),
        ("ILSVRC2012_val_00000001,n01443537 1 2 3 4", "n01443537 1 2 3 4'"),
    ],
)
def test_a_label_that_is_not_one_class_is_refused(root: Path, row: str, message: str) -> None:
    with (root / SOLUTION).open("a") as stream:
        stream.write(f"{row}\n")
    last = len((root / SOLUTION).read_text().splitlines())
    with pytest.raises(
        DataError, match=f"one class of ImageNet-1k for every image, got line {last}: .*{message}"
    ):
        TEN.open(root)


def test_images_without_labels_and_labels_without_images_are_refused(root: Path) -> None:
    (root / "val" / "ILSVRC2012_val_00050000.JPEG").touch()
    with pytest.raises(
        DataError, match=r"a label for every image in val, got 'val/ILSVRC2012_val_00050000\.JPEG'"
    ):
        TEN.open(root)
    (root / "val" / "ILSVRC2012_val_00050000.JPEG").unlink()
    (root / "val" / "ILSVRC2012_val_00000001.JPEG").unlink()
    with pytest.raises(DataError, match=r"only images that are in val, got 'ILSVRC2012_val_00000001'"):
        TEN.open(root)


def test_a_flat_folder_without_labels_is_refused(root: Path) -> None:
    (root / SOLUTION).unlink()
    with pytest.raises(DataError, match=f"expected {SOLUTION} or {KIT}/{TRUTH}"):
        TEN.open(root)


def test_both_layouts_at_once_are_refused(root: Path) -> None:
    (root / "val" / TEN.classes[0]).mkdir()
    image = next((root / "val").glob("*.JPEG"))
    shutil.copy(image, root / "val" / TEN.classes[0])
    with pytest.raises(DataError, match="got both"):
        TEN.open(root)


def test_a_class_that_is_missing_is_named(root: Path) -> None:
    wnid = TEN.classes[3]
    nest(root)
    shutil.rmtree(root / "val" / wnid)
    with pytest.raises(DataError, match=f"task 'imagenet-10': val: expected two or more .* got {wnid}"):
        TEN.open(root)
    for path in (root / "train" / wnid).iterdir():
        path.unlink()
    with pytest.raises(DataError, match=f"task 'imagenet-10': train: expected a folder .* got {wnid}"):
        TEN.open(root)
    with pytest.raises(DataError, match=r"task 'imagenet-100': train: .*; and 86 more"):
        BY_NAME["imagenet-100"].open(root)


def test_folders_of_other_classes_are_reported(root: Path) -> None:
    (root / "train" / "n00007846").mkdir()
    (root / "train" / WORDNET_IDS[5]).mkdir()
    (problem,) = TEN.open(root).opening_problems
    assert (problem.what, problem.where) == ("unlisted-image", "train")
    assert "1 other folders, first ['n00007846']" in problem.found


def test_the_labels_of_wanted_classes_are_sorted_by_class(tmp_path: Path) -> None:
    (tmp_path / SOLUTION).write_text(
        "PredictionString,ImageId\nb 0 0 1 1 b 0 0 1 1 ,2\nb 0 0 1 1,1\na 0 0 1 1,3\n"
    )
    found = labelled_validation_images(
        "x", tmp_path, ["val/3.JPEG", "val/2.JPEG", "val/1.JPEG"], ["b"], ["a", "b"]
    )
    assert found == {"b": ["val/1.JPEG", "val/2.JPEG"]}


def test_the_sample_is_whole_small_and_the_same_each_time(whole: Path, tmp_path: Path) -> None:
    assert imagenet_tasks[0].write_sample is not None
    imagenet_tasks[0].write_sample(tmp_path)
    files = [path for path in whole.rglob("*.*") if path.is_file()]
    assert all(path.read_bytes() == (tmp_path / path.relative_to(whole)).read_bytes() for path in files)
    assert sum(path.stat().st_size for path in files) < 5e6
    kinds = set()
    for path in files:
        if path.suffix == ".JPEG":
            with Image.open(path) as image:
                kinds.add((image.format, image.mode))
                assert image.size == (20, 20)
    assert kinds == {("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB")}
    assert audit_cases(BY_NAME["imagenet-100"].open(whole)) == []
    assert re.fullmatch(r"(n\d{8}( \d+){4} )+", (whole / SOLUTION).read_text().splitlines()[1].split(",")[1])
