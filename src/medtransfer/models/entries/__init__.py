"""The networks and pretrained weights known by name, one module per group of studies."""

from __future__ import annotations

from medtransfer.models.entries.additions import MODELS as ADDITIONS
from medtransfer.models.entries.medical import MODELS as MEDICAL
from medtransfer.models.entries.networks import ARCHITECTURES
from medtransfer.models.entries.pathology import MODELS as PATHOLOGY
from medtransfer.models.entries.siblings import MODELS as SIBLINGS
from medtransfer.models.entries.small import MODELS as SMALL
from medtransfer.models.entries.study_a import MODELS as STUDY_A
from medtransfer.models.entries.study_b import MODELS as STUDY_B
from medtransfer.models.entries.study_c import MODELS as STUDY_C
from medtransfer.models.source_model import SourceModel

__all__ = ["ARCHITECTURES", "MODELS"]

MODELS: tuple[SourceModel, ...] = (
    *SMALL,
    *STUDY_A,
    *STUDY_B,
    *SIBLINGS,
    *STUDY_C,
    *ADDITIONS,
    *MEDICAL,
    *PATHOLOGY,
)
"""Source models with weights; every architecture also gives ``<name>.random``."""
