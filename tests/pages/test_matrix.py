"""The overview matrix in a real browser: switching, sorting, finding, hiding, and the address of a view."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from medtransfer.reports.write_report import ReportFiles, write_report, write_report_of
from medtransfer.store.records import State
from medtransfer.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

Visit = Callable[..., tuple[Any, list[str]]]
Sites = dict[str, ReportFiles]

PATIENCE_MS = 90_000
"""How long a large page may take on a busy machine; how fast it is, is not tested."""

VISIBLE = """() => {
  const seen = e => e.getClientRects().length > 0;
  const figure = [...document.querySelectorAll("#results figure.table")].filter(seen);
  return figure.map(f => ({
    name: f.dataset.name,
    columns: [...f.querySelectorAll("thead th")].filter(seen).map(h => h.dataset.id).slice(1),
    rows: [...f.querySelectorAll("tbody tr")].filter(seen).map(r => r.dataset.id),
    values: [...f.querySelectorAll("tbody tr")].filter(seen).map(r => [...r.querySelectorAll("td")].filter(seen)
      .map(c => "value" in c.dataset ? Number(c.dataset.value) : null)),
    texts: [...f.querySelectorAll("tbody tr")].filter(seen).map(r => [...r.querySelectorAll("td")].filter(seen)
      .map(c => c.querySelector(".value").textContent)),
  }));
}"""


def _open(visit: Visit, files: ReportFiles, view: str = "", **options: Any) -> Any:
    return visit(files.html.as_uri() + view, root=files.folder.as_uri() + "/", **options)


def _view(page: Any) -> dict[str, Any]:
    (panel,) = page.evaluate(VISIBLE)
    return panel


def _column(view: dict[str, Any], name: str) -> list[float | None]:
    return [line[view["columns"].index(name)] for line in view["values"]]


def _by_place(view: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (row, column): text
        for row, line in zip(view["rows"], view["texts"], strict=True)
        for column, text in zip(view["columns"], line, strict=True)
    }


def _best_first(values: list[float | None], *, reverse: bool) -> list[float | None]:
    numbers = sorted((value for value in values if value is not None), reverse=reverse)
    return [*numbers, *[None] * (len(values) - len(numbers))]


def test_the_numbers_are_those_of_the_store(
    visit: Visit, tmp_path_factory: pytest.TempPathFactory, synthetic: ModuleType
) -> None:
    maker = synthetic.StudyMaker()
    for task in synthetic.TASKS[:2]:
        for model in ("resnet20.random", "mobilenetv1_100.sup_in1k", "squeezenet1_1.sup_in1k"):
            for repetition in range(3):
                maker.add(task, model, "finetune", repetition=repetition)
    folder = tmp_path_factory.mktemp("store")
    with Store.open(folder / "store") as store:
        store.submit("numbers", [record.description for record in maker.records])
        for record in maker.records:
            (claim,) = store.claim([record.description.fingerprint], "me", 60.0)
            store.finish(claim, record.outcome, maker.frames[record.description.fingerprint])
        files = write_report(store, "numbers", folder / "report")
        records = [record for record in store.records("numbers") if record.state is State.DONE]
    runs: dict[tuple[str, str], list[float]] = {}
    for record in records:
        value = record.outcome.metrics["test"]["auc"]["value"]
        runs.setdefault((record.description.model, record.description.task), []).append(value)
    page, faults = _open(visit, files)
    view = _view(page)
    shown = _by_place(view)
    assert len(records) == 18
    for (model, task), values in runs.items():
        assert shown[model, task] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
        number = _column(view, task)[view["rows"].index(model)]
        assert number == pytest.approx(np.mean(values), abs=1e-12)
    assert faults == []


def test_switches_show_one_panel_each(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"])
    assert _view(page)["name"] == "linear-100"
    page.get_by_role("group", name="Label fraction").get_by_role("button", name="10 %", exact=True).click()
    assert _view(page)["name"] == "linear-10"
    protocols = page.get_by_role("group", name="Protocol")
    protocols.get_by_role("button", name="finetune").first.click()
    assert _view(page)["name"] == "finetune-10"
    pressed = page.locator(".choice button[aria-pressed=true]").all_inner_texts()
    assert [text.strip() for text in pressed] == ["finetune", "10\xa0%"]
    assert faults == []


def test_sorting_starts_with_the_best_and_leaves_missing_numbers_last(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"])
    before = _view(page)
    values = _column(before, "dermamnist")
    assert None in values
    head = page.locator("#results figure:not(.out) th[data-id=dermamnist]")
    head.get_by_role("button", name="Sort by dermamnist").click()
    view = _view(page)
    assert _column(view, "dermamnist") == _best_first(values, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    assert _column(_view(page), "dermamnist") == _best_first(values, reverse=False)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert _view(page) == before
    assert head.get_attribute("aria-sort") is None
    assert _by_place(view) == _by_place(before), "sorting changes no number"
    assert faults == []


def test_sorting_by_mean_rank_and_by_name(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"], "#?view=linear-10")
    page.get_by_label("Sort by", exact=True).select_option(label="Mean rank")
    ranks = _column(_view(page), "--rank")
    assert ranks == _best_first(ranks, reverse=False)
    assert any(rank is not None for rank in ranks)
    page.get_by_label("Sort by", exact=True).select_option(label="Source model")
    assert _view(page)["rows"] == sorted(_view(page)["rows"])
    page.get_by_role("button", name="Last first").click()
    assert _view(page)["rows"] == sorted(_view(page)["rows"], reverse=True)


def test_finding_and_hiding_change_no_number_and_say_what_is_shown(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"])
    before = _view(page)
    page.get_by_label("Find source models").fill("SUP imagenet-1k")
    page.get_by_label("Find target tasks").fill("mnist")
    view = _view(page)
    assert view["rows"] == ["mobilenetv1_100.sup_in1k", "squeezenet1_1.sup_in1k"]
    assert view["columns"] == ["--rank", "breastmnist", "dermamnist"]
    assert (
        page.get_by_role("status")
        .inner_text()
        .startswith("Shown: 2 of 5 source models and 2 of 4 target tasks")
    )
    page.get_by_text("Choose target tasks").click()
    page.get_by_label("dermamnist", exact=True).uncheck()
    view = _view(page)
    assert view["columns"] == ["--rank", "breastmnist"]
    whole = _by_place(before)
    assert all(whole[place] == text for place, text in _by_place(view).items())
    page.get_by_label("Find source models").fill("nothing has this name")
    assert "Nothing matches" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Show everything").click()
    assert _view(page) == before
    assert "change no number" in page.locator(".controls").inner_text()
    assert faults == []


def test_intervals_can_be_hidden(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"])
    interval = page.locator("#results figure:not(.out) td small").first
    assert interval.is_visible()
    page.get_by_role("button", name="Intervals").click()
    assert not interval.is_visible()
    assert page.get_by_role("button", name="Intervals").get_attribute("aria-pressed") == "false"


def test_everything_works_by_keyboard(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["full"])

    def tab_to(what: str) -> None:
        for _ in range(200):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({what!r})"):
                return
        raise AssertionError(f"the Tab key never reached {what}")

    tab_to(".choice[aria-label=Protocol] button:last-of-type")
    page.keyboard.press("Enter")
    assert _view(page)["name"] == "finetune-100"
    assert page.evaluate("document.activeElement.textContent") == "finetune", "the focus stays"
    tab_to(".choice[aria-label='Label fraction'] button:last-of-type")
    page.keyboard.press("Space")
    assert _view(page)["name"] == "finetune-10"
    tab_to("input[type=search]")
    page.keyboard.type("res")
    tab_to("select")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    tab_to("summary")
    page.keyboard.press("Enter")
    tab_to("input[type=checkbox]")
    page.keyboard.press("Space")
    view = _view(page)
    assert "resnet20.random" not in view["rows"]
    assert all(row.startswith("resnet") for row in view["rows"])
    tab_to("#results figure:not(.out) th[data-id=breastmnist] button.sort")
    page.keyboard.press("Enter")
    values = _column(_view(page), "breastmnist")
    assert values == _best_first(values, reverse=True)
    assert faults == []


def test_a_link_shows_the_view_it_was_copied_from(visit: Visit, sites: Sites) -> None:
    page, _ = _open(visit, sites["full"])
    page.get_by_role("group", name="Protocol").get_by_role("button", name="finetune").first.click()
    page.get_by_label("Sort by", exact=True).select_option(label="dermamnist")
    page.get_by_role("button", name="Worst first").click()
    page.get_by_label("Find source models").fill("res & net")
    page.get_by_label("Find source models").fill("net")
    page.get_by_text("Choose source models").click()
    page.get_by_label("squeezenet1_1.sup_in1k", exact=True).uncheck()
    page.get_by_role("button", name="Intervals").click()
    view, said = _view(page), page.get_by_role("status").inner_text()
    other, faults = _open(visit, sites["full"], "#" + page.url.partition("#")[2])
    assert _view(other) == view
    assert other.get_by_role("status").inner_text() == said
    assert other.get_by_role("button", name="Intervals").get_attribute("aria-pressed") == "false"
    assert other.get_by_label("Sort by", exact=True).evaluate("e => e.value") == "dermamnist"
    other.evaluate("location.hash = '#?view=linear-10'")
    other.wait_for_function(
        "!document.querySelector('figure[data-name=linear-10]').classList.contains('out')"
    )
    assert len(_view(other)["rows"]) == 5
    assert faults == []


def test_a_link_that_names_what_is_not_there_says_so(visit: Visit, sites: Sites) -> None:
    view = "#?view=gone-1&sort=%3Cimg%3E&hide-models=a,resnet20.random&order=worst-first"
    page, faults = _open(visit, sites["full"], view)
    said = page.get_by_role("status").inner_text()
    assert said.endswith("The address names what this report does not have: gone-1, <img>, a.")
    assert "resnet20.random" not in _view(page)["rows"]
    assert _view(page)["name"] == "linear-100"
    assert faults == []


def test_hostile_names_are_found_sorted_and_hidden_like_others(visit: Visit, sites: Sites) -> None:
    page, faults = _open(visit, sites["hostile"])
    page.get_by_label("Find source models").fill("=hyperlink")
    assert len(_view(page)["rows"]) == 1
    page.get_by_label("Find source models").fill("")
    page.get_by_text("Choose source models").click()
    page.locator(".boxes").first.get_by_label("</script>").first.uncheck()
    assert len(_view(page)["rows"]) == 3
    page.locator("#results figure:not(.out) button.sort").nth(2).click()
    view = _view(page)
    other, more = _open(visit, sites["hostile"], "#" + page.url.partition("#")[2])
    assert _view(other) == view
    assert faults == more == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_thousand_trials_are_usable(visit: Visit, tmp_path: Any, large: Any) -> None:
    files = write_report_of(large, tmp_path / "large")
    page, faults = _open(visit, files)
    view = _view(page)
    assert len(files.reading.records) == 5000
    assert (len(view["rows"]), len(view["columns"])) == (10, 21)
    assert page.locator("#results figure.table").count() == 5
    page.get_by_role("group", name="Label fraction").get_by_role("button", name="5 %", exact=True).click()
    page.get_by_label("Find target tasks").fill("task-1")
    page.locator("#results figure:not(.out) th[data-id=task-11] button.sort").click()
    view = _view(page)
    assert view["name"] == "finetune-5"
    assert len(view["columns"]) == 11
    assert _column(view, "task-11") == _best_first(_column(view, "task-11"), reverse=True)
    with page.expect_navigation(timeout=PATIENCE_MS):
        page.locator("#results figure:not(.out) thead a", has_text="task-11").click()
    page.wait_for_selector("#runs-11", state="attached", timeout=PATIENCE_MS)
    page.evaluate("document.getElementById('runs-11').scrollIntoView()")  # waits for no frame of a busy page
    page.wait_for_selector("#runs-11 .main-svg", timeout=PATIENCE_MS)
    assert faults == []
