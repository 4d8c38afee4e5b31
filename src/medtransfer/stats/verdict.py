"""What tests over runs, over patients and over both allow to be said about two models, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medtransfer.core.errors import ShapeError
from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.equivalence import Equivalence
from medtransfer.stats.settling import MOST_RUNS, Settling

Source = Literal["training runs", "test patients", "runs and patients"]
"""What is drawn again: trainings on the same cases, patients for the same trainings, or both."""
Outcome = Literal["a-better", "b-better", "equivalent", "undecided"]
Gap = Literal["few-runs", "no-variation", "few-patients", "undefined-draws"]
"""Why a source cannot be tested: an arm has fewer than two runs; no run differs from another; there are fewer
than two patients; the metric is undefined in too many draws of patients."""

_GAPS: dict[Gap, str] = {
    "few-runs": "fewer than two runs of a model",
    "no-variation": "no run of either model differs from another",
    "few-patients": "fewer than two patients",
    "undefined-draws": "the metric is undefined in too many draws of patients",
}


@dataclass(frozen=True)
class SourceTests:
    """The tests of one source of variation."""

    source: Source
    """What is drawn again."""
    comparison: Comparison | None
    """Test of a difference, with its adjusted p-value; null where there are no draws to test with."""
    equivalence: Equivalence | None
    """Test of equivalence within the margin."""
    adjusted_equivalence_p: float | None
    """Its p-value after correction over the family."""
    gap: Gap | None
    """Why there is no p-value; null when there is one."""

    def separated(self, alpha: float) -> bool:
        """Return whether the two models differ, after correction."""
        return self.comparison is not None and self.comparison.significant(alpha)

    def equivalent(self, alpha: float) -> bool:
        """Return whether they differ by less than the margin, after correction."""
        return self.adjusted_equivalence_p is not None and self.adjusted_equivalence_p < alpha


@dataclass(frozen=True)
class Verdict:
    """What may be said about A and B."""

    outcome: Outcome
    """``equivalent`` and the two ``better`` need every source to agree; all else is ``undecided``."""
    within_margin: bool
    """Whether the difference is shown to be smaller than the margin; with a better model: a difference that
    is there, and too small to matter."""
    margin: float
    """The margin, in metric units."""
    alpha: float
    """Error rate."""
    separated: tuple[Source, ...]
    """Sources over which the two differ."""
    not_separated: tuple[Source, ...]
    """Sources that were tested without showing a difference."""
    untested: tuple[tuple[Source, Gap], ...]
    """Sources that could not be tested, and why."""


def decide(tests: Sequence[SourceTests], margin: float, alpha: float = 0.05) -> Verdict:
    """Decide what may be said, by the sources that apply to the results.

    A model is better when every source separates the two in the same direction; both are equivalent
    when every source shows a difference below the margin. A source that applies and could not be
    tested leaves the question open. Asking all sources to agree raises no error rate.

    Args:
        tests: One entry per source that applies: deterministic results have patients only.
        margin: Margin of equivalence, in metric units.
        alpha: Error rate, for adjusted p-values.

    Raises:
        ShapeError: If there is no source.

    Reference:
        Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982
        (intersection-union tests).
    """
    if not tests:
        raise ShapeError("verdict: expected at least one source of variation, got none.")
    untested = tuple((found.source, found.gap) for found in tests if found.gap is not None)
    tested = [found for found in tests if found.gap is None]
    separated = tuple(found.source for found in tested if found.separated(alpha))
    within = not untested and all(found.equivalent(alpha) for found in tests)
    leaders = {found.comparison.leader for found in tested if found.comparison is not None}
    outcome: Outcome = "equivalent" if within else "undecided"
    if len(separated) == len(tests) and len(leaders) == 1:
        leader = leaders.pop()
        outcome = outcome if leader is None else "a-better" if leader == "a" else "b-better"
    return Verdict(
        outcome=outcome,
        within_margin=within,
        margin=margin,
        alpha=alpha,
        separated=separated,
        not_separated=tuple(found.source for found in tested if found.source not in separated),
        untested=untested,
    )


def describe_verdict(
    verdict: Verdict, tests: Sequence[SourceTests], name_a: str = "A", name_b: str = "B", digits: int = 3
) -> str:
    """Return the verdict as one sentence; agreement is claimed only where it was shown.

    Args:
        verdict: The verdict.
        tests: What it was made from.
        name_a: Name of A.
        name_b: Name of B.
        digits: Decimal places of metric values.
    """
    size = _difference(tests, digits)
    if verdict.outcome in ("a-better", "b-better"):
        winner, loser = (name_a, name_b) if verdict.outcome == "a-better" else (name_b, name_a)
        text = (
            f"{winner} is better than {loser} over {_listed(verdict.separated)} ({size}, {_worst_p(tests)})"
        )
        if verdict.within_margin:
            return f"{text}, by less than the margin ±{verdict.margin:g}."
        return f"{text}."
    if verdict.outcome == "equivalent":
        shown = _p(max(found.adjusted_equivalence_p or 0.0 for found in tests))
        return (
            f"{name_a} and {name_b} are equivalent within ±{verdict.margin:g} "
            f"over {_listed([found.source for found in tests])} ({size}, equivalence {shown})."
        )
    why = _why_undecided(verdict, tests, digits)
    return f"Undecided: {why} ({size}); equivalence within ±{verdict.margin:g} is not shown."


def describe_settling(settling: Settling, name_a: str = "A", name_b: str = "B") -> str:
    """Return what it takes to find a difference as large as the margin, as a sentence.

    Args:
        settling: What it takes.
        name_a: Name of A.
        name_b: Name of B.
    """
    aim = f"a difference of {settling.margin:g}"
    terms = f"(power {settling.power * 100:g} %, two-sided alpha {settling.alpha:.2g})"
    if settling.runs is not None:
        more = {name_a: settling.more_a or 0, name_b: settling.more_b or 0}
        if not any(more.values()):
            return (
                f"The {settling.runs} runs per model that find {aim} are there {terms}: the true difference may "
                "lie near the margin, where no number of seeds is sure to decide."
            )
        added = " and ".join(f"{number} more of {name}" for name, number in more.items())
        return f"{settling.runs} runs per model would find {aim}: {added} {terms}."
    return _describe_hurdle(settling, aim, terms)


def _describe_hurdle(settling: Settling, aim: str, terms: str) -> str:
    """Return why no number of runs is told."""
    needed = (
        f"about {_about(settling.patients or 0)} test patients instead of {settling.patients_now:,} are needed "
        f"to find {aim} {terms}"
    )
    if settling.hurdle == "few-runs":
        text = "How many more seeds would settle it is not known before each model has two runs"
        return f"{text}; {needed} in any case." if settling.more_patients else f"{text}."
    if settling.more_patients:
        useless = settling.hurdle == "deterministic"
        start = "No seed changes these results" if useless else "More seeds cannot settle it"
        return (
            f"{start}: over the patients alone, no difference below "
            f"{settling.patients_detectable:.2g} is found; {needed}."
        )
    if settling.hurdle == "no-variation":
        return "More seeds like these show nothing new: no run differs from another."
    if settling.hurdle == "too-many-runs":
        return f"More seeds cannot settle it in practice: over {MOST_RUNS:,} runs per model to find {aim} {terms}."
    if settling.patients is None:
        return "No seed changes these results, and their spread over patients is not known."
    return (
        f"No seed changes these results, and the {settling.patients_now:,} test patients suffice to find {aim} "
        f"{terms}: the true difference may lie near the margin."
    )


def _about(n: int) -> str:
    """Return a number to two digits, for it is an extrapolation."""
    return f"{float(f'{n:.2g}'):,.0f}"


def _why_undecided(verdict: Verdict, tests: Sequence[SourceTests], digits: int) -> str:
    parts = []
    if verdict.not_separated:
        limits = [
            "unknown" if limit is None else f"{limit:.{digits}f}"
            for found in tests
            if found.source in verdict.not_separated and found.comparison is not None
            for limit in [found.comparison.minimum_detectable_effect]
        ]
        parts.append(
            f"not separable over {_listed(verdict.not_separated)}, smallest detectable difference {_joined(limits)}"
        )
    parts += [f"not testable over {source} ({_GAPS[gap]})" for source, gap in verdict.untested]
    if verdict.separated:
        parts.append(f"separated only over {_listed(verdict.separated)}")
    return "; ".join(parts)


def _difference(tests: Sequence[SourceTests], digits: int) -> str:
    found = next((test.comparison for test in tests if test.comparison is not None), None)
    return "no difference known" if found is None else f"difference {signed(found.difference, digits)}"


def _worst_p(tests: Sequence[SourceTests]) -> str:
    found = [test.comparison for test in tests if test.comparison is not None]
    values = [p for c in found if (p := c.p if c.correction is None else c.adjusted_p) is not None]
    return f"largest adjusted {_p(max(values))}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _listed(sources: Sequence[Source]) -> str:
    """Return sources in words; both of them crossed stand last."""
    return _joined(["both together" if name == "runs and patients" else name for name in sources])


def _joined(words: Sequence[str]) -> str:
    return " and ".join(part for part in [", ".join(words[:-1]), *words[-1:]] if part)


def signed(value: float, digits: int = 3) -> str:
    """Return a difference with its sign, never that of a rounded zero.

    Example:
        >>> signed(0.0214), signed(-0.5, 1), signed(-0.00001)
        ('+0.021', '−0.5', '+0.000')
    """
    return f"{value:+z.{digits}f}".replace("-", "−")
