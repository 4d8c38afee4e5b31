"""The process that converts: it opens its files, gives up everything else, and only then reads.

It is started by :mod:`.convert` with one JSON argument and answers with one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from medtransfer.models.converters.isolation import (
    Limits,
    RefusedAction,
    leave_network,
    limit_resources,
    refuse_everything_else,
)


def main(argument: str) -> int:
    """Convert as the request says, print the answer, and return the exit code."""
    request = json.loads(argument)
    held = ["no network"] if leave_network() else []
    limit_resources(Limits(**request["limits"]))
    from medtransfer.models.converters.conversion import failure, prepare, run

    with ExitStack() as files:
        streams = [files.enter_context(Path(path).open("rb")) for path in request["files"]]
        target = files.enter_context(Path(request["target"]).open("wb"))
        function = prepare(request["function"])
        tried: list[str] = []
        refuse_everything_else(tried.append)
        answer: Mapping[str, Any]
        try:
            answer = run(function, streams, target, request)
            target.flush()
        except Exception as error:  # noqa: BLE001 (every fault of a foreign file is answered)
            answer = failure(error)
        if tried:
            answer = failure(RefusedAction(f"the file made its reader try {tried[0]!r}"))
    _answer({**answer, "isolation": [*held, "memory", "time", "no sockets, programs or other files"]})
    return 0


def _answer(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
