"""``run``: trials, report, exit codes, environment, dry run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.store.store import Store

STUDY: dict[str, Any] = {
    "name": "first",
    "tasks": [{"lesions": {"root": "lesions"}}],
    "models": ["resnet20.random"],
    "protocols": [{"linear": {"image_size": 32}}, {"finetune": {"image_size": 32, "epochs": 1}}],
    "label_fractions": [0.5, 1.0],
    "seeds": 2,
}
HOPELESS = {**STUDY, "protocols": [{"linear": {"image_size": 32}}, {"knn": {"image_size": 32, "ks": [200]}}]}


@pytest.fixture
def run(medtransfer, lesions: Path, tmp_path: Path):
    def call(study: Path, *options: object):
        return medtransfer(
            "run", study, "--data", lesions, "--store", tmp_path / "store", "--workers", 0, *options
        )

    return call


def test_a_study_from_file_to_report_and_nothing_twice(run, write_study, tmp_path: Path) -> None:
    ended = run(write_study(STUDY))
    assert ended.code == 0
    assert ended.out.rstrip().endswith(f"Report: {tmp_path / 'store' / 'reports' / 'first' / 'index.html'}")
    assert "resnet20.random" in ended.out
    assert "trials: 7 of 7 done, 0 running, 0 failed, finished\n" in ended.err
    assert "checking images: 40\n" in ended.err
    with Store.open(tmp_path / "store", create=False) as store:
        first = store.records()
    again = run(write_study(STUDY))
    assert again.code == 0
    assert again.out == ended.out
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.records() == first, "finished trials were left alone"


def test_failed_trials_end_with_one_and_their_reasons(run, write_study, tmp_path: Path) -> None:
    ended = run(write_study(HOPELESS))
    assert ended.code == 1
    assert "2 failed: " in ended.err
    assert "1 failed: " in ended.err
    assert "Of the study's trials, 3 failed" in ended.err
    assert "'medtransfer status' names each" in ended.err
    assert "--retry-failed" in ended.err
    assert "Report: " in ended.out, "a failed trial does not take the report away"
    with Store.open(tmp_path / "store", create=False) as store:
        assert [record.attempts for record in store.records()] == [1] * 6
    assert run(write_study(HOPELESS)).code == 1
    with Store.open(tmp_path / "store", create=False) as store:
        assert [record.attempts for record in store.records()] == [1] * 6, "only on request"
    assert run(write_study(HOPELESS), "--retry-failed").code == 1
    with Store.open(tmp_path / "store", create=False) as store:
        by_protocol = {(r.description.protocol, r.attempts) for r in store.records()}
    assert by_protocol == {("linear", 1), ("knn", 2)}, "what is done is not run again"


def rows(text: str) -> list[list[str]]:
    """The cells of a plan's models, and the lines above them as one cell each."""
    lines = text.splitlines()
    return [re.split("  +", line.strip()) for line in lines[2 : lines.index("")] if line.strip()]


def test_dry_run_lists_trials_what_is_done_and_the_time(run, write_study, tmp_path: Path) -> None:
    study = write_study(STUDY)
    before = run(study, "--dry-run")
    assert before.code == 0
    found = rows(before.out)
    assert [row[:2] for row in found] == [
        ["lesions, linear"],
        ["labels 0.5 (x 2), 1 (x 1)"],
        ["resnet20.random", "0 of 3"],
        ["lesions, finetune"],
        ["labels 0.5 (x 2), 1 (x 2)"],
        ["resnet20.random", "0 of 4"],
    ]
    assert {row[-1] for row in found[2::3]} == {"probe"}
    assert re.search(
        r"7 trials, 0 done, 7 to run: about [0-9]+ s with 1 worker\(s\)\.\n"
        r"Decoding images first takes about [0-9]+ s of one core of it\.\n"
        r"A worker takes about [0-9.]+ GB of memory, 1 about [0-9.]+ GB; there are [0-9.]+ GB\.\n"
        r"Smallest difference .*: 5\.7 with 2 runs of each\.\n$",
        before.out,
    )
    assert re.search(r"probes: 2\n$", before.err)
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.studies() == [], "a dry run declares nothing"
    part = write_study({**STUDY, "protocols": STUDY["protocols"][:1]}, "part.yaml")
    assert run(part).code == 0
    after = run(study, "--dry-run")
    assert rows(after.out)[2] == ["resnet20.random", "3 of 3", "done"]
    assert rows(after.out)[5][1] == "0 of 4"
    assert "7 trials, 3 done, 4 to run" in after.out
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.counts().total == 3


def test_a_dry_run_says_what_it_could_not_try(run, write_study) -> None:
    small = {**STUDY, "models": ["timm/test_vit.random"], "protocols": [{"knn": {"image_size": 20}}]}
    ended = run(write_study(small), "--dry-run")
    assert ended.code == 0
    assert rows(ended.out)[2][-4:] == ["?", "?", "?", "unknown"]
    assert "about 0 s with 1 worker(s)" in ended.out
    assert "without the 3 that are unknown" in ended.out
    assert (
        "Warning: lesions, timm/test_vit.random, knn: expected a probe that ends, got: architecture"
        in ended.err
    )


def test_dry_run_checks_like_a_run(run, write_study, lesions: Path) -> None:
    (lesions / "lesions" / "benign" / "b00_0.png").write_bytes(b"")
    ended = run(write_study(STUDY), "--dry-run")
    assert ended.code == 3
    assert "benign/b00_0.png" in ended.refusal()


def test_dry_run_with_retry_failed_leaves_them_failed(run, write_study, tmp_path: Path) -> None:
    study = write_study(HOPELESS)
    run(study)
    assert run(study, "--retry-failed", "--dry-run").code == 0
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.counts().failed == 3


def test_damaged_predictions_are_computed_again_on_request(run, write_study, tmp_path: Path) -> None:
    study = write_study(STUDY)
    first = run(study)
    with Store.open(tmp_path / "store", create=False) as store:
        by_protocol = {
            r.description.protocol: r for r in store.records() if r.description.label_fraction == 1
        }
        once, several = by_protocol["linear"], by_protocol["finetune"]
        (store.artifacts / str(once.predictions_file)).unlink()
        (store.artifacts / str(several.predictions_file)).write_bytes(b"damaged")
    stopped = run(study)
    assert stopped.code == 1
    assert "got no file" in stopped.err
    assert "with --retry-failed" in stopped.err
    assert (
        "2 run again: their predictions are missing or damaged"
        in run(study, "--retry-failed", "--dry-run").err
    )
    again = run(study, "--retry-failed")
    assert again.code == 0
    assert "2 run again: their predictions are missing or damaged" in again.err
    assert again.out == first.out
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.verify() == []
        attempts = {r.description.fingerprint: r.attempts for r in store.records()}
    again_run = {once.description.fingerprint, several.description.fingerprint}
    assert {name for name, number in attempts.items() if number == 2} == again_run
    assert "run again: their" not in run(study, "--retry-failed").err


def test_environment_stands_in_for_the_options(
    medtransfer, write_study, lesions: Path, tmp_path: Path, monkeypatch
) -> None:
    study = write_study({**STUDY, "protocols": STUDY["protocols"][:1], "label_fractions": [1.0]})
    monkeypatch.setenv("MEDTRANSFER_DATA", str(lesions))
    monkeypatch.setenv("MEDTRANSFER_STORE", str(tmp_path / "from variable"))
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache from variable"))
    assert medtransfer("run", study, "--workers", 0).code == 0
    assert (tmp_path / "from variable" / "medtransfer.db").is_file()
    assert any((tmp_path / "cache from variable").iterdir())
    assert not (tmp_path / "cache").exists()
    assert medtransfer("status", "--json").json()["done"] == 1
    assert medtransfer("report", "--json").code == 0
    monkeypatch.setenv("MEDTRANSFER_WEIGHTS", str(tmp_path / "no such folder"))
    refused = medtransfer("run", study, "--workers", 0)
    assert refused.code == 3
    assert f"expected a folder at {tmp_path / 'no such folder'}, got none" in refused.refusal()
    monkeypatch.delenv("MEDTRANSFER_WEIGHTS")
    monkeypatch.setenv("MEDTRANSFER_DATA", str(tmp_path / "no data"))
    assert medtransfer("run", study, "--workers", 0).code == 3
    assert medtransfer("run", study, "--workers", 0, "--data", lesions).code == 0, "an option goes first"


def test_default_store_is_a_folder_here(medtransfer, write_study, lesions: Path, tmp_path: Path) -> None:
    study = write_study({**STUDY, "protocols": STUDY["protocols"][:1], "label_fractions": [1.0]})
    assert medtransfer("run", study, "--data", lesions, "--workers", 0).code == 0
    assert (tmp_path / "here" / "medtransfer-store" / "medtransfer.db").is_file()
    assert medtransfer("status", "--json").json()["done"] == 1


def test_names_are_printed_as_they_are(run, write_study, tmp_path: Path) -> None:
    network = ResNet20().train()
    network(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    torch.save(network.state_dict(), tmp_path / "ours.pth")
    model = {"ours [red]:smile:": {"file": str(tmp_path / "ours.pth"), "architecture": "resnet20"}}
    study = write_study({**STUDY, "models": [model], "protocols": [{"knn": {"image_size": 32, "ks": [200]}}]})
    assert "ours [red]:smile:" in run(study, "--dry-run").out
    printed = run(study).out
    assert "ours [red]:smile:" in printed, printed


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_what_has_no_effect_is_said(run, write_study, options: list[str]) -> None:
    knn = {"knn": {"image_size": 32, "ks": [3]}}
    idle = {"linear": {"image_size": 32, "decoder": "upernet"}}
    tasks = [{"lesions": {"root": "lesions"}}, {"others": {"root": "lesions"}}]
    blocks = [{"tasks": ["lesions"], "protocols": [knn, idle]}]
    study = {name: STUDY[name] for name in ("name", "models", "label_fractions", "seeds")}
    ended = run(write_study({**study, "tasks": tasks, "blocks": blocks}), *options)
    assert ended.code == 0
    assert (
        "Warning: protocol 'linear': expected settings that a task of its block uses, got 'decoder'"
        in ended.err
    )
    assert "Warning: task 'others': expected a block that uses it, got none" in ended.err
    assert "Warning" not in run(write_study(STUDY), "--dry-run").err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [unclosed", "expected YAML"),
        ("- a list", "expected a mapping"),
        ("name: a\nname: b\n", "the key 'name' stands twice"),
        ("name: ../up\n", "name"),
    ],
)
def test_a_file_that_is_no_study(run, write_study, tmp_path: Path, text: str, words: str) -> None:
    ended = run(write_study(text))
    assert ended.code == 2
    assert str(tmp_path / "study.yaml") in ended.refusal()
    assert words in ended.refusal()


def test_no_file_at_all(run, tmp_path: Path) -> None:
    ended = run(tmp_path / "absent.yaml")
    assert ended.code == 2
    assert ended.refusal() == (
        f"study file: expected a file at {tmp_path / 'absent.yaml'}, got none. Check the path."
    )


def test_control_signs_in_names_do_not_reach_the_terminal(run, write_study) -> None:
    ended = run(write_study({**STUDY, "models": ["\x1b[31mred"]}))
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert "\\x1b[31mred" in ended.refusal()


def test_a_place_that_takes_no_report_is_refused_before_the_first_trial(
    run, write_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>mine</h1>")
    (tmp_path / "file").write_text("x")
    for out, words in (("site", "which is no page of a report"), ("file/below", "got a file")):
        ended = run(write_study(STUDY), "--out", tmp_path / out)
        assert ended.code == 2
        assert words in ended.refusal()
    monkeypatch.setattr("os.access", lambda place, _: Path(place) != tmp_path)
    assert "got no permission in" in run(write_study(STUDY), "--out", tmp_path / "new" / "report").refusal()
    assert not (tmp_path / "store").exists()
