"""What a user should change when the names in a file are not the network's: one sentence, or none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from medtransfer.core.errors import WeightsError
from medtransfer.models.joined_tensors import sources_of
from medtransfer.models.key_rules import treated_names
from medtransfer.models.key_schemes import schemes
from medtransfer.models.source_model import WeightsFile

ENOUGH = 0.9
"""Share of the network's names that must be found before a rule is suggested."""


def rule_hint(
    missing: Collection[str], wanted: Collection[str], file: Collection[str], weights: WeightsFile
) -> str:
    """Return a sentence naming the rules under which the names would agree, or an empty text.

    Args:
        missing: Names of the network that no tensor of the file got.
        wanted: All names of the network a file has to hold.
        file: Names in the file, before any rule.
        weights: The rules that did not work.
    """
    if not missing:
        return ""
    need = max(1, int(ENOUGH * len(wanted)))
    least = need if _found(wanted, file, weights) < need else len(wanted)
    best, text = least - 1, ""
    for words, rules in _candidates(file, weights, need):
        found = _found(wanted, file, rules)
        best, text = (found, words) if found > best else (best, text)
        if best == len(wanted):
            break
    if text:
        return f"The names agree with {text}."
    if least > need:
        return ""
    for start in sorted({start for name in wanted for start in _starts(name)}):
        inside = [name for name in wanted if name.startswith(start)]
        if len(inside) >= need and all(name.removeprefix(start) in file for name in inside):
            return f"The names agree with rename=[['', {start!r}]]."
    return "Is this a checkpoint of another architecture?" if len(missing) > len(wanted) // 2 else ""


def depth_hint(strange: Iterable[str], loaded: Iterable[str]) -> str:
    """Return a sentence if all strange names differ from loaded ones by the numbers in them alone."""
    known = {_without_numbers(name) for name in loaded}
    names = [_without_numbers(name) for name in strange]
    if names and all(name in known for name in names):
        return "Such layers are there under other numbers: is this a checkpoint of another depth?"
    return ""


def _candidates(file: Collection[str], weights: WeightsFile, need: int) -> Iterator[tuple[str, WeightsFile]]:
    """Yield rules worth a try, simple ones first: another prefix, another scheme, both, one more strip."""
    others = [name for name in ("same", *schemes.names()) if name != weights.scheme]
    starts = ["", *_common_starts(file, need)]
    for scheme in (weights.scheme, *others):
        for start in starts:
            parts = {"prefix": start} if start != weights.prefix else {}
            parts |= {"scheme": scheme} if scheme != weights.scheme else {}
            if parts:
                text = ", ".join(f"{key}={value!r}" for key, value in parts.items())
                yield text, replace(weights, prefix=start, scheme=scheme)
    for start in _common_starts(file, 1):
        strip = (start, *weights.strip)
        yield f"strip={list(strip)!r}", replace(weights, strip=strip)


def _found(wanted: Collection[str], file: Collection[str], rules: WeightsFile) -> int:
    """Return how many names of the network the rules find in the file; none where two become one."""
    try:
        placed = treated_names(file, rules).placed
    except WeightsError:
        return 0
    return len(sources_of(wanted, placed, schemes.get(rules.scheme).joins))


def _common_starts(names: Iterable[str], need: int) -> list[str]:
    """Return the starts that at least so many names have, those of few components first."""
    counted = Counter(start for name in names for start in _starts(name))
    common = [start for start, count in counted.items() if count >= need]
    return sorted(common, key=lambda text: (text.count("."), text))


def _starts(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), 4))]


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "#", name)
