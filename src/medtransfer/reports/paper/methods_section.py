"""The methods of a study as paragraphs a paper can take over: filled with its real settings, nothing assumed."""

from __future__ import annotations

from medtransfer.reports.limits import limits_of_evidence
from medtransfer.reports.paper.methods_material import (
    cautions_passage,
    models_passage,
    overlap_passage,
    tasks_passage,
)
from medtransfer.reports.paper.methods_origin import origin_passage
from medtransfer.reports.paper.methods_statistics import (
    completeness_passage,
    equivalence_passage,
    intervals_passage,
    metrics_passage,
    over_tasks_passage,
    tests_passage,
)
from medtransfer.reports.paper.methods_transfer import (
    labels_passage,
    protocol_passages,
    repetitions_passage,
    selection_passage,
)
from medtransfer.reports.paper.prose import Passage
from medtransfer.reports.study_reading import StudyReading


def methods_section(reading: StudyReading, command: str = "") -> tuple[Passage, ...]:
    """Return the methods of a study; what it does not have is left out.

    Args:
        reading: The study.
        command: The command that writes the paper's files.
    """
    passages = (
        tasks_passage(reading),
        cautions_passage(reading),
        models_passage(reading),
        overlap_passage(reading),
        labels_passage(reading),
        *protocol_passages(reading),
        selection_passage(reading),
        repetitions_passage(reading),
        metrics_passage(reading),
        intervals_passage(reading),
        tests_passage(reading),
        equivalence_passage(reading),
        over_tasks_passage(reading),
        completeness_passage(reading),
        Passage("Limits of the evidence", (limits_of_evidence(reading),)),
        origin_passage(reading, command),
    )
    return tuple(passage for passage in passages if passage is not None)
