"""What a watch reads from marks, and that it marks the steps of an optimiser."""

from __future__ import annotations

import pytest
import torch

from medtransfer.study.stopwatch import STEP, Mark, Stopwatch, per_unit, step_seconds


def mark(done: int, at_s: float, resident: int = 0) -> Mark:
    return Mark("work", done, at_s, resident)


def test_optimiser_steps_are_marked_inside_the_block_only() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    watch = Stopwatch("cpu")
    weight.sum().backward()
    optimiser.step()
    with watch.noting_optimiser_steps():
        watch("start", 0, 0)
        optimiser.step()
        torch.optim.AdamW([weight]).step()
        watch("end", 1, 1)
    optimiser.step()
    assert [found.what for found in watch.marks] == ["start", STEP, STEP, "end"]
    assert watch.before(watch.of("end")[0]).what == STEP
    times = [found.at_s for found in watch.marks]
    assert times == sorted(times)
    assert all(found.resident > 0 for found in watch.marks)


def test_a_step_is_the_median_gap() -> None:
    assert step_seconds([mark(1, at) for at in (10.0, 11.0, 13.0, 14.0)]) == 1.0
    assert step_seconds([mark(1, 10.0)]) == step_seconds([]) == 0.0


def test_units_by_a_single_report_are_all_of_the_time_but_what_happens_once() -> None:
    assert per_unit(mark(0, 1.0, 100), [mark(10, 6.0, 300)], once_s=2.0) == (pytest.approx(0.3), 20.0)


def test_units_by_one_or_two_reports_take_what_they_are_known_to_take_at_least() -> None:
    reports = [mark(64, 1.5), mark(100, 2.0), mark(128, 2.56)]
    known = {"once_s": 5.0, "least_s": 0.25}
    assert per_unit(mark(0, 1.0), reports[:1], **known)[0] == 0.25
    assert per_unit(mark(0, 1.0), reports[:2], **known)[0] == 0.25
    assert per_unit(mark(0, 1.0), reports[:2], once_s=5.0)[0] == 0.0
    assert per_unit(mark(0, 1.0), [mark(2, 7.0)], **known)[0] == 0.5
    assert per_unit(mark(0, 1.0), reports, **known)[0] < 0.02, "what was measured between reports is trusted"


def test_units_by_two_reports_take_their_memory_from_the_second() -> None:
    assert per_unit(mark(0, 0.0, 100), [mark(10, 5.0, 500), mark(15, 6.0, 600)]) == (pytest.approx(0.4), 20.0)


def test_units_by_several_reports_leave_out_the_first_and_an_odd_last_one() -> None:
    reports = [mark(64, 9.0), mark(128, 9.64), mark(192, 10.28), mark(200, 11.28)]
    assert per_unit(mark(0, 0.0), reports)[0] == pytest.approx(0.01)
    assert per_unit(mark(0, 0.0, 500), [mark(4, 1.0, 100), mark(8, 2.0, 50)])[1] == 0.0
