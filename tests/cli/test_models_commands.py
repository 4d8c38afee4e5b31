"""The commands on source models: what they list, show, fetch, convert, verify and check."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from medtransfer.models import catalogue as catalogue_module
from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.embedding_records import OWN_RECORDS
from medtransfer.models.source_model import WeightsFile
from medtransfer.tasks.registry import target_tasks

NAME = "file:trained.pth?arch=resnet20"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with the file of ``NAME``."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(11)
    network = ResNet20().train()
    with torch.no_grad():
        network(torch.randn(8, 3, 32, 32))
    torch.save(network.state_dict(), folder / "trained.pth")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Colour images with more red than blue, one in a folder below, and a file that is no image."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = draw.normal((80, 110, 170), 30, (40, 50, 3)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / ("more" if number == 0 else ".") / f"{number}.png"), pixels)
    (folder / "readme.txt").write_text("no image")
    return folder


def names(ended) -> list[str]:
    return [entry["name"] for entry in ended.json()]


# list


@pytest.mark.parametrize(
    ("options", "admitted"),
    [
        (["--architecture", "resnet20"], lambda model: model.architecture.name == "resnet20"),
        (["--architecture", "swin*"], lambda model: model.architecture.name.startswith("swin")),
        (["--method", "none"], lambda model: model.is_random),
        (["--data", "cifar10"], lambda model: "cifar10" in model.pretraining.data),
        (["--licence", "not stated"], lambda model: "not stated" in model.licence),
        (["--study", "c"], lambda model: "C" in model.studies),
        (
            ["--overlap", "imagenet-1k", "--status", "same"],
            lambda model: "imagenet-1k" in model.pretraining.data,
        ),
        (["--data", "no-such-collection"], lambda model: False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_list_filters(medtransfer, options: list[str], admitted) -> None:
    expected = sorted(model.name for model in catalogue if admitted(model))
    machine, plain = (
        medtransfer("models", "list", *options, "--json"),
        medtransfer("models", "list", *options),
    )
    assert (machine.code, plain.code, machine.err, plain.err) == (0, 0, "", "")
    assert names(machine) == expected
    shown = [line.split()[0] for line in plain.out.splitlines() if line][: len(expected)]
    assert shown == expected
    if len(expected) < len(catalogue):
        assert f"\n{len(expected)} of {len(catalogue)}\n" in plain.out


def test_list_shows_the_overlap_of_each(medtransfer) -> None:
    entries = medtransfer("models", "list", "--overlap", "chestxray14-binary-none", "--json")
    assert entries.code == 2, "an unknown task is refused"
    assert "task 'chestxray14-binary-none' is not registered" in entries.refusal()
    task = next(task for task in target_tasks if "chestxray14" in task.image_sets)
    found = {entry["name"]: entry["overlap"] for entry in medtransfer(*_list(task.name), "--json").json()}
    assert found["resnet20.sup_cifar10"]["status"] == "clean"
    for model in catalogue:
        if "chestxray14" in model.pretraining.data:
            assert found[model.name]["status"] == "same", model.name
    line = next(
        line for line in medtransfer(*_list(task.name)).out.splitlines() if line.startswith("resnet20.sup")
    )
    assert line.split()[1] == "clean"


def _list(task: str) -> tuple[str, ...]:
    return "models", "list", "--overlap", task


def test_status_needs_a_task(medtransfer) -> None:
    assert (
        "expected --overlap TASK with --status"
        in medtransfer("models", "list", "--status", "clean").refusal()
    )


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--overlap", "busi"], ["show", "resnet20.sup_cifar10"]]
)
def test_looking_something_up_imports_no_torch(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from medtransfer.cli.command_line import cli; "
        f"cli.main(['models', *{command!r}], standalone_mode=False); "
        "sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


# show


def test_show_says_how_to_get_it_and_what_it_has_seen(medtransfer) -> None:
    machine = medtransfer("models", "show", "mobilenetv1_100.sup_in1k", "--json").json()
    plain = medtransfer("models", "show", "mobilenetv1_100.sup_in1k")
    assert sorted(machine["overlap"]) == target_tasks.names()
    assert machine["overlap"]["busi"] == {
        "status": "clean",
        "reason": "imagenet-1k holds no image of busi",
    }
    assert machine["overlap"]["imagenet-1k"]["status"] == "same"
    assert list(machine["adapter"]) == ["gaps"]
    assert machine["how_to_get"] == [
        "Put mobilenetv1_100_in1k_trunk12.fp16.safetensors into the weights folder."
    ]
    assert "network" not in machine
    assert "how_to_get:\n  Put mobilenetv1_100" in plain.out
    assert "(pretrained on imagenet-1k)" in plain.out
    top = [line.partition(":")[0] for line in plain.out.splitlines() if not line.startswith(" ")]
    assert top == list(machine)


def test_show_measures_a_network(medtransfer, weights: Path) -> None:
    random = medtransfer("models", "show", "resnet20.random", "--measure", "--json").json()["network"]
    loaded = medtransfer("models", "show", NAME, "--weights", weights, "--json").json()["network"]
    assert (random["weights"], loaded["weights"]) == ("random", "loaded")
    for network in (random, loaded):
        assert network["parameters"] == 269_722 - 650
        assert network["embedding_size"] == 64
        assert network["images_per_s"] > 0
        assert sum(group["parameters"] for group in network["layer_groups"]) == network["parameters"]
    assert random["multiply_adds"] == pytest.approx(40.5e6, rel=0.01), "at 32 pixels"
    assert loaded["multiply_adds"] == pytest.approx(49 * random["multiply_adds"], rel=0.01), "at 224 pixels"
    plain = medtransfer("models", "show", "resnet20.random", "--measure")
    assert "\n  parameters: 269,072\n" in plain.out


def test_show_with_weights_that_are_not_there(medtransfer, tmp_path: Path) -> None:
    ended = medtransfer("models", "show", NAME, "--weights", tmp_path)
    assert ended.code == 3
    assert "trained.pth" in ended.refusal()


@pytest.mark.parametrize("device", ["gpu", "cuda:97"])
def test_show_on_a_device_that_is_not_there(medtransfer, device: str) -> None:
    ended = medtransfer("models", "show", "resnet20.random", "--measure", "--device", device)
    assert ended.code == 2
    assert f"device {device!r}: expected one this machine has" in ended.refusal()


# fetch


@pytest.fixture
def served(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a model whose address is a server on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(weights)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    plain = resolve_model("resnet20.sup_cifar10")
    sha256 = hashlib.sha256((weights / "trained.pth").read_bytes()).hexdigest()
    url = f"http://127.0.0.1:{server.server_port}/trained.pth"
    model = replace(plain, name="served", weights=WeightsFile(url=url, sha256=sha256))
    real = catalogue_module.resolve_model
    monkeypatch.setattr(
        catalogue_module, "resolve_model", lambda name: model if name == "served" else real(name)
    )
    yield "served"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetch(medtransfer, served: str, weights: Path, tmp_path: Path) -> None:
    target = tmp_path / "fetched"
    ended = medtransfer("models", "fetch", served, "--weights", target, "--json")
    assert ended.code == 0
    found = ended.json()
    original = (weights / "trained.pth").read_bytes()
    assert Path(found["file"]).read_bytes() == original
    assert found == {
        "name": served,
        "file": found["file"],
        "weights": hashlib.sha256(original).hexdigest(),
    }
    again = medtransfer("models", "fetch", served, "--weights", target)
    assert again.code == 0
    assert f"file: {found['file']}" in again.out


@pytest.mark.parametrize("command", [("fetch", NAME), ("convert", NAME, "a.pkl")], ids=lambda value: value[0])
def test_commands_that_write_need_a_weights_folder(medtransfer, command: tuple[str, ...]) -> None:
    ended = medtransfer("models", *command)
    assert ended.code == 2
    assert f"models {command[0]}: expected a weights folder, got none." in ended.refusal()


def test_fetch_of_random_weights_is_refused(medtransfer, tmp_path: Path) -> None:
    ended = medtransfer("models", "fetch", "resnet20.random", "--weights", tmp_path)
    assert ended.code == 2
    assert "'resnet20.random': expected pretrained weights to fetch, got random ones." in ended.refusal()


def test_fetch_of_a_model_a_person_has_to_ask_for_says_whom(medtransfer, tmp_path: Path) -> None:
    manual = [
        model for model in catalogue if model.weights and model.weights.manual and not model.weights.url
    ]
    model = next(model for model in manual if model.weights and not model.weights.hub)
    assert model.weights is not None
    ended = medtransfer("models", "fetch", model.name, "--weights", tmp_path)
    assert ended.code == 2
    assert model.weights.manual in ended.refusal()


def test_fetch_of_a_library_s_weights_needs_a_connection_but_no_folder(
    medtransfer, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("MEDTRANSFER_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    ended = medtransfer("models", "fetch", "torchvision/squeezenet1_1")
    assert ended.code == 3
    assert "expected torchvision to fetch its weights" in ended.refusal()


# convert


def test_convert_and_check(medtransfer, weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights / "trained.pth", weights_only=True)
    foreign = tmp_path / "foreign.pth"
    torch.save({"state_dict": state, "epoch": 3, "args": Path("run")}, foreign)
    name = "file:mine.safetensors?arch=resnet20"
    declared = "file:mine.safetensors?arch=resnet20&container=state_dict"
    ended = medtransfer("models", "convert", declared, foreign, "--weights", weights, "--json")
    assert ended.code == 0, ended.err
    report = ended.json()
    assert Path(report["target"]) == weights / "mine.safetensors"
    assert report["tensors"] == len(state)
    checked = medtransfer("models", "check", name, "--weights", weights, "--json").json()
    assert (checked["ok"], checked["share"]) == (True, 1.0)


def test_a_file_that_would_run_code_is_not_converted(medtransfer, weights: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evil = tmp_path / "evil.pkl"
    command = f"touch {trace}".encode()
    evil.write_bytes(b"\x80\x02cposix\nsystem\nX" + len(command).to_bytes(4, "little") + command + b"\x85R.")
    ended = medtransfer("models", "convert", NAME, evil, "--weights", weights)
    assert ended.code == 3
    assert "evil.pkl" in ended.refusal()
    machine = medtransfer("models", "convert", NAME, evil, "--weights", weights, "--json")
    assert (machine.code, machine.err) == (3, "")
    found = machine.json()
    assert (found["name"], found["ok"], len(found["problems"])) == (NAME, False, 1)
    assert "evil.pkl" in found["problems"][0]["found"]
    assert found["problems"][0]["next_step"]
    assert not trace.exists()


# verify


def test_verify_records_and_compares(medtransfer, weights: Path) -> None:
    plain = medtransfer("models", "verify", NAME, "--weights", weights)
    assert (plain.code, plain.err) == (0, "")
    assert "status: not-recorded\n" in plain.out
    assert "Record it:  medtransfer models verify" in plain.out
    written = medtransfer("models", "verify", NAME, "--weights", weights, "--write", "--json").json()
    assert (written["status"], len(written["found"]["values"])) == ("recorded", 8)
    again = medtransfer("models", "verify", NAME, "--weights", weights, "--json").json()
    assert (again["status"], again["difference"], again["problems"]) == ("agrees", 0.0, [])


def test_verify_finds_another_embedding(medtransfer, weights: Path) -> None:
    medtransfer("models", "verify", NAME, "--weights", weights, "--write")
    records = json.loads((weights / OWN_RECORDS).read_text())
    records[NAME]["values"][0] += 0.5
    (weights / OWN_RECORDS).write_text(json.dumps(records))
    plain = medtransfer("models", "verify", NAME, "--weights", weights)
    machine = medtransfer("models", "verify", NAME, "--weights", weights, "--json")
    assert (plain.code, machine.code) == (3, 3)
    assert plain.err.startswith(f"other-embedding: {NAME}: expected ")
    assert [problem["what"] for problem in machine.json()["problems"]] == ["other-embedding"]
    checked = medtransfer("models", "check", NAME, "--weights", weights, "--json")
    assert (checked.code, checked.json()["self_test"]) == (3, "differs")


def test_verify_of_weights_that_are_not_there(medtransfer, weights: Path) -> None:
    ended = medtransfer("models", "verify", "squeezenet1_1.sup_in1k", "--weights", weights)
    assert ended.code == 3
    assert "squeezenet1_1_in1k_features.pth" in ended.refusal()


# check --images


def test_check_with_images(medtransfer, weights: Path, pictures: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "seen.html"
    plain = medtransfer("models", "check", NAME, "--weights", weights, "--images", pictures, "--html", page)
    assert plain.code == 0, plain.err
    assert "images: 6\n" in plain.out
    assert f"Page: {page}" in plain.out
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 12, "each image decoded and seen"
    machine = medtransfer(
        "models", "check", NAME, "--weights", weights, "--images", pictures, "--json"
    ).json()
    seen = machine["images"]
    assert (machine["ok"], machine["page"], seen["images"], seen["problems"]) == (True, None, 6, [])
    assert [channel["name"] for channel in seen["channels"]] == ["red", "green", "blue"]


def test_check_finds_images_in_the_wrong_range(medtransfer, weights: Path, pictures: Path) -> None:
    for path in pictures.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path)) // 16)
    ended = medtransfer("models", "check", NAME, "--weights", weights, "--images", pictures)
    assert ended.code == 3
    assert "wrong-range: 6 of 6 images (" in ended.err


def test_check_finds_normalised_arrays_and_unreadable_files(medtransfer, pictures: Path) -> None:
    for path in sorted(pictures.glob("*.png")):
        values = (cv2.imread(str(path)).astype(np.float32) / 255 - 0.45) / 0.22
        np.save(path.with_suffix(".npy"), values)
        path.unlink()
    (pictures / "more" / "0.png").write_bytes(b"no image")
    ended = medtransfer("models", "check", "resnet20.random", "--images", pictures, "--json")
    assert ended.code == 3
    found = ended.json()["images"]
    assert {problem["what"] for problem in found["problems"]} == {"already-normalised", "unreadable-image"}


def test_check_of_a_folder_that_is_not_there_is_one_document(medtransfer, tmp_path: Path) -> None:
    arguments = ("models", "check", "resnet20.random", "--images", tmp_path / "nope")
    assert "expected a folder at" in medtransfer(*arguments).refusal()
    ended = medtransfer(*arguments, "--json")
    assert (ended.code, ended.err) == (3, "")
    found = ended.json()
    assert (found["name"], found["ok"], found["page"], found["images"]) == (
        "resnet20.random",
        False,
        None,
        None,
    )
    (problem,) = found["problems"]
    assert problem["found"].endswith("nope, got none")
    assert problem["next_step"] == "Check the path."


def test_weights_that_are_absent_come_with_a_next_step(medtransfer, tmp_path: Path) -> None:
    ended = medtransfer("models", "check", "squeezenet1_1.sup_in1k", "--weights", tmp_path, "--json")
    assert ended.code == 3
    (problem,) = ended.json()["problems"]
    assert problem["next_step"]
    assert problem["next_step"] not in problem["found"]
    verified = medtransfer("models", "verify", "squeezenet1_1.sup_in1k", "--weights", tmp_path, "--json")
    assert (verified.code, verified.json()["ok"]) == (3, False)


def test_check_suspects_blue_for_red(medtransfer, pictures: Path) -> None:
    for path in pictures.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path))[..., ::-1])
    ended = medtransfer("models", "check", "resnet20.random", "--images", pictures)
    assert ended.code == 0
    assert "to look at: channels-look-swapped: " in ended.out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--html", "a.html"], 2, "expected --images DIR with --html"),
        (["--images", "nowhere"], 3, "expected a folder at nowhere"),
        (["--images", "."], 3, "expected images below ."),
    ],
)
def test_check_refuses(medtransfer, options: list[str], code: int, said: str) -> None:
    ended = medtransfer("models", "check", "resnet20.random", *options)
    assert ended.code == code
    assert said in ended.refusal()


def test_check_with_images_and_weights_that_are_not_there(
    medtransfer, pictures: Path, tmp_path: Path
) -> None:
    """What the network would see does not depend on the weights."""
    ended = medtransfer("models", "check", NAME, "--weights", tmp_path, "--images", pictures, "--json")
    assert ended.code == 3
    found = ended.json()
    assert [problem["what"] for problem in found["problems"]] == ["absent-weights"]
    assert (found["images"]["images"], found["images"]["fit"]) == (6, None)


def test_a_folder_with_volumes_and_dicom(medtransfer, tmp_path: Path) -> None:
    import nibabel as nib

    folder = tmp_path / "volumes"
    folder.mkdir()
    values = np.random.default_rng(0).normal(0, 300, (24, 20, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "scan.nii.gz")
    ended = medtransfer("models", "check", "resnet20.random", "--images", folder, "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["images"]["images"] == 1
