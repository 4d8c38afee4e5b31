"""What a user says about their own data set, parsed strictly: every fault in one message."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.intensity import WINDOWS, Intensity, VolumeRange, Window
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.tasks.own_task_names import name_faults

Kind = Annotated[TaskKind, Field(strict=False)]


class Columns(BaseModel):
    """Names of the columns of a manifest."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    image: str | None = Field(
        None,
        description="File of the image, or folder of a DICOM series; DICOM files need none when patients are named.",
    )
    label: str | list[str] | None = Field(
        None, description="Class column; for multi-label one 0/1 column each."
    )
    patient: str | None = Field(None, description="Patient or group that a split must not cut.")
    split: str | None = Field(None, description="train, val or test.")
    mask: str | None = Field(None, description="File name of the mask.")

    @field_validator("label")
    @classmethod
    def _are_columns(cls, label: str | list[str] | None) -> str | list[str] | None:
        if isinstance(label, list) and len(set(label)) < max(len(label), 1):
            raise ValueError(f"expected at least one column, each once, got {label!r}. Correct the list")
        return label


class OwnData(BaseModel):
    """What a user says about their own data set; see the page *Own data*."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    root: str = Field(description="Folder of the data set, absolute or below the data folder.")
    kind: Kind | None = Field(None, description="What is predicted; a folder per class decides by itself.")
    images: str = Field(".", description="Folder of the images below the root.")
    masks: str | None = Field(None, description="Folder of the masks below the root, matched by file stem.")
    mask_pattern: str | None = Field(
        None, description="Names of the masks of an image, such as '{stem}_seg*'; {stem} is the image's."
    )
    manifest: str | None = Field(None, description="CSV file below the root.")
    columns: Columns | None = Field(None, description="Columns of the manifest.")
    classes: list[str] | None = Field(None, description="Class names in label order; the second is positive.")
    mask_values: dict[int, str] | None = Field(None, description="Mask value to class; 0 is background.")
    mask_colours: dict[str, str] | None = Field(
        None, description="Mask colour such as '#ff0000' to class; black is background."
    )
    intensity: str | dict[str, float] | None = Field(
        None,
        description="How DICOM and NIfTI values become grey levels: a CT window by name, by centre and width, "
        "by low and high, or 'volume' for the range of each volume.",
    )
    slices: Literal["axial", "coronal", "sagittal"] = Field(
        "axial", description="Which way NIfTI volumes are cut."
    )
    mask_rule: Literal["nonzero", "above-half"] = Field(
        "nonzero",
        description="What is inside a mask of one class: every value above 0, or above half of the range.",
    )
    metrics: list[str] | None = Field(None, description="Metrics to compute; the first is primary.")
    equivalence_margin: float | None = Field(
        None,
        description="Difference of the primary metric that does not matter, in metric units; set before there "
        "are results.",
    )
    patient_pattern: str | None = Field(
        None, description="Expression on the file stem; its group is the patient."
    )
    missing_labels: Literal["error", "drop", "zero"] = Field(
        "error", description="What an empty label means."
    )
    image_sets: list[str] = Field(default_factory=list, description="Image collections, for overlap.")
    title: str = Field("", description="One line for reports.")

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and len(set(names)) < max(len(names), 1):
            raise ValueError(f"expected at least one class, each once, got {names!r}. Correct the list")
        return names

    @field_validator("mask_values")
    @classmethod
    def _are_structures(cls, structures: dict[int, str] | None) -> dict[int, str] | None:
        if structures is not None and 0 in structures:
            raise ValueError(
                f"expected values of structures, got 0: {structures[0]!r}. 0 is background already: leave it out"
            )
        _one_class_each("value", structures)
        return structures

    @field_validator("mask_colours")
    @classmethod
    def _are_painted(cls, structures: dict[str, str] | None) -> dict[str, str] | None:
        if structures is None:
            return None
        wrong = [colour for colour in structures if not re.fullmatch("#[0-9a-fA-F]{6}", colour)]
        if wrong:
            raise ValueError(f"expected colours such as '#ff0000', got {wrong[:5]!r}. Correct them")
        if "#000000" in structures:
            raise ValueError(
                f"expected colours of structures, got '#000000': {structures['#000000']!r}. #000000 is background "
                "already: leave it out"
            )
        if len({colour.lower() for colour in structures}) < len(structures):
            raise ValueError(f"expected every colour once, got {list(structures)!r}. Correct them")
        _one_class_each("colour", structures)
        return structures

    @field_validator("patient_pattern")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"expected an expression, got {pattern!r}: {error}") from error
        if groups != 1:
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

    @field_validator("equivalence_margin")
    @classmethod
    def _is_positive(cls, margin: float | None) -> float | None:
        if margin is not None and not 0 < margin < math.inf:
            raise ValueError(f"expected a number above 0, such as 0.02, got {margin!r}")
        return margin

    @field_validator("intensity")
    @classmethod
    def _is_a_window(cls, value: str | dict[str, float] | None) -> str | dict[str, float] | None:
        _intensity(value)
        return value

    @field_validator("mask_pattern")
    @classmethod
    def _has_the_stem(cls, pattern: str | None) -> str | None:
        if pattern is not None and pattern.count("{stem}") != 1:
            raise ValueError(f"expected '{{stem}}' once, such as '{{stem}}_seg*', got {pattern!r}")
        if pattern is not None and set("*?[") & set(pattern.split("{stem}")[0]):
            raise ValueError(f"expected letters before {{stem}}, got wildcards in {pattern!r}")
        return pattern

    @model_validator(mode="after")
    def _margin_fits(self) -> OwnData:
        if self.metrics:
            self.margin_of(self.metrics[0])
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> OwnData:
        if (self.manifest is None) != (self.columns is None):
            raise ValueError("expected 'manifest' and 'columns' together")
        masked = self.masks is not None or (self.columns is not None and self.columns.mask is not None)
        if masked and self.kind not in (None, TaskKind.SEGMENTATION):
            raise ValueError(f"masks need kind: segmentation, got kind: {self.kind}")
        if masked and self.columns is not None and isinstance(self.columns.label, list):
            raise ValueError(
                "columns.label: expected one 0/1 column beside masks: whether the mask shows something, got "
                f"{self.columns.label!r}"
            )
        if self.kind is TaskKind.SEGMENTATION and not masked:
            raise ValueError("kind: segmentation needs 'masks' or a mask column")
        rules = (self.mask_values, self.mask_colours, self.mask_rule if self.mask_rule != "nonzero" else None)
        if sum(rule is not None for rule in rules) > 1:
            raise ValueError("expected one of 'mask_values', 'mask_colours' and 'mask_rule', got several")
        if self.mask_pattern is not None and self.masks is None:
            raise ValueError("mask_pattern needs 'masks', the folder of the masks")
        if self.columns is not None and self.columns.image is None and self.columns.patient is None:
            raise ValueError("columns: expected 'image', or 'patient' for DICOM files, got neither")
        if self.manifest is not None and not masked:
            self._labels_fit()
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> OwnData:
        if self.kind is TaskKind.MULTI_LABEL and self.manifest is None:
            raise ValueError(
                "kind: multi-label needs 'manifest' and 'columns', a CSV file with a 0/1 column per finding; files "
                "in a folder per class have one class each"
            )
        if not self.is_segmentation and self.classes is not None and len(self.classes) < 2:
            raise ValueError(f"classes: expected at least two classes, got {self.classes!r}. Add the others")
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
        if several and self.classes is not None:
            raise ValueError(
                f"classes: expected none for kind: multi-label, got {self.classes!r}. The columns that "
                "columns.label names are the classes, in that order: leave 'classes' out"
            )

    def margin_of(self, primary: str) -> float | None:
        """Return the margin of equivalence for a primary metric; null when none is declared.

        Raises:
            ValueError: If it is not below the range of the metric: every pair of models would be equivalent.
        """
        margin, metric = self.equivalence_margin, metrics.get(primary)
        if margin is not None and margin >= metric.upper - metric.lower:
            raise ValueError(
                f"equivalence_margin: expected less than {metric.upper - metric.lower:g}, the range of the primary "
                f"metric {primary!r}, got {margin:g}"
            )
        return margin

    @property
    def shown_as(self) -> Intensity:
        """How values become grey levels."""
        return _intensity(self.intensity)

    @property
    def class_ids(self) -> dict[int, int] | None:
        """Mask value to class id from 1; None where values are not told apart."""
        if self.mask_values is None:
            return None
        return {value: number + 1 for number, value in enumerate(self.mask_values)}

    @property
    def names_patients(self) -> bool:
        """Whether a column or a pattern says which patient a case belongs to."""
        return self.patient_pattern is not None or (
            self.columns is not None and self.columns.patient is not None
        )

    @property
    def is_segmentation(self) -> bool:
        """Whether masks are predicted."""
        return self.masks is not None or (self.columns is not None and self.columns.mask is not None)


def parse_own_data(name: str, declaration: dict[str, Any]) -> OwnData:
    """Return the declaration as a record.

    Args:
        name: Name of the task; a file of the store bears it.
        declaration: The fields of :class:`OwnData`.

    Raises:
        UsageError: If it or the name is wrong; the message lists every fault.
    """
    faults, cause = list(name_faults(name)), None
    try:
        found = OwnData.model_validate(declaration)
    except ValidationError as error:
        faults, cause = [*faults, *declaration_faults(error, _known_keys)], error
    if faults:
        told = f"task {name!r:.100}: {' '.join(faults)} See the page 'Own data' of the documentation."
        raise UsageError(told) from cause
    return found


def _known_keys(place: Sequence[int | str]) -> Iterable[str]:
    return Columns.model_fields if place else OwnData.model_fields


def _one_class_each(what: str, structures: dict[Any, str] | None) -> None:
    if structures is None:
        return
    if not structures:
        raise ValueError(f"expected a {what} and its class, got none. Add them, or leave the key out")
    for name in structures.values():
        keys = [key for key, other in structures.items() if other == name]
        if len(keys) > 1:
            raise ValueError(
                f"expected a class of its own for every {what}, got {name!r} for {' and '.join(map(repr, keys))}. "
                "Give each a name; to unite all values above 0, leave the key out"
            )


def _intensity(value: str | dict[str, float] | None) -> Intensity:
    if value is None:
        return None
    if isinstance(value, str):
        if value in WINDOWS or value == "volume":
            return WINDOWS.get(value) or VolumeRange()
    elif value.keys() == {"centre", "width"} and value["width"] > 0:
        return Window.centred(value["centre"], value["width"])
    elif value.keys() == {"low", "high"} and value["low"] < value["high"]:
        return Window(value["low"], value["high"])
    raise ValueError(
        f"expected 'volume', a window among {sorted(WINDOWS)!r}, {{centre: …, width: …}} or {{low: …, high: …}}, "
        f"got {value!r}"
    )
