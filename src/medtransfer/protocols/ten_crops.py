"""Scores on ten crops of each image: probabilities of four corners, the centre and their mirrors, averaged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from medtransfer.data.batches import TEN_CROPS
from medtransfer.metrics.predictions import Predictions
from medtransfer.protocols.scored_checkpoints import SCORED_SPLITS
from medtransfer.protocols.transfer_protocol import Bench
from medtransfer.training.case_predictions import classification_predictions
from medtransfer.training.inference import predict_probabilities
from medtransfer.training.training_data import CachedImages

TEN_CROPS_CHECKPOINT = "ten-crops"
"""Name under which the scores stand beside those of the centre crop."""


def score_ten_crops(network: nn.Module, data: CachedImages, bench: Bench) -> Mapping[str, Predictions]:
    """Return predictions of the best weights by split, each the mean of ten probabilities.

    Args:
        network: With its best weights.
        data: Gives crops of any case.
        bench: Cases and device.
    """
    found = {}
    for split in SCORED_SPLITS:
        rows = bench.cases.indices(split)
        crops = [
            predict_probabilities(network, data.evaluation(rows, crop), bench.cases.kind, bench.device)
            for crop in TEN_CROPS
        ]
        found[split] = classification_predictions(bench.cases, rows, np.mean(crops, axis=0))
    return found
