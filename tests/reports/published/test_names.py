"""Printed names stand for ours only where ours exists and means the same."""

from __future__ import annotations

import pytest

from medtransfer.models.catalogue import catalogue
from medtransfer.reports.published.names import (
    ARK,
    DIRA,
    RERUN,
    STUDY_A,
    STUDY_B,
    TRANSFORMERS,
    our_metric,
    our_model,
    our_model_in_study_c,
    our_task,
    printed_task,
)
from medtransfer.reports.published.shipped import measured_runs, published_results
from medtransfer.tasks.registry import target_tasks

NO_TASK = {"ImageNet-1K top-1", "VinDr-RibCXR"}
NO_MODEL = {
    (STUDY_B, "CLSA"),
    (STUDY_B, "PixPro"),
    (STUDY_B, "DenseCL"),
    (STUDY_B, "DetCo"),
    (STUDY_B, "VICRegL"),
    (STUDY_B, "DINO"),
    (STUDY_B, "SimSiam"),
    (STUDY_B, "OBoW"),
    (STUDY_B, "ImageNet-22K (supervised)"),
    (STUDY_B, "COCO (supervised)"),
    (STUDY_B, "Places365 (supervised)"),
    (STUDY_B, "ImageNet: Swin minus ConvNeXt"),
    (STUDY_B, "Scratch: Swin minus ConvNeXt"),
    (STUDY_B, "ImageNet-1K"),
    (DIRA, "MoCo-v2"),
    (DIRA, "Barlow Twins"),
    (DIRA, "SimSiam"),
    (TRANSFORMERS, "ImageNet (supervised)"),
    (ARK, "ImageNet (supervised)"),
    (RERUN, "GMML NIH 1000e"),
    (RERUN, "SimMIM ChestX-ray14 scratch"),
    (RERUN, "ImageNet"),
    (RERUN, "Random"),
}
"""Not ours: files the source does not list or release, other weights, differences, other networks."""


def test_every_name_of_ours_is_registered() -> None:
    tasks = {task.name: task for task in target_tasks}
    for result in published_results():
        if result.target_task is not None:
            task = tasks[result.target_task]
            assert result.metric_name is None or result.metric_name in task.metrics
        if result.source_model is not None:
            catalogue.get(result.source_model)


def test_printed_names_without_one_of_ours_are_those_we_know_of() -> None:
    found = published_results()
    assert {printed_task(r.task).name for r in found if r.target_task is None} == NO_TASK
    assert {(r.source, r.initialization) for r in found if r.source_model is None} == NO_MODEL


def test_every_level_but_dice_of_unknown_kind_and_top_1_has_a_metric() -> None:
    without = {(r.source, r.metric) for r in published_results() if r.metric_name is None}
    assert without == {
        (STUDY_B, "AUC% difference"),
        (STUDY_B, "Dice% difference"),
        (STUDY_B, "top1%"),
        (ARK, "Dice%"),
    }


@pytest.mark.parametrize(
    ("source", "initialization", "architecture", "name"),
    [
        (STUDY_A, "Scratch", "ResNet-50", "resnet50.random"),
        (STUDY_A, "ImageNet->CheXpert", "ResNet-50", "resnet50.in1k_ft_chexpert"),
        (STUDY_B, "ImageNet->MIMIC", "Swin-B", "swin_base_patch4_window7_224.in1k_ft_mimic"),
        (STUDY_B, "ImageNet-1K supervised", "DeiT-T", "deit_tiny_patch16_224.fb_in1k"),
        (STUDY_A, "MoCo-v2", "ResNet-50", "resnet50.mocov2_in1k"),
        (DIRA, "MoCo-v2", "ResNet-50 / U-Net", None),
        (DIRA, "DiRA SimSiam", "ResNet-50 / U-Net", "resnet50.dira_simsiam_chestxray14"),
        (TRANSFORMERS, "ImageNet (supervised)", "Swin-B", None),
        (TRANSFORMERS, "ImageNet SimMIM", "ViT-B", "vit_base_patch16_224.simmim_in1k"),
        (
            ARK,
            "Ark-6 IN->CXR(704K)",
            "Swin-B (UperNet for segmentation)",
            "swin_base_patch4_window7_224.ark6",
        ),
        (RERUN, "ImageNet", "ResNet-50", "resnet50.tv_in1k"),
        (RERUN, "ImageNet", "ViT-S", None),
        ("somebody2030", "ImageNet", "ResNet-50", None),
    ],
)
def test_models(source: str, initialization: str, architecture: str, name: str | None) -> None:
    assert our_model(source, initialization, architecture) == name


def test_chexpert_is_the_mean_of_five_and_pooled_dice_is_claimed_only_where_deduced() -> None:
    assert our_metric(STUDY_A, "DXC5", "AUC%") == "auc-scored"
    assert our_metric(STUDY_A, "DXC14@25%", "AUC%") == "auc"
    assert our_metric(STUDY_B, "PXS", "Dice%") == "dice-pooled"
    assert our_metric(ARK, "JSRT heart", "Dice%") is None
    assert our_metric(STUDY_B, "PXS", "Dice% difference") is None
    assert our_metric(STUDY_B, "ImageNet-1K top-1", "top1%") is None


def test_odd_task_names_are_kept_whole() -> None:
    assert printed_task("100% X@5%").label_fraction == 1.0
    assert printed_task("0.5% X") == ("X", 0.005)
    assert printed_task("X@12.5%") == ("X", 0.125)
    assert printed_task("1.% X") == ("1.% X", 1.0)
    assert printed_task("٢٥% X") == ("٢٥% X", 1.0)
    assert printed_task("a\nb") == ("a\nb", 1.0)
    assert our_task("") is None


def test_every_initialization_of_study_c_is_a_source_model() -> None:
    for initialization in {run.initialization for run in measured_runs()}:
        catalogue.get(our_model_in_study_c(initialization) or "missing")
