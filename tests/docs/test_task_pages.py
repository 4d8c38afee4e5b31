"""The pages of the data sets say what the records say, and each task is on one of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from medtransfer.reports import task_pages as task_pages_module
from medtransfer.reports.task_pages import INDEX, MOST_CLASSES, task_families, task_pages
from medtransfer.study.study import Study
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.target_task import TargetTask

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "tasks"
WRITTEN = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
FAMILIES = task_families()
TASKS = [task for task in target_tasks if not task.phantom]

every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return task_pages()


def table(page: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose first head is this."""
    found = re.search(rf"^\| {first} \|.*\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found, first
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()]


def test_the_pages_are_those_of_the_records(pages: dict[str, str]) -> None:
    advice = "the records of the tasks have changed: run 'make task-pages'"
    assert WRITTEN.keys() == pages.keys(), advice
    assert [name for name, text in pages.items() if WRITTEN[name] != text] == [], advice


def test_they_are_written_as_files(
    pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_pages_module, "task_pages", lambda: pages)
    task_pages_module.write_task_pages(tmp_path / "tasks")
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "tasks").iterdir()}
    assert written == pages


def test_every_task_that_is_downloaded_is_on_exactly_one_page() -> None:
    named = [
        re.findall("`([^`]+)`", row[0])[0]
        for name, page in WRITTEN.items()
        if name != INDEX
        for row in table(page, "task")
    ]
    assert Counter(named) == Counter(task.name for task in TASKS)


def test_the_index_names_every_page_and_every_task() -> None:
    index = WRITTEN[INDEX]
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == WRITTEN.keys() - {INDEX}
    assert {task.name for task in target_tasks} <= set(re.findall(r"`([\w-]+)`", index))
    assert index.count(f"{len(FAMILIES)} data sets with {len(TASKS)} tasks") == 1


@every_family
def test_a_page_says_what_its_records_say(family: str) -> None:
    page = WRITTEN[f"{family}.md"]
    plain = re.sub(r"\\(.)", r"\1", page).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    plain = re.sub(r"<(https://[^>]+)>", r"\1", plain)
    for task in FAMILIES[family]:
        assert task.page is not None
        said = [task.page.about, task.page.access, task.page.split, *task.page.traps, task.licence]
        said += [task.title, task.citation, task.url, task.caution, *task.image_sets]
        for text in (line for part in said for line in part.splitlines()):
            assert text in plain, text
        assert "\n".join(task.page.layout.splitlines()) in page
        assert all(f"`{name}`" in page for name in (*task.folders, *task.metrics))


@every_family
def test_a_page_names_at_most_twenty_classes_of_a_task(family: str) -> None:
    rows = {row[0]: row for row in table(WRITTEN[f"{family}.md"], "task")}
    shown: dict[tuple[str, ...], str] = {}
    for task in FAMILIES[family]:
        cell = rows[f"`{task.name}`"][3].replace("\\", "")
        if task.classes in shown:
            assert cell == f"as `{shown[task.classes]}`"
            continue
        shown[task.classes] = task.name
        more = len(task.classes) - MOST_CLASSES
        names = ", ".join(task.classes[:MOST_CLASSES])
        assert cell == (f"{names} and {more} more" if more > 0 else names)


def counts_on(page: str) -> set[int]:
    section = page.split("## Expected counts")[1].split("\n## ", maxsplit=1)[0]
    return {int(number.replace(",", "")) for number in re.findall(r"(?<= )[\d,]+(?= \|)", section)}


@every_family
def test_a_page_holds_every_expected_count_and_no_other(family: str) -> None:
    def declared(task: TargetTask) -> set[int]:
        if task.expected is None:
            return set()
        parts = [*task.expected.variants, *(task.expected.classes or {}).values()]
        return {number for part in parts for number in part.values()}

    assert counts_on(WRITTEN[f"{family}.md"]) == set().union(*map(declared, FAMILIES[family]))


@every_family
def test_the_rehearsal_is_a_study_the_program_takes(family: str) -> None:
    page = WRITTEN[f"{family}.md"]
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    study = Study.parse(yaml.safe_load(block))
    (name,) = study.tasks
    assert name in {task.name for task in FAMILIES[family]}
    assert f"medtransfer tasks sample {name} rehearsal\n" in page
    assert f"medtransfer run {study.name}.yaml --data rehearsal\n" in page


def test_the_navigation_lists_the_pages_in_the_order_of_names() -> None:
    listed = re.findall(r"^ +- tasks/(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert listed == [INDEX, *(f"{family}.md" for family in FAMILIES)]


def test_the_first_page_counts_the_data_sets() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\[(\d+) data sets\]\(docs/tasks/index\.md\)", text) == [str(len(FAMILIES))]
