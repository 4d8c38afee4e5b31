"""All target tasks by name; a new data set is one new file and one line here."""

from __future__ import annotations

from medtransfer.core.registry import Registry
from medtransfer.tasks.brats import brats
from medtransfer.tasks.busi import busi, busi_lesion
from medtransfer.tasks.chest_xray14 import chestxray14_tasks
from medtransfer.tasks.chexpert import chexpert_tasks
from medtransfer.tasks.covid_ct import covid_ct
from medtransfer.tasks.ct_body_region import ct_body_region
from medtransfer.tasks.drive import drive_vessel
from medtransfer.tasks.ham10000 import ham10000, isic2018, isic2019
from medtransfer.tasks.imagenet import imagenet_tasks
from medtransfer.tasks.jsrt import jsrt_tasks
from medtransfer.tasks.lits import lits
from medtransfer.tasks.medmnist import medmnist_tasks
from medtransfer.tasks.mimic_cxr import mimic_cxr
from medtransfer.tasks.montgomery import montgomery_lung
from medtransfer.tasks.phantom_tasks import phantom_tasks
from medtransfer.tasks.rsna_pe import rsna_pe
from medtransfer.tasks.rsna_pneumonia import rsna_pneumonia
from medtransfer.tasks.shenzhen import shenzhen_tb
from medtransfer.tasks.siim_acr import siim_pneumothorax
from medtransfer.tasks.target_task import TargetTask
from medtransfer.tasks.vindr_cxr import vindr_cxr_tasks

target_tasks: Registry[TargetTask] = Registry("task", "medtransfer tasks list")

for _task in (
    *chestxray14_tasks,
    *chexpert_tasks,
    *vindr_cxr_tasks,
    mimic_cxr,
    rsna_pneumonia,
    shenzhen_tb,
    montgomery_lung,
    siim_pneumothorax,
    *jsrt_tasks,
    rsna_pe,
    ct_body_region,
    covid_ct,
    lits,
    brats,
    busi_lesion,
    busi,
    drive_vessel,
    ham10000,
    isic2018,
    isic2019,
    *imagenet_tasks,
    *medmnist_tasks,
    *phantom_tasks,
):
    target_tasks.add(_task.name, _task)
