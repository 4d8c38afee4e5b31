"""What is checked before a network is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from medtransfer.core.errors import TrialError
from medtransfer.data.case_table import CaseTable
from medtransfer.models.catalogue import resolve_model
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.transfer_protocol import Bench, TransferProtocol, TransferRequest
from tests.training.drawn_cases import drawn_labels, drawn_masks

FINETUNE = Finetune(image_size=32, epochs=1, decoder_channels=(8, 8))
DECODER = Linear(image_size=32, epochs=1, decoder_channels=(8, 8))


def without(cases: CaseTable, split: str) -> CaseTable:
    """Return cases of which none is in a split; its cases are training cases."""
    frame = cases.frame.copy()
    frame.loc[frame["split"] == split, "split"] = "train"
    return cases.with_frame(frame)


@pytest.mark.parametrize(("split", "word"), [("val", "validation"), ("test", "test")])
@pytest.mark.parametrize("trained", ["labels", "masks", "decoder"])
def test_a_split_without_cases_is_refused_before_training(
    tmp_path: Path, trained: str, split: str, word: str
) -> None:
    cases = without(drawn_labels() if trained == "labels" else drawn_masks(), split)
    protocol: TransferProtocol = DECODER if trained == "decoder" else FINETUNE
    metric = "auc" if trained == "labels" else "dice"
    bench = Bench("drawn", cases, resolve_model("resnet20.random"), None, tmp_path, metric)
    request = TransferRequest(1.0, 0, cases.indices("train"), 1)
    steps: list[None] = []
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(None))
    try:
        with pytest.raises(
            TrialError, match=f"task 'drawn': expected {word} cases to .*, got none"
        ) as caught:
            next(protocol.fit(bench, [request]))
    finally:
        hook.remove()
    assert caught.value.reason == f"no_{word}_cases"
    assert not steps
