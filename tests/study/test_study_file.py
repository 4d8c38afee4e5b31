"""The study file: what it may say, how its parts combine, and every fault of a file in one message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medtransfer.core.errors import UsageError
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.linear import Linear
from medtransfer.study.study import Study
from medtransfer.study.study_file import parse_yaml

LESIONS = {"lesions": {"root": "lesions"}}
SMALL: dict[str, Any] = {
    "name": "small",
    "tasks": ["breastmnist"],
    "models": ["resnet20.random"],
    "protocols": ["linear"],
}


def faults(content: dict[str, Any]) -> list[str]:
    """The sentences of a refused study; their number is the one the message claims."""
    with pytest.raises(UsageError) as refused:
        Study.parse(content)
    head, *sentences = str(refused.value).splitlines()
    assert head.endswith(f" {len(sentences)} fault{'s' * (len(sentences) > 1)}:")
    assert all(sentence.startswith("  - ") and sentence.endswith((".", "?")) for sentence in sentences)
    return [sentence.removeprefix("  - ") for sentence in sentences]


def test_the_example_of_the_design(write_study) -> None:
    study = Study.read(
        write_study(
            """
            name: first-light
            tasks: [breastmnist, covid-ct, drive-vessel]
            models: [mobilenetv1_100.random, mobilenetv1_100.sup_in1k]
            protocols:
              - linear
              - {finetune: {epochs: 15, image_size: 96}}
            label_fractions: [0.1, 1.0]
            seeds: 5
            """
        )
    )
    assert (study.name, list(study.tasks), list(study.models)) == (
        "first-light",
        ["breastmnist", "covid-ct", "drive-vessel"],
        ["mobilenetv1_100.random", "mobilenetv1_100.sup_in1k"],
    )
    (block,) = study.blocks
    assert block.protocols == (Linear(), Finetune(epochs=15, image_size=96))
    assert (block.label_fractions, block.seeds) == ((0.1, 1.0), 5)
    assert "epochs: 15" in study.source


def test_what_is_left_out_has_one_meaning() -> None:
    (block,) = Study.parse(SMALL).blocks
    assert (block.label_fractions, block.seeds) == ((1.0,), 5)


def test_file_and_mapping_give_the_same_study(write_study) -> None:
    content = {**SMALL, "tasks": [LESIONS], "accept": {"lesions": ["duplicate-image"]}}
    assert Study.read(write_study(content)) == Study.parse(content)
    assert yaml.safe_load(Study.parse(content).source) == content


def test_words_that_look_like_numbers_stay_words() -> None:
    own = {"lesions": {"root": "lesions", "classes": ["1e-4", "2E5", "0x10", "3"]}}
    study = Study.parse({**SMALL, "tasks": [own], "protocols": [{"finetune": {"learning_rate": 1e-05}}]})
    content = parse_yaml(study.source, "stored file")
    assert content["tasks"] == [own]
    assert content["protocols"] == [{"finetune": {"learning_rate": 1e-05}}]
    assert Study.parse(content) == study


@pytest.mark.parametrize(
    ("text", "words"), [("", "got None"), ("a: [", "expected YAML, got"), ("a: 1\na: 2", "stands twice")]
)
def test_text_that_is_no_study_file_is_refused_by_its_origin(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s)^stored file: .*{words}"):
        parse_yaml(text, "stored file")


def test_the_order_of_labels_is_one_for_the_whole_study() -> None:
    blocks = [{"seeds": 2}, {"label_fractions": [0.5]}]
    shuffled = Study.parse({**SMALL, "label_order": "shuffle99", "blocks": blocks})
    assert [block.label_order for block in shuffled.blocks] == ["shuffle99", "shuffle99"]
    assert Study.parse(SMALL).blocks[0].label_order == "patients"
    (sentence,) = faults({**SMALL, "blocks": [{"label_order": "shuffle99"}]})
    assert sentence.startswith("blocks.0.label_order: expected a known key.")
    (sentence,) = faults({**SMALL, "label_order": "shuffle98"})
    assert sentence.startswith("label_order: expected ")


def test_every_fault_of_a_file_is_in_one_message() -> None:
    found = faults(
        {
            "name": "not a name",
            "tasks": ["breastmnis", {"lesions": {"root": "lesions", "knd": "binary"}}],
            "models": ["resnet20.randm", {"mine": {"file": "mine.pth"}}],
            "protocols": ["linera", {"linear": {"image_sise": 32}}, {"knn": {"ks": [0]}}],
            "label_fractions": [0.5, 0.0, "all"],
            "seeds": 0,
            "sedes": 3,
            "accept": {"other": ["duplicate-image"], "lesions": ["duplicate-imag"]},
        }
    )
    for words in (
        "tasks.0: task 'breastmnis' is not registered. Did you mean 'breastmnist'",
        "tasks.1: task 'lesions': knd: expected a known key. Did you mean 'kind'?",
        "models.0: model 'resnet20.randm' is not registered. Did you mean 'resnet20.random'",
        "models.1: model 'mine': architecture: expected a value, got none.",
        "protocols.0: protocol 'linera' is not registered. Did you mean 'linear'?",
        "protocols.1: protocol 'linear': image_sise: expected a known key. Did you mean 'image_size'",
        "protocols.2: protocol 'knn': ks: expected numbers of at least 1",
        "label_fractions.1: expected greater than 0, got 0.0.",
        "label_fractions.2: expected a valid number, got 'all'.",
        "seeds: expected greater than or equal to 1, got 0.",
        "sedes: expected a known key. Did you mean 'seeds'",
        "name: ",
        "accept.other: expected a task of this study",
        "accept.lesions.0: problem 'duplicate-imag' is not registered. Did you mean 'duplicate-image'",
    ):
        assert any(sentence.startswith(words) for sentence in found), words
    assert len(found) == 14


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": []}, "tasks: expected at least one, got none."),
        ({"tasks": "breastmnist"}, "tasks: expected a valid list, got 'breastmnist'."),
        ({"tasks": [None]}, "tasks.0: expected a name or one 'name: settings' pair, got None."),
        ({"tasks": [{"a": {}, "b": {}}]}, "tasks.0: expected a name or one 'name: settings' pair"),
        ({"protocols": [{"linear": [32]}]}, "protocols.0: expected a name or one 'name: settings' pair"),
        ({"tasks": [{"breastmnist": {"root": "x"}}]}, "tasks.0: task 'breastmnist': expected only the key"),
        ({"label_fractions": []}, "label_fractions: expected "),
        ({"label_fractions": ["0.5"]}, "label_fractions.0: expected a valid number, got '0.5'."),
        ({"label_fractions": [True]}, "label_fractions.0: expected a valid number, got True."),
        ({"label_fractions": [float("nan")]}, "label_fractions.0: expected "),
        ({"label_fractions": [1.5]}, "label_fractions.0: expected less than or equal to 1, got 1.5."),
        ({"seeds": True}, "seeds: expected a valid integer, got True."),
        ({"seeds": 2.0}, "seeds: expected a valid integer, got 2.0."),
        ({"blocks": []}, "blocks: expected "),
        ({"blocks": [{"name": "x"}]}, "blocks.0.name: expected a known key."),
        ({"blocks": [{"tasks": ["breastmnis"]}]}, "blocks.0.tasks.0: task 'breastmnis' is not registered."),
        ({"name": "../up"}, "name: "),
        ({"name": None}, "name: "),
        (
            {"tasks": [{"x": {"root": "x", "metrics": ["aucc"]}}]},
            "tasks.0: task 'x': metrics: metric 'aucc' is not registered. Did you mean 'auc'",
        ),
        (
            {"models": [{"x": {"file": "a", "architecture": "resnet20", "mean": [0.5]}}]},
            "models.0: model 'x': mean: expected 3 values, got 1.",
        ),
    ],
)
def test_one_fault(change: dict[str, Any], words: str) -> None:
    (sentence,) = faults({**SMALL, **change})
    assert sentence.startswith(words)


def test_settings_that_contradict_each_other_are_refused() -> None:
    (sentence,) = faults({**SMALL, "protocols": [{"finetune": {"epochs": 2, "warmup_epochs": 5}}]})
    assert sentence == (
        "protocols.0: protocol 'finetune': warmup_epochs: expected at most the 2 epochs, got 5."
    )


# Blocks


def test_blocks_take_what_they_leave_out_from_the_study() -> None:
    study = Study.parse(
        {
            **SMALL,
            "label_fractions": [0.1, 1],
            "seeds": 3,
            "blocks": [
                {"tasks": ["pneumoniamnist"]},
                {"models": ["squeezenet1_1.random"], "seeds": 7},
                {"protocols": [{"knn": {"ks": [1, 5]}}], "label_fractions": [0.5]},
            ],
        }
    )
    first, second, third = study.blocks
    assert [task.name for task in first.tasks] == ["pneumoniamnist"]
    assert (first.label_fractions, first.seeds, first.protocols) == ((0.1, 1.0), 3, (Linear(),))
    assert [task.name for task in second.tasks] == ["breastmnist"]
    assert ([model.name for model in second.models], second.seeds) == (["squeezenet1_1.random"], 7)
    assert (third.protocols, third.label_fractions, third.seeds) == ((Knn(ks=(1, 5)),), (0.5,), 3)
    assert list(study.tasks) == ["pneumoniamnist", "breastmnist"]


def test_with_blocks_the_study_itself_is_no_block() -> None:
    study = Study.parse({**SMALL, "tasks": ["breastmnist"], "blocks": [{"tasks": ["covid-ct"]}]})
    assert list(study.tasks) == ["covid-ct"]


def test_a_block_without_a_part_that_the_study_lacks_too() -> None:
    content = {key: value for key, value in SMALL.items() if key != "models"}
    found = faults({**content, "blocks": [{"models": ["resnet20.random"]}, {"seeds": 2}]})
    assert found == ["models: expected at least one in block 1, got none."]


def test_a_task_is_declared_once_and_named_anywhere() -> None:
    content = {
        **SMALL,
        "tasks": [LESIONS],
        "blocks": [{"tasks": ["lesions"], "protocols": ["knn"]}, {"tasks": ["lesions", "breastmnist"]}],
    }
    study = Study.parse(content)
    assert study.tasks["lesions"].own_data == {"root": "lesions"}
    assert [len(block.tasks) for block in study.blocks] == [1, 2]
    other = {**content, "blocks": [{"tasks": [{"lesions": {"root": "other"}}]}]}
    assert faults(other) == ["tasks: expected one declaration of 'lesions', got two that differ."]


def test_a_registered_task_may_lie_in_another_folder() -> None:
    study = Study.parse({**SMALL, "tasks": [{"breastmnist": {"folder": "elsewhere"}}]})
    assert study.tasks["breastmnist"].folder == "elsewhere"
    (sentence,) = faults({**SMALL, "tasks": [{"breastmnist": {"folder": 3}}]})
    assert "expected 'folder' to be a path, got 3" in sentence


# Own data and own models


def test_own_data_in_six_lines(write_study) -> None:
    study = Study.read(
        write_study(
            """
            name: lungs
            tasks:
              - lungs:
                  kind: segmentation
                  root: cxr_covid_seg
                  images: images
                  masks: lung_masks
                  manifest: images.csv
                  columns: {image: filename, patient: patientid, split: split}
            models: [mobilenetv1_100.random]
            protocols: [linear]
            """
        )
    )
    assert study.tasks["lungs"].own_data is not None
    assert study.tasks["lungs"].own_data["masks"] == "lung_masks"


def test_a_declared_model_lies_beside_the_study_or_in_the_weights_folder(write_study, tmp_path: Path) -> None:
    declared = {"file": "mine.pth", "architecture": "resnet20", "pretraining": {"objective": "simclr"}}
    path = write_study({**SMALL, "models": [{"mine": declared}]})
    model = Study.read(path).models["mine"]
    assert (model.weights.file, model.pretraining.objective) == ("mine.pth", "simclr")
    (tmp_path / "mine.pth").write_bytes(b"weights")
    assert Study.read(path).models["mine"].weights.file == str(tmp_path / "mine.pth")


# YAML


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", "the key 'name' stands twice"),
        ("name: a\nblocks:\n  - {seeds: 1, seeds: 2}\n", "the key 'seeds' stands twice"),
        ("? [a, b]\n: c\n", "expected a key that is a word"),
        ("name: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("[" * 20_000, "far too many"),
        ("", "expected a mapping"),
        ("just words", "expected a mapping with 'name', 'tasks', ..., got 'just words'."),
        ("#" * (1 << 20) + "\n", "expected at most 1 MiB"),
    ],
    ids=["key twice", "key twice in a block", "list as a key", "object", "deep", "empty", "words", "long"],
)
def test_text_that_is_no_study(write_study, text: str, words: str) -> None:
    path = write_study(text)
    with pytest.raises(UsageError) as refused:
        Study.read(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(UsageError, match="expected YAML"):
        Study.read(tmp_path / "study.yaml")


def test_reading_a_study_imports_no_torch(write_study) -> None:
    path = write_study({**SMALL, "protocols": ["linear", "knn", "finetune"]})
    program = (
        "import sys; from pathlib import Path; from medtransfer.study.study import Study\n"
        "Study.read(Path(sys.argv[1])); print('torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "False\n"


def test_numbers_with_an_exponent_are_numbers(write_study) -> None:
    study = Study.read(
        write_study(
            """
            name: '1e3'
            tasks: [breastmnist]
            models: [resnet20.random]
            protocols:
              - finetune: {learning_rates: [1e-4, 3e-4, 1E+2], weight_decay: 1.e-2}
            """
        )
    )
    (settings,) = study.blocks[0].protocols
    assert settings == Finetune(learning_rates=(1e-4, 3e-4, 100.0), weight_decay=0.01)
    assert study.name == "1e3"


@pytest.mark.parametrize("word", ["7e12345", ".inf", ".nan"])
def test_a_number_that_is_not_finite_is_refused_with_its_place(word: str) -> None:
    with pytest.raises(UsageError, match=r"(?s)a\.yaml: expected YAML, .*put a word in quotes.*line 2"):
        parse_yaml(f"name: x\nweight: {word}\n", "a.yaml")
    assert parse_yaml(f"weight: '{word}'", "a.yaml") == {"weight": word}
