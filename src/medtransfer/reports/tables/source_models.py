"""The table of source models: what they were pretrained on, and which weights were used."""

from __future__ import annotations

from medtransfer.reports.phrases import short_hash
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportModel
from medtransfer.reports.tables.table import Column, Table, TableCell

_COLUMNS = (
    Column("Source model"),
    Column("Architecture"),
    Column("Pretraining"),
    Column("Pretraining data"),
    Column("Weights", "sha256, first digits"),
)


def source_models_table(reading: StudyReading) -> Table:
    """Return where every source model starts from."""
    rows = tuple(_row(model) for model in reading.models.values())
    return Table("source-models", "Where every model starts from", _COLUMNS, rows)


def _row(model: ReportModel) -> tuple[TableCell, ...]:
    pretraining = model.facts.get("pretraining") or {}
    objective = str(pretraining.get("objective") or "unknown")
    year = pretraining.get("year")
    if objective == "none":
        how, data = "none: random weights", "none"
    else:
        how = f"{objective} ({year})" if year else objective
        data = ", ".join(str(name) for name in pretraining.get("data") or ()) or "not declared"
    return (
        TableCell(model.label),
        TableCell(str(model.facts.get("architecture") or "unknown")),
        TableCell(how),
        TableCell(data),
        TableCell(short_hash(model.weights_hash) or "unknown"),
    )
