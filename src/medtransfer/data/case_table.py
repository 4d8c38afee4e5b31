"""The case table: one row per case, with patient, split, image and what is to be predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.fingerprints import hash_json
from medtransfer.core.problems import Problem
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.image_source import ImageSource

SPLITS = ("train", "val", "test")
SplitSource = Literal["official", "published-list", "ours", "user"]
LABEL_PREFIX = "label:"


@dataclass(frozen=True)
class CaseTable:
    """All cases of a target task.

    ``frame`` has a default integer index and the columns ``case_id``, ``patient_id``, ``split``
    and ``image`` (a locator of ``source``), plus, by kind:

    * binary and multi-class: ``label``, integer in [0, C);
    * multi-label: ``label:<class>`` per class, 0 or 1; NaN where it is not known, and any value
      between in training cases with soft labels;
    * segmentation: ``mask``, a tuple of locators whose union is the mask (the highest class id
      wins), and, where a field of view exists, ``field_of_view``, a locator.

    Where the label of a segmented image says so, ``foreground`` holds whether its mask must show
    something; None where it is not known.

    Where cases are slices, ``volume_id`` names the volume (scan, exam) of each; a volume belongs to
    one patient.
    """

    frame: pd.DataFrame
    """The rows, in an order that does not depend on the file system."""
    kind: TaskKind
    """What is predicted."""
    classes: tuple[str, ...]
    """Class names in label order; for binary tasks the second is positive; no background."""
    source: ImageSource
    """Reads the locators of the frame."""
    split_source: SplitSource
    """Where the split comes from; reports print it."""
    patients_known: bool = True
    """False when every case had to be taken as its own patient."""
    opening_problems: tuple[Problem, ...] = ()
    """What was found wrong while the table was made, such as files no list names; the audit adds to it."""
    structures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What segmentation scores, by name: unions of classes, which may overlap; empty: each class by itself."""
    scored: tuple[str, ...] = ()
    """Classes of a multi-label task that the metrics over scored classes cover; empty: all."""
    class_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of a multi-label class in the training loss; 1 for those not named."""
    unused: tuple[str, ...] = ()
    """Patterns of file names that are in the data folder and not read, by design of the task."""

    def __post_init__(self) -> None:
        missing = [name for name in self._required() if name not in self.frame.columns]
        if missing:
            raise DataError(
                f"case table: expected the columns {missing!r}, got {list(self.frame.columns)!r}."
            )
        self._check_names()
        repeated = self.frame["case_id"][self.frame["case_id"].duplicated()].unique()
        if len(repeated):
            raise DataError(
                f"case table: expected unique case ids, got repeated {list(repeated[:5])!r}. Make them unique."
            )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def has_volumes(self) -> bool:
        """Whether cases are slices that know their volume."""
        return "volume_id" in self.frame.columns

    def offers(self, need: str) -> bool:
        """Return whether the table holds what a metric needs besides images and labels."""
        columns = {"": "image", "volumes": "volume_id", "field-of-view": "field_of_view"}
        return columns[need] in self.frame.columns

    def scored_structures(self) -> dict[str, tuple[int, ...]]:
        """Return the class ids (from 1) of everything segmentation scores, by name, in table order."""
        numbers = {name: number + 1 for number, name in enumerate(self.classes)}
        parts = self.structures or {name: (name,) for name in self.classes}
        return {name: tuple(numbers[part] for part in union) for name, union in parts.items()}

    def indices(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split, ascending, shape (n,)."""
        return np.flatnonzero((self.frame["split"] == split).to_numpy()).astype(np.int64)

    def labels(self) -> npt.NDArray[Any]:
        """Return the labels of all cases.

        Returns:
            Integers of shape (N,) for binary and multi-class tasks; float32 of shape (N, C) for
            multi-label tasks: zeros and ones, NaN where not known, shares between for soft labels.
            The array is read-only and the same on every call.

        Raises:
            DataError: For a segmentation task, which has masks instead.
        """
        return self._labels

    @cached_property
    def _labels(self) -> npt.NDArray[Any]:
        found = self._label_columns()
        found.flags.writeable = False
        return found

    def texts(self, column: str) -> npt.NDArray[np.object_]:
        """Return a column of all cases as text.

        Args:
            column: Such as ``case_id``.

        Returns:
            Strings of shape (N,); the array is read-only and the same on every call.

        Raises:
            KeyError: If there is no such column.
        """
        if column not in self._texts:
            found = self.frame[column].astype(str).to_numpy(dtype=object, copy=True)
            found.flags.writeable = False
            self._texts[column] = found
        return self._texts[column]

    @cached_property
    def _texts(self) -> dict[str, npt.NDArray[np.object_]]:
        return {}

    def _label_columns(self) -> npt.NDArray[Any]:
        if self.kind is TaskKind.MULTI_LABEL:
            columns = [LABEL_PREFIX + name for name in self.classes]
            return self.frame[columns].to_numpy(dtype=np.float32, copy=True)
        if self.kind is TaskKind.SEGMENTATION:
            raise DataError(
                "labels: expected a classification task, got segmentation. Read the masks instead."
            )
        return self.frame["label"].to_numpy(dtype=np.int64, copy=True)

    def has_unknown_labels(self) -> bool:
        """Return whether a multi-label task leaves labels of some cases open."""
        return self.kind is TaskKind.MULTI_LABEL and bool(np.isnan(self.labels()).any())

    def content_hash(self, digest: Callable[[str], str] | None = None) -> str:
        """Return a hash of everything a result can depend on: ids, splits, labels and file contents.

        Columns outside the contract do not enter it; an empty ``field_of_view`` counts as none.

        Args:
            digest: From a locator to its content hash, where they are known; the source is asked if None.
        """
        known = self.source.content_hash if digest is None else digest
        columns = [*self._required(), *sorted({"field_of_view", "volume_id"} & set(self.frame.columns))]
        rows = [
            {name: _content(name, value, known) for name, value in zip(columns, row, strict=True)}
            for row in self.frame[columns].itertuples(index=False, name=None)
        ]
        facts = {"kind": self.kind.value, "classes": self.classes, "rows": rows}
        return hash_json(facts | self._scoring())

    def with_frame(self, frame: pd.DataFrame) -> CaseTable:
        """Return a copy with other rows."""
        return replace(self, frame=frame.reset_index(drop=True))

    def _scoring(self) -> dict[str, Any]:
        """Return what else decides training and scores; nothing for most tables."""
        facts = {
            "structures": {name: list(union) for name, union in self.structures.items()},
            "scored": list(self.scored),
            "class_weights": dict(self.class_weights),
        }
        return {name: value for name, value in facts.items() if value}

    def _check_names(self) -> None:
        named = {name for union in self.structures.values() for name in union}
        unknown = sorted((named | set(self.scored) | set(self.class_weights)) - set(self.classes))
        if unknown:
            raise DataError(f"case table: expected only the classes {self.classes!r}, got {unknown!r}.")
        if self.has_volumes:
            owners = self.frame.groupby("volume_id")["patient_id"].nunique()
            shared = owners.index[owners > 1].astype(str).tolist()
            if shared:
                raise DataError(
                    f"case table: expected one patient per volume, got several for {shared[:5]!r}. "
                    "Correct the patient ids."
                )

    def _required(self) -> list[str]:
        if self.kind is TaskKind.SEGMENTATION:
            labels = ["mask"]
        elif self.kind is TaskKind.MULTI_LABEL:
            labels = [LABEL_PREFIX + name for name in self.classes]
        else:
            labels = ["label"]
        return ["case_id", "patient_id", "split", "image", *labels]


def _content(column: str, value: Any, digest: Callable[[str], str]) -> Any:
    """Return a cell as a JSON value; the digest of what it points at where it is a locator."""
    if column == "mask":
        return [digest(str(part)) for part in value]
    if column == "image":
        return digest(str(value))
    if column == "field_of_view":
        return digest(value) if isinstance(value, str) and value else None
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and np.isnan(plain) else plain
