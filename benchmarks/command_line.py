"""Runs bars by name, prints their table or the JSON, and says whether a goal was missed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

from threadpoolctl import threadpool_limits

from benchmarks.contest import Bar, Contest, NotMeasured
from benchmarks.machine import machine_facts
from benchmarks.profiles import Profile, profile_ours
from benchmarks.registry import bars
from benchmarks.results_table import as_document, table_lines, write_json
from benchmarks.side_by_side import LEAST_REPEATS, MOST_DRIFT, Finding, Measurement, Unmeasured, measure
from medtransfer.core.errors import MedtransferError, UsageError

GOAL_MISSED: Final = 1
TO_STANDARD_OUTPUT: Final = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bars and return the exit code.

    Returns:
        0 when every goal was met or nothing was to be measured, 1 when one was missed, its arms did
        different work or its measurement is invalid, 2 for wrong use.
    """
    options = _parser().parse_args(arguments)
    try:
        chosen = _chosen(options.names)
        _check_json_file(options.json)
    except MedtransferError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if options.list:
        print("\n".join(f"{name}  {bar.title}: {bar.definition}" for name, bar in chosen.items()))
        return 0
    with redirect_stdout(sys.stderr if options.json == TO_STANDARD_OUTPUT else sys.stdout):
        machine = machine_facts()
        if options.profile:
            profiles = profile(list(chosen), quick=options.quick)
            found: list[Finding] = []
        else:
            profiles, found = [], run(list(chosen), quick=options.quick, repeats=options.repeats)
            print("\n".join(table_lines(found)))
            _tell_if_invalid(found)
        print(f"\n{machine['processor']}, {machine['cores']} cores, load {machine['load_average_1min']}.")
    if options.json is not None:
        document = as_document(machine, found, profiles)
        write_json(None if options.json == TO_STANDARD_OUTPUT else Path(options.json), document)
    return GOAL_MISSED if any(one.missed(quick=options.quick) for one in found) else 0


def run(names: Sequence[str], *, quick: bool = False, repeats: int = LEAST_REPEATS) -> list[Finding]:
    """Return the measurements of some bars, one thread, each contest told on standard error when it ends.

    Args:
        names: Registered bars.
        quick: One repeat of shrunken work: shows that a bar runs, measures nothing.
        repeats: How often each arm is timed.
    """
    found: list[Finding] = []
    for name, contest in _contests(names, quick=quick):
        if isinstance(contest, NotMeasured):
            found.append(Unmeasured(name, contest.name, str(contest.goal), contest.reason))
            print(f"{name} {contest.name}: {found[-1].outcome}", file=sys.stderr)
            continue
        measurement = measure(name, contest, 1 if quick else repeats)
        found.append(measurement)
        print(f"{name} {contest.name}: {measurement.ratio.median:.3g}", file=sys.stderr)
    return found


def profile(names: Sequence[str], *, quick: bool = False) -> list[Profile]:
    """Return where our arms of some bars spend their CPU time, and print each as it comes.

    Args:
        names: Registered bars.
        quick: Whether to shrink the work, which shows other shares.
    """
    found = []
    for name, contest in _contests(names, quick=quick):
        if isinstance(contest, NotMeasured):
            print(f"{name} {contest.name}: {contest.reason}: not profiled", file=sys.stderr)
            continue
        found.append(profile_ours(name, contest))
        print("\n".join([*found[-1].lines(), ""]), flush=True)
    return found


def _contests(names: Sequence[str], *, quick: bool) -> Iterator[tuple[str, Contest | NotMeasured]]:
    with threadpool_limits(1):
        for name in names:
            with _folder(name) as folder:
                for contest in bars.get(name).contests(folder, quick=quick):
                    yield name, contest


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"medtransfer-{name}-") as folder:
        yield Path(folder)


def _chosen(asked: Sequence[str]) -> dict[str, Bar]:
    names = [_as_registered(name) for name in asked] or bars.names()
    return {name: bars.get(name) for name in names}


def _as_registered(name: str) -> str:
    spelled = {each.upper(): each for each in bars.names()}
    return spelled.get(name.upper(), name.upper())


def _check_json_file(name: str | None) -> None:
    """Refuse a bar's name where a file is expected.

    Raises:
        UsageError: For ``--json r3``, which would write a file called r3 and run every bar.
    """
    if name is not None and _as_registered(name) in bars:
        raise UsageError(
            f"--json: expected a file, got the bar {name!r}. Name the bars first: "
            f"'python -m benchmarks {name} --json'."
        )


def _tell_if_invalid(found: Sequence[Finding]) -> None:
    if not all(one.valid for one in found if isinstance(one, Measurement)):
        print(
            f"Invalid: the machine's speed changed by more than {MOST_DRIFT:.0%}, or there were fewer than "
            f"{LEAST_REPEATS} repeats."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="bars to run; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="say what the bars are and stop")
    parser.add_argument("--quick", action="store_true", help="run everything once and small, as a check")
    parser.add_argument(
        "--profile", action="store_true", help="say where our arms spend their time instead of measuring"
    )
    parser.add_argument("--repeats", type=int, default=LEAST_REPEATS, help="times each arm is measured")
    parser.add_argument(
        "--json",
        nargs="?",
        const=TO_STANDARD_OUTPUT,
        metavar="FILE",
        help="write all numbers as JSON to a file; without one to standard output, and nothing else there",
    )
    return parser
