"""Own data: a folder per class, a CSV manifest, images with masks, declared in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medtransfer.core.errors import DataError, UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import audit_cases
from medtransfer.data.case_table import CaseTable
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.own_data_declaration import parse_own_data


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)).save(path)


def cases_of(root: Path, **declaration: Any) -> CaseTable:
    return open_own_data("mine", {"root": ".", **declaration}, root)[1]


def split_of(cases: CaseTable) -> Mapping[str, str]:
    return dict(zip(cases.frame["case_id"], cases.frame["split"], strict=True))


def findings(*columns: str) -> dict[str, Any]:
    return {
        "kind": "multi-label",
        "manifest": "l.csv",
        "columns": {"image": "i", "label": list(columns)},
    }


class TestFolderPerClass:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(40):
            name = "benign" if number % 2 else "malignant"
            draw(tmp_path / name / f"p{number // 4:02}_{number}.png", number)
        (tmp_path / "benign" / ".hidden").write_text("no image")
        return tmp_path

    def test_folders_are_classes_in_alphabetical_order(self, root: Path) -> None:
        task, cases = open_own_data("mine", {"root": "."}, root)
        assert (task.kind, cases.classes, len(cases)) == (TaskKind.BINARY, ("benign", "malignant"), 40)
        by_id = dict(zip(cases.frame["case_id"], cases.labels(), strict=True))
        assert by_id["benign/p00_1.png"] == 0
        assert by_id["malignant/p00_0.png"] == 1
        assert task.metrics[0] == "auc"

    def test_declared_classes_give_the_order(self, root: Path) -> None:
        assert cases_of(root, classes=["malignant", "benign"]).classes == ("malignant", "benign")
        with pytest.raises(DataError, match=r"expected only the classes \['benign', 'cyst'\].*malignant"):
            cases_of(root, classes=["benign", "cyst"])

    def test_three_folders_are_multi_class(self, root: Path) -> None:
        draw(root / "cyst" / "p90_1.png")
        assert cases_of(root).kind is TaskKind.MULTI_CLASS

    def test_the_pattern_gives_patients_and_splits_keep_them_whole(self, root: Path) -> None:
        cases = cases_of(root, patient_pattern=r"^(p\d+)_")
        assert cases.patients_known
        assert cases.split_source == "ours"
        assert cases.frame["patient_id"].nunique() == 10
        assert (cases.frame.groupby("patient_id")["split"].nunique() == 1).all()
        assert not cases_of(root).patients_known
        with pytest.raises(
            DataError,
            match=r"^task 'mine': patient_pattern: expected names .* '\^\(q\)', got 'p00_1' of 'benign/p00_1\.png'\. "
            "Correct the expression",
        ):
            cases_of(root, patient_pattern="^(q)")

    def test_files_of_the_operating_system_are_no_images(self, root: Path) -> None:
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
            (root / "benign" / name).write_bytes(b"no image")
        assert len(cases_of(root, patient_pattern=r"^(p\d+)_")) == 40

    def test_three_classes_are_not_binary(self, root: Path) -> None:
        draw(root / "cyst" / "p90_1.png")
        assert cases_of(root, kind="multi-class").kind is TaskKind.MULTI_CLASS
        with pytest.raises(
            DataError,
            match=r"kind: binary: expected two classes, got \['benign', 'cyst', 'malignant'\]\. Use kind",
        ):
            cases_of(root, kind="binary")

    def test_a_drawn_split_depends_on_the_name_alone(self, root: Path) -> None:
        first = split_of(cases_of(root))
        assert first == split_of(cases_of(root))
        assert first != split_of(open_own_data("other", {"root": "."}, root)[1])

    def test_split_folders_are_used_as_given(self, tmp_path: Path) -> None:
        for split in ("training", "valid", "test"):
            for name in ("a", "b"):
                draw(tmp_path / split / name / f"{split}.png", len(split))
        cases = cases_of(tmp_path)
        assert cases.split_source == "user"
        assert split_of(cases)["valid/a/valid.png"] == "val"
        assert cases.classes == ("a", "b")
        (tmp_path / "valid").rename(tmp_path / "Validate")
        again = cases_of(tmp_path)
        assert (again.split_source, again.classes) == ("user", ("a", "b"))
        assert split_of(again)["Validate/a/valid.png"] == "val"

    def test_folders_of_splits_beside_others_are_refused(self, tmp_path: Path) -> None:
        for split in ("train", "eval", "test"):
            for name in ("benign", "malignant"):
                draw(tmp_path / split / name / f"{split}.png", len(split))
        with pytest.raises(DataError) as refused:
            cases_of(tmp_path)
        assert str(refused.value) == (
            f"task 'mine': {tmp_path}: expected splits in all folders, or in none, got 'eval' beside 'test', "
            "'train'. Splits are spelled train, training, val, valid, validate, validation, dev, test, testing: "
            "rename or move the others. If these are classes, name them in a 'manifest'."
        )

    def test_folders_without_images_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"expected images in .*/<class>, got none\. Check 'root'"):
            cases_of(tmp_path)
        (tmp_path / "train" / "a").mkdir(parents=True)
        with pytest.raises(DataError, match=r"expected images in .*/<split>/<class>, got none"):
            cases_of(tmp_path, classes=["a", "b"])

    def test_one_class_or_no_folder_is_refused(self, tmp_path: Path) -> None:
        draw(tmp_path / "only" / "1.png")
        with pytest.raises(DataError, match=r"at least two classes, got \['only'\]"):
            cases_of(tmp_path)
        with pytest.raises(DataError, match=r"expected a folder .*nowhere"):
            cases_of(tmp_path, images="nowhere")


class TestManifest:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        lines = ["file;finding;edema;nodule;person;fold"]
        for number in range(30):
            draw(tmp_path / "images" / f"{number}.png", number)
            fold = ("train", "dev", "testing")[number // 2 % 3]
            lines.append(
                f"{number}.png;{('sick', 'well')[number % 2]};{number % 2};{number % 3 == 0:d};P{number // 2};{fold}"
            )
        (tmp_path / "list.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
        return tmp_path

    def declaration(self, **changed: Any) -> dict[str, Any]:
        columns = {"image": "file", "label": "finding", "patient": "person", "split": "fold"}
        return {
            "kind": "binary",
            "images": "images",
            "manifest": "list.csv",
            "columns": columns,
        } | changed

    def edit(self, root: Path, old: str, new: str) -> None:
        path = root / "list.csv"
        text = path.read_text(encoding="utf-8-sig")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def test_columns_give_labels_patients_and_splits(self, root: Path) -> None:
        cases = cases_of(root, **self.declaration())
        row = cases.frame.set_index("case_id").loc["images/3.png"]
        assert (cases.classes[row["label"]], row["patient_id"], row["split"]) == ("well", "P1", "val")
        assert cases.split_source == "user"
        assert cases.source.read_image(row["image"]).shape == (12, 10)

    def test_a_list_of_columns_is_multi_label(self, root: Path) -> None:
        columns = {"image": "file", "label": ["nodule", "edema"], "patient": "person"}
        cases = cases_of(root, **self.declaration(kind="multi-label", columns=columns))
        assert cases.classes == ("nodule", "edema")
        labels = dict(zip(cases.frame["case_id"], cases.labels().tolist(), strict=True))
        assert labels["images/3.png"] == [1, 1]
        assert labels["images/4.png"] == [0, 0]

    def test_patient_and_split_are_optional(self, root: Path) -> None:
        cases = cases_of(root, **self.declaration(columns={"image": "file", "label": "finding"}))
        assert (cases.patients_known, cases.split_source) == (False, "ours")
        assert set(cases.frame["split"]) == {"train", "val", "test"}

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("5.png;well", "5.png;unclear", r"column 'finding'.*'sick', 'well'.*line 7: 'unclear'"),
            ("5.png;well", "5.png;", r"column 'finding'.*a label in every line.*line 7: an empty cell"),
            ("5.png;", "lost.png;", r"column 'file'.*line 7: 'images/lost\.png'"),
            ("5.png;", "4.png;", r"one line per image.*line 6: 'images/4\.png' again"),
            ("P2;testing", "P2;fold7", r"column 'fold'.*train, val or test.*'fold7'"),
            ("P2;testing", ";testing", r"column 'person'.*a patient in every line"),
        ],
    )
    def test_every_wrong_line_is_named(self, root: Path, old: str, new: str, message: str) -> None:
        self.edit(root, old, new)
        with pytest.raises(DataError, match=message):
            cases_of(root, **self.declaration(classes=["sick", "well"]))

    def test_a_column_that_is_not_there_gets_the_nearest_name(self, root: Path) -> None:
        columns = {"image": "file", "label": "findings"}
        with pytest.raises(DataError, match=r"\['findings'\].*Did you mean \['finding'"):
            cases_of(root, **self.declaration(columns=columns))

    def test_empty_labels_may_be_dropped_by_name(self, root: Path) -> None:
        self.edit(root, "5.png;well", "5.png;")
        cases = cases_of(root, **self.declaration(missing_labels="drop"))
        assert len(cases) == 29
        assert [problem.what for problem in audit_cases(cases)] == ["dropped-rows"]

    def test_a_path_out_of_the_root_is_refused(self, root: Path) -> None:
        draw(root.parent / "outside.png")
        self.edit(root, "5.png;", "../../outside.png;")
        cases = cases_of(root, **self.declaration())
        assert [problem.what for problem in audit_cases(cases)] == ["unreadable-image"]

    def test_a_patient_in_two_splits_is_found(self, root: Path) -> None:
        self.edit(root, "P2;testing", "P0;testing")
        (problem,) = audit_cases(cases_of(root, **self.declaration()))
        assert problem.what == "patient-overlap"
        assert "P0" in problem.found


class TestMasks:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for number in range(10):
            draw(tmp_path / "images" / f"x{number}.png", number)
            left = np.zeros((12, 10), np.uint8)
            left[2:6, 1:4] = 255
            right = np.zeros((12, 10), np.uint8)
            right[2:6, 6:9] = 128
            for side, mask in (("", left), ("_mask_1", right)):
                path = tmp_path / "masks" / f"x{number}{side}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(mask).save(path)
        return tmp_path

    def read(self, cases: CaseTable, row: int = 0) -> np.ndarray:
        return np.maximum.reduce([cases.source.read_mask(part) for part in cases.frame["mask"][row]])

    def test_masks_are_found_by_stem_and_united(self, root: Path) -> None:
        cases = cases_of(root, images="images", masks="masks")
        assert (cases.kind, cases.classes) == (TaskKind.SEGMENTATION, ("foreground",))
        assert cases.frame["mask"][0] == ("masks/x0.png", "masks/x0_mask_1.png")
        assert self.read(cases).sum() == 24
        assert audit_cases(cases) == []

    def test_the_rule_above_half_leaves_out_what_is_grey(self, root: Path) -> None:
        below = {path: np.asarray(Image.open(path)) for path in (root / "masks").iterdir()}
        for path, mask in below.items():
            Image.fromarray(np.where(mask == 128, 127, mask).astype(np.uint8)).save(path)
        cases = cases_of(root, images="images", masks="masks", mask_rule="above-half")
        assert self.read(cases).sum() == 12

    def test_values_may_be_classes_and_others_are_problems(self, root: Path) -> None:
        values = {255: "liver", 128: "lesion"}
        cases = cases_of(root, images="images", masks="masks", mask_values=values)
        assert cases.classes == ("liver", "lesion")
        assert set(np.unique(self.read(cases))) == {0, 1, 2}
        (problem, *_) = audit_cases(
            cases_of(root, images="images", masks="masks", mask_values={255: "liver"})
        )
        assert (problem.what, "128" in problem.found) == ("unreadable-mask", True)

    def test_images_and_masks_may_lie_together(self, root: Path) -> None:
        for path in (root / "masks").glob("*_mask_1.png"):
            path.rename(root / "images" / path.name)
        cases = cases_of(root, images="images", masks="images")
        assert len(cases) == 10
        assert cases.frame["mask"][3] == ("images/x3_mask_1.png",)
        (root / "images" / "x3_mask_1.png").unlink()
        with pytest.raises(DataError, match=r"none for 'images/x3\.png'"):
            cases_of(root, images="images", masks="images")

    def test_an_image_without_a_mask_is_named(self, root: Path) -> None:
        for path in (root / "masks").glob("x7*"):
            path.unlink()
        with pytest.raises(DataError, match=r"a mask named like each image, got none for 'images/x7\.png'"):
            cases_of(root, images="images", masks="masks")

    def test_a_manifest_gives_patients_splits_and_masks(self, root: Path) -> None:
        lines = ["image,outline,who,part"]
        lines += [
            f"images/x{n}.png,masks/x{n}.png,w{n // 2},{'train' if n < 8 else 'test'}" for n in range(10)
        ]
        (root / "list.csv").write_text("\n".join(lines))
        columns = {"image": "image", "mask": "outline", "patient": "who", "split": "part"}
        cases = cases_of(root, kind="segmentation", manifest="list.csv", columns=columns)
        assert cases.frame["mask"][4] == ("masks/x4.png",)
        assert cases.frame["split"].value_counts().to_dict() == {"train": 6, "val": 2, "test": 2}
        assert (cases.frame.groupby("patient_id")["split"].nunique() == 1).all()

    def test_a_mask_of_another_size_is_found(self, root: Path) -> None:
        draw(root / "images" / "x2.png", 2, (13, 10))
        found = {problem.what for problem in audit_cases(cases_of(root, images="images", masks="masks"))}
        assert found == {"mask-size"}


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({"kindd": "binary"}, r"kindd: expected a known key\. Did you mean 'kind'"),
        ({"manifest": "list.csv"}, "expected 'manifest' and 'columns' together"),
        ({"kind": "segmentation"}, "needs 'masks' or a mask column"),
        ({"masks": "m", "kind": "binary"}, "masks need kind: segmentation"),
        ({"masks": "m", "mask_values": {1: "a"}, "mask_rule": "above-half"}, "one of 'mask_values'"),
        ({"patient_pattern": "p"}, "one group"),
        ({"metrics": ["auk"]}, "Did you mean 'auc'"),
        ({"kind": "binary", "manifest": "l.csv", "columns": {"image": "i"}}, "columns.label"),
        (
            findings("effusion", "effusion"),
            r"columns\.label: expected at least one column, each once, got \['eff",
        ),
        (findings(), r"columns\.label: expected at least one column, each once, got \[\]"),
        (
            findings("a", "b") | {"classes": ["a", "b"]},
            r"classes: expected none for kind: multi-label.*leave",
        ),
        (
            {"classes": ["a", "b", "a"]},
            r"classes: expected at least one class, each once, got \['a', 'b', 'a'\]",
        ),
        ({"classes": ["a"]}, r"classes: expected at least two classes, got \['a'\]"),
        ({"classes": [], "masks": "m"}, r"classes: expected at least one class, each once, got \[\]"),
        (
            {"kind": "multi-label"},
            "kind: multi-label needs 'manifest' and 'columns', a CSV file with a 0/1 column",
        ),
    ],
)
def test_wrong_declarations_say_what_was_expected(
    declaration: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        cases_of(tmp_path, **declaration)


def test_all_faults_of_a_declaration_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        cases_of(tmp_path, kindd="binary", classes=3, missing_labels="maybe")
    assert all(key in str(refused.value) for key in ("kindd", "classes", "missing_labels"))


class TestName:
    @pytest.mark.parametrize(
        "name",
        [
            "lesions",
            "busi-lesion",
            "3D nodules v1.2_b+c",
            "Läsionen",
            "la\u0301sions",
            "肺結節",
            "हिंदी",
            "a" * 80,
            "é" * 80,
            "肺" * 66,
        ],
    )
    def test_letters_of_any_script_are_accepted(self, name: str) -> None:
        assert parse_own_data(name, {"root": "."}).root == "."

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("../../../evil", r"a letter or digit first, got '\.'.*\. _ - \+ only, got '/'\. Choose another"),
            ("", "a letter or digit first, got ''"),
            (" ", "a letter or digit first, got ' '"),
            ("-x", "a letter or digit first, got '-'"),
            ("\u0301a", "a letter or digit first"),
            ("a/b", "only, got '/'"),
            ("a\\b", r"only, got '\\\\'"),
            ("a\nb", r"only, got '\\n'"),
            ("a\u202eb", r"only, got '\\u202e'"),
            ("a\ud800b", r"only, got '\\ud800'"),
            ("C:x*?", r"only, got '\*' ':' '\?'"),
            ("a ", "expected no space at its end"),
            ("a" * 81, "at most 80 characters and 200 bytes, got 81 and 81"),
            ("é" * 130, "at most 80 characters and 200 bytes, got 130 and 260"),
            ("肺" * 67, "at most 80 characters and 200 bytes, got 67 and 201"),
        ],
    )
    def test_a_name_no_file_can_bear_is_refused(self, name: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            parse_own_data(name, {"root": "."})

    def test_faults_of_the_name_and_of_the_keys_are_told_together(self) -> None:
        with pytest.raises(UsageError, match=r"^task 'a/b': name: .* knd: expected a known key.*'Own data'"):
            parse_own_data("a/b", {"root": ".", "knd": "binary"})
