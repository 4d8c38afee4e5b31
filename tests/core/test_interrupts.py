"""Interrupts: none tears a block, none is lost, and handlers are what they were."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from medtransfer.core.interrupts import interrupts_held_back


@pytest.fixture(autouse=True)
def python_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt_oneself() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    reached = []

    def work() -> None:
        with interrupts_held_back():
            interrupt_oneself()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_heard_after_a_block_that_fails_too() -> None:
    def work() -> None:
        with interrupts_held_back():
            interrupt_oneself()
            raise ValueError("of the block")

    with pytest.raises(KeyboardInterrupt) as heard:
        work()
    assert isinstance(heard.value.__context__, ValueError)


def test_a_block_inside_another_tells_the_outer_one() -> None:
    reached = []

    def work() -> None:
        with interrupts_held_back():
            with interrupts_held_back():
                interrupt_oneself()
            reached.append("after the inner one")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["after the inner one"]


def test_a_scheduler_s_signal_goes_to_its_own_handler() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    with interrupts_held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == []
    assert heard == [signal.SIGTERM]


def test_a_signal_without_a_handler_of_python_is_left_alone() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with interrupts_held_back():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_other_threads_need_nothing() -> None:
    found: list[object] = []

    def work() -> None:
        with interrupts_held_back():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
