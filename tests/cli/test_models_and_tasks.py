"""``models`` and ``tasks``: what they list, show and find, for people and as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.catalogue import catalogue
from medtransfer.tasks.registry import target_tasks

PROBLEM_KEYS = {"what", "where", "expected", "found"}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file for ``file:trained.pth?arch=resnet20``."""
    folder = tmp_path / "weights"
    folder.mkdir()
    network = ResNet20()
    network(torch.randn(8, 3, 32, 32))
    torch.save(network.state_dict(), folder / "trained.pth")
    return folder


def one_document(text: str):
    """The document of a text that holds exactly one, with no number JSON does not know."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("group", "names"),
    [("models", catalogue.names()), ("tasks", target_tasks.names())],
    ids=["models", "tasks"],
)
def test_list(medtransfer, group: str, names: list[str]) -> None:
    plain, machine = medtransfer(group, "list"), medtransfer(group, "list", "--json")
    assert (plain.code, machine.code, plain.err, machine.err) == (0, 0, "", "")
    assert [entry["name"] for entry in one_document(machine.out)] == names
    assert [line.split()[0] for line in plain.out.splitlines() if line][: len(names)] == names


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("models", "mobilenetv1_100.sup_in1k"),
        ("models", "timm/resnet18.a1_in1k"),
        ("models", "resnet20.random"),
        ("tasks", "breastmnist"),
        ("tasks", "drive-vessel"),
    ],
)
def test_show(medtransfer, group: str, name: str) -> None:
    plain, machine = medtransfer(group, "show", name), medtransfer(group, "show", name, "--json")
    assert (plain.code, machine.code, plain.err, machine.err) == (0, 0, "", "")
    shown = one_document(machine.out)
    assert shown["name"] == name
    facts = list(shown)
    if group == "tasks":
        facts = [fact for fact in facts if fact != "page"] + list(shown["page"])
    lines = [line for line in plain.out.splitlines() if line and not line.startswith(" ")]
    assert [line.partition(":")[0] for line in lines] == facts
    assert f"name: {name}\n" in plain.out


@pytest.mark.parametrize("arguments", [("show",), ("check",)], ids=" ".join)
@pytest.mark.parametrize(
    ("group", "typed", "meant"),
    [
        ("models", "mobilenetv1_100.sup_in1", "mobilenetv1_100.sup_in1k"),
        ("tasks", "breastmnis", "breastmnist"),
    ],
)
def test_unknown_name_gets_the_nearest(medtransfer, group, typed, meant, arguments) -> None:
    for form in ([], ["--json"]):
        ended = medtransfer(group, *arguments, typed, *form)
        assert ended.code == 2
        assert f"{group[:-1]} {typed!r} is not registered. Did you mean {meant!r}" in ended.refusal()
        assert f"See 'medtransfer {group} list'." in ended.refusal()


def test_good_weights(medtransfer, weights: Path) -> None:
    name = "file:trained.pth?arch=resnet20"
    plain = medtransfer("models", "check", name, "--weights", weights)
    machine = medtransfer("models", "check", name, "--weights", weights, "--json")
    assert (plain.code, machine.code, plain.err, machine.err) == (0, 0, "", "")
    found = one_document(machine.out)
    assert (found["name"], found["ok"], found["problems"]) == (name, True, [])
    assert found["share"] == 1.0
    assert found["embedding_size"] == 64
    assert "ok: true\n" in plain.out


def test_random_weights_need_no_folder(medtransfer) -> None:
    found = one_document(medtransfer("models", "check", "resnet20.random", "--json").out)
    assert (found["ok"], found["weights"]) == (True, "random")


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "absent-weights"), (b"<html>not found</html>", "unusable-weights"), ({}, "unusable-weights")],
    ids=["absent", "a web page", "empty"],
)
def test_bad_weights(medtransfer, weights: Path, content, code: str) -> None:
    if content is None:
        (weights / "trained.pth").unlink()
    elif isinstance(content, bytes):
        (weights / "trained.pth").write_bytes(content)
    else:
        torch.save(content, weights / "trained.pth")
    name = "file:trained.pth?arch=resnet20"
    plain = medtransfer("models", "check", name, "--weights", weights)
    machine = medtransfer("models", "check", name, "--weights", weights, "--json")
    assert (plain.code, machine.code, machine.err) == (3, 3, "")
    found = one_document(machine.out)
    assert not found["ok"]
    assert found["problems"][0]["what"] == code
    assert all(set(problem) >= PROBLEM_KEYS for problem in found["problems"])
    assert plain.err.startswith(f"{code}: {name}: expected ")
    assert ".." not in plain.err.replace("...", "")


def test_weights_folder_may_come_from_the_environment(medtransfer, weights: Path, monkeypatch) -> None:
    name = "file:trained.pth?arch=resnet20"
    assert medtransfer("models", "check", name).code == 3
    monkeypatch.setenv("MEDTRANSFER_WEIGHTS", str(weights))
    assert medtransfer("models", "check", name).code == 0
    shutil.rmtree(weights)
    ended = medtransfer("models", "check", name)
    assert ended.code == 3
    assert f"got no folder at {weights}" in ended.err


@pytest.fixture
def breastmnist(tmp_path: Path) -> Path:
    """Files with the layout and counts of ``breastmnist`` and images of our own."""
    draw = np.random.default_rng(0)
    arrays = {}
    for split, (benign, normal) in {"train": (147, 399), "val": (21, 57), "test": (42, 114)}.items():
        labels = np.repeat([0, 1], [benign, normal])[:, None].astype(np.uint8)
        arrays[f"{split}_images"] = draw.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = labels
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "breastmnist.npz", **arrays)
    return tmp_path / "data"


def test_data_as_expected(medtransfer, breastmnist: Path) -> None:
    plain = medtransfer("tasks", "check", "breastmnist", "--data", breastmnist)
    machine = medtransfer("tasks", "check", "breastmnist", "--data", breastmnist, "--json")
    assert (plain.code, machine.code) == (0, 0)
    found = one_document(machine.out)
    assert (found["name"], found["ok"], found["problems"]) == ("breastmnist", True, [])
    assert found["counts"] == {"train": 546, "val": 78, "test": 156}
    assert plain.out.endswith("as expected\n")


def test_data_with_other_counts(medtransfer, breastmnist: Path) -> None:
    path = breastmnist / "breastmnist.npz"
    arrays = dict(np.load(path))
    arrays = {name: values[1:] if name.startswith("train") else values for name, values in arrays.items()}
    np.savez(path, **arrays)
    machine = medtransfer("tasks", "check", "breastmnist", "--data", breastmnist, "--json")
    plain = medtransfer("tasks", "check", "breastmnist", "--data", breastmnist)
    assert (plain.code, machine.code) == (3, 3)
    found = one_document(machine.out)
    assert not found["ok"]
    assert found["counts"]["train"] == 545
    assert {problem["what"] for problem in found["problems"]} == {"unexpected-count"}
    assert all(set(problem) >= PROBLEM_KEYS for problem in found["problems"])
    assert "546" in found["problems"][0]["expected"]
    assert "545" in found["problems"][0]["found"]
    assert plain.err.count("unexpected-count: ") == len(found["problems"])
    assert plain.out.endswith("1 problem\n")


@pytest.mark.parametrize("content", [None, b"not an archive"], ids=["absent", "damaged"])
def test_data_that_cannot_be_opened_is_a_problem_too(medtransfer, tmp_path: Path, content) -> None:
    (tmp_path / "data").mkdir()
    if content is not None:
        (tmp_path / "data" / "breastmnist.npz").write_bytes(content)
    ended = medtransfer("tasks", "check", "breastmnist", "--data", tmp_path / "data", "--json")
    assert ended.code == 3
    found = one_document(ended.out)
    assert (found["ok"], found["counts"]) == (False, {})
    (problem,) = found["problems"]
    assert problem["what"] == "unusable-data"
    assert "breastmnist.npz" in problem["found"]
    plain = medtransfer("tasks", "check", "breastmnist", "--data", tmp_path / "data")
    assert plain.code == 3
    assert plain.err.startswith("unusable-data: breastmnist: ")


def test_data_folder_may_come_from_the_environment(medtransfer, breastmnist: Path, monkeypatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_DATA", str(breastmnist))
    assert medtransfer("tasks", "check", "breastmnist").code == 0
