"""Synthetic samples and opened tasks: marked and never over data; a pinned split replaces the task's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.fingerprints import hash_file
from medtransfer.data.splits import SPLIT_COLUMNS, write_split
from medtransfer.tasks.busi import busi, busi_lesion
from medtransfer.tasks.lits import lits
from medtransfer.tasks.location import locate_task
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.phantom_tasks import phantom_tasks
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.sample_files import PHANTOM_NOTE
from medtransfer.tasks.samples import CAUTION, MARKER, as_sample, sample_family, write_sample
from medtransfer.tasks.siim_acr import siim_pneumothorax
from medtransfer.tasks.target_task import TargetTask

breastmnist = target_tasks.get("breastmnist")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def content_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def with_real_data(task: TargetTask, data: Path) -> Path:
    """Put something that is no sample where the task looks first."""
    root = data / task.folders[0]
    if root.suffix == ".npz":
        data.mkdir()
        np.savez(root, train_images=np.zeros((2, 3, 3)))
    else:
        root.mkdir(parents=True)
        (root / "volume-0.nii").write_bytes(b"real")
    return root


class TestWriting:
    @pytest.mark.parametrize("task", [busi_lesion, breastmnist], ids=lambda task: task.name)
    def test_a_sample_lies_where_the_task_looks_and_says_what_it_is(
        self, task: TargetTask, tmp_path: Path
    ) -> None:
        root = write_sample(task, tmp_path / "not" / "there")
        assert root == locate_task(task, tmp_path / "not" / "there")
        (marker,) = (tmp_path / "not").rglob(f"*{MARKER}")
        facts = json.loads(marker.read_text())
        assert (facts["sample_of"], facts["note"]) == (task.family, PHANTOM_NOTE)
        assert facts["files"].get("breastmnist.npz") == (hash_file(root) if root.is_file() else None)
        assert sample_family(root) == task.family != ""
        expected = root / MARKER if root.is_dir() else root.with_name(f"{root.name}.{MARKER}")
        assert marker == expected

    @pytest.mark.parametrize("task", [lits, breastmnist], ids=lambda task: task.name)
    def test_real_data_is_never_overwritten(self, task: TargetTask, tmp_path: Path) -> None:
        root = with_real_data(task, tmp_path / "data")
        before = content_below(tmp_path / "data")
        with pytest.raises(DataError, match=f"task '{task.name}': expected nothing at {root}"):
            write_sample(task, tmp_path / "data")
        assert content_below(tmp_path / "data") == before != {}

    def test_a_sample_never_takes_the_place_of_data_under_another_name(self, tmp_path: Path) -> None:
        (tmp_path / "LITS17").mkdir()
        (tmp_path / "LITS17" / "volume-0.nii").write_bytes(b"real")
        with pytest.raises(DataError, match=r"task 'lits': expected no data of it in .*LITS17"):
            write_sample(lits, tmp_path)
        assert locate_task(lits, tmp_path) == tmp_path / "LITS17"

    def test_a_sample_of_another_data_set_is_never_overwritten(self, tmp_path: Path) -> None:
        write_sample(lits, tmp_path)
        (tmp_path / "lits").rename(tmp_path / "brats")
        before = content_below(tmp_path)
        with pytest.raises(DataError, match=r"task 'brats': expected nothing at .*brats, got other files"):
            write_sample(target_tasks.get("brats"), tmp_path)
        assert content_below(tmp_path) == before

    def test_an_older_sample_is_replaced_and_its_neighbours_stay(self, tmp_path: Path) -> None:
        first = write_sample(lits, tmp_path)
        before = content_below(tmp_path)
        (tmp_path / "other.txt").write_text("stays")
        assert write_sample(lits, tmp_path) == first
        assert content_below(tmp_path) == {**before, "other.txt": b"stays"}

    @pytest.mark.parametrize("change", ["another file", "changed file", "lost file"])
    def test_a_sample_that_was_changed_is_neither_opened_nor_replaced(
        self, tmp_path: Path, change: str
    ) -> None:
        root = write_sample(lits, tmp_path)
        path = next(root.rglob("*.nii*"))
        if change == "another file":
            (root / "volume-99.nii").write_bytes(b"real")
        elif change == "changed file":
            path.write_bytes(b"real")
        else:
            path.unlink()
        before = content_below(tmp_path)
        for act in (lambda: write_sample(lits, tmp_path), lambda: sample_family(root)):
            with pytest.raises(DataError, match="Remove that marker if this is real data"):
                act()
        assert content_below(tmp_path) == before

    def test_tasks_of_one_data_set_share_its_sample(self, tmp_path: Path) -> None:
        root = write_sample(busi, tmp_path)
        assert write_sample(busi_lesion, tmp_path) == root
        for task in (busi, busi_lesion):
            assert open_target_task(task, root)[0].phantom

    def test_an_older_file_is_replaced_and_its_neighbours_stay(self, tmp_path: Path) -> None:
        write_sample(breastmnist, tmp_path)
        before = content_below(tmp_path)
        (tmp_path / "pneumoniamnist.npz").write_bytes(b"real")
        write_sample(breastmnist, tmp_path)
        assert content_below(tmp_path) == {**before, "pneumoniamnist.npz": b"real"}
        with pytest.raises(DataError, match=r"expected nothing at .*pneumoniamnist\.npz"):
            write_sample(target_tasks.get("pneumoniamnist"), tmp_path)

    def test_a_sample_whose_writing_was_cut_short_leaves_nothing(self, tmp_path: Path) -> None:
        def half(root: Path) -> None:
            root.mkdir()
            (root / "volume-0.nii").write_bytes(b"half of")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_sample(replace(lits, write_sample=half), tmp_path)
        assert content_below(tmp_path) == {}
        root = write_sample(lits, tmp_path)
        assert len(open_target_task(lits, root)[1]) > 0

    def test_generated_images_have_no_sample(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="expected a data set that is downloaded, got generated images"):
            write_sample(phantom_tasks[0], tmp_path / "data")
        assert not (tmp_path / "data").exists()

    def test_real_data_in_the_place_of_a_sample_is_never_taken_for_it(self, tmp_path: Path) -> None:
        root = write_sample(breastmnist, tmp_path)
        arrays = {name: values[::-1] for name, values in np.load(root).items()}
        root.unlink()
        np.savez(root, **arrays)
        downloaded = root.read_bytes()
        for act in (
            lambda: open_target_task(breastmnist, root),
            lambda: write_sample(breastmnist, tmp_path),
        ):
            with pytest.raises(DataError, match="Remove that marker if this is real data"):
                act()
        assert root.read_bytes() == downloaded


class TestMarks:
    @pytest.mark.parametrize("task", [busi_lesion, breastmnist, lits], ids=lambda task: task.name)
    def test_a_sample_is_opened_as_generated_images(self, task: TargetTask, tmp_path: Path) -> None:
        root = write_sample(task, tmp_path)
        marked, cases = open_target_task(task, root)
        assert marked == replace(
            task,
            title=f"{task.title} (synthetic sample)",
            expected=None,
            phantom=True,
            caution=CAUTION,
            image_sets=(f"phantom-sample-{task.family or task.name}",),
        )
        assert not task.phantom
        assert not set(marked.image_sets) & set(task.image_sets)
        own = task.open(root)
        pd.testing.assert_frame_equal(cases.frame, own.frame)
        assert cases.split_source == own.split_source

    @pytest.mark.parametrize("task", [busi_lesion, breastmnist], ids=lambda task: task.name)
    def test_without_the_marker_the_same_files_are_real_data(self, task: TargetTask, tmp_path: Path) -> None:
        root = write_sample(task, tmp_path)
        (marker,) = tmp_path.rglob(f"*{MARKER}")
        marker.unlink()
        assert sample_family(root) is None
        opened, _ = open_target_task(task, root)
        assert opened is task

    def test_a_sample_of_another_data_set_is_refused(self, tmp_path: Path) -> None:
        root = write_sample(lits, tmp_path)
        facts = json.loads((root / MARKER).read_text())
        (root / MARKER).write_text(json.dumps(facts | {"sample_of": "busi"}))
        assert sample_family(root) == "busi"
        with pytest.raises(DataError, match=r"task 'lits': .*got a synthetic sample of 'busi'"):
            open_target_task(lits, root)

    def test_only_official_totals_are_forgotten(self, tmp_path: Path) -> None:
        root = write_sample(lits, tmp_path)
        assert [problem.what for problem in lits.open(root).opening_problems] == ["unexpected-count"]
        assert open_target_task(lits, root)[1].opening_problems == ()
        root = write_sample(siim_pneumothorax, tmp_path)
        kept = open_target_task(siim_pneumothorax, root)[1].opening_problems
        assert [problem.what for problem in kept] == ["unlisted-image"]
        problems = (replace(kept[0], what="unexpected-count"), kept[0], replace(kept[0], what="dropped-rows"))
        cases = replace(lits.open(write_sample(lits, tmp_path)), opening_problems=problems)
        assert as_sample(lits, cases)[1].opening_problems == problems[1:]

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"busi"', "null", "\xff\xfe"])
    def test_a_marker_that_cannot_be_read_is_refused(self, tmp_path: Path, content: str) -> None:
        root = write_sample(lits, tmp_path)
        (root / MARKER).write_bytes(content.encode("latin-1"))
        before = content_below(tmp_path)
        for act in (lambda: open_target_task(lits, root), lambda: write_sample(lits, tmp_path)):
            with pytest.raises(DataError, match="expected the marker of a synthetic sample"):
                act()
        assert content_below(tmp_path) == before

    def test_tasks_that_draw_their_images_need_no_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        task = phantom_tasks[0]
        assert open_target_task(task, Path())[0] is task


class TestPinnedSplits:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return write_sample(lits, tmp_path)

    def pin(self, root: Path, **changed: str) -> Path:
        """Pin the task's cases with validation and test exchanged."""
        cases = lits.open(root)
        exchanged = cases.frame["split"].replace({"val": "test", "test": "val"})
        path = root / "splits" / "lits.csv"
        write_split(path, cases.with_frame(cases.frame.assign(split=exchanged)))
        return path

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def test_a_pinned_split_replaces_the_task_s_own(self, root: Path) -> None:
        before = open_target_task(lits, root)[1]
        self.pin(root)
        task, cases = open_target_task(lits, root)
        assert (before.split_source, cases.split_source) == ("ours", "user")
        assert task.phantom
        own, pinned = before.frame.set_index("case_id"), cases.frame.set_index("case_id")
        assert list(own.index) == list(pinned.index)
        expected = own["split"].map({"train": "train", "val": "test", "test": "val"})
        assert pinned["split"].to_dict() == expected.to_dict()
        assert own["split"].nunique() == 3
        pd.testing.assert_frame_equal(own.drop(columns="split"), pinned.drop(columns="split"))

    def test_real_data_can_be_pinned_too(self, root: Path) -> None:
        (root / MARKER).unlink()
        self.pin(root)
        task, cases = open_target_task(lits, root)
        assert task is lits
        assert cases.split_source == "user"

    def test_the_order_of_the_list_does_not_matter(self, root: Path) -> None:
        path = self.pin(root)
        pinned = open_target_task(lits, root)[1]
        path.with_name("lits.csv.sha256").unlink()
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *rows[::-1]]))
        pd.testing.assert_frame_equal(open_target_task(lits, root)[1].frame, pinned.frame)

    def test_lists_of_other_tasks_are_not_looked_at(self, root: Path) -> None:
        self.pin(root).rename(root / "splits" / "lits-2.csv")
        (root / "splits" / "notes.csv").write_text("x")
        assert open_target_task(lits, root)[1].split_source == "ours"

    def test_a_list_that_is_not_the_recorded_one_is_refused(self, root: Path) -> None:
        path = self.pin(root)
        self.edit(path, ",val\n", ",train\n")
        with pytest.raises(
            DataError, match=r"lits\.csv: expected the split with SHA-256 [0-9a-f]{12}…, got "
        ):
            open_target_task(lits, root)
        path.with_name("lits.csv.sha256").unlink()
        assert set(open_target_task(lits, root)[1].frame["split"]) == {"train", "test"}

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("{case},{patient},{split}\n", "", r"expected every case listed, got 1 not listed: \['{case}'\]"),
            (
                "{case},",
                "other{case},",
                r"expected every case listed, got 1 not listed: \['{case}'\]",
            ),
            (
                "{case},{patient},{split}\n",
                "{case},{patient},{split}\nnew,{patient},{split}\n",
                r"expected only cases of the task, got 1 unknown: \['new'\]",
            ),
            (
                "{case},{patient},{split}\n",
                "{case},somebody,{split}\n",
                r"expected the task's patient for each case, got 1 with another patient: \['{case}'\]",
            ),
            (
                "{case},{patient},{split}\n",
                "{case},{patient},{split}\n{case},{patient},{split}\n",
                r"lits\.csv: expected each case once, got \['{case}'\] repeated",
            ),
            (
                ",".join(SPLIT_COLUMNS),
                "case_id,patient,split",
                r"lits\.csv: expected the columns \['case_id', 'patient_id', 'split'\], got ",
            ),
        ],
        ids=[
            "a case less",
            "another case",
            "a case more",
            "another patient",
            "a case twice",
            "a column less",
        ],
    )
    def test_a_list_of_other_cases_is_refused(self, root: Path, old: str, new: str, message: str) -> None:
        path = self.pin(root)
        path.with_name("lits.csv.sha256").unlink()
        case, patient, split = pd.read_csv(path, dtype=str).iloc[7]
        parts = {"case": case, "patient": patient, "split": split}
        self.edit(path, old.format(**parts), new.format(**parts))
        with pytest.raises(DataError, match=message.format(**parts)):
            open_target_task(lits, root)

    def test_an_empty_digest_is_refused(self, root: Path) -> None:
        self.pin(root).with_name("lits.csv.sha256").write_text("")
        with pytest.raises(DataError, match=r"lits\.csv"):
            open_target_task(lits, root)
