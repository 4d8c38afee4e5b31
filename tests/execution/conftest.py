"""Functions for jobs, in a module that worker processes can import."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

MODULE = "functions_for_jobs"

SOURCE = """
import os, signal, subprocess, sys, time
from pathlib import Path

STATE = []

def double(number): return number * 2
def count(number): yield from range(number)
def nothing(_): return iter(())
def where(payload): return os.getpid()
def slow_where(payload): time.sleep(payload); return os.getpid()
def threads(_): return [os.environ.get(f"{n}_NUM_THREADS") for n in ("OMP", "MKL", "OPENBLAS")]
def state(_): return list(STATE)
def initialise(): STATE.append("initialised")
def initialise_badly(): raise RuntimeError("no such device")
def exit_at_start(): os._exit(4)
def fail_after(number):
    yield from range(number)
    raise ValueError(f"failed after {number}")

class Stubborn(Exception):
    def __init__(self, one, two): super().__init__(f"{one} and {two}")

def fail_stubbornly(_): raise Stubborn("this", "that")
def fail_with_big_frame(_):
    array = bytearray(10)
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error
def unpicklable(_):
    yield 1
    yield lambda: None
    yield 2
def end(how):
    yield "before"
    if how == "exit": os._exit(7)
    if how == "sys.exit": sys.exit(9)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(30)
def chatter(_):
    print("to standard output"); os.system("echo from a child")
    return "said"
def sleep(payload):
    Path(payload["pid_file"]).write_text(str(os.getpid()))
    time.sleep(payload["seconds"])
    return "slept"
def with_child(payload):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(payload).write_text(str(child.pid))
    time.sleep(60)
def big(size): return b"x" * size
def flood(number):
    for n in range(number): yield b"x" * 300_000
def when(payload):
    start = time.monotonic(); time.sleep(payload); return start, time.monotonic()
"""


@pytest.fixture
def jobs_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the module; it can be imported here and in workers."""
    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop(MODULE, None)
    yield MODULE
    sys.modules.pop(MODULE, None)
