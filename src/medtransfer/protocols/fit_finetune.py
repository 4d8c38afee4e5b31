"""One fine-tuning trial: build the network, train it, score its best and its last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from medtransfer.core.seeds import seed_from
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.metrics.predictions import Predictions
from medtransfer.models.batch_statistics import adapt_statistics
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.heads import Classifier, UNet
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.layer_groups import layer_groups, rate_factors, train_last
from medtransfer.models.network import build_encoder
from medtransfer.models.upernet import UPerNet
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.rate_search import FIXED_RECIPE_CHECKPOINT, search_rates
from medtransfer.protocols.scored_checkpoints import score_checkpoints
from medtransfer.protocols.ten_crops import TEN_CROPS_CHECKPOINT, score_ten_crops
from medtransfer.protocols.training_facts import require_training_cases, training_facts
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.best_weights import copy_state
from medtransfer.training.fit_network import FitResult, fit_network
from medtransfer.training.losses import output_count
from medtransfer.training.memory_layout import lay_out
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.training_data import CachedImages
from medtransfer.training.validation_metrics import build_goal

TargetNetwork = Classifier | UNet | UPerNet
"""A source model's encoder with a head or a decoder for the target task."""


def fit_finetune(settings: Finetune, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
    """Yield the transfer of each request, in order; see :meth:`Finetune.fit`."""
    size = settings.size() or contract_of(bench.model).size
    side = settings.cached_side(bench.cases.kind, size)
    cache = bench.open_decoded_cache(side)
    for request in requests:
        require_training_cases(bench, request)
        trial = _Trial(settings, bench, request, cache, size)
        yield trial.fit_once() if settings.learning_rates is None else trial.fit_best_rate()


class _Trial:
    """One trial: its data and goal, and how a network of it is built and trained."""

    def __init__(
        self, settings: Finetune, bench: Bench, request: TransferRequest, cache: DecodedCache, size: int
    ) -> None:
        self._settings = settings
        self._bench = bench
        self._request = request
        self._size = size
        self._recipe = settings.recipe()
        self._facts: dict[str, Any] = {}
        self._network = self._build()
        self._layout = lay_out(self._network, size, torch.device(bench.device), self._recipe.precision)
        self._data = _training_data(settings, bench, request, cache, size, self._layout)
        self._goal = build_goal(
            bench.cases, bench.selection_metric, self._recipe, masks=cache.masks, validate=self._data.validate
        )

    def fit_once(self) -> Transfer:
        """Return the transfer of a training with the recipe as it is."""
        fitted = self._train(self._recipe)
        return self._transfer(fitted, self._score(fitted), {})

    def fit_best_rate(self) -> Transfer:
        """Return the transfer of the learning rate that validation prefers, the recipe's own beside it."""
        start = copy_state(self._network)

        def train(recipe: TrainingRecipe) -> FitResult:
            self._network.load_state_dict(start)
            return self._train(recipe)

        search = search_rates(
            self._settings.learning_rates or (),
            self._recipe,
            train,
            higher_is_better=self._goal.higher_is_better,
        )
        fitted = search.fits[search.chosen]
        scored = {}
        if search.faults[search.own] is None:
            own = score_checkpoints(self._network, search.fits[search.own], self._data, self._bench)
            scored[FIXED_RECIPE_CHECKPOINT] = own["best"]
        scored = {**self._score(fitted), **scored}
        budget = {
            "trainings": len(search.fits),
            "steps_of_all_trainings": sum(fit.facts["steps"] for fit in search.fits),
        }
        return self._transfer(fitted, scored, search.choices(), budget)

    def _transfer(
        self,
        fitted: FitResult,
        scored: Mapping[str, Mapping[str, Predictions]],
        choices: Mapping[str, Any],
        budget: Mapping[str, int] | None = None,
    ) -> Transfer:
        return Transfer(
            predictions=scored,
            train_cases=self._data.train_cases,
            choices={"best_epoch": fitted.best_epoch, "selected_on": self._recipe.select_on, **choices},
            curve=fitted.curve,
            details=training_facts(self._network, fitted, self._data, self._recipe)
            | {"image_size": self._size, "memory_format": str(self._layout).removeprefix("torch.")}
            | self._facts
            | dict(budget or {}),
        )

    def _score(self, fitted: FitResult) -> dict[str, Mapping[str, Predictions]]:
        scored = dict(score_checkpoints(self._network, fitted, self._data, self._bench))
        if self._settings.scores_ten_crops(self._bench.cases.kind):
            scored[TEN_CROPS_CHECKPOINT] = score_ten_crops(self._network, self._data, self._bench)
        return scored

    def _train(self, recipe: TrainingRecipe) -> FitResult:
        return fit_network(
            self._network,
            self._data,
            recipe,
            self._goal,
            seed=self._request.seed,
            device=self._bench.device,
            progress=self._bench.progress,
            rate_factors=_rate_factors(self._network, recipe),
        )

    def _build(self) -> TargetNetwork:
        """Return encoder and head; a random encoder differs between seeds, a pretrained one never."""
        settings, bench, seed = self._settings, self._bench, self._request.seed
        encoder = build_encoder(
            bench.model,
            weights_folder=bench.weights_folder,
            seed=seed_from("encoder", seed),
            image_size=self._size,
        )
        if self._recipe.train_last is not None:
            train_last(encoder, self._recipe.train_last)
        if settings.batch_normalization == "adapt":
            self._facts["adapted_batch_normalizations"] = adapt_statistics(encoder)
        outputs = output_count(bench.cases.kind, len(bench.cases.classes))
        head_seed = seed_from("head", seed)
        if bench.cases.kind.is_classification:
            return Classifier(encoder, outputs, seed=head_seed, bias=settings.head_has_bias())
        return build_segmenter(
            settings.decoder,
            encoder,
            outputs,
            image_size=self._size,
            decoder_channels=settings.channels(),
            seed=head_seed,
        )


def _rate_factors(network: TargetNetwork, recipe: TrainingRecipe) -> Mapping[str, float]:
    """Return the factors of layer-wise decay by the network's own parameter names; the head has 1."""
    if recipe.layer_decay == 1:
        return {}
    factors = rate_factors(layer_groups(network.encoder), recipe.layer_decay)
    return {f"encoder.{name}": factor for name, factor in factors.items()}


def _training_data(
    settings: Finetune,
    bench: Bench,
    request: TransferRequest,
    cache: DecodedCache,
    size: int,
    layout: torch.memory_format,
) -> CachedImages:
    kind = bench.cases.kind
    return CachedImages(
        cache=cache,
        labels=bench.cases.labels() if kind.is_classification else None,
        train=request.train,
        validate=bench.cases.indices("val"),
        size=size,
        augmentation=settings.views(kind),
        batch_size=settings.recipe().batch_size_for(len(request.train)),
        seed=seed_from("views", request.seed),
        memory_format=layout,
    )
