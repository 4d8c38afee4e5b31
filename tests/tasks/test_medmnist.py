"""MedMNIST: every 2-D set by its npz layout, with its official counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import audit_cases
from medtransfer.tasks.medmnist import SIZES, medmnist_tasks
from medtransfer.tasks.target_task import TargetTask

BY_NAME = {task.name: task for task in medmnist_tasks}
NAMES = (
    *("pathmnist", "chestmnist", "dermamnist", "octmnist", "pneumoniamnist", "retinamnist", "breastmnist"),
    *("bloodmnist", "tissuemnist", "organamnist", "organcmnist", "organsmnist"),
)
COLOUR = {"pathmnist", "dermamnist", "retinamnist", "bloodmnist"}


def drawn_labels(task: TargetTask, number: int) -> np.ndarray:
    if task.kind is TaskKind.MULTI_LABEL:
        return np.random.default_rng(number).integers(0, 2, (number, len(task.classes))).astype(np.uint8)
    return (np.arange(number) % len(task.classes)).astype(np.uint8)


def write_set(path: Path, task: TargetTask, *, column: bool, number: int = 30, **changed: np.ndarray) -> Path:
    """Write an npz in the official layout; ``column`` gives labels of shape (N, 1)."""
    draw = np.random.default_rng(1)
    shape = (28, 28, 3) if task.name in COLOUR else (28, 28)
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "val", "test"):
        labels = drawn_labels(task, number)
        arrays[f"{split}_images"] = draw.integers(0, 256, (number, *shape)).astype(np.uint8)
        arrays[f"{split}_labels"] = labels[:, None] if column and labels.ndim == 1 else labels
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(arrays | changed))
    return path


def test_every_two_dimensional_set_is_there_in_every_size() -> None:
    expected = {name if size == 28 else f"{name}-{size}" for name in NAMES for size in SIZES}
    assert set(BY_NAME) == expected


@pytest.mark.parametrize("column", [False, True], ids=["N", "N,1"])
@pytest.mark.parametrize("name", NAMES)
def test_the_official_layout_is_read(name: str, column: bool, tmp_path: Path) -> None:
    task = BY_NAME[name]
    cases = task.open(write_set(tmp_path / f"{name}.npz", task, column=column))
    assert (cases.kind, cases.classes, cases.split_source) == (task.kind, task.classes, "official")
    assert cases.frame["split"].value_counts().to_dict() == {"train": 30, "val": 30, "test": 30}
    test = cases.indices("test")
    assert np.array_equal(cases.labels()[test], drawn_labels(task, 30))
    picture = cases.source.read_image(str(cases.frame["image"][test[3]]))
    with np.load(tmp_path / f"{name}.npz") as arrays:
        assert np.array_equal(picture, arrays["test_images"][3])


def test_wrong_counts_are_reported_with_both_numbers(tmp_path: Path) -> None:
    task = BY_NAME["breastmnist"]
    cases = task.open(write_set(tmp_path / "breastmnist.npz", task, column=True))
    found = [p for p in audit_cases(cases, expected=task.expected) if p.what == "unexpected-count"]
    assert [(p.where, p.expected, p.found) for p in found] == [
        ("train split", "546 cases", "30"),
        ("val split", "78 cases", "30"),
        ("test split", "156 cases", "30"),
    ]


def test_larger_sizes_have_their_own_files() -> None:
    assert "breastmnist_128.npz" in BY_NAME["breastmnist-128"].folders
    assert "medmnist/breastmnist.npz" in BY_NAME["breastmnist"].folders


def test_labels_outside_the_classes_are_found(tmp_path: Path) -> None:
    task = BY_NAME["breastmnist"]
    wrong = np.array([0, 1] * 14 + [2, 7], dtype=np.uint8)
    path = write_set(tmp_path / "breastmnist.npz", task, column=True, val_labels=wrong)
    with pytest.raises(DataError, match=r"val_labels row 28: expected a label in \[0, 2\), got 2"):
        task.open(path)


def test_a_file_without_an_array_or_with_too_few_labels_is_refused(tmp_path: Path) -> None:
    task = BY_NAME["breastmnist"]
    path = tmp_path / "breastmnist.npz"
    np.savez(path, train_images=np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(DataError, match="train_labels"):
        task.open(path)
    write_set(path, task, column=False, test_labels=np.zeros(29, np.uint8))
    with pytest.raises(DataError, match="29"):
        task.open(path)


def test_pickled_content_is_not_run(tmp_path: Path) -> None:
    task = BY_NAME["breastmnist"]
    objects = np.array([{"not": "an image"}] * 30, dtype=object)
    path = write_set(tmp_path / "breastmnist.npz", task, column=False, train_images=objects)
    with pytest.raises(DataError, match="allow_pickle=False"):
        task.open(path)


SAMPLES = [task for task in medmnist_tasks if task.name.endswith("-64") or task.family == "breastmnist"]


@pytest.mark.parametrize("task", SAMPLES, ids=lambda task: task.name)
def test_a_sample_is_like_the_published_file_but_for_its_number_of_images(
    task: TargetTask, tmp_path: Path
) -> None:
    assert task.write_sample is not None
    path = tmp_path / task.folders[0]
    task.write_sample(path)
    first = path.read_bytes()
    task.write_sample(path)
    assert path.read_bytes() == first
    assert len(first) < 5e6
    side = int(task.name.rpartition("-")[2]) if "-" in task.name else 28
    width = len(task.classes) if task.kind is TaskKind.MULTI_LABEL else 1
    cases = task.open(path)
    with np.load(path) as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype(np.uint8)}
        for split, number in (("train", 60), ("val", 20), ("test", 20)):
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
            channels = (3,) if task.family in COLOUR else ()
            assert images.shape[1:] == (side, side, *channels)
            assert number <= len(images) <= number + 2
            assert labels.shape == (len(images), width)
            assert np.array_equal(cases.labels()[cases.indices(split)].reshape(labels.shape), labels)
            shown = labels if width > 1 else labels == np.arange(len(task.classes))
            assert shown.sum(axis=0).min() >= (3 if split == "train" else 2)
            assert np.array_equal(
                cases.source.read_image(str(cases.frame["image"][cases.indices(split)[-1]])), images[-1]
            )
    assert audit_cases(cases) == []


def test_a_chest_without_findings_is_in_the_sample(tmp_path: Path) -> None:
    task = BY_NAME["chestmnist"]
    assert task.write_sample is not None
    task.write_sample(tmp_path / "chestmnist.npz")
    labels = task.open(tmp_path / "chestmnist.npz").labels()
    assert (labels.sum(axis=1) == 0).any()


def test_the_four_sizes_of_a_set_share_a_page_that_names_its_counts() -> None:
    for name in NAMES:
        family = [task for task in medmnist_tasks if task.family == name]
        assert len(family) == 4
        assert len({task.page for task in family}) == 1
        page = family[0].page
        assert page is not None
        for variant in family[0].expected.variants if family[0].expected else ():
            assert " / ".join(f"{variant[split]:,}" for split in ("train", "val", "test")) in page.split
        assert all(f"{name}{suffix}.npz" in page.layout for suffix in ("", "_64", "_128", "_224"))
        assert ("N x S x S x 3" in page.layout) == (name in COLOUR)
        assert ("N x 14" in page.layout) == (name == "chestmnist")


def test_terms_and_cautions_are_those_of_the_set() -> None:
    assert {task.family for task in medmnist_tasks if task.licence == "CC BY-NC 4.0"} == {"dermamnist"}
    assert "one lesion lie in different official splits" in BY_NAME["dermamnist-224"].caution
    assert BY_NAME["breastmnist"].classes[1] == "normal or benign"
    assert any("'normal or benign'" in trap for trap in BY_NAME["breastmnist"].page.traps)  # type: ignore[union-attr]
