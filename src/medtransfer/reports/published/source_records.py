"""Whose numbers these are: how to cite a source, and what is known of its runs and spreads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medtransfer.reports.published.names import ARK, DIRA, RERUN, STUDY_A, STUDY_B, STUDY_C, TRANSFORMERS

_NON_COMMERCIAL: Final = "project licence, non-commercial"


@dataclass(frozen=True)
class PublishedSource:
    """One publication or public repository."""

    key: str
    """As it stands in the data files."""
    label: str
    """Short name for tables."""
    citation: str
    """To be cited when one of its numbers is shown."""
    address: str
    """Where to read it."""
    licence: str
    """Terms of the public repository; the numbers themselves are facts."""
    spread_ddof: int | None
    """0 where the spread divides by n, 1 where it divides by n - 1; null where that is not known."""
    remark: str = ""
    """What concerns all its numbers."""


SOURCE_RECORDS: Final = {
    source.key: source
    for source in (
        PublishedSource(
            STUDY_A,
            "Study A, 2021",
            "Hosseinzadeh Taher et al., A Systematic Benchmarking Analysis of Transfer Learning for Medical "
            "Image Analysis, 2021",
            "https://arxiv.org/abs/2108.05930",
            _NON_COMMERCIAL,
            spread_ddof=0,
            remark="No seeds; the number of runs is not printed.",
        ),
        PublishedSource(
            STUDY_B,
            "Study B, 2025",
            "Hosseinzadeh Taher et al., Medical Image Analysis 102:103487, 2025",
            "https://doi.org/10.1016/j.media.2025.103487",
            _NON_COMMERCIAL,
            spread_ddof=0,
            remark="Nearly all numbers are read off figures; the number of runs is not printed.",
        ),
        PublishedSource(
            DIRA,
            "DiRA, 2022",
            "Haghighi et al., DiRA: Discriminative, Restorative, and Adversarial Learning for "
            "Self-supervised Medical Image Analysis, CVPR 2022",
            "https://github.com/fhaghighi/DiRA",
            _NON_COMMERCIAL,
            spread_ddof=None,
        ),
        PublishedSource(
            TRANSFORMERS,
            "Benchmarking transformers, 2022",
            "Ma et al., Benchmarking and Boosting Transformers for Medical Image Classification, 2022",
            "https://github.com/jlianglab/BenchmarkTransformers",
            _NON_COMMERCIAL,
            spread_ddof=None,
        ),
        PublishedSource(
            ARK,
            "Ark, 2023",
            "Ma et al., Foundation Ark: Accruing and Reusing Knowledge for Superior and Robust Performance, "
            "MICCAI 2023",
            "https://github.com/jlianglab/Ark",
            _NON_COMMERCIAL,
            spread_ddof=None,
        ),
        PublishedSource(
            RERUN,
            "Independent rerun",
            "A user's public fork of the repository of studies A and B (krones)",
            "https://github.com/jlianglab/BenchmarkTransferLearning",
            _NON_COMMERCIAL,
            spread_ddof=0,
            remark="Shorter schedule than study A's.",
        ),
        PublishedSource(
            STUDY_C,
            "Study C, 2025",
            "Jonske et al., Why does my medical AI look at pictures of birds? Exploring the efficacy of "
            "transfer learning across domain boundaries, Computer Methods and Programs in Biomedicine, 2025",
            "https://github.com/TIO-IKIM/Transfer-learning-across-domain-boundaries",
            "CC BY-NC 4.0",
            spread_ddof=1,
            remark="Runs, not summaries; the last epoch is tested, never the best; one pretraining per model.",
        ),
    )
}
"""All sources of the shipped data by key."""


def source_label(key: str) -> str:
    """Return the short name of a source; one that is not shipped is called by its key.

    Example:
        >>> source_label("ma2023_Ark"), source_label("somebody2030")
        ('Ark, 2023', 'somebody2030')
    """
    known = SOURCE_RECORDS.get(key)
    return known.label if known else key


def spread_ddof(key: str) -> int | None:
    """Return how a source's spread divides, or None where that is not known."""
    known = SOURCE_RECORDS.get(key)
    return known.spread_ddof if known else None
