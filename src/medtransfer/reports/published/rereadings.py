"""Every re-reading of a published study under its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from medtransfer.core.errors import NotRegisteredError
from medtransfer.core.registry import unknown_name
from medtransfer.reports.document import Document, Section
from medtransfer.reports.published import conflicts, label_budget, siblings, study_a, study_b
from medtransfer.reports.published.material import Material
from medtransfer.reports.published.study_c import matrices
from medtransfer.reports.published.study_c_convergence import convergence
from medtransfer.reports.published.study_c_derived import derived

TITLE: Final = "Published studies, read again"
"""Title of the page that holds all re-readings."""
SUBTITLE: Final = (
    "What three studies of transfer learning print, rebuilt from their numbers, and where our reading differs"
)
"""One line about it."""


@dataclass(frozen=True)
class Rereading:
    """A published table or figure that can be rebuilt."""

    name: str
    """Name in commands and anchors."""
    about: str
    """What it shows, in one line."""
    compose: Callable[[Material], Section]
    """Rebuilds it."""
    needs_curves: bool = False
    """Whether it shows nothing without imported logs."""


REREADINGS: Final = {
    rereading.name: rereading
    for rereading in (
        Rereading(
            "study-a-domain-adaptation",
            "continued pretraining on chest X-rays; which unstated test the printed shading fits",
            study_a.domain_adaptation,
        ),
        Rereading(
            "study-a-self-supervised",
            "14 self-supervised methods on 7 tasks, ranks, and labels that were not corrected",
            study_a.self_supervised,
        ),
        Rereading("study-a-inat", "iNat2021 against ImageNet with the printed p-values", study_a.inat),
        Rereading(
            "study-b-architectures",
            "12 networks on 8 tasks, and whether ImageNet accuracy foretells their order",
            study_b.architectures,
        ),
        Rereading(
            "study-b-label-budget",
            "differences at growing numbers of labels, as printed",
            label_budget.label_budget,
        ),
        Rereading(
            "study-b-granularity", "5 labelled pretraining collections on 5 tasks", study_b.granularity
        ),
        Rereading(
            "study-b-self-supervised",
            "22 self-supervised methods on 5 tasks, and what study A shows of the same",
            study_b.self_supervised,
        ),
        Rereading(
            "study-b-domain-adaptation",
            "continued pretraining of 3 networks, printed p-values",
            study_b.domain_adaptation,
        ),
        Rereading(
            "study-c-matrices",
            "every pair of models from measured runs: points, intervals, corrections, exact floors",
            matrices,
        ),
        Rereading(
            "study-c-derived",
            "the headline figures from derived populations, and the measured runs beside them",
            derived,
        ),
        Rereading(
            "study-c-convergence",
            "time to convergence from imported curves, with censoring",
            convergence,
            needs_curves=True,
        ),
        Rereading("conflicts", "numbers that do not agree, and doubtful cells", conflicts.conflicts),
        Rereading("siblings", "printed tables of related work", siblings.siblings),
        Rereading(
            "independent-rerun", "an independent rerun of study A's program", siblings.independent_rerun
        ),
    )
}
"""All re-readings by name, in reading order."""


def find_rereading(name: str) -> Rereading:
    """Return a re-reading by its name.

    Raises:
        NotRegisteredError: If there is none of that name; the message suggests near names.
    """
    if name not in REREADINGS:
        raise NotRegisteredError(
            unknown_name("published result", name, REREADINGS, "medtransfer published list")
        )
    return REREADINGS[name]


def compose_rereadings(material: Material) -> Document:
    """Return all re-readings as one document."""
    sections = tuple(rereading.compose(material) for rereading in REREADINGS.values())
    return Document(TITLE, SUBTITLE, sections, product="medtransfer published results")
