"""One look at a source model: are its weights there, whole, and made for its network?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medtransfer.core.errors import UnsafeCheckpointError, WeightsError
from medtransfer.core.problems import Problem
from medtransfer.models.backbones import build_backbone
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.image_findings import contract_problems
from medtransfer.models.key_audit import AuditRow, KeyAudit, match_keys
from medtransfer.models.load_weights import read_weights
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.self_test import SelfTest, compare_embedding
from medtransfer.models.source_model import InputContract, SourceModel
from medtransfer.models.weights_files import weights_hash

CHECK_SEED = 0


@dataclass(frozen=True)
class ModelCheck:
    """What is known of a source model after its weights were loaded, or why they were not."""

    name: str
    """Source model."""
    problems: tuple[Problem, ...]
    """What stops it from being used; empty when nothing does."""
    weights: str | None = None
    """``random``, ``hub:<identifier>``, or the SHA-256 of the file; None when there is no file."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Tensors that were loaded, dropped, missing, ...; empty for random weights."""
    share: float | None = None
    """Share of the network's numbers outside declared gaps that came from the file, in [0, 1]."""
    gaps: tuple[str, ...] = ()
    """Declared gaps, one sentence each."""
    dropped: tuple[str, ...] = ()
    """Names in the file that were left out on purpose."""
    ignored: tuple[str, ...] = ()
    """Names in the file that an expression or the scheme leaves out, such as a decoder's."""
    adapted: Mapping[str, str] = field(default_factory=dict)
    """Tensors whose shape was adapted, and what was done."""
    table: tuple[AuditRow, ...] = ()
    """Where the tensors of the network and of the file went, in numbers and shares."""
    input: InputContract | None = None
    """What the network expects."""
    embedding_size: int | None = None
    """Number of features."""
    pyramid_channels: tuple[int, ...] = ()
    """Channels of the feature maps, finest first; empty when it has none."""
    parameters: int | None = None
    """Number of parameters that are used."""
    self_test: str | None = None
    """Whether the embedding of the generated image ``agrees`` with the record, ``differs`` or was
    ``not-recorded``; None for random weights."""

    @property
    def ok(self) -> bool:
        """Whether the model can be used."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object with ``ok`` and ``problems``."""
        return {**asdict(self), "ok": self.ok, "problems": [problem.as_json() for problem in self.problems]}


def check_model(name: str | SourceModel, weights_folder: Path | None) -> ModelCheck:
    """Return what building a source model shows; problems with its weights become problems, not errors.

    Args:
        name: A name :func:`resolve_model` knows, or a source model.
        weights_folder: Where weights files lie.

    Raises:
        UsageError: If nobody knows the name or the architecture.
    """
    model = resolve_model(name) if isinstance(name, str) else name
    try:
        found = weights_hash(model, weights_folder)
    except WeightsError as error:
        return ModelCheck(model.name, (_problem("absent-weights", model, error),))
    try:
        encoder = build_encoder(model, weights_folder=weights_folder, seed=CHECK_SEED)
        tested = None if model.is_random else compare_embedding(model, encoder, weights_folder)
    except WeightsError as error:
        return _refused(model, weights_folder, found, error)
    return _accepted(model, found, encoder, tested)


def _accepted(model: SourceModel, found: str, encoder: Encoder, tested: SelfTest | None) -> ModelCheck:
    audit = encoder.audit
    problems = contract_problems(model.name, encoder.input)
    return ModelCheck(
        name=model.name,
        problems=(*problems, *(tested.problems() if tested is not None else ())),
        self_test=None if tested is None else tested.status,
        weights=found,
        input=encoder.input,
        embedding_size=encoder.embedding_size,
        pyramid_channels=encoder.pyramid_channels,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        **_audit_facts(audit),
    )


def _refused(model: SourceModel, weights_folder: Path | None, found: str, error: WeightsError) -> ModelCheck:
    """Return the single problems of the audit where there is one, else the error as one problem."""
    code = "unsafe-weights" if isinstance(error, UnsafeCheckpointError) else "unusable-weights"
    single = ModelCheck(model.name, (_problem(code, model, error),), weights=found)
    if model.weights is None:
        return single
    try:
        contract = contract_of(model)
        network = build_backbone(model.architecture, contract, CHECK_SEED)
        audit = match_keys(
            network.state_dict(), read_weights(model, weights_folder, CHECK_SEED), model.weights
        )
    except WeightsError:
        return single
    problems = tuple(audit.problems(model.name)) or single.problems
    return ModelCheck(model.name, problems, weights=found, input=contract, **_audit_facts(audit))


def _audit_facts(audit: KeyAudit | None) -> dict[str, Any]:
    if audit is None:
        return {}
    return {
        "counts": audit.counts(),
        "share": audit.share,
        "gaps": tuple(f"{gap.prefix}: {len(gap.names)} tensors, {gap.reason}" for gap in audit.gaps),
        "dropped": audit.dropped,
        "ignored": audit.ignored,
        "adapted": audit.adapted,
        "table": audit.table,
    }


def _problem(code: str, model: SourceModel, error: WeightsError) -> Problem:
    return Problem(code, model.name, "weights that can be used", str(error).rstrip("."))
