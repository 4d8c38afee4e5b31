"""Every tensor of the network and of the file is accounted for exactly once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.models.joined_tensors import Source
from medtransfer.models.key_audit import match_keys
from medtransfer.models.source_model import DeclaredGap, WeightsFile

NETWORK = {
    "conv1.weight": torch.zeros(4, 3, 3, 3),
    "bn1.weight": torch.zeros(4),
    "bn1.running_var": torch.zeros(4),
    "bn1.num_batches_tracked": torch.tensor(0),
    "layer1.fc.weight": torch.zeros(4, 4),
    "head.norm.weight": torch.zeros(4),
}
PLAIN = WeightsFile()


def renamed(prefix: str, state: Mapping[str, Tensor] = NETWORK) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def test_complete_file_has_no_problem() -> None:
    audit = match_keys(NETWORK, NETWORK, PLAIN)
    assert audit.problems("m") == []
    assert audit.share == 1.0
    assert audit.counts() == dict.fromkeys(audit.counts(), 0) | {"loaded": len(NETWORK)}


def test_heads_are_dropped_by_first_component_only() -> None:
    extra = {
        name: torch.zeros(2) for name in ("fc.weight", "head.fc.bias", "classifier.1.weight", "linear.bias")
    }
    audit = match_keys(NETWORK, {**NETWORK, **extra}, PLAIN)
    assert set(audit.dropped) == set(extra)
    assert {"layer1.fc.weight", "head.norm.weight"} <= set(audit.loaded)
    inner = match_keys(NETWORK, {**NETWORK, "layer9.fc.weight": torch.zeros(2)}, PLAIN)
    assert inner.unmatched == ("layer9.fc.weight",)
    assert [problem.what for problem in inner.problems("m")] == ["unmatched-weights"]


def test_declared_drops_are_dropped_and_listed() -> None:
    file = {**NETWORK, "prototypes.weight": torch.zeros(2)}
    assert match_keys(NETWORK, file, PLAIN).unmatched == ("prototypes.weight",)
    audit = match_keys(NETWORK, file, WeightsFile(drop=("prototypes",)))
    assert (audit.unmatched, audit.dropped) == ((), ("prototypes.weight",))


def test_missing_tensors_are_a_problem_but_batch_counters_are_not() -> None:
    file = {name: tensor for name, tensor in NETWORK.items() if not name.startswith("bn1")}
    audit = match_keys(NETWORK, file, PLAIN)
    assert audit.missing == ("bn1.weight", "bn1.running_var")
    assert audit.counters == ("bn1.num_batches_tracked",)
    (problem,) = audit.problems("m")
    assert problem.what == "missing-weights"
    assert "2 absent, 'bn1.weight', 'bn1.running_var' (94.1% of it matches)" in problem.found
    assert audit.share == pytest.approx((108 + 16 + 4) / (108 + 16 + 4 + 8))


def test_declared_gap_takes_its_tensors_and_nothing_else() -> None:
    weights = WeightsFile(gaps=(DeclaredGap("bn1.", "not published"),))
    file = {name: tensor for name, tensor in NETWORK.items() if not name.startswith("bn1")}
    audit = match_keys(NETWORK, file, weights)
    assert audit.gaps[0].names == ("bn1.weight", "bn1.running_var", "bn1.num_batches_tracked")
    assert (audit.problems("m"), audit.share) == ([], 1.0)
    file.pop("conv1.weight")
    assert match_keys(NETWORK, file, weights).missing == ("conv1.weight",)


def test_wrong_shape_and_integer_weights_are_named() -> None:
    file = {
        **NETWORK,
        "bn1.weight": torch.zeros(5),
        "conv1.weight": torch.zeros(4, 3, 3, 3, dtype=torch.int8),
    }
    problems = match_keys(NETWORK, file, PLAIN).problems("m")
    assert [(p.where, p.expected, p.found) for p in problems] == [
        ("m: bn1.weight", "(4,) of float32", "(5,) of float32"),
        ("m: conv1.weight", "(4, 3, 3, 3) of float32", "(4, 3, 3, 3) of int8"),
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_fit(dtype: torch.dtype) -> None:
    file = {n: t.to(dtype) if t.is_floating_point() else t for n, t in NETWORK.items()}
    assert match_keys(NETWORK, file, PLAIN).problems("m") == []


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.encoder_q.", "a.b.c."])
def test_prefix_that_would_fit_is_suggested_and_then_works(prefix: str) -> None:
    file = {**renamed(prefix), prefix + "fc.weight": torch.zeros(2), "queue": torch.zeros(9)}
    (missing, _) = match_keys(NETWORK, file, PLAIN).problems("m")
    assert missing.next_step == f"The names agree with prefix={prefix!r}."
    audit = match_keys(NETWORK, file, WeightsFile(prefix=prefix))
    assert audit.problems("m") == []
    assert set(audit.dropped) == {"queue", prefix + "fc.weight"}


def test_prefix_the_file_lacks_is_suggested_as_a_rename() -> None:
    network = renamed("encoder.")
    (missing, _) = match_keys(network, NETWORK, PLAIN).problems("m")
    assert missing.next_step == "The names agree with rename=[['', 'encoder.']]."
    assert match_keys(network, NETWORK, WeightsFile(rename=(("", "encoder."),))).problems("m") == []


def test_the_named_encoder_of_two_is_read() -> None:
    query = {name: tensor + 1 for name, tensor in NETWORK.items()}
    file = {**renamed("encoder_q.", query), **renamed("encoder_k.")}
    audit = match_keys(NETWORK, file, WeightsFile(prefix="encoder_q."))
    assert all(source.names == ("encoder_q." + name,) for name, source in audit.loaded.items())
    assert len(audit.dropped) == len(NETWORK)


def test_prefix_is_anchored() -> None:
    file = {"x.module.conv1.weight": NETWORK["conv1.weight"]}
    audit = match_keys(NETWORK, file, WeightsFile(prefix="module."))
    assert not audit.loaded
    assert audit.dropped == ("x.module.conv1.weight",)


def test_renames_apply_in_order_at_the_start() -> None:
    file = {"a.b.weight": torch.zeros(1), "x.a.weight": torch.zeros(1)}
    network = {"d.b.weight": torch.zeros(1), "x.a.weight": torch.zeros(1)}
    audit = match_keys(network, file, WeightsFile(rename=(("a.", "c."), ("c.", "d."))))
    assert dict(audit.loaded) == {
        "d.b.weight": Source(("a.b.weight",)),
        "x.a.weight": Source(("x.a.weight",)),
    }


def test_two_names_that_become_one_are_refused() -> None:
    file = {"a.weight": torch.zeros(1), "b.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"'a.weight' and 'b.weight'"):
        match_keys({"b.weight": torch.zeros(1)}, file, WeightsFile(rename=(("a.", "b."),)))


NAMES = st.sets(st.sampled_from([*NETWORK, "fc.weight", "p.conv1.weight", "p.bn1.weight", "p.x", "other"]))


@given(present=NAMES, prefix=st.sampled_from(["", "p."]), gap=st.sampled_from(["none", "bn1.", "layer1."]))
def test_account_is_complete(present: set[str], prefix: str, gap: str) -> None:
    file = {name: NETWORK.get(name.removeprefix("p."), torch.zeros(2)) for name in present}
    audit = match_keys(NETWORK, file, WeightsFile(prefix=prefix, gaps=(DeclaredGap(gap, "test"),)))
    in_gaps = [name for found in audit.gaps for name in found.names]
    wrong = [mismatch.name for mismatch in audit.mismatched]
    assert sorted([*audit.loaded, *in_gaps, *audit.counters, *audit.missing, *wrong]) == sorted(NETWORK)
    sources = [*audit.read, *(prefix + name for name in audit.unmatched), *audit.dropped]
    assert sorted([*sources, *(prefix + name for name in wrong)]) == sorted(file)
