"""At which sides the trials of a study that are still to run need decoded images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medtransfer.core.errors import UsageError
from medtransfer.data.case_digests import CaseDigests
from medtransfer.data.decoded_cache import missing_sides
from medtransfer.store.records import State
from medtransfer.store.store import Store
from medtransfer.study.decoding_cost import decoded_side
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

        A task its protocols or metrics cannot do needs none: the plan of all tasks refuses it, once data that
        is missing has been told of every other one.
        """
        try:
            trials = plan_trials(_only(self.study, task.task.name), {task.task.name: task}, self.models)
        except UsageError:
            return frozenset()
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
    return frozenset(decoded_side(trial) for trial in ways.values())
