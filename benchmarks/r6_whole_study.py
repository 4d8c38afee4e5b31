"""R6: a whole study of frozen features, from files to a report, against a plain script that does the same."""

from __future__ import annotations

import csv
import itertools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
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

import medtransfer as mt
from benchmarks.contest import Arm, Contest, Goal, Verdict
from benchmarks.image_work import RESNET
from benchmarks.r2_usual_loop import usual_views
from benchmarks.r4_transferability import logme_class_by_class
from medtransfer.data.phantoms import PhantomSource, chest_locator
from medtransfer.protocols.linear import STRENGTHS
from medtransfer.study.worker_setup import use_one_thread

FINDINGS = ("nodule", "effusion", "pneumothorax")
FRACTIONS = (0.05, 0.1, 0.25, 0.5, 1.0)
SEEDS = 5
CASES, HELD_OUT = 1200, 200
SIDE = 256
DRAWS = 2000
GOAL = 8.0
LARGEST_AUC_DIFFERENCE = 0.03
"""Between the two sides' AUC on all labels; they resize images differently."""

PLAIN, OURS = "plain script", "ours"


@dataclass(frozen=True)
class Images:
    """Drawn radiographs in a folder, and what is known of them."""

    root: Path
    """Folder of the files and of ``labels.csv``."""
    table: pd.DataFrame
    """Columns image, split and one per finding."""

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split."""
        return np.flatnonzero(self.table["split"] == split)

    def labels(self) -> npt.NDArray[np.int64]:
        """Return the labels of all images, shape (N, C)."""
        return self.table[list(FINDINGS)].to_numpy()


def contests(folder: Path, *, quick: bool) -> Iterator[Contest]:
    """Yield the one contest; caches, store and report are made inside the measurement."""
    use_one_thread()
    images = draw_images(folder / "images", *((240, 80) if quick else (CASES, HELD_OUT)))
    numbers = itertools.count()
    yield Contest(
        "linear on resnet18@128",
        numerator=Arm(PLAIN, partial(run_plainly, images, folder / "plain")),
        denominator=Arm(OURS, lambda: run_ours(images, folder / f"ours-{next(numbers)}")),
        goal=Goal(GOAL),
        verify=partial(_verdict, loose=quick),
        warm_up=False,
    )


def draw_images(root: Path, train: int, held_out: int) -> Images:
    """Write drawn radiographs with findings, and a list of their labels, always the same."""
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    splits = ["train"] * train + ["val"] * (held_out // 2) + ["test"] * (held_out // 2)
    rows = []
    for number, split in enumerate(splits):
        present = {name for name in FINDINGS if random.random() < 0.35}
        chest = PhantomSource().read_image(chest_locator("whole-study", number, 0, present))
        large = cv2.resize(chest, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        grain = random.normal(0, 12, large.shape)
        name = f"{number:05}.png"
        cv2.imwrite(str(root / name), np.clip(large + grain, 0, 255).astype(np.uint8))
        rows.append(
            {"image": name, "split": split, **{finding: int(finding in present) for finding in FINDINGS}}
        )
    table = pd.DataFrame(rows)
    table.to_csv(root / "labels.csv", index=False)
    return Images(root, table)


def run_ours(images: Images, folder: Path) -> float:
    """Run the study with a store and caches of its own, write its report, and return the AUC on all labels."""
    task = {
        "kind": "multi-label",
        "root": str(images.root),
        "manifest": "labels.csv",
        "columns": {"image": "image", "label": list(FINDINGS), "split": "split"},
    }
    study = mt.Study(
        "whole",
        tasks=[{"chests": task}],
        models=[RESNET.model],
        protocols=[{"linear": {"image_size": RESNET.size}}],
        label_fractions=list(FRACTIONS),
        seeds=SEEDS,
    )
    run = mt.run(study, store=folder / "store", cache=folder / "cache")
    with mt.Store.open(str(folder / "store"), create=False) as store:
        mt.write_report(store, "whole", folder / "report")
    _score(folder / "cache", images)
    found = run.table().query("label_fraction == 1")["test.best.auc"].iloc[0]
    shutil.rmtree(folder)
    return float(found)


def _score(cache: Path, images: Images) -> float:
    """Return LogME of the features the study has left in its cache."""
    from medtransfer.transferability.logme import logme

    (path,) = (cache / "features").glob("*.embeddings.npy")
    train = images.rows("train")
    return logme(np.load(path)[train], images.labels()[train]).value


class PlainImages(Dataset[tuple[Tensor, int]]):
    """What anybody would write: open, convert, transform.

    Args:
        images: Files.
        views: Transforms of a tutorial.
    """

    def __init__(self, images: Images, views: Any) -> None:
        self._images = images
        self._views = views

    def __len__(self) -> int:
        return len(self._images.table)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        name = self._images.table["image"].iloc[number]
        return self._views(Image.open(self._images.root / name).convert("RGB")), number


def run_plainly(images: Images, folder: Path) -> float:
    """Embed with a DataLoader, fit with scikit-learn one by one, write a table; return the AUC on all labels."""
    features, labels = _embed(images), images.labels()
    train, val, test = (images.rows(split) for split in ("train", "val", "test"))
    results = []
    for fraction in FRACTIONS:
        for seed in range(1 if fraction == 1 else SEEDS):
            rows = np.random.default_rng(seed).permutation(train)[: round(fraction * len(train))]
            scores = _best_scores(features, labels, rows, val, test)
            results.append(
                {
                    "fraction": fraction,
                    "seed": seed,
                    "auc": roc_auc_score(labels[test], scores, average="macro"),
                }
            )
    drawn = _bootstrap(labels[test], scores)
    logme_class_by_class(features[train], labels[train])
    folder.mkdir(exist_ok=True)
    table = pd.DataFrame(results)
    table.to_csv(folder / "results.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    summary = table.groupby("fraction")["auc"].agg(["mean", "std", "count"])
    (folder / "report.html").write_text(summary.to_html() + f"<p>{np.quantile(drawn, (0.025, 0.975))}</p>")
    return float(results[-1]["auc"])


def _embed(images: Images) -> npt.NDArray[np.float32]:
    encoder = RESNET.encoder().to(memory_format=torch.contiguous_format).eval()
    network = encoder.backbone
    loader = DataLoader(
        PlainImages(images, usual_views(RESNET, encoder.input, training=False)), batch_size=64
    )
    with torch.inference_mode():
        return np.concatenate([network(inputs).flatten(1).numpy() for inputs, _ in loader])


def _best_scores(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    val: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the test scores of the strength that is best on validation."""
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


def _bootstrap(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> list[float]:
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        rows = random.integers(0, len(labels), len(labels))
        if (labels[rows].min(axis=0) < labels[rows].max(axis=0)).all():
            drawn.append(roc_auc_score(labels[rows], scores[rows], average="macro"))
    return drawn


def _verdict(results: Mapping[str, Any], *, loose: bool) -> Verdict:
    difference = abs(results[PLAIN] - results[OURS])
    return Verdict(loose or difference <= LARGEST_AUC_DIFFERENCE, {"auc_difference": difference})
