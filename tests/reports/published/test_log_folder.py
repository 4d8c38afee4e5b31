"""Study C's logs: folders written in their exact format, and the real samples."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from medtransfer.reports.published.import_batch import ImportBatch, ImportFaultsError
from medtransfer.reports.published.log_folder import TRAINING_LOSS, TRAINING_STEPS
from medtransfer.reports.published.read_import import read_import
from medtransfer.reports.published.records import MeasuredCurve

DEFAULT = Path(__file__).resolve().parents[4] / "shared" / "reference" / "published"
CLASSES = ("dice", "iou", "precision", "recall")
WEIGHTED = [f"weighted_{metric}_avg" for metric in CLASSES]
THREE = [f"{metric}_avg_class_{label}" for label in range(3) for metric in CLASSES]
FOUR = [f"{metric}_avg_class_{label}" for label in range(4) for metric in CLASSES]
OVERALL = [f"{metric}_avg_overall" for metric in ("auc", *CLASSES)]


class Logs:
    """A folder of logs that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "logs_and_checkpoints"

    def write(self, place: str, text: str) -> Path:
        file = self.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        return file

    def test_log(
        self, place: str, columns: list[str] | tuple[str, ...], start: float = 0.1
    ) -> dict[str, float]:
        values = {column: start + 0.01 * at for at, column in enumerate(columns)}
        self.write(
            f"finetuning/{place}/test.log",
            f"{','.join(columns)}\n{','.join(map(repr, values.values()))}\n",
        )
        return values

    def read(self) -> ImportBatch:
        return read_import(self.folder)[1]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    made = Logs(tmp_path / "repository")
    made.write("finetuning/.keep", "")
    return made


def fault(logs: Logs) -> str:
    with pytest.raises(ImportFaultsError) as caught:
        logs.read()
    return str(caught.value)


@pytest.mark.parametrize(
    "columns",
    [
        ("accuracy", "avg_val_loss"),
        ("acc", "avg_val_loss"),
        ("accuracy", "avg_loss"),
        OVERALL,
        [*WEIGHTED, *THREE],
        THREE,
        FOUR,
        [*reversed(FOUR), "something_new"],
    ],
    ids=lambda columns: f"{columns[0]}-{len(columns)}",
)
def test_every_header_variant_is_read_by_name(logs: Logs, columns: list[str]) -> None:
    written = logs.test_log("E1/PT_SimCLR_RF_FT_BraTS_f2", columns)
    aliases = {"acc": "accuracy", "avg_loss": "avg_val_loss"}
    batch = logs.read()
    assert {run.metric: run.value for run in batch.runs} == {
        aliases.get(name, name): value for name, value in written.items()
    }
    assert {run.logged_as for run in batch.runs} == {"", *(name for name in columns if name in aliases)}
    (run, *_) = batch.runs
    assert (run.experiment, run.initialization, run.task, run.run) == ("E1", "RF", "BraTS", 2)


@pytest.mark.parametrize(
    ("name", "start", "task", "run"),
    [
        ("PT_Scratch_FT_R", "Scratch", "R", 0),
        ("PT_SimCLR_R_FT_R_f3", "R", "R", 3),
        ("PT_SimCLR_RF_FT_CX8_noise25e2", "RF", "CX8_noise25e2", 0),
        ("PT_SimCLR_IxRM_FT_I1k_lineval_f1", "IxRM", "I1k_lineval", 1),
        ("PT_I1k_FT_LiTS_f4", "I1k", "LiTS_f4", 0),
    ],
)
def test_the_name_of_a_run_is_taken_apart(logs: Logs, name: str, start: str, task: str, run: int) -> None:
    logs.test_log(f"E3/{name}", ("accuracy", "avg_val_loss"))
    found = logs.read().runs[0]
    assert (found.initialization, found.task, found.run) == (start, task, run)


def test_copies_of_e1_in_e6_and_of_e4_in_e8_are_left_out_by_content(logs: Logs) -> None:
    pair = ("accuracy", "avg_val_loss")
    for experiment, copy in (("E1", "E6"), ("E4", "E8")):
        logs.test_log(f"{experiment}/PT_SimCLR_R_FT_R", pair)
        logs.test_log(f"{copy}/PT_SimCLR_R_FT_R", pair)
        logs.test_log(f"{copy}/PT_SimCLR_R_FT_R_f1", pair, start=0.3)
        logs.write(f"finetuning/{copy}/PT_SimCLR_R_FT_R/val.log", "epoch,accuracy\n0,0.5\n")
    logs.test_log("E1/PT_SimCLR_I1k_FT_I1k", pair)
    logs.test_log("E6/PT_SimCLR_I1k_FT_I1k", pair, start=0.4)  # the same run name with other content stays
    batch = logs.read()
    kept = {(run.experiment, run.initialization, run.run) for run in batch.runs}
    assert kept == {
        ("E1", "R", 0),
        ("E1", "I1k", 0),
        ("E4", "R", 0),
        ("E6", "I1k", 0),
        ("E6", "R", 1),
        ("E8", "R", 1),
    }
    assert batch.curves == ()
    assert [(entry.where, entry.reason) for entry in batch.ignored] == [
        (f"finetuning/{copy}/PT_SimCLR_R_FT_R", f"its test log is a byte copy of that in {original}")
        for copy, original in (("E6", "E1"), ("E8", "E4"))
    ]


def test_what_is_no_result_is_ignored_with_a_reason(logs: Logs) -> None:
    logs.test_log("E1/PT_Scratch_FT_R", ("accuracy", "avg_val_loss"))
    logs.write("finetuning/E1/PT_Scratch_FT_R/old_test.log", "this is not,read\n")
    logs.write("finetuning/E1/PT_Scratch_FT_R/model.tar", "\x00")
    logs.test_log("E1/PT_Scratch_FT_R_testing", ("accuracy", "avg_val_loss"))
    logs.test_log("E9/PT_Scratch_FT_R", ("accuracy", "avg_val_loss"))
    logs.write("finetuning/E1/PT_Scratch_FT_LiTS/model.tar", "")
    logs.write("pretraining/mae/notes.txt", "")
    batch = logs.read()
    assert len(batch.runs) == 2
    assert {entry.where: entry.reason for entry in batch.ignored} == {
        "finetuning/E1/PT_Scratch_FT_R/old_test.log": "no log of a result",
        "finetuning/E1/PT_Scratch_FT_R_testing": "a trial of the study's code, not a result",
        "finetuning/E1/PT_Scratch_FT_LiTS": "no logs in it",
        "finetuning/E9": "no experiment of the study",
        "pretraining/mae": "no train.log in it",
    }


def test_validation_curves_keep_every_column_by_epoch(logs: Logs) -> None:
    rows = "".join(f"{epoch},{2.0 / (epoch + 1)!r},{epoch / 100!r},nan\n" for epoch in range(50))
    logs.write("finetuning/E1/PT_Scratch_FT_R/val.log", f"epoch,avg_epoch_train_loss,acc,odd_column\n{rows}")
    curves = {curve.metric: curve for curve in logs.read().curves}
    assert set(curves) == {"avg_epoch_train_loss", "accuracy", "odd_column"}
    assert curves["accuracy"].values == tuple(epoch / 100 for epoch in range(50))
    assert curves["accuracy"].epochs == tuple(range(50))
    assert curves["accuracy"].logged_as == "acc"
    assert curves["odd_column"].values == (None,) * 50


def test_training_logs_become_means_per_epoch(logs: Logs) -> None:
    text = "epoch,step,loss\n1,1,4.0\n1,2,2.0\n1,3,0.0\n2,1,1.5\n2,2,0.5\n3,1,nan\n"
    logs.write("finetuning/E2/PT_Scratch_FT_RS_f1/train.log", text)
    curves: dict[str, MeasuredCurve] = {curve.metric: curve for curve in logs.read().curves}
    assert curves[TRAINING_LOSS].epochs == (1, 2, 3)
    assert curves[TRAINING_LOSS].values == (2.0, 1.0, None)
    assert curves[TRAINING_STEPS].values == (3.0, 2.0, 1.0)


def test_pretraining_logs_with_and_without_header_with_restarts_and_nan(logs: Logs) -> None:
    stamp = "2022-12-26 14:40:15.048159"
    logs.write(
        "pretraining/ct_full/train.log",
        f"epoch,step,loss,datetime\n0,0,6.9,{stamp}\n1,0,nan,{stamp}\n0,0,6.8,{stamp}\n1,0,6.1,{stamp}\n",
    )
    logs.write("pretraining/mae_ct/train.log", "0,0,1.25\n0,10,1.0\n1,0,0.5\n")
    headed, headless = logs.read().pretrainings
    assert (headed.name, headed.epochs, headed.losses) == ("ct_full", (0, 1, 0, 1), (6.9, None, 6.8, 6.1))
    assert headed.restarts == (2,)
    assert headed.columns == {"datetime": (stamp,) * 4}
    assert (headless.name, headless.steps, headless.losses) == ("mae_ct", (0, 10, 0), (1.25, 1.0, 0.5))
    assert (headless.restarts, headless.columns) == ((), {})


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("test.log", "", "expected a header and at least one row, got none"),
        ("test.log", "accuracy,avg_val_loss\n", "expected a header and at least one row"),
        (
            "test.log",
            "accuracy\n0.5\n0.6\n",
            "expected one row: a test log that goes on holds results of reruns, got 2",
        ),
        ("test.log", "accuracy\nnan\n", "line 2, accuracy: expected a finite number, got 'nan'"),
        ("test.log", "accuracy\n1.2\n", "line 2, accuracy: expected a share from 0 to 1, got '1.2'"),
        ("test.log", "accuracy,avg_val_loss\n0.5\n", "line 2: expected 2 cells, got 1"),
        ("test.log", "acc,accuracy\n0.5,0.5\n", "expected each column once, with a name"),
        ("test.log", "accuracy,\n0.5,0.5\n", "expected each column once, with a name"),
        ("val.log", "accuracy,x\n0.5,1\n", "expected a column 'epoch' and metrics"),
        (
            "val.log",
            "epoch,accuracy\n0,0.5\n2,0.5\n",
            "line 3: expected epoch 1: they count from 0 without a gap, got 2",
        ),
        ("val.log", "epoch,accuracy\n1,0.5\n", "expected epoch 0"),
        ("val.log", "epoch,accuracy\n0,0.5\n1,0.\x00", "NUL"),
        ("val.log", "epoch,accuracy\n0,abc\n", "line 2, accuracy: expected a finite number, got 'abc'"),
        ("val.log", "epoch,accuracy\n0.0,0.5\n", "epoch: expected a whole number, got '0.0'"),
        ("train.log", "epoch,step\n1,1\n", "expected the columns epoch, step and loss"),
        (
            "train.log",
            "epoch,step,loss\n2,1,0.5\n1,1,0.5\n",
            "line 3: expected epochs that never go back, got epoch 1",
        ),
        ("train.log", "epoch,step,loss\n1,1,inf\n", "loss: expected a finite number, got 'inf'"),
        ("train.log", "epoch,step,loss\n1,1,0.5\n1,2", "line 3: expected 3 cells, got 2"),
    ],
)
def test_a_wrong_log_is_named_by_file_and_line(logs: Logs, file: str, text: str, told: str) -> None:
    logs.write(f"finetuning/E1/PT_Scratch_FT_R/{file}", text)
    message = fault(logs)
    assert f"finetuning/E1/PT_Scratch_FT_R/{file}" in message
    assert told in message
    assert str(logs.folder) not in message


@pytest.mark.parametrize("name", ["PT_Foo_FT_R", "PT_R_FT_", "FT_R", "PT_R_FT_R\x1b[31m"])
def test_a_run_that_cannot_be_placed_is_refused(logs: Logs, name: str) -> None:
    logs.test_log("E1/PT_R_FT_R", ("accuracy",))
    logs.test_log(f"E1/{name}", ("accuracy",))
    assert "expected a run named PT_<pretraining>_FT_<task>" in fault(logs)


def test_two_folders_for_one_run_are_refused(logs: Logs) -> None:
    logs.test_log("E1/PT_R_FT_R", ("accuracy",))
    logs.test_log("E1/PT_SimCLR_R_FT_R", ("accuracy",), start=0.2)
    message = fault(logs)
    assert (
        "finetuning/E1/PT_SimCLR_R_FT_R: expected each run once, got that of finetuning/E1/PT_R_FT_R"
        in message
    )


def test_all_faults_of_a_folder_are_told_at_once(logs: Logs) -> None:
    logs.write("finetuning/E1/PT_Scratch_FT_R/test.log", "accuracy\nx\n")
    logs.write("finetuning/E2/PT_Scratch_FT_RS/val.log", "epoch,accuracy\n5,0.5\n")
    logs.write("pretraining/a/train.log", "epoch,step,loss\n0,0\n")
    assert fault(logs).count("\n  - ") == 3


def test_links_are_not_followed(logs: Logs, tmp_path: Path) -> None:
    logs.test_log("E1/PT_R_FT_R", ("accuracy",))
    secret = tmp_path / "secret.log"
    secret.write_text("accuracy\n0.5\n")
    (logs.root / "finetuning/E1/PT_R_FT_LiTS").mkdir()
    (logs.root / "finetuning/E1/PT_R_FT_LiTS/test.log").symlink_to(secret)
    (logs.root / "finetuning/E2").symlink_to(logs.root / "finetuning/E1")
    batch = logs.read()
    assert {run.task for run in batch.runs} == {"R"}


def test_the_folder_may_be_given_at_any_of_its_levels(logs: Logs) -> None:
    logs.test_log("E1/PT_R_FT_R", ("accuracy",))
    assert read_import(logs.root)[1].runs == logs.read().runs


@pytest.fixture
def samples() -> Path:
    folder = Path(os.environ.get("MEDTRANSFER_PUBLISHED_REFERENCE", DEFAULT)) / "jonske_log_samples"
    if not folder.is_dir():
        if os.environ.get("MEDTRANSFER_REQUIRE_REAL") == "1":
            pytest.fail(f"log samples: expected a folder at {folder}, got none.")
        pytest.skip(f"the folder of log samples, {folder}, is absent")
    return folder


def test_the_real_samples_are_read_and_agree_with_the_file_of_runs(logs: Logs, samples: Path) -> None:
    expected = {}
    for file in samples.glob("E1_*.log"):
        name, _, kind = file.name.removeprefix("E1_").partition(".")
        kind = kind.replace(".head", "")
        logs.write(f"finetuning/E1/{name}/{kind}", file.read_text())
        if kind == "test.log":
            expected[name] = len(file.read_text().splitlines()[0].split(","))
    logs.write("pretraining/ct_full/train.log", (samples / "pretrain_ct_full.train.head.log").read_text())
    batch = logs.read()
    assert len(batch.runs) == sum(expected.values()) == 2 + 16 + 5
    with (samples.parent / "jonske_runs.csv").open(newline="") as opened:
        known = {
            (row["experiment"], row["pretraining"], row["task"], row["run"], row["metric"]): float(
                row["value"]
            )
            for row in csv.DictReader(opened)
        }
    for run in batch.runs:
        key = (run.experiment, run.initialization, run.task, str(run.run), run.metric)
        assert known[key] == run.value
    assert {curve.task for curve in batch.curves} == {"LiTS", "R"}
    assert batch.pretrainings[0].losses[0] == 6.928597450256348
