"""The harness: who is timed when, what is divided by what, and when a measurement does not count."""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import command_line, machine, side_by_side
from benchmarks.contest import Arm, Bar, Contest, Goal, NotMeasured, Verdict
from benchmarks.registry import bars
from benchmarks.results_table import table_lines
from benchmarks.side_by_side import Measurement, Spread, Unmeasured, measure


@pytest.fixture(autouse=True)
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting garbage before every timing is slow where the whole test suite is in memory."""
    monkeypatch.setattr(side_by_side.gc, "collect", lambda: 0)


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for the speed of the machine, twice per contest, is most of a quick run."""
    monkeypatch.setattr(machine, "_SAMPLED_S", 1e-3)


def steady() -> float:
    return 1.0


def speeds(*samples: float) -> Callable[[], float]:
    return iter(samples).__next__


class Clock:
    """CPU seconds that only work advances."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(machine, "cpu_seconds", lambda: self.now)

    def arm(self, label: str, *seconds: float, units: float = 1.0) -> Arm:
        left = iter(seconds)

        def work() -> str:
            self.now += next(left)
            return f"result of {label}"

        return Arm(label, work, units)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def contest(clock: Clock, goal: Goal | None = None, **options: Any) -> Contest:
    first = clock.arm("first", 9, 4, 6, 8, units=2)
    return Contest("c", first, clock.arm("second", 9, 1, 1, 1), goal, **options)


def test_ratio_is_the_median_of_the_repeats_per_unit_of_work(clock: Clock) -> None:
    found = measure("R0", contest(clock), 3, speed=steady)
    assert found.ratio == Spread(median=3.0, low=2.0, high=4.0)
    assert found.seconds["first"] == Spread(6, 4, 8)
    assert found.units == {"first": 2, "second": 1}


def test_arms_take_turns_and_the_order_is_reversed_every_other_time(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    arms = [Arm(name, lambda name=name: order.append(name)) for name in "abc"]
    clock = Clock(monkeypatch)

    def tick() -> float:
        clock.now += 1
        return clock.now

    monkeypatch.setattr(machine, "cpu_seconds", tick)
    found = Contest("c", arms[0], arms[1], None, also=(arms[2],))
    measure("R0", found, 3, speed=lambda: order.append("speed") or 1.0)
    assert "".join(name[0] for name in order) == "abc" + "s" + "abc" + "s" + "cba" + "s" + "abc" + "s"


def test_warm_up_can_be_left_out(clock: Clock) -> None:
    arms = clock.arm("first", 6), clock.arm("second", 2)
    assert measure("R0", Contest("c", *arms, None, warm_up=False), 1, speed=steady).ratio.median == 3


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal(3), True),
        (Goal(3.01), False),
        (Goal(3, at_least=False), True),
        (Goal(2.99, at_least=False), False),
        (None, True),
    ],
)
def test_goal_is_compared_with_the_median(clock: Clock, goal: Goal | None, met: bool) -> None:
    assert measure("R0", contest(clock, goal), 3, speed=steady).met is met


def test_arms_that_do_other_work_meet_nothing(clock: Clock) -> None:
    seen: list[Mapping[str, Any]] = []

    def verify(results: Mapping[str, Any]) -> Verdict:
        seen.append(dict(results))
        return Verdict(equal=False, facts={"gap": 1})

    found = measure("R0", contest(clock, Goal(1), verify=verify), 3, speed=steady)
    assert seen == [{"first": "result of first", "second": "result of second"}]
    assert (found.met, found.facts, found.outcome) == (False, {"gap": 1}, "not met: results differ")


def result(repeats: int = 7, speed: Callable[[], float] = steady, goal: Goal | None = None) -> Measurement:
    return measure(
        "R0",
        Contest("c", Arm("a", lambda: sum(range(9999))), Arm("b", lambda: sum(range(9999))), goal),
        repeats,
        speed=speed,
    )


def test_a_drifting_machine_or_few_repeats_make_it_invalid() -> None:
    assert result(speed=speeds(1, 1, 1.3, 1, 1, 1, 1, 1)).valid
    drifted = result(speed=speeds(1, 1, 1, 1, 1, 1, 1, 1.31))
    assert drifted.drift == pytest.approx(0.31)
    assert (drifted.valid, drifted.outcome) == (False, "invalid")
    assert not result(repeats=6).valid
    assert result(repeats=1).outcome == "runs"
    assert result().outcome == "for information"


def test_cpu_seconds_count_children_and_not_waiting() -> None:
    import subprocess
    import sys
    import time

    busy = "import time\nwhile time.process_time() < 0.3: pass"
    spent, _ = machine.timed(lambda: subprocess.run([sys.executable, "-c", busy], check=True))
    assert spent >= 0.3
    waited, _ = machine.timed(lambda: time.sleep(0.3))
    assert waited < 0.2


@pytest.mark.parametrize(
    ("setting", "advised"),
    [("always [madvise] never", [mmap.MADV_NOHUGEPAGE]), ("[always] madvise never", []), (None, [])],
)
def test_the_usual_side_has_the_usual_pages(
    setting: str | None, advised: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(machine, "advise_heap", found.append)
    monkeypatch.setattr(machine, "_HUGE_PAGES", tmp_path / "enabled")
    if setting is not None:
        (tmp_path / "enabled").write_text(setting, encoding="ascii")
    assert machine.in_usual_memory(lambda: 7) == 7
    assert found == advised


def test_speed_is_the_fastest_product_of_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [0.1, 0.3, 0.09, 0.05, 0.01]
    monkeypatch.setattr(machine, "_SAMPLED_S", 0.5)
    monkeypatch.setattr(machine, "timed", lambda work: (left.pop(0), work()))
    assert machine.product_seconds() == 0.05
    assert left == [0.01]


def test_table_shows_goal_and_result(clock: Clock) -> None:
    lines = table_lines([measure("R0", contest(clock, Goal(4)), 3, speed=steady)])
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == ["R0", "c", "3", "2 – 4", "≥ 4", "invalid"]
    assert len({len(line) for line in lines}) == 1


def test_a_goal_is_missed_unless_it_was_shown_to_be_met() -> None:
    assert not result(goal=Goal(1e-9)).missed()
    assert result(goal=Goal(1e9)).missed()
    assert not result(goal=Goal(1e9)).missed(quick=True)
    assert result(repeats=1, goal=Goal(1e-9)).missed()
    assert result(speed=speeds(1, 1, 1, 1, 1, 1, 1, 1.31), goal=Goal(1e-9)).missed()
    assert not result(repeats=1).missed()


@pytest.mark.parametrize("goal", [None, Goal(1e-9)])
def test_different_work_is_missed_even_in_a_quick_run(clock: Clock, goal: Goal | None) -> None:
    found = measure("R0", contest(clock, goal, verify=lambda _: Verdict(equal=False)), 3, speed=steady)
    assert found.missed()
    assert found.missed(quick=True)


def test_what_cannot_be_measured_has_a_line_with_its_goal_and_is_not_missed() -> None:
    found = Unmeasured("R7", "training", "≥ 0.95", "no CUDA device")
    cells = [cell.strip() for cell in table_lines([found])[2].strip("|").split("|")]
    assert cells == ["R7", "training", "", "", "≥ 0.95", "no CUDA device: not measured"]
    assert not found.missed()
    assert found.as_json()["outcome"] == "no CUDA device: not measured"


def test_ours_is_below_the_line_unless_the_goal_is_an_upper_bound(clock: Clock) -> None:
    assert contest(clock, Goal(2)).ours.label == contest(clock).ours.label == "second"
    assert contest(clock, Goal(2, at_least=False)).ours.label == "first"


# The command


@pytest.fixture
def one_bar(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool, bool]]:
    """Replace what R5 measures by next to nothing, and tell what it was asked for."""
    asked: list[tuple[str, bool, bool]] = []

    def contests(self: Bar, folder: Path, *, quick: bool) -> Iterator[Contest | NotMeasured]:
        asked.append((self.title, quick, folder.is_dir()))
        sys.stdout.write("what an arm says\n")
        arms = [Arm(label, lambda: sum(range(99_999))) for label in ("first", "second")]
        yield Contest("tiny", *arms, Goal(1e9 if self.title == "probe grid" else 1e-9))
        if self.title == "transferability":
            yield NotMeasured("large", Goal(4), "no large machine")

    monkeypatch.setattr(Bar, "contests", contests)
    monkeypatch.setattr(side_by_side, "MOST_DRIFT", 1e9)
    return asked


def test_command_prints_the_table_and_writes_json(
    one_bar: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command_line.main(["r5", "--json", str(tmp_path / "found.json")]) == 0
    assert "| R5  | tiny" in capsys.readouterr().out
    document = json.loads((tmp_path / "found.json").read_text())
    assert {"processor", "cores", "versions", "load_average_1min"} <= set(document["machine"])
    (found,) = document["measurements"]
    assert (found["bar"], found["contest"], found["goal"]) == ("R5", "tiny", "≥ 1e-09")
    assert (found["repeats"], found["valid"], found["met"]) == (7, True, True)
    assert found["ratio"]["low"] <= found["ratio"]["median"] <= found["ratio"]["high"]
    assert one_bar == [("start", False, True)]


def test_json_alone_is_all_there_is_on_standard_output(
    one_bar: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["r4", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert [found["contest"] for found in document["measurements"]] == ["tiny"]
    (unmeasured,) = document["not_measured"]
    assert (unmeasured["goal"], unmeasured["outcome"]) == ("≥ 4", "no large machine: not measured")
    assert "what an arm says" in said.err
    assert "| R4  | tiny" in said.err


def test_a_missed_bar_is_exit_code_1(one_bar: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["r3"]) == 1
    assert "not met" in capsys.readouterr().out
    assert command_line.main(["r5", "r3", "r4"]) == 1
    assert command_line.main(["r3", "--quick"]) == 0
    assert command_line.main(["r5", "--repeats", "2"]) == 1
    assert "invalid" in capsys.readouterr().out


def test_a_bar_is_no_file_name(
    one_bar: list[tuple[str, bool, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["--json", "r3"]) == 2
    assert capsys.readouterr().err == (
        "Error: --json: expected a file, got the bar 'r3'. Name the bars first: "
        "'python -m benchmarks r3 --json'.\n"
    )
    assert one_bar == []


def test_profile_says_where_our_arm_spends_its_time(
    one_bar: list[tuple[str, bool, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["r4", "--profile", "--quick", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    (found,) = document["profiles"]
    assert (found["bar"], found["contest"], found["arm"]) == ("R4", "tiny", "second")
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert "R4 large: no large machine: not profiled" in said.err
    assert one_bar == [("transferability", True, True)]


def test_quick_run_of_everything_measures_nothing(
    one_bar: list[tuple[str, bool, bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["--quick"]) == 0
    out = capsys.readouterr().out
    assert out.count("runs") == len(one_bar) == len(bars)
    assert "Invalid" in out


def test_unknown_bar_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["r55"]) == 2
    assert "bar 'R55' is not registered. Did you mean 'R5'" in capsys.readouterr().err
    assert command_line.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == bars.names()
