"""Help costs nothing: it imports no numerical library, and says what a first user needs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from medtransfer.cli.command_line import cli
from medtransfer.cli.models import models
from medtransfer.cli.tasks import tasks

HEAVY = ("torch", "numpy", "pandas")
PATHS = [
    (),
    *((name,) for name in cli.list_commands(None)),
    *(("models", name) for name in models.commands),
    *(("tasks", name) for name in tasks.commands),
]
PROGRAM = """
import sys
from medtransfer.cli.entry import main
try:
    main()
finally:
    print("imported:", *sorted(set(sys.modules) & set({heavy!r})), file=sys.stderr)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_imports_no_numerical_library(path: tuple[str, ...]) -> None:
    ended = run(*path, "--help")
    assert (ended.returncode, ended.stderr) == (0, "imported:\n")
    assert ended.stdout.startswith("Usage:")


def test_the_first_page_is_the_same_with_and_without_the_command_line(medtransfer) -> None:
    at_once, through_click = medtransfer("--help"), medtransfer("--help", "--help")
    assert (at_once.code, through_click.code) == (0, 0)
    assert at_once.out == through_click.out


def test_version_imports_no_numerical_library() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "imported:\n")
    assert ended.stdout.startswith("medtransfer, version ")


@pytest.mark.parametrize(
    "path", [("models", "list"), ("tasks", "list"), ("models", "show", "resnet20.random")]
)
def test_listing_imports_no_torch(path: tuple[str, ...]) -> None:
    ended = run(*path)
    assert ended.returncode == 0
    assert "torch" not in ended.stderr


def test_the_probe_of_these_tests_sees_imports() -> None:
    program = "import numpy\n" + PROGRAM.format(heavy=HEAVY)
    ended = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == "imported: numpy\n"


def test_first_help_lists_commands_codes_and_variables(medtransfer) -> None:
    ended = medtransfer("--help")
    assert ended.code == 0
    for name in cli.list_commands(None):
        assert f"\n  {name} " in ended.out
    assert "\nExit codes: 0 done, 1 some trials failed, 2 wrong use, 3 bad data or weights.\n" in ended.out
    for name in ("DATA", "WEIGHTS", "CACHE", "STORE"):
        assert f"MEDTRANSFER_{name}" in ended.out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(("modles", "list"), "models"), (("runn", "x.yaml"), "run"), (("sttus", "store"), "status")],
)
def test_unknown_command_gets_the_nearest_name(medtransfer, typed: tuple[str, ...], meant: str) -> None:
    ended = medtransfer(*typed)
    assert ended.code == 2
    assert ended.refusal() == (
        f"command {typed[0]!r} is not registered. Did you mean {meant!r}? See 'medtransfer --help'."
    )


@pytest.mark.parametrize(
    "typed", [("run",), ("run", "x.yaml", "--worker", "2"), ("models", "lst"), ("--no-such-option",)]
)
def test_wrong_use_ends_with_two_and_shows_the_usage(medtransfer, typed: tuple[str, ...]) -> None:
    ended = medtransfer(*typed)
    assert ended.code == 2
    assert ended.out == ""
    assert "Usage: " in ended.err
    assert "Traceback" not in ended.err


def test_no_command_at_all_shows_the_help(medtransfer) -> None:
    ended = medtransfer()
    assert ended.code == 2
    assert "Usage: " in ended.err + ended.out
