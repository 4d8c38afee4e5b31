"""Study C's matrices read again: measured runs only, with intervals, corrections and exact floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from medtransfer.reports.document import Paragraph, Part, Section, Terms
from medtransfer.reports.published.cell_comparisons import Family, compare_family
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.run_cells import INITIALIZATIONS, RunCell, Score, run_cells, scores
from medtransfer.reports.published.runs_charts import runs_chart
from medtransfer.reports.published.study_c_tables import levels_of, list_of, pairs_of, summary_of

_MIXED: Final = ("IxRS", "IxRM")
_EXPERIMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "E1": ("fine-tuned", "Fine-tuned on all data (E1)"),
    "E2": ("reduced", "Fine-tuned on reduced data (E2)"),
    "E4": ("frozen", "Frozen encoder (E4)"),
}
_SIDE_BY_SIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "classification": ("R", "I1k", "CX8"),
    "LiTS": ("LiTS",),
    "BraTS": ("BraTS",),
}
"""Starts of the tasks whose panels stand side by side in one chart."""


def matrices(material: Material) -> Section:
    """Return every pair of study C's models under every score, experiment by experiment."""
    families = [family for family in study_c_families(material) if family.cells]
    return Section(
        "study-c-matrices",
        "Study C: relative differences and p-values, measured runs only",
        (
            Paragraph(
                "Study C prints matrices of relative differences in percent with two-sided Welch p-values, four "
                f"runs per cell. Here are the same numbers from {material.runs_from}. Derived populations are not "
                "in these tables; they stand in a section of their own. The study's codes for what training "
                "started from:"
            ),
            Terms(tuple(INITIALIZATIONS.items())),
            Paragraph(
                "How our reading differs. Beside the relative difference stand the difference in points with its "
                "interval, corrected p-values, and an exact test; print corrects nothing. With four runs against "
                "four the exact two-sided p-value cannot be below 2/70 = 0.0286, so no family of two or more "
                "comparisons can reach 0.05 by it: what is significant here rests on the normal shape of four "
                "values. The runs of a cell differ by seed only: same images, one pretraining per model. So nothing "
                "here covers other patients or another pretraining, and predictions from which intervals over "
                "patients could be made are not published. Values are those of the last epoch, not of the best. "
                "“Not significant” is never read as equal: equivalence is only said where two one-sided tests show "
                "it."
            ),
            summary_of(families),
        ),
        tuple(_family_section(family) for family in families),
    )


def study_c_families(material: Material) -> list[Family]:
    """Return the families of comparisons: each experiment, and mixed pretraining against the others.

    Experiment E3, with noise, has one run per cell: nothing in it can be compared.
    """
    codes = ("E1", "E2", "E4", "E6", "E8")
    cells = {code: run_cells(material.runs, scores(material.runs, code)) for code in codes}
    families = [compare_family(name, title, cells[code]) for code, (name, title) in _EXPERIMENTS.items()]
    for mixed, single, name, title in (
        ("E6", "E1", "mixed-fine-tuned", "Mixed pretraining, fine-tuned (E6 with the models of E1)"),
        ("E8", "E4", "mixed-frozen", "Mixed pretraining, frozen encoder (E8 with the models of E4)"),
    ):
        families.append(compare_family(name, title, _joined(cells[mixed], cells[single]), _MIXED))
    return families


def _family_section(family: Family) -> Section:
    everything = Section(
        f"study-c-{family.name}-numbers", "Every comparison in numbers", (list_of(family),), folded=True
    )
    return Section(
        f"study-c-{family.name}",
        family.title,
        (levels_of(family), *_charts(family), pairs_of(family)),
        (everything,),
    )


def _charts(family: Family) -> Iterator[Part]:
    if family.name not in ("fine-tuned", "frozen"):
        return
    for kind, tasks in _SIDE_BY_SIDE.items():
        cells = {score: found for score, found in family.cells.items() if score.task.startswith(tasks)}
        if cells:
            yield runs_chart(
                f"study-c-{family.name}-{kind.lower()}", f"{family.title}, {kind}: every run", cells
            )


def _joined(
    mixed: Mapping[Score, Mapping[str, RunCell]], single: Mapping[Score, Mapping[str, RunCell]]
) -> dict[Score, dict[str, RunCell]]:
    """Return the cells of mixed pretraining with those of the other models on the same task and metric."""
    others = {(score.task, score.metric): cells for score, cells in single.items()}
    return {score: {**others.get((score.task, score.metric), {}), **cells} for score, cells in mixed.items()}
