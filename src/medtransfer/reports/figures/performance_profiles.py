"""Performance profiles: which share of all runs lies above each normalised score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medtransfer.reports.figures.chart import Axis, Chart, ChartPanel, Series
from medtransfer.reports.phrases import count, listed
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel
from medtransfer.reports.tables.ranks import NORMALISATION, fell_out
from medtransfer.reports.tables.results import panel_id, panel_title
from medtransfer.reports.tables.scores_over_tasks import ScoresOverTasks, scores_over_tasks
from medtransfer.stats.patients import FloatArray
from medtransfer.stats.run_scores import performance_profile, profile_band

_THRESHOLDS = 101
_SHOWN = (-0.25, 1.25)
"""Normalised scores that are drawn; runs far below the worst mean would squeeze all others."""
_FEWEST_TASKS = 2
_HEIGHT = 440


def performance_profiles_chart(reading: StudyReading, panel: Panel) -> Chart | None:
    """Return the profiles of a panel's models.

    None below two models, or below two complete tasks on which they differ: a profile over one task
    is the list of its runs.
    """
    scores = scores_over_tasks(reading, panel)
    if len(scores.models) < 2 or len(scores.tasks) - len(scores.alike) < _FEWEST_TASKS:
        return None
    runs = {model.key: scores.normalised_runs(model) for model in scores.models}
    thresholds = np.linspace(*_SHOWN, _THRESHOLDS)
    places = {key: place for place, key in enumerate(reading.models)}
    drawn = [
        list(_profile(model, places[model.key], runs[model.key], thresholds, scores.seed))
        for model in scores.models
    ]
    bands = [series for found in drawn for series in found if series.draw == "band"]
    lines = [series for found in drawn for series in found if series.draw != "band"]
    return Chart(
        id=panel_id(panel, "profiles"),
        title=f"Performance profiles, {panel_title(panel)}",
        description=_description(scores, len(bands)),
        panels=(
            ChartPanel(
                Axis("Normalised score"),
                Axis("Share of runs above it", limits=(-0.02, 1.02)),
                (*bands, *lines),
            ),
        ),
        height=_HEIGHT,
    )


def _profile(
    model: ReportModel, place: int, runs: list[FloatArray], thresholds: FloatArray, seed: int
) -> Iterator[Series]:
    """Yield the band and the line of a model; every task weighs the same, whatever its number of runs."""
    x = tuple(thresholds.tolist())
    if len({len(values) for values in runs}) == 1 and len(runs[0]) > 1:
        low, high = profile_band(np.stack(runs, axis=1), thresholds, seed)
        yield Series(
            name=model.label,
            x=x,
            y=tuple(low.tolist()),
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
            colour=place,
            draw="band",
            in_legend=False,
        )
    shares = np.mean([performance_profile(values, thresholds) for values in runs], axis=0)
    yield Series(
        name=model.label,
        x=x,
        y=tuple(shares.tolist()),
        texts=tuple(
            f"{model.label}: {share:.0%} of runs above {at:.2f}"
            for at, share in zip(x, shares.tolist(), strict=True)
        ),
        colour=place,
        draw="line",
        dashed=place >= 8,
    )


def _description(scores: ScoresOverTasks, bands: int) -> str:
    used = len(scores.tasks) - len(scores.alike)
    told = [
        (
            f"Descriptive: for every score, the share of runs over {count(used, 'task')} that lies strictly "
            f"above it; higher is better everywhere. {NORMALISATION}"
        ),
        (
            "Bands: 95 % over runs drawn again within each task; with few runs they are too narrow to test "
            "anything."
            if bands
            else "No bands: they need the same number of runs, at least two, on every task."
        ),
    ]
    told.append(
        f"Shown from {_SHOWN[0]:g} to {_SHOWN[1]:g}: a line that starts below 1 has runs further left."
    )
    if 0 < bands < len(scores.models):
        told.append("Models without a band do not have the same number of runs, at least two, on every task.")
    if scores.alike:
        told.append(f"Left out, as all models have the same mean: {listed(list(scores.alike))}.")
    return " ".join([*told, *fell_out(scores)])
