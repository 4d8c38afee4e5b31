"""R5: what a user waits for before the command line says anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import Arm, Contest, Goal, Verdict

STARTS = 10
"""Starts per repeat: a single one is too short for the CPU clock."""
HEAVY = ("torch", "numpy", "pandas")
_HELP = "import sys; from medtransfer.cli.entry import main; sys.argv[:] = ['medtransfer', '--help']; main()"
_IMPORTS = f"""
import sys
from medtransfer.cli.entry import main
sys.argv[:] = ["medtransfer", "--help"]
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield the one contest.

    Both sides read compiled modules, as after any first start; these are kept in the folder, so that
    neither the environment's settings nor an installation without them matter.
    """
    starts = 1 if quick else STARTS
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    start(_IMPORTS, environment)
    yield Contest(
        "medtransfer --help",
        numerator=Arm("medtransfer --help", _starts(_HELP, environment, starts), starts),
        denominator=Arm("python -c pass", _starts("pass", environment, starts), starts),
        goal=Goal(5, at_least=False),
        verify=lambda results: _verdict(results, environment),
    )


def start(code: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter to its end."""
    return subprocess.run(
        [sys.executable, "-c", code], env=dict(environment), capture_output=True, text=True, check=True
    )


def _starts(code: str, environment: Mapping[str, str], number: int) -> Callable[[], Sequence[str]]:
    return lambda: [start(code, environment).stdout for _ in range(number)]


def _verdict(results: Mapping[str, Any], environment: Mapping[str, str]) -> Verdict:
    imported = start(_IMPORTS, environment).stderr.strip()
    helped = all(text.startswith("Usage: medtransfer") for text in results["medtransfer --help"])
    return Verdict(helped and imported == "[]", {"heavy_imports": imported})
