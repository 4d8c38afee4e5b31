"""At which sides the trials of a study that are still to run need decoded images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medtransfer.data.case_digests import CaseDigests
from medtransfer.data.decoded_cache import missing_sides
from medtransfer.models.source_model import SourceModel
from medtransfer.store.records import State
from medtransfer.store.store import Store
from medtransfer.study.plan import Trial, plan_trials
from medtransfer.study.preparation import PreparedModel, PreparedTask
from medtransfer.study.study import Study


@dataclass(frozen=True)
class NeededSides:
    """Tells, once a task is opened, which of its caches the study lacks; see :data:`.preparation.Sides`."""

    study: Study
    """The study."""
    models: Mapping[str, PreparedModel]
    """Its source models."""
    store: Store
    """Where trials may be done."""
    cache: Path
    """Root of the caches."""

    def __call__(self, task: PreparedTask, digests: CaseDigests) -> frozenset[int]:
        """Return the sides that trials of the task need which are not done, and that are not on disk.

        Raises:
            UsageError: If a protocol or a metric cannot do the task's kind.
        """
        trials = plan_trials(_only(self.study, task.task.name), {task.task.name: task}, self.models)
        states = self.store.states([trial.fingerprint for trial in trials])
        to_run = [trial for trial in trials if states.get(trial.fingerprint) is not State.DONE]
        return missing_sides(task.cases, digests, _sides(to_run), self.cache)


def _only(study: Study, task: str) -> Study:
    blocks = [
        replace(block, tasks=tuple(entry for entry in block.tasks if entry.name == task))
        for block in study.blocks
    ]
    return Study(study.name, tuple(blocks))


def _sides(trials: list[Trial]) -> frozenset[int]:
    ways = {(trial.model.model.name, trial.protocol): trial for trial in trials}
    return frozenset(
        trial.protocol.decoded_side(trial.task.task.kind, _own_size(trial.model.model))
        for trial in ways.values()
    )


def _own_size(model: SourceModel) -> int:
    """Return the side of the images a model expects; its library is imported only where it has to be asked."""
    if not model.input_from_library:
        return model.input.size
    from medtransfer.models.hub_weights import contract_of

    return contract_of(model).size
