"""A whole study as a competent person writes it in an afternoon: DataLoader, scikit-learn, loops."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.drawn_chests import DrawnChests
from benchmarks.image_work import ImageWork
from benchmarks.r2_usual_loop import usual_views
from benchmarks.r4_transferability import logme_class_by_class
from medtransfer.core.seeds import seed_from
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import build_encoder
from medtransfer.protocols.linear import STRENGTHS

BATCH = 64

FloatArray = npt.NDArray[np.floating[Any]]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One line of the table: a model at a label fraction."""

    model: str
    """Name of the source model."""
    fraction: float
    """Share of the training labels."""
    auc: float
    """Mean over the seeds, on test."""
    spread: float | None
    """Standard deviation over the seeds; None for all labels, which are one subset."""
    interval: tuple[float, float] | None
    """95 % interval over test patients; None for fewer labels."""


@dataclass(frozen=True)
class PlainFindings:
    """What the script found and where it spent its time."""

    cells: Sequence[Cell]
    """The table."""
    seconds: Mapping[str, float]
    """CPU seconds by stage."""

    def cell(self, model: str) -> Cell:
        """Return a model's line for all labels."""
        return next(cell for cell in self.cells if cell.model == model and cell.fraction == 1)


class PlainImages(Dataset[tuple[Tensor, int]]):
    """What anybody would write: open, convert, transform.

    Args:
        chests: Files.
        views: Transforms of a tutorial.
    """

    def __init__(self, chests: DrawnChests, views: Any) -> None:
        self._root, self._names = chests.root, list(chests.table["image"])
        self._views = views

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self._views(Image.open(self._root / self._names[number]).convert("RGB")), number


@dataclass
class PlainStudy:
    """The study, and the script that runs it."""

    chests: DrawnChests
    """Images and labels."""
    models: Sequence[str]
    """Names of source models with random weights."""
    size: int
    """Side of the images the networks see, in pixels."""
    fractions: Sequence[float]
    """Label fractions, ascending to 1."""
    seeds: int
    """Subsets per label fraction below 1."""
    draws: int
    """Draws of test patients per interval."""
    _seconds: dict[str, float] = field(default_factory=dict)

    def run(self, folder: Path) -> PlainFindings:
        """Run everything, write a table and a page, and return what was found.

        Args:
            folder: Where the table and the page go.
        """
        self._seconds = {}
        cells = []
        for model in self.models:
            with self._stage("decode and embed"):
                features = self._embed(model)
            with self._stage("LogME"):
                logme_class_by_class(features[self.chests.rows("train")], self._labels("train"))
            cells += [self._cell(model, features, fraction) for fraction in self.fractions]
        with self._stage("report"):
            folder.mkdir(exist_ok=True)
            table = pd.DataFrame(cells)
            table.to_csv(folder / "results.csv", index=False)
            (folder / "report.html").write_text(table.to_html())
        return PlainFindings(cells, dict(self._seconds))

    def _embed(self, model: str) -> FloatArray:
        seed = seed_from("frozen encoder", model)  # as ours draws it, so that both probe the same network
        encoder = build_encoder(resolve_model(model), weights_folder=None, seed=seed, image_size=self.size)
        views = usual_views(ImageWork(model, self.size), encoder.input, training=False)
        loader = DataLoader(PlainImages(self.chests, views), batch_size=BATCH)
        network = encoder.backbone.eval()
        with torch.inference_mode():
            return np.concatenate([network(inputs).flatten(1).numpy() for inputs, _ in loader])

    def _cell(self, model: str, features: FloatArray, fraction: float) -> Cell:
        """Return the mean AUC over the seeds with their spread, or an interval over patients where there is one."""
        labels, runs = self._labels("test"), []
        for seed in range(1 if fraction == 1 else self.seeds):
            order = np.random.default_rng(seed).permutation(self.chests.rows("train"))
            with self._stage("probe grid"):
                runs.append(self._best_scores(features, order[: round(fraction * len(order))]))
        values = [roc_auc_score(labels, scores, average="macro") for scores in runs]
        if fraction < 1:
            return Cell(model, fraction, float(np.mean(values)), float(np.std(values, ddof=1)), None)
        with self._stage("intervals"):
            return Cell(model, fraction, float(values[0]), None, self._interval(labels, runs[0]))

    def _interval(self, labels: npt.NDArray[np.int64], scores: FloatArray) -> tuple[float, float]:
        drawn = [
            roc_auc_score(labels[rows], scores[rows], average="macro")
            for rows in self._patient_draws()
            if (labels[rows].min(axis=0) < labels[rows].max(axis=0)).all()
        ]
        low, high = np.quantile(drawn, (0.025, 0.975))
        return float(low), float(high)

    def _best_scores(self, features: FloatArray, rows: IndexArray) -> FloatArray:
        """Return the test scores of the strength that is best on validation."""
        labels, val, test = self.chests.labels(), self.chests.rows("val"), self.chests.rows("test")
        scaler = StandardScaler().fit(features[rows])
        inputs, best, found = scaler.transform(features), -1.0, None
        for strength in STRENGTHS:
            heads = [
                LogisticRegression(C=strength, max_iter=100_000).fit(inputs[rows], labels[rows, k])
                for k in range(labels.shape[1])
            ]
            on_val = np.stack([head.predict_proba(inputs[val])[:, 1] for head in heads], axis=1)
            value = roc_auc_score(labels[val], on_val, average="macro")
            if value > best:
                best = value
                found = np.stack([head.predict_proba(inputs[test])[:, 1] for head in heads], axis=1)
        assert found is not None
        return found

    def _patient_draws(self) -> Iterator[IndexArray]:
        """Yield the test rows of each draw of patients, the same draws for every cell."""
        owner = self.chests.table["patient"].to_numpy()[self.chests.rows("test")]
        rows_of = [np.flatnonzero(owner == patient) for patient in np.unique(owner)]
        random = np.random.default_rng(0)
        for _ in range(self.draws):
            chosen = random.integers(0, len(rows_of), len(rows_of))
            yield np.concatenate([rows_of[number] for number in chosen])

    def _labels(self, split: str) -> npt.NDArray[np.int64]:
        return self.chests.labels()[self.chests.rows(split)]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.process_time() - start
