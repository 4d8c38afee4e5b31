"""What a user says about their own data set, parsed strictly: every fault in one message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import metrics

Kind = Annotated[TaskKind, Field(strict=False)]


class Columns(BaseModel):
    """Names of the columns of a manifest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    image: str = Field(description="File name of the image.")
    label: str | list[str] | None = Field(
        None, description="Class column; for multi-label one 0/1 column each."
    )
    patient: str | None = Field(None, description="Patient or group that a split must not cut.")
    split: str | None = Field(None, description="train, val or test.")
    mask: str | None = Field(None, description="File name of the mask.")


class OwnData(BaseModel):
    """What a user says about their own data set; see the page *Own data*."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    root: str = Field(description="Folder of the data set, absolute or below the data folder.")
    kind: Kind | None = Field(None, description="What is predicted; a folder per class decides by itself.")
    images: str = Field(".", description="Folder of the images below the root.")
    masks: str | None = Field(None, description="Folder of the masks below the root, matched by file stem.")
    manifest: str | None = Field(None, description="CSV file below the root.")
    columns: Columns | None = Field(None, description="Columns of the manifest.")
    classes: list[str] | None = Field(None, description="Class names in label order; the second is positive.")
    mask_values: dict[int, str] | None = Field(None, description="Mask value to class; 0 is background.")
    mask_rule: Literal["nonzero", "above-half"] = Field(
        "nonzero",
        description="What is inside a mask of one class: every value above 0, or above half of the range.",
    )
    metrics: list[str] | None = Field(None, description="Metrics to compute; the first is primary.")
    patient_pattern: str | None = Field(
        None, description="Expression on the file stem; its group is the patient."
    )
    missing_labels: Literal["error", "drop", "zero"] = Field(
        "error", description="What an empty label means."
    )
    image_sets: list[str] = Field(default_factory=list, description="Image collections, for overlap.")
    title: str = Field("", description="One line for reports.")

    @field_validator("patient_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None and re.compile(pattern).groups != 1:
            raise ValueError(f"expected an expression with one group, such as '^(P\\d+)_', got {pattern!r}")
        return pattern

    @field_validator("metrics")
    @classmethod
    def _are_metrics(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and len(set(names)) < max(len(names), 1):
            raise ValueError(f"expected at least one metric, each once, got {names!r}")
        for name in names or []:
            metrics.get(name)
        return names

    @model_validator(mode="after")
    def _parts_fit(self) -> OwnData:
        if (self.manifest is None) != (self.columns is None):
            raise ValueError("expected 'manifest' and 'columns' together")
        masked = self.masks is not None or (self.columns is not None and self.columns.mask is not None)
        if masked and self.kind not in (None, TaskKind.SEGMENTATION):
            raise ValueError(f"masks need kind: segmentation, got kind: {self.kind}")
        if self.kind is TaskKind.SEGMENTATION and not masked:
            raise ValueError("kind: segmentation needs 'masks' or a mask column")
        if self.mask_values is not None and self.mask_rule != "nonzero":
            raise ValueError("expected 'mask_values' or 'mask_rule', got both")
        if self.manifest is not None and not masked:
            self._labels_fit()
        return self

    def _labels_fit(self) -> None:
        assert self.columns is not None
        if self.kind is None:
            raise ValueError("a manifest needs 'kind': binary, multi-class, multi-label or segmentation")
        several = isinstance(self.columns.label, list)
        if self.columns.label is None or several != (self.kind is TaskKind.MULTI_LABEL):
            raise ValueError(
                "columns.label: expected a list of 0/1 columns for kind: multi-label and one column "
                f"for the others, got {self.columns.label!r} for kind: {self.kind}"
            )

    @property
    def is_segmentation(self) -> bool:
        """Whether masks are predicted."""
        return self.masks is not None or (self.columns is not None and self.columns.mask is not None)


def parse_own_data(name: str, declaration: dict[str, Any]) -> OwnData:
    """Return the declaration as a record.

    Raises:
        UsageError: If it is wrong; the message lists every fault.
    """
    try:
        return OwnData.model_validate(declaration)
    except ValidationError as error:
        faults = " ".join(declaration_faults(error, _known_keys))
        raise UsageError(f"task {name!r}: {faults} See the page 'Own data' of the documentation.") from error


def _known_keys(place: Sequence[int | str]) -> Iterable[str]:
    return Columns.model_fields if place else OwnData.model_fields
