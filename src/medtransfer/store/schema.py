"""Tables of a store; small columns come first so that counting never reads the long texts behind them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 4
"""Raised with every change of the tables below; a store with a higher number is refused, one with a
lower number is upgraded by :mod:`.migrations`."""

metadata = MetaData()

schema_version = Table(
    "medtransfer_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

trials = Table(
    "trials",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("epoch", Integer, nullable=False, comment="fencing number; grows with every claim"),
    Column("attempts", Integer, nullable=False),
    Column("lease_until", Double, comment="seconds since 1970 by the clock of the database"),
    Column("finished_at", Double, comment="seconds since 1970 by the clock of the database"),
    Column("owner", Text),
    Column("reason", Text),
    Column("label_fraction", Double, nullable=False),
    Column("repetition", Integer, nullable=False),
    Column("task", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("predictions_file", Text),
    Column("predictions_sha256", Text),
    Column("message", Text, comment="JSON string: any text survives"),
    Column("traceback", Text, comment="JSON string"),
    Column("description", Text, nullable=False, comment="JSON object"),
    Column("outcome", Text, comment="JSON object"),
    CheckConstraint("state in ('pending', 'running', 'done', 'failed')", name="known_state"),
    CheckConstraint(
        "state <> 'running' or (owner is not null and lease_until is not null)", name="running_has_lease"
    ),
    CheckConstraint(
        "state <> 'done' or (outcome is not null and predictions_file is not null)", name="done_is_whole"
    ),
    Index("trials_by_state", "state", "lease_until"),
)

studies = Table(
    "studies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created", Double, nullable=False),
    Column("source", Text, nullable=False, comment="JSON string: the study file as it was read"),
    Column("plan", Text, nullable=False, comment="JSON object"),
)

study_trials = Table(
    "study_trials",
    metadata,
    Column("study", Text, ForeignKey(studies.c.name), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", Text, ForeignKey(trials.c.fingerprint), nullable=False),
    UniqueConstraint("study", "fingerprint"),
)

trial_costs = Table(
    "trial_costs",
    metadata,
    Column("fingerprint", Text, ForeignKey(trials.c.fingerprint), primary_key=True),
    Column("cost_key", Text, nullable=False, comment="hash of task, model, protocol and settings"),
    Column("label_fraction", Double, nullable=False),
    Column("cpu_s", Double, nullable=False, comment="CPU seconds of the last time it was done"),
    Index("trial_costs_by_key", "cost_key", "label_fraction", "cpu_s"),
)
"""What finished trials cost, kept apart from them: these rows are short, and stay when a trial runs again."""

trial_memory = Table(
    "trial_memory",
    metadata,
    Column("fingerprint", Text, ForeignKey(trials.c.fingerprint), primary_key=True),
    Column("cost_key", Text, nullable=False, comment="hash of task, model, protocol and settings"),
    Column("label_fraction", Double, nullable=False),
    Column("peak_bytes", BigInteger, nullable=False, comment="of the last time it was measured"),
    CheckConstraint("peak_bytes > 0", name="peak_above_0"),
    Index("trial_memory_by_key", "cost_key", "label_fraction", "peak_bytes"),
)
"""Most memory that a worker held while it ran a trial; only trials whose memory could be measured have a row."""

imported = Table(
    "imported",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key_sha256", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("latest", Integer, nullable=False, comment="1 for the revision that readings return, else 0"),
    Column("content_sha256", Text, nullable=False),
    Column("imported_at", Double, nullable=False, comment="seconds since 1970 by the clock of the database"),
    Column("position", Integer, nullable=False, comment="place within its import"),
    Column("origin", Text, nullable=False, comment="JSON string: file and line"),
    Column("key", Text, nullable=False, comment="JSON object"),
    Column("content", Text, nullable=False, comment="JSON object"),
    Column("facts", Text, nullable=False, comment="JSON object"),
    CheckConstraint("latest in (0, 1)", name="known_latest"),
    CheckConstraint("revision >= 1", name="revisions_from_1"),
    Index("imported_latest", "kind", "latest", "imported_at", "position"),
)
"""What other people published, kept apart from trials so that no reading can mix the two."""
