"""Progress: live bars on a terminal, plain lines in a file, all on standard error."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from medtransfer.cli import display as module
from medtransfer.cli.display import Display, duration, output_console
from medtransfer.store.records import Counts


def counts(done: int, running: int = 0, pending: int = 0, failed: int = 0) -> Counts:
    return Counts(done=done, running=running, pending=pending, failed=failed)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_have_no_bars_and_come_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=False, width=100)) as display:
        for done in range(41):
            display.step("checking images", done, 40)
        display.counts(counts(0, running=2, pending=8))
        clock[0] += 10
        display.counts(counts(1, running=2, pending=7))
        clock[0] += 10
        display.counts(counts(4, running=2, pending=4))
        clock[0] += 1
        display.counts(counts(9, failed=1))
    assert stream.getvalue().splitlines() == [
        "checking images: 40",
        "trials: 0 of 10 done, 2 running, 0 failed, time left unknown",
        "trials: 4 of 10 done, 2 running, 0 failed, about 30 s left",
        "trials: 9 of 10 done, 0 running, 1 failed, finished",
    ]


def test_a_long_step_is_heard_of_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=False, width=100)) as display:
        for done in range(5):
            display.step("training epochs", done, 4)
            clock[0] += 10
    lines = ["training epochs: 2 of 4", "training epochs: 4"]
    assert stream.getvalue().splitlines() == lines


def test_time_left_counts_only_what_this_run_did(clock: list[float]) -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=False, width=100)) as display:
        display.counts(counts(90, pending=10))
        clock[0] += 60
        display.counts(counts(91, failed=1, pending=8))
    assert stream.getvalue().splitlines()[-1].endswith("about 4 min left")


def test_a_terminal_gets_a_bar_with_the_same_numbers() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=True, width=120, legacy_windows=False)) as display:
        display.step("checking images", 40, 40)
        display.counts(counts(9, running=1, failed=1))
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "━" in text
    for words in ("checking images", "40/40", "trials", "10/11", "1 running, 1 failed"):
        assert words in text
    assert "trials: " not in text


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.step("checking images", 1, 1)
        display.counts(counts(1))
    out, err = capsys.readouterr()
    assert out == ""
    assert "checking images: 1\n" in err
    assert "trials: 1 of 1 done" in err


def test_bars_end_when_the_work_breaks() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True, width=80))
    with pytest.raises(ValueError, match="broke"), display:
        raise ValueError("broke")
    assert not display._progress.live.is_started


def test_tables_in_a_file_are_wide_and_verbatim(capsys: pytest.CaptureFixture[str]) -> None:
    console = output_console()
    assert console.width >= 120
    console.print("[red]a :smile: b[/red] " + "x" * 120)
    assert capsys.readouterr().out == "[red]a :smile: b[/red] " + "x" * 120 + "\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1 h 30 min"),
        (7300, "2 h 2 min"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
