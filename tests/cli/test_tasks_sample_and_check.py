"""``tasks sample`` and ``tasks check``: exit codes, the JSON answer, own data through a study, the page."""

from __future__ import annotations

import base64
import io
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from medtransfer.data.phantom_chest import draw_chest
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.samples import CAUTION, MARKER

PROBLEM_KEYS = {"what", "where", "expected", "found", "next_step"}
CHECK_KEYS = {
    *("name", "page", "ok", "problems", "remarks", "counts", "splits", "split_source", "sizes", "modes"),
    "near_duplicates",
}
SCRIPT = "<script>x</script>&.png"
"""A path: the file ``script>&.png`` in the folder ``<script>x<``."""
HANDLER = '<img src=x onerror="y">.png'
MARKUP = "[/red]&amp;{{7*7}}"


def chest(number: int) -> np.ndarray:
    return np.asarray(cv2.resize(draw_chest("cli", number, 0, []).image, (96, 96)))


@pytest.fixture
def own_study(tmp_path: Path, write_study) -> Path:
    """A study that declares the task ``mine``: a table of nine images of two classes in three splits."""
    pictures = tmp_path / "data" / "mine" / "pictures"
    pictures.mkdir(parents=True)
    lines = ["file,finding,who,fold"]
    for number in range(9):
        cv2.imwrite(str(pictures / f"{number}.png"), chest(number))
        fold = ("train", "val", "test")[number // 3]
        lines.append(f"{number}.png,{('sick', 'well')[number % 2]},P{number},{fold}")
    (tmp_path / "data" / "mine" / "list.csv").write_text("\n".join(lines))
    columns = {"image": "file", "label": "finding", "patient": "who", "split": "fold"}
    mine = {
        "root": "mine",
        "images": "pictures",
        "kind": "binary",
        "manifest": "list.csv",
        "columns": columns,
    }
    return write_study(study_of({"mine": {**mine, "title": "My images"}}))


def study_of(*tasks: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "tasks": list(tasks),
        "models": ["resnet20.random"],
        "protocols": ["linear"],
    }


@pytest.fixture
def hostile(own_study: Path, tmp_path: Path) -> Path:
    """The same study; its images have faults, and names that are HTML or markup of the terminal."""
    root = tmp_path / "data" / "mine"
    (root / "pictures" / "<script>x<").mkdir()
    (root / "pictures" / SCRIPT).write_bytes(b"no image")
    cv2.imwrite(str(root / "pictures" / "flat.png"), np.full((9, 9), 7, np.uint8))
    (root / "pictures" / "flat.png").rename(root / "pictures" / HANDLER)
    cv2.imwrite(str(root / "pictures" / "again.png"), chest(0))
    encoded = cv2.imencode(".jpg", chest(1), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    (root / "pictures" / "nearly.jpg").write_bytes(encoded.tobytes())
    text = (root / "list.csv").read_text().replace("well", MARKUP).replace("sick", SCRIPT)
    rows = [
        f"{SCRIPT},{SCRIPT},P91,train",
        f'"{HANDLER.replace(chr(34), chr(34) * 2)}",{MARKUP},P92,val',
        f"again.png,{SCRIPT},P93,test",
        f"nearly.jpg,{MARKUP},P94,test",
    ]
    (root / "list.csv").write_text("\n".join([text, *rows]))
    return own_study


def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def cells(page: BeautifulSoup, table: str) -> list[list[str]]:
    """The rows of a table of the page."""
    return [
        [cell.get_text() for cell in row.find_all(["th", "td"])] for row in page.select(f"#{table} tbody tr")
    ]


class TestSample:
    def test_a_sample_is_written_and_passes_its_check(self, medtransfer, tmp_path: Path) -> None:
        ended = medtransfer("tasks", "sample", "busi-lesion", tmp_path / "data")
        assert (ended.code, ended.err) == (0, "")
        root = tmp_path / "data" / "busi" / "Dataset_BUSI_with_GT"
        assert str(root) in ended.out
        assert (root / MARKER).is_file()
        command = ended.out.splitlines()[-1].partition("medtransfer ")[2].split()
        checked = medtransfer(*command)
        assert checked.code == 0
        assert "(synthetic sample)" in checked.out
        assert checked.out.endswith("as expected\n")

    def test_as_json(self, medtransfer, tmp_path: Path) -> None:
        ended = medtransfer("tasks", "sample", "breastmnist", tmp_path / "new" / "data", "--json")
        assert (ended.code, ended.err) == (0, "")
        path = tmp_path / "new" / "data" / "breastmnist.npz"
        assert ended.json() == {"name": "breastmnist", "folder": str(path)}
        assert path.is_file()

    def test_twice_is_once(self, medtransfer, tmp_path: Path) -> None:
        for _ in range(2):
            assert medtransfer("tasks", "sample", "breastmnist", tmp_path / "data").code == 0
        assert len(list((tmp_path / "data").iterdir())) == 2

    def test_the_command_that_follows_can_be_pasted(self, medtransfer, tmp_path: Path) -> None:
        folder = tmp_path / "smp ü x"
        ended = medtransfer("tasks", "sample", "breastmnist", folder)
        command = shlex.split(ended.out.splitlines()[-1])
        assert command[-5:] == ["medtransfer", "tasks", "check", "breastmnist", "--data", str(folder)][1:]

    def test_never_over_data(self, medtransfer, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "breastmnist.npz").write_bytes(b"real")
        ended = medtransfer("tasks", "sample", "breastmnist", tmp_path / "data")
        assert ended.code == 3
        assert "A sample is never written over data: choose another folder." in ended.refusal()
        assert [path.read_bytes() for path in (tmp_path / "data").iterdir()] == [b"real"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("phantom-nodule", "expected a data set that is downloaded, got generated images"),
            ("busi-leson", "Did you mean 'busi-lesion'"),
        ],
    )
    def test_what_has_no_sample(self, medtransfer, tmp_path: Path, name: str, message: str) -> None:
        ended = medtransfer("tasks", "sample", name, tmp_path / "data", "--json")
        assert ended.code == 2
        assert message in ended.refusal()
        assert not (tmp_path / "data").exists()

    def test_a_file_is_no_folder(self, medtransfer, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("x")
        assert medtransfer("tasks", "sample", "breastmnist", tmp_path / "data").code == 2
        assert (tmp_path / "data").read_text() == "x"


class TestAnswer:
    def test_the_json_answer_has_everything(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        ended = medtransfer(
            "tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data", "--json"
        )
        assert ended.code == 0
        found = ended.json()
        assert set(found) == CHECK_KEYS
        assert (found["name"], found["page"], found["ok"], found["problems"]) == ("mine", None, True, [])
        assert found["counts"] == {"train": 3, "val": 3, "test": 3}
        assert [remark["what"] for remark in found["remarks"]] == ["few-cases"] * 3
        assert all(set(remark) == PROBLEM_KEYS for remark in found["remarks"])
        assert found["splits"][1] == {
            "name": "val",
            "cases": 3,
            "patients": 3,
            "volumes": None,
            "classes": {"sick": 1, "well": 2},
            "official": None,
            "official_classes": {},
        }
        assert (found["split_source"], found["sizes"], found["modes"]) == (
            "user",
            {"96 x 96": 9},
            {"grey": 9},
        )

    def test_the_plain_answer_says_the_same(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        ended = medtransfer("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data")
        assert ended.code == 0
        assert ended.out.startswith("mine: My images; split: user\n")
        assert "images: 9 grey; 96 x 96 (9)\n" in ended.out
        assert ended.out.count("to look at: few-cases: ") == 3
        assert ended.out.endswith("as expected\n")
        assert "few-cases" not in ended.err

    def test_problems_end_with_three(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        arguments = ("tasks", "check", "mine", "--study", hostile, "--data", tmp_path / "data")
        plain, machine = medtransfer(*arguments), medtransfer(*arguments, "--json")
        assert (plain.code, machine.code) == (3, 3)
        found = machine.json()
        assert set(found) == CHECK_KEYS
        assert found["ok"] is False
        assert all(set(problem) == PROBLEM_KEYS for problem in found["problems"] + found["remarks"])
        by_what = {problem["what"]: problem for problem in found["problems"]}
        assert set(by_what) == {"unreadable-image", "constant-image", "duplicate-image"}
        assert f"1: pictures/{SCRIPT}: " in by_what["unreadable-image"]["found"]
        assert by_what["unreadable-image"]["where"] == "train split"
        assert by_what["constant-image"]["found"] == f"1: pictures/{HANDLER}"
        assert "pictures/0.png = pictures/again.png" in by_what["duplicate-image"]["found"]
        assert found["near_duplicates"][0]["second"] == "pictures/nearly.jpg"
        assert "near-duplicates" in {remark["what"] for remark in found["remarks"]}
        for problem in found["problems"]:
            assert f"{problem['what']}: {problem['where']}: expected " in plain.err
        assert plain.out.endswith(f"\n{len(found['problems'])} problems\n")

    @pytest.mark.parametrize(
        ("metric", "said"),
        [
            ("dice", "expected metrics of a binary task, got 'dice'"),
            ("auc-volume", "expected volumes for 'auc-volume', got cases without them"),
        ],
    )
    def test_metrics_that_cannot_be_computed(
        self, medtransfer, own_study: Path, tmp_path: Path, metric: str, said: str
    ) -> None:
        own_study.write_text(
            own_study.read_text().replace("root: mine", f"root: mine\n    metrics: [{metric}]")
        )
        arguments = ("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data")
        ended = medtransfer(*arguments)
        assert (ended.code, ended.out.splitlines()[-1]) == (3, "1 problem")
        assert f"{said}. Name metrics among accuracy, auc, " in ended.err
        assert medtransfer(*arguments, "--json").json()["problems"][0]["what"] == "unfit-metric"

    def test_one_problem_is_one(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        (tmp_path / "data" / "mine" / "pictures" / "4.png").write_bytes(b"x")
        ended = medtransfer("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data")
        assert (ended.code, ended.out.splitlines()[-1]) == (3, "1 problem")

    def test_a_quick_check_compares_no_images(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        ended = medtransfer(
            *("tasks", "check", "mine", "--study", hostile, "--data", tmp_path / "data", "--json", "--quick")
        )
        assert ended.code == 3
        assert ended.json()["near_duplicates"] == []
        assert "near-duplicates" not in {remark["what"] for remark in ended.json()["remarks"]}
        assert "duplicate-image" in {problem["what"] for problem in ended.json()["problems"]}
        assert "comparing" not in ended.err

    def test_names_are_no_markup_of_the_terminal(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        ended = medtransfer("tasks", "check", "mine", "--study", hostile, "--data", tmp_path / "data")
        assert MARKUP in ended.out
        assert SCRIPT in ended.out

    def test_data_that_cannot_be_opened(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        (tmp_path / "data" / "mine" / "list.csv").write_text("file,finding\n")
        arguments = ("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data")
        page = tmp_path / "page.html"
        plain, machine = medtransfer(*arguments, "--html", page), medtransfer(*arguments, "--json")
        assert (plain.code, machine.code) == (3, 3)
        found = machine.json()
        assert set(found) == CHECK_KEYS
        assert (found["name"], found["ok"], found["counts"]) == ("mine", False, {})
        assert (found["page"], found["splits"], found["near_duplicates"]) == (None, [], [])
        (problem,) = found["problems"]
        assert problem["what"] == "unusable-data"
        assert "list.csv: expected the columns ['who', 'fold']" in problem["found"]
        assert plain.err.startswith("unusable-data: mine: ")
        assert plain.out == "1 problem\n"
        assert not page.exists()

    def test_official_counts_stand_beside_others(self, medtransfer, tmp_path: Path) -> None:
        medtransfer("tasks", "sample", "breastmnist", tmp_path)
        sample = medtransfer("tasks", "check", "breastmnist", "--data", tmp_path, "--json", "--quick")
        (tmp_path / f"breastmnist.npz.{MARKER}").unlink()
        real = medtransfer("tasks", "check", "breastmnist", "--data", tmp_path, "--json", "--quick")
        assert (sample.code, real.code) == (0, 3)
        assert sample.json()["splits"][0]["official"] is None
        assert real.json()["splits"][0]["official"] == 546
        assert {problem["what"] for problem in real.json()["problems"]} == {"unexpected-count"}
        assert real.json()["problems"][0]["expected"] == "546 cases"

    def test_the_json_answer_has_remarks_whatever_happens(self, medtransfer, tmp_path: Path) -> None:
        assert medtransfer("tasks", "check", "lits", "--data", tmp_path, "--json").json()["remarks"] == []


class TestStudy:
    def test_a_registered_task_may_lie_elsewhere(self, medtransfer, write_study, tmp_path: Path) -> None:
        medtransfer("tasks", "sample", "busi-lesion", tmp_path / "data")
        (tmp_path / "data" / "busi" / "Dataset_BUSI_with_GT").rename(tmp_path / "data" / "ultrasound")
        study = write_study(study_of({"busi-lesion": {"folder": "ultrasound"}}))
        arguments = ("tasks", "check", "busi-lesion", "--data", tmp_path / "data", "--quick", "--json")
        assert medtransfer(*arguments).json()["problems"][0]["what"] == "unusable-data"
        ended = medtransfer(*arguments, "--study", study)
        assert (ended.code, ended.json()["ok"]) == (0, True)

    def test_a_task_the_study_does_not_have(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        for name in ("breastmnist", "mein"):
            ended = medtransfer("tasks", "check", name, "--study", own_study, "--data", tmp_path / "data")
            assert ended.code == 2
            assert f"expected a task {name!r}, got only ['mine']" in ended.refusal()

    def test_a_task_in_no_block(self, medtransfer, write_study, tmp_path: Path) -> None:
        content = study_of("breastmnist", {"hip": {"root": "hip"}})
        study = write_study({**content, "blocks": [{"tasks": ["breastmnist"]}]})
        ended = medtransfer("tasks", "check", "hip", "--study", study, "--data", tmp_path)
        assert ended.code == 2
        assert "it is declared, but in no block. Add it to the 'tasks' of a block." in ended.refusal()

    def test_own_data_needs_its_study(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        ended = medtransfer("tasks", "check", "mine", "--data", tmp_path / "data")
        assert ended.code == 2
        assert "task 'mine' is not registered" in ended.refusal()

    @pytest.mark.parametrize("content", [None, "name: [", "name: x\n"])
    def test_a_study_that_is_none(self, medtransfer, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            (tmp_path / "bad.yaml").write_text(content)
        ended = medtransfer("tasks", "check", "mine", "--study", tmp_path / "bad.yaml")
        assert ended.code == 2
        assert "bad.yaml" in ended.err
        assert "Traceback" not in ended.err

    def test_a_wrong_declaration(self, medtransfer, write_study, tmp_path: Path) -> None:
        study = write_study(study_of({"mine": {"root": "mine", "intensity": "lungs"}}))
        ended = medtransfer("tasks", "check", "mine", "--study", study, "--data", tmp_path)
        assert ended.code == 2
        assert "intensity: expected 'volume', a window among" in ended.refusal()

    def test_a_folder_that_is_missing(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        ended = medtransfer(
            "tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "other", "--json"
        )
        assert ended.code == 3
        (problem,) = ended.json()["problems"]
        assert problem["what"] == "unusable-data"
        assert problem["found"].endswith(f"expected a folder at {tmp_path / 'other' / 'mine'}, got none")
        assert problem["next_step"] == "Check 'root' in the study and --data."


class TestPage:
    def page(self, medtransfer, study: Path, folder: Path, *options: str) -> BeautifulSoup:
        path = folder / "pages" / "mine.html"
        arguments = ("tasks", "check", "mine", "--study", study, "--data", folder / "data", *options)
        ended = medtransfer(*arguments, "--html", path)
        assert ended.out.endswith(f"Page: {path}\n")
        return parsed(path)

    def test_the_json_answer_names_the_page(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        arguments = ("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data", "--json")
        ended = medtransfer(*arguments, "--html", tmp_path / "a" / "b.html")
        assert (ended.code, ended.json()["page"]) == (0, str(tmp_path / "a" / "b.html"))
        assert parsed(tmp_path / "a" / "b.html").h1.get_text() == "mine"

    def test_data_as_declared(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        page = self.page(medtransfer, own_study, tmp_path)
        assert page.select_one("p.subtitle").get_text() == "My images: as declared"
        assert "Everything is as declared." in page.select_one("p.notice").get_text()
        assert cells(page, "splits") == [[split, "3", "–", "3"] for split in ("train", "val", "test")]
        assert cells(page, "classes") == [["sick", "2", "1", "2"], ["well", "1", "2", "1"]]
        assert page.select_one("#problems").get_text().split() == ["Problems", "None."]
        assert [row[0] for row in cells(page, "remark-list")] == ["few-cases"] * 3
        assert not page.select("#problems img")

    def test_a_sample_says_on_its_page_that_it_is_one(self, medtransfer, tmp_path: Path) -> None:
        medtransfer("tasks", "sample", "breastmnist", tmp_path)
        ended = medtransfer(
            *("tasks", "check", "breastmnist", "--data", tmp_path, "--html", tmp_path / "p.html", "--quick")
        )
        assert ended.code == 0
        assert CAUTION in parsed(tmp_path / "p.html").select_one("p.notice.caution").get_text()

    def test_every_problem_and_remark_is_there(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        arguments = ("tasks", "check", "mine", "--study", hostile, "--data", tmp_path / "data", "--json")
        found = medtransfer(*arguments).json()
        page = self.page(medtransfer, hostile, tmp_path)
        for table, entries in (("problem-list", found["problems"]), ("remark-list", found["remarks"])):
            assert cells(page, table) == [
                [entry[key] for key in ("what", "where", "expected", "found", "next_step")]
                for entry in entries
            ]
        assert page.select_one("p.subtitle").get_text() == "My images: 3 problems"
        warning = page.select_one("p.notice.warning").get_text()
        assert all(problem["what"] in warning for problem in found["problems"])

    def test_cases_behind_problems_are_shown(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        page = self.page(medtransfer, hostile, tmp_path)
        shown: dict[str, list[list[str | None]]] = {}
        for gallery in page.select("figure.gallery"):
            if gallery.find_parent("section")["id"] == "examples":
                continue
            for group in gallery.select("li"):
                names = [
                    (picture.find(["img", "span"]).get("alt"), picture.small.get_text())
                    for picture in group.find_all("div")
                ]
                shown.setdefault(gallery.figcaption.get_text(), []).append(names)
        assert [names for title, names in shown.items() if "cannot be decoded" in title] == [
            [[(None, f"pictures/{SCRIPT}")]]
        ]
        assert [names for title, names in shown.items() if "all equal" in title] == [
            [[(f"pictures/{HANDLER}",) * 2]]
        ]
        assert [names for title, names in shown.items() if "equal pixels in two splits" in title] == [
            [[("pictures/0.png",) * 2, ("pictures/again.png",) * 2]]
        ]
        assert [names for title, names in shown.items() if "Nearly the same" in title] == [
            [[("pictures/1.png",) * 2, ("pictures/nearly.jpg",) * 2]]
        ]

    def test_pictures_are_in_the_page_itself(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        page = self.page(medtransfer, hostile, tmp_path)
        pictures = page.find_all("img")
        assert len(page.select("#problems img")) == 3
        for picture in pictures:
            start, _, content = picture["src"].partition(",")
            assert start == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(content))) as image:
                assert max(image.size) == 128
                image.load()
        by_name = {picture["alt"]: picture["src"].partition(",")[2] for picture in pictures}
        with Image.open(io.BytesIO(base64.b64decode(by_name["pictures/0.png"]))) as image:
            expected = cv2.resize(chest(0), (128, 128), interpolation=cv2.INTER_NEAREST)
            np.testing.assert_array_equal(np.asarray(image)[..., 0], expected)

    @pytest.mark.parametrize("options", [(), ("--quick",)])
    def test_nothing_comes_from_elsewhere(
        self, medtransfer, hostile: Path, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        page = self.page(medtransfer, hostile, tmp_path, *options)
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert policy.startswith("default-src 'none'; ")
        assert "img-src data: blob:;" in policy
        assert not page.find_all(["link", "iframe", "object", "embed", "form", "base", "audio", "video"])
        for tag in page.find_all(True):
            for name in ("src", "href", "srcset", "action", "data", "poster", "background"):
                assert tag.get(name, "#").startswith(("#", "data:image/png;base64,")), (tag.name, name)
        styles = "".join(tag.get_text() for tag in page.find_all("style"))
        assert "url(" not in styles
        assert "@import" not in styles
        assert str(tmp_path) not in str(page)

    def test_no_name_becomes_an_element(self, medtransfer, hostile: Path, tmp_path: Path) -> None:
        page = self.page(medtransfer, hostile, tmp_path)
        (script,) = page.find_all("script")
        assert script.find_parent("head") is not None
        assert "theme" in script.get_text()
        assert not [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
        assert [row[0] for row in cells(page, "classes")] == [SCRIPT, MARKUP]
        text = page.get_text()
        assert f"pictures/{SCRIPT}" in text
        assert f"pictures/{HANDLER}" in text
        assert "49" not in {row[0] for row in cells(page, "classes")}

    def test_control_signs_in_names_are_written_out(
        self, medtransfer, own_study: Path, tmp_path: Path
    ) -> None:
        root = tmp_path / "data" / "mine"
        (root / "pictures" / "a\x07b\u202egnp.png").write_bytes(b"x")
        (root / "list.csv").write_text(
            f"{(root / 'list.csv').read_text()}\na\x07b\u202egnp.png,sick,P9,train\n"
        )
        text = self.page(medtransfer, own_study, tmp_path).get_text()
        assert "a\\x07b\\u202egnp.png" in text
        assert not {"\x07", "\u202e"} & set(text)

    def test_a_title_becomes_no_element_either(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        text = own_study.read_text()
        own_study.write_text(text.replace("My images", "'<script>y</script> <i>&'"))
        ended = medtransfer(
            *("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data"),
            *("--html", tmp_path / "p.html", "--quick"),
        )
        assert ended.code == 0
        page = parsed(tmp_path / "p.html")
        assert page.h1.get_text() == "mine"
        assert page.select_one("p.subtitle").get_text().startswith("<script>y</script> <i>&: ")
        assert not page.find_all("i")
        assert len(page.find_all("script")) == 1

    def test_a_place_that_cannot_be_written(self, medtransfer, own_study: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        arguments = ("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data", "--quick")
        ended = medtransfer(*arguments, "--html", tmp_path / "file" / "p.html")
        assert ended.code == 1
        assert "expected a place that can be read and written" in ended.refusal()
        assert medtransfer(*arguments, "--html", tmp_path).code == 2


def test_control_signs_in_names_do_not_reach_the_terminal(
    medtransfer, own_study: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data" / "mine"
    name = "a\x07b\u202egnp.png"
    (root / "pictures" / name).write_bytes(b"x")
    (root / "list.csv").write_text(f"{(root / 'list.csv').read_text()}\n{name},sick,P9,train\n")
    ended = medtransfer("tasks", "check", "mine", "--study", own_study, "--data", tmp_path / "data")
    assert ended.code == 3
    assert not {"\x07", "\u202e"} & set(ended.out + ended.err)


class TestListAndShow:
    def test_every_task_shows_its_page(self, medtransfer) -> None:
        listed = medtransfer("tasks", "list")
        assert listed.code == 0
        lines = {line.split()[0]: line for line in listed.out.splitlines()}
        assert list(lines) == target_tasks.names()
        for task in target_tasks:
            assert task.kind.value in lines[task.name]
            assert lines[task.name].endswith(task.title)

    @pytest.mark.parametrize("name", ["busi-lesion", "chexpert", "breastmnist-64", "phantom-lungs"])
    def test_a_task_shows_what_a_user_must_know(self, medtransfer, name: str) -> None:
        task = target_tasks.get(name)
        plain, machine = medtransfer("tasks", "show", name), medtransfer("tasks", "show", name, "--json")
        assert (plain.code, machine.code, plain.err, machine.err) == (0, 0, "", "")
        shown = machine.json()
        assert (shown["name"], shown["kind"], shown["classes"]) == (name, task.kind.value, list(task.classes))
        assert shown["sample"] == (task.write_sample is not None)
        if task.page is None:
            assert shown["page"] is None
            assert "\nabout:\n" not in plain.out
            return
        assert shown["page"]["traps"] == list(task.page.traps)
        assert "\npage: " not in plain.out
        for heading in ("about", "access", "layout", "split", "traps"):
            assert f"\n\n{heading}:\n  " in plain.out
        for line in task.page.layout.splitlines():
            assert f"  {line}\n" in plain.out
        for trap in task.page.traps:
            assert f"  - {trap}\n" in plain.out
