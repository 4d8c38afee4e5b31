"""The sentences reports print about comparisons; none of them turns a missing difference into agreement."""

from __future__ import annotations

from medtransfer.stats.comparison_record import Comparison
from medtransfer.stats.patients import Interval
from medtransfer.stats.summaries import RunSummary
from medtransfer.stats.ties import TieGroup

RUNS_NOTE = (
    "Intervals and tests over runs show training variation only: all runs of a task are scored on the same "
    "test cases. They do not say how the models would do on other patients."
)
"""Goes under every table whose intervals are over runs."""
PATIENTS_NOTE = (
    "Intervals and tests over patients show test-sample variation only: the result itself has no randomness, "
    "or one run of it was taken."
)
"""Goes under every table whose intervals are over patients."""
PRETRAINING_NOTE = (
    "Each source model is one pretraining run; the variation between pretraining runs is in no interval."
)
"""Goes under every table."""


def describe_standing(group: TieGroup, name: str, digits: int = 3) -> str:
    """Return where a model stands in its tie group, as the remark beside its row.

    Raises:
        ShapeError: If the model is not in the family.
    """
    standing = group.standing(name)
    if standing == "best":
        return f"best mean at {_count(group.n[name], group.unit)}"
    if standing == "undetermined":
        return _why_undetermined(group, name)
    comparison = group.comparisons[name]
    if standing == "separated":
        gap = _number(abs(comparison.difference), digits)
        return f"worse than the best by {gap} ({group.correction}-adjusted {_p(comparison.adjusted_p)})"
    counts = sorted({comparison.n_a, comparison.n_b})
    limit = _limit_of(group, comparison.minimum_detectable_effect, digits)
    return _not_separable("the best", counts, group.unit, limit)


def describe_tie_group(group: TieGroup, digits: int = 3) -> str:
    """Return one sentence about the whole group, for the caption of a table."""
    if group.best is None:
        return f"No model can be tested: each needs a result and at least two {group.unit}."
    others = group.members[1:]
    plural = "" if group.family_size == 1 else "s"
    tests = f"{group.family_size} test{plural}, {group.correction} correction, alpha {group.alpha:g}"
    if others:
        counts = sorted({group.n[name] for name in group.members})
        limit = _limit_of(group, group.minimum_detectable_difference, digits)
        text = (
            f"Not separable from the best, {group.best}, at {_counts(counts, group.unit)}: "
            f"{', '.join(others)} ({tests}); {limit}."
        )
    elif group.family_size:
        text = f"Every model that can be tested is separated from the best, {group.best} ({tests})."
    else:
        text = f"{group.best} has no model to be tested against."
    if group.undetermined:
        text += f" Undetermined: {', '.join(group.undetermined)}."
    return text


def describe_comparison(comparison: Comparison, name_a: str, name_b: str, digits: int = 3) -> str:
    """Return one sentence about two models.

    Args:
        comparison: A against B.
        name_a: Name of A.
        name_b: Name of B.
        digits: Decimal places of metric values.
    """
    if comparison.p is None:
        return f"{name_a} against {name_b}: undetermined, {_why_no_p(comparison)}."
    facts = f"{_difference(comparison, digits)}; {_test(comparison)}"
    if comparison.significant() and comparison.leader is not None:
        winner, loser = (name_a, name_b) if comparison.leader == "a" else (name_b, name_a)
        return f"{winner} is better than {loser}: {facts}."
    counts = sorted({comparison.n_a, comparison.n_b})
    limit = _limit(comparison.minimum_detectable_effect, digits)
    remark = _not_separable(name_b, counts, comparison.unit, limit)
    return f"{name_a} is {remark} ({facts})."


def describe_runs(summary: RunSummary, digits: int = 3) -> str:
    """Return mean, interval and number of runs; a single run has no interval.

    Example:
        >>> from medtransfer.stats.summaries import summarise_runs
        >>> describe_runs(summarise_runs([.81, .83, .80, .84, .82]))
        '0.820 (95 % interval 0.800 to 0.840 over 5 runs)'
        >>> describe_runs(summarise_runs([.81]))
        '0.810 (1 run, no interval)'
    """
    mean = _number(summary.mean, digits)
    if summary.low is None or summary.high is None:
        return f"{mean} (1 run, no interval)"
    low, high = _number(summary.low, digits), _number(summary.high, digits)
    return f"{mean} ({summary.confidence * 100:g} % interval {low} to {high} over {summary.n} runs)"


def describe_interval(interval: Interval, digits: int = 3) -> str:
    """Return point, interval and number of patients, or why there is no interval."""
    point = "undefined" if interval.point is None else _number(interval.point, digits)
    if interval.low is None or interval.high is None:
        return f"{point} (no interval: {interval.reason})"
    low, high = _number(interval.low, digits), _number(interval.high, digits)
    few = "; few patients, the interval tends to be too narrow" if "few_patients" in interval.flags else ""
    flat = "; no draw of patients differed, the interval has no width and says little"
    flat = flat if "draws_do_not_differ" in interval.flags else ""
    over = f"over {interval.patients} patients"
    return f"{point} ({interval.confidence * 100:g} % interval {low} to {high} {over}{few}{flat})"


def _not_separable(other: str, counts: list[int], unit: str, limit: str) -> str:
    return f"not separable from {other} at {_counts(counts, unit)}; {limit}"


def _limit(detectable: float | None, digits: int) -> str:
    if detectable is None:
        return "smallest detectable difference unknown, the values do not vary"
    return f"smallest detectable difference {_number(detectable, digits)}"


def _limit_of(group: TieGroup, detectable: float | None, digits: int) -> str:
    """Return what a test of the group would have found; nothing where no p-value can be below alpha."""
    smallest = group.smallest_adjusted_p
    if smallest < group.alpha:
        return _limit(detectable, digits)
    return f"cannot be significant with so few draws or patients (smallest adjusted p {smallest:.3f})"


def _why_undetermined(group: TieGroup, name: str) -> str:
    if name in group.comparisons:
        return f"undetermined: {_why_no_p(group.comparisons[name])}"
    if group.n[name] < 2:
        return f"undetermined: {_count(group.n[name], group.unit)}, at least 2 are needed"
    return "undetermined: the metric is undefined on these cases"


def _why_no_p(comparison: Comparison) -> str:
    if "zero_variance" in comparison.flags:
        return "neither model varies over its runs (deterministic, or repeated with one seed); compare over patients"
    if "too_many_undefined_draws" in comparison.flags:
        return "the metric is undefined in too many draws of patients"
    return f"fewer than two {comparison.unit}"


def _difference(comparison: Comparison, digits: int) -> str:
    text = f"difference {_number(comparison.difference, digits, sign=True)}"
    if comparison.low is not None and comparison.high is not None:
        ends = (
            f"{_number(comparison.low, digits, sign=True)} to {_number(comparison.high, digits, sign=True)}"
        )
        text += f", {comparison.confidence * 100:g} % interval {ends}"
    if comparison.relative_percent is not None:
        text += f", {_number(comparison.relative_percent, 1, sign=True)} % relative"
    return text


def _test(comparison: Comparison) -> str:
    sizes = (
        f"n = {comparison.n_a} and {comparison.n_b}" if comparison.unit == "runs" else f"n = {comparison.n_a}"
    )
    text = f"{comparison.test}, {comparison.sidedness}, {sizes} {comparison.unit}, {_p(comparison.p)}"
    if comparison.correction is not None:
        text += f", {comparison.correction}-adjusted {_p(comparison.adjusted_p)}, family of {comparison.family_size}"
    return text


def _p(p: float | None) -> str:
    if p is None:
        return "p undetermined"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _count(n: int, unit: str) -> str:
    return f"n = {n}" if unit == "runs" else f"n = {n} patients"


def _counts(counts: list[int], unit: str) -> str:
    text = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    return text if unit == "runs" else f"{text} patients"


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}z.{digits}f}"  # z: no minus before a rounded zero
    return text.replace("-", "−")
