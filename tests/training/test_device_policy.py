"""The table of devices and the variable that changes it."""

from __future__ import annotations

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.training.device_policy import (
    COMPILE_FROM_STEPS,
    POLICIES,
    VARIABLE,
    DevicePolicy,
    compile_backend,
    policy_for,
)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_cpu_and_unknown_devices_take_the_plain_path() -> None:
    assert policy_for("cpu") == policy_for("mps") == DevicePolicy()
    assert (DevicePolicy().views, DevicePolicy().compile, DevicePolicy().steps_per_look) == ("host", "off", 1)
    assert policy_for("cuda") == POLICIES["cuda"]
    assert POLICIES["cuda"].tf32 == "off"


def test_the_variable_changes_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " views = host, steps_per_look=7,resident_share=0.5 ")
    expected = {**POLICIES["cuda"].model_dump(), "views": "host", "steps_per_look": 7, "resident_share": 0.5}
    assert policy_for("cuda").model_dump() == expected
    monkeypatch.setenv(VARIABLE, "")
    assert policy_for("cuda") == POLICIES["cuda"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("views", "expected entries like 'views=host,compile=off'"),
        ("views=host,views=device", "each once"),
        ("=host", "Known names: views"),
        ("view=host", "Did you mean 'views'"),
        ("views=gpu", "views: expected 'host' or 'device', got 'gpu'"),
        ("steps_per_look=0", "steps_per_look: expected greater than or equal to 1"),
        ("resident_share=nan", "resident_share"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=message) as caught:
        policy_for("cpu")
    assert VARIABLE in str(caught.value)


def test_the_table_compiles_long_trainings_of_its_kinds_only() -> None:
    cuda = POLICIES["cuda"]
    least = COMPILE_FROM_STEPS["cuda", "dense"]
    assert compile_backend(cuda, "cuda", "dense", least) == "inductor"
    assert compile_backend(cuda, "cuda", "dense", least - 1) is None
    assert compile_backend(cuda, "cuda", "depthwise", 10**9) is None
    assert compile_backend(DevicePolicy(compile="table"), "cpu", "dense", 10**9) is None
    assert compile_backend(DevicePolicy(), "cuda", "dense", 10**9) is None
    assert compile_backend(DevicePolicy(compile="eager"), "cpu", "transformer", 1) == "eager"
