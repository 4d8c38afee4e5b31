"""The case table: one row per case, with patient, split, image and what is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    * multi-label: ``label:<class>`` per class, 0 or 1;
    * segmentation: ``mask``, a tuple of locators whose union is the mask, and, where a
      field of view exists, ``field_of_view``, a locator.
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

    def __post_init__(self) -> None:
        missing = [name for name in self._required() if name not in self.frame.columns]
        if missing:
            raise DataError(
                f"case table: expected the columns {missing!r}, got {list(self.frame.columns)!r}."
            )
        repeated = self.frame["case_id"][self.frame["case_id"].duplicated()].unique()
        if len(repeated):
            raise DataError(
                f"case table: expected unique case ids, got repeated {list(repeated[:5])!r}. Make them unique."
            )

    def __len__(self) -> int:
        return len(self.frame)

    def indices(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split, ascending, shape (n,)."""
        return np.flatnonzero((self.frame["split"] == split).to_numpy()).astype(np.int64)

    def labels(self) -> npt.NDArray[Any]:
        """Return the labels of all cases.

        Returns:
            Integers of shape (N,) for binary and multi-class tasks; float32 zeros and ones of
            shape (N, C) for multi-label tasks.

        Raises:
            DataError: For a segmentation task, which has masks instead.
        """
        if self.kind is TaskKind.MULTI_LABEL:
            columns = [LABEL_PREFIX + name for name in self.classes]
            return self.frame[columns].to_numpy(dtype=np.float32)
        if self.kind is TaskKind.SEGMENTATION:
            raise DataError(
                "labels: expected a classification task, got segmentation. Read the masks instead."
            )
        return self.frame["label"].to_numpy(dtype=np.int64)

    def content_hash(self) -> str:
        """Return a hash of everything a result can depend on: ids, splits, labels and file contents.

        Columns outside the contract do not enter it; an empty ``field_of_view`` counts as none.
        """
        columns = [*self._required(), *({"field_of_view"} & set(self.frame.columns))]
        rows = [
            {name: self._content(name, value) for name, value in zip(columns, row, strict=True)}
            for row in self.frame[columns].itertuples(index=False, name=None)
        ]
        return hash_json({"kind": self.kind.value, "classes": self.classes, "rows": rows})

    def with_frame(self, frame: pd.DataFrame) -> CaseTable:
        """Return a copy with other rows."""
        return replace(self, frame=frame.reset_index(drop=True))

    def _content(self, column: str, value: Any) -> Any:
        """Return a cell as a JSON value; the digest of what it points at where it is a locator."""
        if column == "mask":
            return [self.source.content_hash(str(part)) for part in value]
        if column == "image":
            return self.source.content_hash(str(value))
        if column == "field_of_view":
            return self.source.content_hash(value) if isinstance(value, str) and value else None
        return value.item() if isinstance(value, np.generic) else value

    def _required(self) -> list[str]:
        if self.kind is TaskKind.SEGMENTATION:
            labels = ["mask"]
        elif self.kind is TaskKind.MULTI_LABEL:
            labels = [LABEL_PREFIX + name for name in self.classes]
        else:
            labels = ["label"]
        return ["case_id", "patient_id", "split", "image", *labels]
