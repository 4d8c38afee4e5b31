"""The methods in words: every sentence follows from the records, and what a study lacks is left out."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.paper.methods_section import methods_section
from medtransfer.reports.paper.prose import (
    Citation,
    Passage,
    cite,
    prose_as_latex,
    prose_as_markdown,
    works_of,
)
from medtransfer.reports.study_reading import read_study

VERSION = version("medtransfer")


def text_of(passages: Any, title: str | None = None) -> str:
    """The words of passages, without citations."""
    return "\n".join(
        "".join(piece for piece in passage.pieces if isinstance(piece, str)).strip()
        for passage in passages
        if title is None or passage.title == title
    )


def keys_of(passages: Any, title: str) -> set[str]:
    return {work.key for work in works_of([p for p in passages if p.title == title])}


@pytest.fixture(scope="module")
def methods(reading: Any) -> Any:
    return methods_section(reading, "medtransfer report /home/canary-person/store")


def made(synthetic: Any, *runs: tuple[Any, str, str, dict[str, Any]]) -> Any:
    """The methods of a small study."""
    maker = synthetic.StudyMaker("small")
    for task, model, protocol, more in runs:
        maker.add(task, model, protocol, **more)
    return methods_section(read_study(maker.evidence()))


def test_every_task_is_there_with_its_cases(methods: Any, reading: Any) -> None:
    text = text_of(methods, "Target tasks")
    assert text.startswith(
        "The study has 4 target tasks. breastmnist (Title of breastmnist): binary classification"
    )
    for task in reading.tasks.values():
        assert task.label in text
        assert task.data_hash[:12] in text
    assert "100 training, 20 validation and 60 test cases" in text
    assert "split: drawn by medtransfer (ours)" in text
    assert "patients not known, so every case counts as its own" in text


def test_cautions_are_facts_and_no_advice(methods: Any) -> None:
    text = text_of(methods, "Cautions")
    assert "phantom-chest (phantom): every image is generated; results say nothing about patients." in text
    assert "Sixteen training images" in text
    assert "accepted for this study: unexpected-count in …/training, expected 20 images, got 19." in text


def test_source_models_have_pretraining_and_weights(methods: Any, reading: Any) -> None:
    text = text_of(methods, "Source models")
    assert "resnet20.random: network resnet20, seeded random weights." in text
    for model in reading.models.values():
        assert model.label in text
        assert model.weights_hash == "random" or f"weights of digest {model.weights_hash[:12]}" in text
    assert {"he2016resnet", "howard2017mobilenets", "iandola2016squeezenet"} <= keys_of(
        methods, "Source models"
    )


def test_overlap_counts_pairs(methods: Any) -> None:
    text = text_of(methods, "Overlap with pretraining")
    assert text.startswith(
        "Of 19 pairs of a source model and a target task, 16 had no known overlap, 1 were left out"
    )
    assert "pretrained on ham10000" in text


def test_every_setting_of_every_protocol_is_there(methods: Any, reading: Any) -> None:
    for panel in reading.panels:
        text = text_of(methods, f"Protocol {panel.block.label}")
        for values in panel.block.settings.values():
            for name in values:
                assert f"{name.replace('_', ' ')} " in text, name
    text = text_of(methods, "Protocol finetune")
    assert "all weights of the network were trained for at most 12 epochs with AdamW" in text
    assert "at a learning rate of 0.0005" in text
    assert "on images of 96 × 96 pixels" in text
    assert "loshchilov2019adamw" in keys_of(methods, "Protocol finetune")


def test_settings_change_the_words(synthetic: Any) -> None:
    settings = {
        "optimiser": "sgd", "schedule": "constant", "epochs": 1, "learning_rate": 0.1, "batch_size": 1,
        "image_size": None, "decoder": "upernet", "mask_loss": "bce", "train_last": 2, "patience": 3,
    }  # fmt: skip
    drive = synthetic.TASKS[3]
    assert drive.kind is TaskKind.SEGMENTATION
    passages = made(synthetic, (drive, "resnet20.random", "finetune", {"settings": settings}))
    text = text_of(passages, "Protocol finetune")
    assert (
        "the decoder and the last 2 layer groups of the network were trained for at most 1 epoch with SGD at a "
        "learning rate of 0.1 and a constant rate, in batches of at most 1 case, on images of the size of the "
        "source model, with a UPerNet decoder and cross entropy as loss. Training ended early after more than "
        "3 epochs without gain."
    ) in text
    assert keys_of(passages, "Protocol finetune") == {"xiao2018upernet"}


def test_rare_settings_of_a_training_are_told_where_they_are(synthetic: Any) -> None:
    chest, drive = synthetic.TASKS[0], synthetic.TASKS[3]
    plain = made(synthetic, (chest, "resnet20.random", "finetune", {"settings": {"precision": "fp32"}}))
    for words in ("mixed", "factor", "average of the weights", "chosen on validation among", "crops"):
        assert words not in text_of(plain, "Protocol finetune")
    settings = {
        "precision": "bf16-mixed", "layer_decay": 0.75, "average_decay": 0.999, "ten_crops": True,
        "learning_rates": [1e-4, 3e-4],
    }  # fmt: skip
    passages = made(synthetic, (chest, "resnet20.random", "finetune", {"settings": settings}))
    assert (
        " The learning rate was chosen on validation among 0.0001 and 0.0003, for every source model alike. From "
        "each layer group to the one before it the learning rate fell by the factor 0.75. An exponential moving "
        "average of the weights, of decay 0.999, was scored. Training steps ran in mixed precision with bfloat16, "
        "validation and test in single precision. Ten crops of each image were scored as well, their "
        "probabilities averaged."
    ) in text_of(passages, "Protocol finetune")
    assert keys_of(passages, "Protocol finetune") == {"bao2022beit", "micikevicius2018mixed"}
    decoder = made(synthetic, (drive, "resnet20.random", "linear", {"settings": {"precision": "bf16-mixed"}}))
    assert "Training steps ran in mixed precision" in text_of(decoder, "Protocol linear")


def test_inputs_and_class_weights_are_told_where_they_differ(synthetic: Any) -> None:
    chest, drive = synthetic.TASKS[0], synthetic.TASKS[3]
    told = {
        "study": "the mean and standard deviation of the training images of each task",
        "imagenet": "the mean and standard deviation of ImageNet",
        "chest-xray": "a mean and a standard deviation of chest X-rays",
        "minmax": "stretching every image to the range from 0 to 1",
    }
    for rule, words in told.items():
        for protocol, task in (("finetune", drive), ("linear", drive), ("linear", chest), ("knn", chest)):
            settings = {"image_size": 32, "normalization": rule}
            passages = made(synthetic, (task, "resnet20.random", protocol, {"settings": settings}))
            assert f"Inputs were normalised by {words}" in text_of(passages, f"Protocol {protocol}")
    plain = made(synthetic, (chest, "resnet20.random", "linear", {"settings": {"image_size": 32}}))
    assert "normalised by" not in text_of(plain, "Protocol linear")
    assert "weighted" not in text_of(plain, "Protocol linear")
    weighted = {"settings": {"class_weights": "balanced"}}
    text = text_of(made(synthetic, (chest, "resnet20.random", "linear", weighted)), "Protocol linear")
    assert "Every class was weighted by the inverse of its share of the training cases." in text


def test_frozen_networks_and_their_statistics(synthetic: Any) -> None:
    def told(task: Any, **settings: Any) -> str:
        passages = made(synthetic, (task, "resnet20.random", "finetune", {"settings": settings}))
        return text_of(passages, "Protocol finetune")

    chest, drive = synthetic.TASKS[0], synthetic.TASKS[3]
    assert "only the head was trained, on the frozen network for at most 2 epochs" in told(
        chest, train_last=0, epochs=2
    )
    assert (
        "only the decoder was trained, on the frozen network, the statistics of frozen batch normalisation "
        "adapting to the training images, for at most 2 epochs"
    ) in told(drive, train_last=0, epochs=2, batch_normalization="adapt")
    assert "a cosine schedule down to 1e-05" in told(chest, schedule="cosine", least_rate=1e-5)
    assert "down to" not in told(chest, schedule="cosine")


def test_the_order_of_published_studies_is_told_with_the_patients_it_divides(synthetic: Any) -> None:
    def passage(*divided: int | None) -> str:
        maker = synthetic.StudyMaker("small")
        for number, patients in enumerate(divided):
            facts = {"label_order": "shuffle99"}
            record = maker.add(synthetic.TASKS[0], "resnet20.random", "finetune", fraction=0.1 + number / 10,
                               facts=facts)  # fmt: skip
            details = {"label_order": "shuffle99", "divided_patients": patients}
            maker.records[-1] = replace(record, outcome=replace(record.outcome, details=details))
        return text_of(methods_section(read_study(maker.evidence())), "Label fractions")

    text = passage(3, 7)
    assert "In the order shuffle99" in text
    assert "the seed 99 of Python's random numbers" in text
    assert "patients are not kept whole. Up to 7 patients of a task had images both" in text
    assert "one patient per class" not in text
    assert "first whole patients" not in text
    assert "No patient had images both inside and outside of a share." in passage(0)
    assert "both inside and outside" not in passage(None)


def test_an_unknown_protocol_and_no_settings_still_have_a_passage(synthetic: Any) -> None:
    passages = made(synthetic, (synthetic.TASKS[0], "resnet20.random", "telepathy", {}))
    text = text_of(passages, "Protocol telepathy")
    assert (
        text
        == "For binary tasks, models were transferred as the protocol telepathy does. All settings: none."
    )


def test_label_fractions_only_where_there_are_some(methods: Any, synthetic: Any) -> None:
    text = text_of(methods, "Label fractions")
    assert text.startswith("Models were trained with 100\xa0% and 10\xa0% of the training cases.")
    assert "one patient per class" in text
    whole = made(synthetic, (synthetic.TASKS[0], "resnet20.random", "linear", {}))
    assert text_of(whole, "Labels") == "All training cases were used."
    masks = made(
        synthetic,
        *((synthetic.TASKS[3], "resnet20.random", "finetune", {"fraction": f}) for f in (0.5, 1.0)),
    )
    assert "per class" not in text_of(masks, "Label fractions")


def test_repetitions_are_counted_by_what_differs(methods: Any) -> None:
    text = text_of(methods, "Repetitions and seeds")
    assert "Cells that no seed can change have 1 run each." in text
    assert "Cells whose runs differ in label subset have 4 runs each." in text
    assert "Cells whose runs differ in training have 1 to 6 runs each." in text
    assert text.endswith("here 0 to 5.")


def test_statistics_are_those_of_the_records(methods: Any, reading: Any) -> None:
    intervals = text_of(methods, "Estimates and intervals")
    assert "95 % t interval of the mean" in intervals
    assert "bootstrap of whole test patients" in intervals
    draws = {e.draws for _, _, cell in reading.cells() for e in cell.estimates.values() if e.draws}
    assert all(f"{number:,} draws" in intervals or f"{number:,} and" in intervals for number in draws)
    compared = text_of(methods, "Comparisons")
    for panel in reading.panels:
        for row in panel.rows:
            for comparison in row.ties.comparisons.values() if row.ties else ():
                assert f"{comparison.sidedness} test ({comparison.test}" in compared
                assert f"with {comparison.correction} correction" in compared
            assert row.ties is None or f"error rate of {row.ties.alpha:g}" in compared
    assert {"welch1947", "holm1979", "field2007clustered"} <= keys_of(methods, "Comparisons")
    equivalence = text_of(methods, "Equivalence")
    for task in reading.tasks.values():
        assert re.search(
            rf"{task.equivalence_margin:.3f} {task.primary.title} for [^;]*{re.escape(task.label)}",
            equivalence,
        )


def test_one_model_and_one_run_promise_no_statistics(synthetic: Any) -> None:
    passages = made(synthetic, (synthetic.TASKS[0], "resnet20.random", "finetune", {}))
    titles = {passage.title for passage in passages}
    assert not titles & {"Comparisons", "Equivalence", "Models over tasks"}
    text = text_of(passages, "Estimates and intervals")
    assert text.startswith("No result of this study has an interval")
    assert not {"welch1947", "holm1979", "student1908mean", "field2007clustered"} & {
        w.key for w in works_of(passages)
    }


def test_selection_names_what_chose(synthetic: Any, methods: Any) -> None:
    maker = synthetic.StudyMaker("small")
    record = maker.add(synthetic.TASKS[0], "resnet20.random", "finetune")
    maker.records[0] = replace(
        record, outcome=replace(record.outcome, choices={"selected_on": "metric", "best_epoch": 3})
    )
    text = text_of(methods_section(read_study(maker.evidence())), "Selection")
    assert "best validation primary metric were scored" in text
    assert "The weights of the last epoch were scored as well" in text
    assert "best validation" not in text_of(methods, "Selection")


def test_completeness_counts_trials(methods: Any, reading: Any) -> None:
    states = [record.state.value for record in reading.records]
    done, failed, pending = (states.count(name) for name in ("done", "failed", "pending"))
    assert failed
    assert pending
    assert text_of(methods, "Completeness") == (
        f"{done} of {len(states)} trials finished. {failed} trials failed; a failed run enters no mean and makes "
        f"n smaller. {pending} trials had not finished."
    )


def test_origin_has_versions_and_no_places(methods: Any) -> None:
    text = text_of(methods, "Hardware and software")
    assert "device cpu; processor Example CPU; cores 2; system Linux x86_64" in text
    assert "Python 3.11.13, PyTorch 2.11.0." in text
    assert f"Tables and figures: medtransfer {VERSION} and Matplotlib" in text
    assert "Code revision of medtransfer: 0123456789ab." in text
    assert text.endswith("These files were written by: medtransfer report …/store.")
    notes = {work.key: work.fields.get("note") for work in works_of(methods)}
    assert notes["paszke2019pytorch"] == "Version 2.11.0"
    assert notes["medtransfer"] == f"Version {VERSION}"
    assert "canary" not in prose_as_latex(methods) + prose_as_markdown(methods)


def test_several_versions_are_all_named_with_a_warning(synthetic: Any) -> None:
    maker = synthetic.StudyMaker("small")
    for repetition in (0, 1):
        record = maker.add(synthetic.TASKS[0], "resnet20.random", "finetune", repetition=repetition)
        versions = {"torch": f"2.{repetition}", "medtransfer": f"0.0.{repetition}", "timm": "not installed"}
        changed = replace(record.outcome, provenance={"versions": versions})
        maker.records[-1] = replace(record, outcome=changed)
    passages = methods_section(read_study(maker.evidence()))
    text = text_of(passages, "Hardware and software")
    assert text.startswith("The hardware was not recorded.")
    assert "medtransfer 0.0.0 and 0.0.1, PyTorch 2.0 and 2.1." in text
    assert "The trials differ in torch: 2.0, 2.1." in text
    notes = {work.key: work.fields.get("note") for work in works_of(passages)}
    assert notes["medtransfer"] == f"Versions 0.0.0, 0.0.1 and {VERSION}"
    assert "timm" not in text
    assert "wightman2019timm" not in notes


def test_old_records_with_few_facts_have_methods(synthetic: Any) -> None:
    maker = synthetic.StudyMaker("old")
    record = maker.add(synthetic.TASKS[0], "resnet20.random", "linear", varied=())
    facts = {n: record.description.facts[n] for n in ("kind", "classes", "metrics", "primary_metric")}
    description = replace(record.description, facts=facts)
    maker.records[0] = replace(
        record, description=description, outcome=replace(record.outcome, provenance={})
    )
    text = text_of(methods_section(read_study(maker.evidence())))
    assert "numbers of cases not recorded" in text
    assert "number of patients not recorded" in text
    assert "network not recorded" in text
    assert "The software of the trials was not recorded." in text
    assert "None" not in text


def test_limits_are_part_of_the_methods(methods: Any, reading: Any) -> None:
    from medtransfer.reports.limits import limits_of_evidence

    assert text_of(methods, "Limits of the evidence") == limits_of_evidence(reading)


def test_prose_in_both_forms() -> None:
    passage = Passage(
        "A & b", ("One_two", *cite("holm1979", "welch1947", "holm1979"), ", 5 %", *cite(None), ".")
    )
    assert prose_as_latex([passage]) == (
        "\\paragraph{A \\& b.}\nOne\\_\\allowbreak{}two~\\cite{holm1979,welch1947}, 5 \\%.\n"
    )
    assert prose_as_markdown([passage]) == "**A &amp; b.** One\\_two [@holm1979; @welch1947], 5 %.\n"


def test_works_come_in_the_order_of_their_first_citation() -> None:
    passages = [Passage("a", (*cite("welch1947"), *cite("holm1979"))), Passage("b", cite("welch1947"))]
    assert [work.key for work in works_of(passages)] == ["welch1947", "holm1979"]
    assert cite(None) == ()
    assert isinstance(cite("holm1979")[0], Citation)
