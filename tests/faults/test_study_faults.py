"""What a user's files and disks can do to a study: one clear message, its exit code, a sound store.

Every test goes through the entry point, then puts right what was wrong and runs the same command again.
"""

from __future__ import annotations

import csv
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.store.owners import this_owner
from medtransfer.store.store import Store

TASK = {"lesions": {"root": "lesions", "patient_pattern": "^([a-z][0-9]+)_"}}
STUDY: dict[str, Any] = {
    "name": "faults",
    "tasks": [TASK],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}],
}
MINE = {"mine": {"file": "mine.pth", "architecture": "resnet20", "size": 32}}


@pytest.fixture
def run(medtransfer, lesions: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run a study file on the drawn images, in this process."""

    def call(study: Path, *options: object):
        return medtransfer(
            "run", study, "--data", lesions, "--store", tmp_path / "store", "--workers", 0, *options
        )

    return call


@pytest.fixture
def store_is_sound(tmp_path: Path) -> Callable[[int], None]:
    """Check that the store, if there is one yet, is whole and holds so many finished trials."""

    def check(done: int) -> None:
        if not (tmp_path / "store").exists():
            assert done == 0
            return
        with Store.open(tmp_path / "store", create=False) as store:
            assert store.verify() == []
            counts = store.counts()
            assert (counts.done, counts.failed) == (done, 0)

    return check


def good_weights(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    network = ResNet20()
    network(torch.randn(8, 3, 32, 32))  # once in training mode: no statistic stays as it was made
    torch.save(network.state_dict(), folder / "mine.pth")


# Weights


def test_weights_folder_that_does_not_exist(run, write_study, store_is_sound, tmp_path: Path) -> None:
    study = write_study({**STUDY, "models": [MINE, "resnet20.sup_cifar10"]})
    refused = run(study, "--weights", tmp_path / "weights")
    assert refused.code == 3
    message = refused.refusal()
    assert f"expected a folder at {tmp_path / 'weights'}, got none" in message
    assert "--weights" in message
    store_is_sound(0)
    good_weights(tmp_path / "weights")
    assert run(write_study({**STUDY, "models": [MINE]}), "--weights", tmp_path / "weights").code == 0
    store_is_sound(1)


def test_every_missing_weights_file_is_named(run, write_study, store_is_sound, tmp_path: Path) -> None:
    absent = {"other": {"file": "nowhere/other.pth", "architecture": "resnet20"}}
    (tmp_path / "weights").mkdir()
    refused = run(write_study({**STUDY, "models": [MINE, absent]}), "--weights", tmp_path / "weights")
    assert refused.code == 3
    message = refused.refusal()
    assert "model 'mine': expected the weights file 'mine.pth', got no such file" in message
    assert "model 'other': expected the weights file 'nowhere/other.pth'" in message
    store_is_sound(0)


def test_checkpoint_of_another_architecture(run, write_study, store_is_sound, tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    good_weights(tmp_path / "weights")
    torch.save(squeezenet1_1(weights=None).state_dict(), tmp_path / "weights" / "mine.pth")
    study = write_study({**STUDY, "models": [MINE]})
    refused = run(study, "--weights", tmp_path / "weights")
    assert refused.code == 3
    message = refused.refusal()
    assert message.startswith("model 'mine':")
    assert "expected" in message
    assert "conv1.weight" in message
    store_is_sound(0)
    good_weights(tmp_path / "weights")
    assert run(study, "--weights", tmp_path / "weights").code == 0
    store_is_sound(1)


def test_pickle_that_would_run_code(run, write_study, store_is_sound, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    command = f"touch {canary}".encode()
    payload = b"\x80\x02cposix\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R."
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.pth").write_bytes(payload)
    study = write_study({**STUDY, "models": [MINE]})
    refused = run(study, "--weights", tmp_path / "weights")
    assert refused.code == 3
    assert "could run code" in refused.refusal()
    assert not canary.exists()
    store_is_sound(0)
    good_weights(tmp_path / "weights")
    assert run(study, "--weights", tmp_path / "weights").code == 0
    assert not canary.exists()
    store_is_sound(1)


# Study file


def test_unknown_key_and_unknown_task_are_named_together(run, write_study, store_is_sound) -> None:
    wrong = {**STUDY, "tasks": [TASK, "breast-ultrasond"], "label_fraction": [1.0]}
    refused = run(write_study(wrong))
    assert refused.code == 2
    message = refused.refusal()
    assert "2 faults" in message
    assert "label_fraction: expected a known key. Did you mean 'label_fractions' or 'label_order'?" in message
    assert "task 'breast-ultrasond' is not registered." in message
    store_is_sound(0)
    assert run(write_study(STUDY)).code == 0
    store_is_sound(1)


# Data


def test_truncated_png(run, write_study, store_is_sound, lesions: Path) -> None:
    broken = lesions / "lesions" / "benign" / "b03_6.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    study = write_study(STUDY)
    refused = run(study)
    assert refused.code == 3
    message = refused.refusal()
    assert "unreadable-image" in message
    assert "benign/b03_6.png" in message
    store_is_sound(0)
    broken.write_bytes(whole)
    assert run(study).code == 0
    store_is_sound(1)


def manifest_study(lesions: Path, rows: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    with (lesions / "lesions" / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "class", "patient", "split"), *rows])
    declared = {
        "root": "lesions",
        "kind": "binary",
        "manifest": "list.csv",
        "columns": {"image": "file", "label": "class", "patient": "patient", "split": "split"},
        "classes": ["benign", "malignant"],
    }
    return {**STUDY, "tasks": [{"lesions": declared}]}


def listed(lesions: Path) -> list[tuple[str, str, str, str]]:
    rows = []
    for path in sorted((lesions / "lesions").glob("*/*.png")):
        patient = path.name.partition("_")[0]
        split = "test" if patient[1:] in {"00", "01"} else "val" if patient[1:] == "02" else "train"
        rows.append((f"{path.parent.name}/{path.name}", path.parent.name, patient, split))
    return rows


def test_label_outside_the_classes(run, write_study, store_is_sound, lesions: Path) -> None:
    rows = listed(lesions)
    wrong = [*rows[:4], (rows[4][0], "unknown", *rows[4][2:]), *rows[5:]]
    refused = run(write_study(manifest_study(lesions, wrong)))
    assert refused.code == 3
    message = refused.refusal()
    assert "expected one of the classes ['benign', 'malignant'], got line 6: 'unknown'" in message
    store_is_sound(0)
    assert run(write_study(manifest_study(lesions, rows))).code == 0
    store_is_sound(1)


def test_same_patient_in_train_and_test(run, write_study, store_is_sound, lesions: Path) -> None:
    rows = listed(lesions)
    wrong = [(*row[:2], "b09", row[3]) if row[2] == "b01" else row for row in rows]
    refused = run(write_study(manifest_study(lesions, wrong)))
    assert refused.code == 3
    message = refused.refusal()
    assert "patient-overlap" in message
    assert "b09" in message
    assert "accept" in message
    store_is_sound(0)
    assert run(write_study(manifest_study(lesions, rows))).code == 0
    store_is_sound(1)


# Disks


def this_process_is_gone(store: Path) -> None:
    """Give back what this process holds, as the next run does when the process of the last one is dead."""
    with Store.open(store, create=False) as opened:
        opened.expire_owner(this_owner())


MANY = {**STUDY, "label_fractions": [0.5], "seeds": 12}


def test_database_that_cannot_grow_while_records_are_written(
    run, write_study, store_is_sound, tmp_path: Path
) -> None:
    study = write_study(MANY)
    assert run(study, "--out", tmp_path / "undisturbed").code == 0
    shutil.rmtree(tmp_path / "store")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (192 << 10, before[1]))
    try:
        refused = run(study)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.code == 1
    assert "Free space there and run the same command again" in refused.refusal()
    with Store.open(tmp_path / "store", create=False) as store:
        assert 0 < store.counts().done < 12
        store_is_sound(store.counts().done)
    this_process_is_gone(tmp_path / "store")
    assert run(study, "--out", tmp_path / "again").code == 0
    store_is_sound(12)
    for name in ("results.csv", "runs.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def remount(folder: Path, size: str, *options: str) -> int:
    mount = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if shutil.which("mount") is None or remount(folder, "64k"):
        pytest.skip("a small disk cannot be mounted here: that takes root and its capabilities")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("workers", [0, 1], ids=["inline", "in a worker"])
def test_full_cache_disk_fails_no_trial(
    run, write_study, store_is_sound, small_disk: Path, workers: int
) -> None:
    study = write_study(MANY)
    refused = run(study, "--cache", small_disk / "cache", "--workers", workers)
    assert refused.code == 1
    assert "No space left on device" in refused.refusal()
    assert "Free space" in refused.refusal()
    store_is_sound(0)
    assert run(study).code == 0
    store_is_sound(12)


def test_full_disk_of_the_store(medtransfer, write_study, lesions: Path, small_disk: Path) -> None:
    study = write_study(MANY)
    arguments = ("run", study, "--data", lesions, "--workers", 0, "--store", small_disk / "store")
    remount(small_disk, "320k", "remount")
    refused = medtransfer(*arguments)
    assert refused.code == 1
    assert str(small_disk) in refused.refusal()
    assert "Free space there" in refused.refusal()
    remount(small_disk, "64m", "remount")
    this_process_is_gone(small_disk / "store")
    with Store.open(small_disk / "store", create=False) as store:
        assert store.verify() == []
        assert 0 < store.counts().done < 12
    assert medtransfer(*arguments).code == 0
    with Store.open(small_disk / "store", create=False) as store:
        assert store.verify() == []
        assert store.counts().done == 12


def test_full_disk_of_the_report_keeps_the_records(
    run, write_study, store_is_sound, small_disk: Path
) -> None:
    study = write_study(STUDY)
    refused = run(study, "--out", small_disk / "report")
    assert refused.code == 1
    assert "No space left on device" in refused.refusal()
    store_is_sound(1)
    assert list((small_disk / "report").glob(".*.part")) == []
    assert run(study).code == 0
    store_is_sound(1)


def test_folder_that_cannot_be_written(run, write_study, store_is_sound, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = run(write_study(STUDY), "--cache", tmp_path / "file" / "cache")
    assert refused.code == 1
    assert str(tmp_path / "file") in refused.refusal()
    store_is_sound(0)
