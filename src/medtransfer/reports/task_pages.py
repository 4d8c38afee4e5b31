"""One documentation page per data set, written from the records of its tasks, and an index of them."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeVar

from medtransfer.core.atomic import write_atomically
from medtransfer.core.errors import UsageError
from medtransfer.data.audit import ExpectedCounts
from medtransfer.models.overlap import overlap
from medtransfer.reports.phrases import NONE, listed
from medtransfer.tasks.location import locate_task
from medtransfer.tasks.opening import open_target_task
from medtransfer.tasks.registry import target_tasks
from medtransfer.tasks.samples import write_sample
from medtransfer.tasks.target_task import Purpose, TargetTask, TaskPage

T = TypeVar("T")

INDEX: Final = "index.md"
"""File name of the list of all data sets."""
MOST_CLASSES: Final = 20
"""Classes of a task that are named; of more, the number is given."""

_HEAD: Final = (
    "<!-- Written by `make task-pages` from the records in src/medtransfer/tasks. Change those. -->"
)
_PURPOSES: Final[dict[Purpose, tuple[str, str]]] = {
    "target": ("medical target", "Medical targets"),
    "control": ("natural control", "Natural controls"),
    "pretraining": ("source of pretraining", "Sources of pretraining"),
}
_STUDIES: Final = {
    "A": "arXiv:2108.05930, 2021",
    "B": "Medical Image Analysis 102:103487, 2025",
    "C": "arXiv:2306.17555, 2023",
}
"""The published comparisons that records name by a letter."""

_SPECIAL: Final = re.compile(r"[\\`*_\[\]|]")
_ADDRESS: Final = re.compile(r"(https://[^\s()]+[^\s().,;:])")


def task_pages() -> dict[str, str]:
    """Return the pages of all data sets that are downloaded, and the index.

    Tasks of one family share a page; where they differ, the page says so task by task.

    Returns:
        File name to Markdown, the index first; the same text every time.
    """
    families = task_families()
    pages = {f"{name}.md": _page(name, tasks) for name, tasks in families.items()}
    return {INDEX: _index(families), **pages}


def task_families() -> dict[str, list[TargetTask]]:
    """Return the registered tasks on data sets by family, in the order of names, the plainest task first."""
    found: dict[str, list[TargetTask]] = {}
    for task in sorted(target_tasks, key=lambda task: _counted(task.name)):
        if task.page is not None and not task.phantom:
            found.setdefault(task.family or task.name, []).append(task)
    return dict(sorted(found.items()))


def write_task_pages(folder: Path) -> None:
    """Write all pages into a folder, replacing those that are there."""
    for name, text in task_pages().items():
        write_atomically(folder / name, text)


def _counted(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``x-64`` before ``x-128``."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def _index(families: dict[str, list[TargetTask]]) -> str:
    number = sum(map(len, families.values()))
    phantoms = sorted(task.name for task in target_tasks if task.phantom)
    lines = [
        "# Data sets",
        "",
        f"{len(families)} data sets with {number} tasks are registered. None is shipped: get the data, put it",
        "below a data folder, and let `medtransfer tasks check NAME --data DIR` compare it with what the task",
        "expects. `medtransfer tasks sample NAME DIR` writes a small synthetic copy to rehearse on.",
        "",
        f"Besides, {_names(phantoms)} are drawn by the program and need no data.",
        "Images of your own become a task in a few lines: see [Own data](../own-data.md).",
    ]
    for purpose, (_, heading) in _PURPOSES.items():
        rows = [
            [f"[{name}]({name}.md)", _text(_title(tasks)), _names([task.name for task in tasks])]
            for name, tasks in families.items()
            if tasks[0].purpose == purpose
        ]
        if rows:
            lines += ["", f"## {heading}", "", *_table(["data set", "what is predicted", "tasks"], rows)]
    lines += [
        "",
        "## The three studies",
        "",
        "Pages compare their tasks with three published comparisons:",
        "",
    ]
    lines += [f"- study {letter}: {_text(reference)}" for letter, reference in _STUDIES.items()]
    return _file(lines)


def _title(tasks: list[TargetTask]) -> str:
    """Return the phrase that all titles of a family begin with; all titles where there is none."""
    titles = [task.title for task in tasks]
    columns = takewhile(lambda signs: len(set(signs)) == 1, zip(*titles, strict=False))
    shared = re.match(r"(.+?) ?[,;(][^,;(]*$", "".join(signs[0] for signs in columns))
    return shared[1] if shared and len(titles) > 1 else "; ".join(titles)


def _page(name: str, tasks: list[TargetTask]) -> str:
    lines = [
        f"# {name}",
        *_paged(tasks, lambda page: page.about),
        *_tasks(tasks),
        *_access(tasks),
        *_layout(tasks),
        *("", "## Split", *_paged(tasks, lambda page: page.split)),
        *_counts(tasks),
        *_overlap(name, tasks),
        *_traps(tasks),
        *_rehearsal(tasks),
    ]
    if re.search(r"\bstud(y|ies) [ABC]\b", "\n".join(lines), re.IGNORECASE):
        lines += ["", "For the studies named by letters see [Data sets](index.md#the-three-studies)."]
    return _file(lines)


def _tasks(tasks: list[TargetTask]) -> Iterator[str]:
    yield from ("", "## Tasks", "")
    first_with: dict[tuple[str, ...], str] = {}
    rows = []
    for task in tasks:
        same = first_with.setdefault(task.classes, task.name)
        classes = _text(_classes(task)) if same == task.name else f"as `{same}`"
        metrics, purpose = _names(task.metrics), _PURPOSES[task.purpose][0]
        rows.append([f"`{task.name}`", _text(task.title), str(task.kind.value), classes, metrics, purpose])
    yield from _table(["task", "what is predicted", "kind", "classes", "metrics", "purpose"], rows)
    yield from ("", "The first metric selects on validation and is shown first.")
    for task in tasks:
        if task.equivalence_margin is not None:
            difference = f"Differences of `{task.primary_metric}` below {task.equivalence_margin:g}"
            yield from ("", f"{difference} are called equivalent in `{task.name}`.")


def _classes(task: TargetTask) -> str:
    more = len(task.classes) - MOST_CLASSES
    return ", ".join(task.classes[:MOST_CLASSES]) + (f" and {more:,} more" if more > 0 else "")


def _access(tasks: list[TargetTask]) -> Iterator[str]:
    yield from ("", "## How to get it", *_paged(tasks, lambda page: page.access), "")
    yield from _facts("Address", tasks, lambda task: task.url)
    yield from _facts("Licence", tasks, lambda task: task.licence)
    yield from _facts("To cite", tasks, lambda task: task.citation)


def _layout(tasks: list[TargetTask]) -> Iterator[str]:
    yield from ("", "## Layout", "", "Tried below `--data`, in this order:", "")
    for names, folders in _by_value(tasks, lambda task: task.folders):
        subject = "" if len(names) == len(tasks) else f"{_names(names)}: "
        yield f"- {subject}{', '.join(f'`{folder}`' for folder in folders)}"
    place = "[another place](../own-data.md#how-a-task-finds-its-folder)"
    yield from ("", f"The study file may name {place}. What lies there:")
    for names, layout in _by_value(tasks, lambda task: _page_of(task).layout):
        yield from _subject(names, tasks)
        yield from ("", "```text", *layout.splitlines(), "```")


def _counts(tasks: list[TargetTask]) -> Iterator[str]:
    yield from ("", "## Expected counts")
    for names, variants in _by_value(tasks, lambda task: (task.expected or ExpectedCounts()).variants):
        yield from _subject(names, tasks)
        yield ""
        if not variants:
            yield "None are declared, so the number of cases is not checked."
            continue
        splits = list(dict.fromkeys(split for variant in variants for split in variant))
        rows = [[_number(variant.get(split)) for split in splits] for variant in variants]
        yield from _table([f"cases in {_sum(split)}" for split in splits], rows, numeric_from=0)
        yield from (
            "",
            "Any of these rows is right."
            if len(rows) > 1
            else "Another number is the problem `unexpected-count`.",
        )
    for names, by_split in _by_value(
        tasks, lambda task: dict((task.expected and task.expected.classes) or {})
    ):
        if not by_split:
            continue
        yield from (*_subject(names, tasks), "")
        classes = list(dict.fromkeys(name for counts in by_split.values() for name in counts))
        rows = [
            [_text(name), *(_number(counts.get(name)) for counts in by_split.values())]
            for name in classes[:MOST_CLASSES]
        ]
        yield from _table(["class", *(f"cases in {_sum(split)}" for split in by_split)], rows, numeric_from=1)
        if len(classes) > MOST_CLASSES:
            yield from ("", f"And {len(classes) - MOST_CLASSES:,} further classes.")


def _overlap(name: str, tasks: list[TargetTask]) -> Iterator[str]:
    yield from ("", "## Overlap", "")
    for names, own in _by_value(tasks, lambda task: task.image_sets):
        subject = "" if len(names) == len(tasks) else f" of {_names(names)}"
        yield f"Image sets{subject}: {_names(own)}."
    yield "What reports show for models that were pretrained on them: [Overlap](../concepts.md#overlap)."
    others = [
        f"[{other}]({other}.md)"
        for other, members in task_families().items()
        if other != name and any(_share_images(task, member) for task in tasks for member in members)
    ]
    if others:
        yield f"Other pages on the same images, whole or in part: {listed(others, len(others))}."


def _share_images(one: TargetTask, other: TargetTask) -> bool:
    return overlap(other.image_sets, "supervised", one.image_sets).status in {"same", "source"}


def _traps(tasks: list[TargetTask]) -> Iterator[str]:
    cautions = [(names, text) for names, text in _by_value(tasks, lambda task: task.caution) if text]
    traps = [(names, found) for names, found in _by_value(tasks, lambda task: _page_of(task).traps) if found]
    if not cautions and not traps:
        return
    yield from ("", "## Caution")
    for names, text in cautions:
        subject = "" if len(names) == len(tasks) else f" on {_names(names)}"
        yield from ("", f"**Every report{subject} says:** {_text(text)}")
    for names, found in traps:
        yield from (*_subject(names, tasks), "", *(f"- {_text(trap)}" for trap in found))


def _rehearsal(tasks: list[TargetTask]) -> Iterator[str]:
    task = min(tasks, key=lambda task: len(task.classes))
    if task.write_sample is None:
        return
    left_out = _left_out(task)
    yield from ("", "## Rehearse", "")
    yield from (
        "Write a small synthetic copy in the layout above, and check it as the real data is checked:",
        "",
    )
    yield from ("```sh", f"medtransfer tasks sample {task.name} rehearsal")
    yield from (f"medtransfer tasks check {task.name} --data rehearsal", "```", "")
    if left_out:
        codes = listed([f"`{code}`" for code in left_out])
        yield from (
            f"The check names {codes}: what the data set leaves out on purpose. A study accepts it by name.",
            "",
        )
    yield from (f"Then run a study on it, here `rehearse-{task.name}.yaml`:", "")
    yield from (
        "```yaml",
        f"name: rehearse-{task.name}",
        f"tasks: [{task.name}]",
        "models: [resnet20.random]",
    )
    yield from ("protocols: [linear]", "seeds: 1")
    yield from ("accept:", f"  {task.name}: [{', '.join(left_out)}]") if left_out else ()
    yield from ("```", "", "```sh", f"medtransfer run rehearse-{task.name}.yaml --data rehearsal", "```", "")
    yield "Its results say nothing about patients, and the report says so. For the real data, change `--data`."


def _left_out(task: TargetTask) -> tuple[str, ...]:
    """Return the codes of what a data set leaves out on purpose, as its sample shows it."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(task, Path(folder))
        _, cases = open_target_task(task, locate_task(task, Path(folder)))
    return tuple(sorted({problem.what for problem in cases.opening_problems}))


def _page_of(task: TargetTask) -> TaskPage:
    assert task.page is not None
    return task.page


def _paged(tasks: list[TargetTask], part: Callable[[TaskPage], str]) -> Iterator[str]:
    """Yield a text of the records' pages, once where the tasks share it."""
    for names, text in _by_value(tasks, lambda task: part(_page_of(task))):
        yield from _subject(names, tasks)
        for paragraph in text.splitlines():
            yield from ("", _text(paragraph))


def _facts(title: str, tasks: list[TargetTask], value: Callable[[TargetTask], str]) -> Iterator[str]:
    for names, text in _by_value(tasks, value):
        if text:
            subject = "" if len(names) == len(tasks) else f" ({_names(names)})"
            yield f"- {title}{subject}: {_text(text)}"


def _by_value(tasks: list[TargetTask], value: Callable[[TargetTask], T]) -> list[tuple[list[str], T]]:
    """Return the different values of the tasks, each with the names of those that have it."""
    groups: list[tuple[list[str], T]] = []
    for task in tasks:
        found = value(task)
        names = next((names for names, other in groups if other == found), None)
        if names is None:
            groups.append(([task.name], found))
        else:
            names.append(task.name)
    return groups


def _subject(names: Sequence[str], tasks: Sequence[TargetTask]) -> Iterator[str]:
    """Yield which tasks the next lines are about, unless all of them are."""
    if len(names) < len(tasks):
        yield from ("", f"{_names(names)}:")


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _sum(splits: str) -> str:
    return listed(splits.split("+"))


def _text(text: str) -> str:
    r"""Return text as Markdown shows it letter by letter, web addresses as links.

    Example:
        >>> print(_text("a_b | <c>, see https://example.org/x_y."))
        a\_b \| &lt;c&gt;, see <https://example.org/x_y>.
    """
    parts = _ADDRESS.split(text)
    for number, part in enumerate(parts):
        if number % 2:
            parts[number] = f"<{part}>"
        else:
            plain = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            parts[number] = _SPECIAL.sub(lambda found: "\\" + found[0], plain)
    return "".join(parts)


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, numeric_from: int | None = None
) -> list[str]:
    first = len(heads) if numeric_from is None else numeric_from
    rule = ["---" if number < first else "---:" for number in range(len(heads))]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def _file(lines: Sequence[str]) -> str:
    return "\n".join([lines[0], "", _HEAD, *lines[1:]]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise UsageError(f"task pages: expected one folder to write into, got {sys.argv[1:]!r}.")
    write_task_pages(Path(sys.argv[1]))
