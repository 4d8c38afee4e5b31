"""Runs bars by name, prints their table and writes the JSON."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.machine import machine_facts
from benchmarks.registry import bars
from benchmarks.results_table import table_lines, write_json
from benchmarks.side_by_side import LEAST_REPEATS, MOST_DRIFT, Measurement, measure
from medtransfer.core.errors import NotRegisteredError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bars and return the exit code: 0 when they ran, whatever they found, 2 for wrong use."""
    options = _parser().parse_args(arguments)
    spelled = {name.upper(): name for name in bars.names()}
    names = [spelled.get(name.upper(), name.upper()) for name in options.names] or bars.names()
    try:
        chosen = {name: bars.get(name) for name in names}
    except NotRegisteredError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if options.list:
        print("\n".join(f"{name}  {bar.title}: {bar.definition}" for name, bar in chosen.items()))
        return 0
    machine = machine_facts()
    found = run(list(chosen), quick=options.quick, repeats=options.repeats)
    print("\n".join(table_lines(found)))
    print(f"\n{machine['processor']}, {machine['cores']} cores, load {machine['load_average_1min']}.")
    if not all(one.valid for one in found):
        print(
            f"Invalid: the machine's speed changed by more than {MOST_DRIFT:.0%}, or there were fewer than "
            f"{LEAST_REPEATS} repeats."
        )
    if options.json is not None:
        write_json(options.json, machine, found)
    return 0


def run(names: Sequence[str], *, quick: bool = False, repeats: int = LEAST_REPEATS) -> list[Measurement]:
    """Return the measurements of some bars, one thread, each contest told on standard error when it ends.

    Args:
        names: Registered bars.
        quick: One repeat of shrunken work: shows that a bar runs, measures nothing.
        repeats: How often each arm is timed.
    """
    found = []
    with threadpool_limits(1):
        for name in names:
            with tempfile.TemporaryDirectory(prefix=f"medtransfer-{name}-") as folder:
                for contest in bars.get(name).contests(Path(folder), quick=quick):
                    found.append(measure(name, contest, 1 if quick else repeats))
                    print(f"{name} {contest.name}: {found[-1].ratio.median:.3g}", file=sys.stderr)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="bars to run; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="say what the bars are and stop")
    parser.add_argument("--quick", action="store_true", help="run everything once and small, as a check")
    parser.add_argument("--repeats", type=int, default=LEAST_REPEATS, help="times each arm is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measurements as JSON")
    return parser
