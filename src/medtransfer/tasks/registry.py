"""All target tasks by name; a new data set is one new file and one line here."""

from __future__ import annotations

from medtransfer.core.registry import Registry
from medtransfer.tasks.covid_ct import covid_ct
from medtransfer.tasks.drive import drive_vessel
from medtransfer.tasks.medmnist import medmnist_tasks
from medtransfer.tasks.phantom_tasks import phantom_tasks
from medtransfer.tasks.target_task import TargetTask

target_tasks: Registry[TargetTask] = Registry("task", "medtransfer tasks list")

for _task in (*medmnist_tasks, covid_ct, drive_vessel, *phantom_tasks):
    target_tasks.add(_task.name, _task)
