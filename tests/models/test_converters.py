"""Foreign files become exactly the tensors they hold, in a process that can do nothing else."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from medtransfer.core.errors import NotRegisteredError, UnsafeCheckpointError, UsageError, WeightsError
from medtransfer.models.checkpoint import read_checkpoint
from medtransfer.models.converters import converters
from medtransfer.models.converters.byol import NORM_ENTRIES, STATE_FIELDS, haiku_module
from medtransfer.models.converters.convert import convert_checkpoint
from medtransfer.models.converters.crc32c import crc32c, masked, unmasked
from medtransfer.models.converters.isolation import Limits
from medtransfer.models.converters.resnet50_layers import resnet50_layers
from medtransfer.models.converters.simclr_tf import layer_names
from medtransfer.models.converters.source_files import source_files
from medtransfer.models.source_model import Architecture, Pretraining, SourceModel, WeightsFile
from medtransfer.models.weights_files import converted_file_name, locate_weights, weights_hash

HWIO = (2, 3, 1, 0)


def model_of(converter: str | None, file: str = "w.pkl", **rules: Any) -> SourceModel:
    return SourceModel(
        name="resnet50.test",
        architecture=Architecture("resnet50", "torchvision", "resnet50"),
        weights=WeightsFile(file=file, converter=converter, **rules),
        pretraining=Pretraining(),
    )


@pytest.fixture(scope="module")
def resnet50() -> dict[str, Tensor]:
    """Every tensor of an encoder, of its own random numbers; few differ from others by chance only."""
    network = torchvision.models.resnet50(num_classes=1)
    draws = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(tensor.shape, generator=draws)
        for name, tensor in network.state_dict().items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }


def assert_same(path: Path, expected: Mapping[str, Tensor], container: str | None = None) -> None:
    found = read_checkpoint(path, container)
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def test_looking_up_a_converter_imports_no_arrays() -> None:
    code = (
        "import sys; from medtransfer.models.converters import converters; "
        "assert converters.names() == ['byol', 'pickled-module', 'simclr-tf'], converters.names(); "
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_converter_and_models_without_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"")
    with pytest.raises(NotRegisteredError, match=r"converter 'byo' .*'byol'"):
        convert_checkpoint(model_of("byo"), tmp_path / "w", tmp_path / "out")
    with pytest.raises(UsageError, match="weights in a file"):
        convert_checkpoint(replace(model_of("byol"), weights=None), tmp_path / "w", tmp_path / "out")
    with pytest.raises(WeightsError, match="got none there"):
        convert_checkpoint(model_of("byol"), tmp_path / "absent", tmp_path / "out")


# Whole networks and files with settings


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    inner = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU()
    )
    return torch.nn.Sequential(OrderedDict(backbone=inner, fc=torch.nn.Linear(4, 2)))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("archive", [True, False])
def test_whole_network_becomes_its_state(tmp_path: Path, archive: bool) -> None:
    network = small_network()
    torch.save(network, tmp_path / "w.pt", _use_new_zipfile_serialization=archive)
    with pytest.raises(UnsafeCheckpointError, match="medtransfer models convert"):
        read_checkpoint(tmp_path / "w.pt")
    target = tmp_path / "w.safetensors"
    report = convert_checkpoint(model_of("pickled-module"), tmp_path / "w.pt", target)
    assert_same(target, network.state_dict())
    assert report.tensors == len(network.state_dict())
    assert report.values == sum(tensor.numel() for tensor in network.state_dict().values())
    assert "torch.nn.modules.conv.Conv2d" in report.asked
    assert {"memory", "time"} < set(report.isolation)
    assert report.left_out == ()
    json.dumps(report.__dict__)


def test_settings_beside_tensors_are_left_out_and_the_container_counts_as_opened(tmp_path: Path) -> None:
    state = {
        "half": torch.rand(3, 4).half(),
        "brain": torch.rand(5).bfloat16(),
        "counter": torch.tensor(7),
        "flags": torch.tensor([True, False]),
        "turned": torch.rand(4, 6).t(),
        "part": torch.rand(10)[3:7],
    }
    content = {"model": state, "args": argparse.Namespace(lr=0.1, where=Path("/x")), "epoch": 3}
    torch.save(content, tmp_path / "w.pth")
    model = model_of(None, container="model")
    report = convert_checkpoint(model, tmp_path / "w.pth", tmp_path / "w.safetensors")
    assert set(report.left_out) == {"args", "epoch"}
    assert_same(tmp_path / "w.safetensors", state, "model")
    with pytest.raises(WeightsError, match="the key 'ema'"):
        read_checkpoint(tmp_path / "w.safetensors", "ema")
    model = model_of(None, containers=("ema", "model"))
    convert_checkpoint(model, tmp_path / "w.pth", tmp_path / "v.safetensors")
    assert sorted(read_checkpoint(tmp_path / "v.safetensors", None, ("ema", "model"))) == sorted(state)
    with pytest.raises(WeightsError, match=r"expected the key 'net', got 3 entries: 'model'"):
        convert_checkpoint(model_of(None, container="net"), tmp_path / "w.pth", tmp_path / "x")


def test_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    torch.save(small_network().state_dict(), tmp_path / "w.pth")
    reports = [
        convert_checkpoint(model_of("pickled-module"), tmp_path / "w.pth", tmp_path / name) for name in "ab"
    ]
    assert reports[0].sha256 == reports[1].sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "w.pth"]


def test_numbers_that_are_not_finite_do_not_get_through(tmp_path: Path) -> None:
    torch.save({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"refused .*NaN or infinity in 'w'"):
        convert_checkpoint(model_of(None), tmp_path / "w.pth", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, "text"])
def test_files_without_tensors_are_named(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="expected tensors by name"):
        convert_checkpoint(model_of(None), tmp_path / "w.pth", tmp_path / "out")


@pytest.mark.parametrize("archive", [True, False])
def test_truncated_files_are_refused(tmp_path: Path, archive: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.rand(3)}, buffer, _use_new_zipfile_serialization=archive)
    whole = buffer.getvalue()
    for length in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 5):
        (tmp_path / "w").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"Nothing was written|Get it again"):
            convert_checkpoint(model_of(None), tmp_path / "w", tmp_path / "out")


def test_file_of_another_digest_is_not_converted(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"other")
    with pytest.raises(WeightsError, match="expected weights with SHA-256"):
        convert_checkpoint(model_of("byol", sha256="0" * 64), tmp_path / "w.pkl", tmp_path / "out")


# What the isolated process is held to


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\x80\x04\x96" + (3 << 30).to_bytes(8, "little") + b"x")
    with pytest.raises(WeightsError, match=r"more memory|damaged"):
        convert_checkpoint(model_of(None), tmp_path / "w", tmp_path / "out")
    grows = b"\x80\x02" + b"]q\x00" + b"(h\x00h\x00e2" * 3 + b"."
    (tmp_path / "w").write_bytes(grows)
    with pytest.raises(WeightsError):
        convert_checkpoint(model_of(None), tmp_path / "w", tmp_path / "out")


def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pairs = b"NN\x86q\x020]q\x01(" + b"h\x02" * 100_000 + b"e0"
    copies = b"ccollections\nOrderedDict\nq\x000" + b"h\x00h\x01\x85R0" * 100_000
    (tmp_path / "w").write_bytes(b"\x80\x02" + pairs + copies + b"N.")
    limits = Limits(memory_bytes=2 << 30, cpu_s=1, wall_s=60)
    with pytest.raises(WeightsError, match=r"within the limits .*by signal"):
        convert_checkpoint(model_of(None), tmp_path / "w", tmp_path / "out", limits=limits)
    limits = Limits(memory_bytes=2 << 30, cpu_s=60, wall_s=1)
    with pytest.raises(WeightsError, match="more than 1 s"):
        convert_checkpoint(model_of(None), tmp_path / "w", tmp_path / "out", limits=limits)
    assert not (tmp_path / "out").exists()


HELD = """
import sys
from medtransfer.models.converters.isolation import Limits, leave_network, limit_resources, refuse_everything_else
left = leave_network()
limit_resources(Limits(memory_bytes=1 << 30))
import socket, subprocess, os
if left:
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
    except OSError:
        pass
    else:
        sys.exit("reached a server")
refuse_everything_else()
for what in (
    lambda: open(sys.argv[2], "w"), lambda: open(sys.argv[0]), lambda: socket.socket(), lambda: os.system("true"),
    lambda: subprocess.run(["true"]), lambda: os.remove(sys.argv[2]), lambda: os.fork(), lambda: eval("1"),
    lambda: __import__("wave"), lambda: os.listdir("/"), lambda: bytearray(2 << 30),
):
    try:
        what()
    except (RuntimeError, MemoryError):
        continue
    sys.exit("was allowed")
print("held", left)
"""


def test_isolated_process_reaches_nothing(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", HELD, str(server.getsockname()[1]), str(tmp_path / "trace")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("held"), ended.stderr
    assert list(tmp_path.iterdir()) == []


# BYOL


def fake_modules(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name, ModuleType(name)))


def fake_class(monkeypatch: pytest.MonkeyPatch, module: str, name: str, **members: Any) -> type:
    """Make a class that pickle writes under a module's name; the tests never read it back."""
    fake_modules(monkeypatch, module)
    made = type(name, (), {"__module__": module, **members})
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


def fake_function(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> Callable[..., Any]:
    def function(*_: Any) -> None:
        raise AssertionError("the file was read by pickle itself")

    function.__module__, function.__qualname__ = module, name
    fake_modules(monkeypatch, module)
    monkeypatch.setattr(sys.modules[module], name, function, raising=False)
    return function


def haiku_trees(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters and running state as Haiku keeps them, the first layer last."""
    params: dict[str, Any] = {}
    running: dict[str, Any] = {}
    for layer in resnet50_layers():
        kernel = state[f"{layer.kernel}.weight"].permute(*HWIO).contiguous().numpy()
        params[f"res_net50/~/{haiku_module(layer.kernel)}"] = {"w": kernel}
        for name, (end, entry) in NORM_ENTRIES.items():
            values = state[f"{layer.norm}.{name}"].numpy().reshape(1, 1, 1, -1)
            tree = running if end else params
            tree.setdefault(f"res_net50/~/{haiku_module(layer.norm)}{end}", {})[entry] = values
    first = {name: params.pop(name) for name in list(params) if "initial" in name}
    projector = {"projector/~/linear": {"w": np.ones((4, 4), np.float32)}}
    return {**params, **first, **projector}, running


class AsDill(pickle.Pickler):
    """Writes arrays and tuples with names as dill does, the latter with a call that makes their type."""

    create: Callable[..., Any]
    array: Callable[..., Any]

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type) and hasattr(value, "_fields"):
            return self.create, (value.__name__, value._fields, "byol.byol_experiment")
        if isinstance(value, np.ndarray):
            return self.array, (*value.__reduce__(), None)
        return NotImplemented


ExperimentState = namedtuple("_ByolExperimentState", STATE_FIELDS)  # type: ignore[misc]  # noqa: PYI024


def byol_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, params: Any, running: Any, protocol: int = 4
) -> None:
    mapping = fake_class(
        monkeypatch,
        "haiku._src.data_structures",
        "FlatMapping",
        __init__=lambda self, entries: setattr(self, "entries", entries),
        __reduce__=lambda self: (type(self), (self.entries,)),
    )
    wrapped = [mapping({name: mapping(inner) for name, inner in tree.items()}) for tree in (params, running)]
    state = ExperimentState(wrapped[0], {"other": np.zeros(1)}, wrapped[1], {}, (1, None))
    rebuild = fake_function(monkeypatch, "dill._dill", "_create_array")
    AsDill.array = staticmethod(rebuild)
    AsDill.create = staticmethod(fake_function(monkeypatch, "dill._dill", "_create_namedtuple"))
    with path.open("wb") as stream:
        content = {"experiment_state": state, "step": 300_000, "rng": np.zeros(2, np.uint32)}
        AsDill(stream, protocol).dump(content)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_byol_experiment_becomes_torchvision_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet50: dict[str, Tensor], protocol: int
) -> None:
    byol_file(tmp_path / "w.pkl", monkeypatch, *haiku_trees(resnet50), protocol)
    report = convert_checkpoint(model_of("byol"), tmp_path / "w.pkl", tmp_path / "w.safetensors")
    assert_same(tmp_path / "w.safetensors", resnet50)
    assert report.left_out == ("projector/~/linear",)
    assert "dill._dill._create_namedtuple" in report.asked


def test_byol_arrays_of_devices_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet50: dict[str, Tensor]
) -> None:
    rebuild = fake_function(monkeypatch, "jax._src.device_array", "reconstruct_device_array")

    class OnDevice:
        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def __reduce__(self) -> Any:
            function, arguments, state = self.values.__reduce__()  # type: ignore[misc]
            return rebuild, (function, arguments, state, {"weak_type": False})

    params, running = haiku_trees(resnet50)
    on_device = {m: {e: OnDevice(v) for e, v in entries.items()} for m, entries in params.items()}
    byol_file(tmp_path / "w.pkl", monkeypatch, on_device, running)
    convert_checkpoint(model_of("byol"), tmp_path / "w.pkl", tmp_path / "w.safetensors")
    assert_same(tmp_path / "w.safetensors", resnet50)


def test_other_byol_networks_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet50: dict[str, Tensor]
) -> None:
    def refused(change: Callable[[dict[str, Any]], Any], message: str) -> None:
        params, running = haiku_trees(resnet50)
        change(params)
        byol_file(tmp_path / "w.pkl", monkeypatch, params, running)
        with pytest.raises(WeightsError, match=message):
            convert_checkpoint(model_of("byol"), tmp_path / "w.pkl", tmp_path / "out")

    place = "res_net50/~/block_group_2/~/block_5/~/conv_1"
    refused(lambda params: params.pop(place), rf"the array 'w' of '{place}' of a ResNet-50, got none")
    wider = {"w": np.ones((1, 1, 64, 512), np.float32)}
    shortcut = "res_net50/~/block_group_0/~/block_0/~/shortcut_conv"
    refused(
        lambda params: params.update({shortcut: wider}),
        r"expected \(1, 1, 64, 256\) .* got \(1, 1, 64, 512\)",
    )
    deeper = "res_net50/~/block_group_2/~/block_6/~/conv_0"
    refused(lambda params: params.update({deeper: wider}), "further ones such as .*block_6")
    refused(lambda params: params.pop("res_net50/~/initial_conv"), "one first layer")
    with (tmp_path / "w.pkl").open("wb") as stream:
        pickle.dump({"step": 3}, stream)
    with pytest.raises(WeightsError, match="'experiment_state'"):
        convert_checkpoint(model_of("byol"), tmp_path / "w.pkl", tmp_path / "out")


# TensorFlow

TYPE_NUMBERS = {"float32": 1, "int64": 9}


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def stored_checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked(crc32c(content)))


class IndexWriter:
    """Writes the sorted table of a tensor bundle, a few names per block."""

    def __init__(self, per_block: int) -> None:
        self.out = bytearray()
        self.per_block = per_block

    def block(self, entries: list[tuple[bytes, bytes]]) -> bytes:
        """Append a block and return where it lies."""
        body, restarts, last = bytearray(), [], b""
        for place, (key, value) in enumerate(entries):
            shared = 0
            if place % 3 == 0:
                restarts.append(len(body))
            else:
                while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                    shared += 1
            body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            last = key
        body += struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))
        handle = varint(len(self.out)) + varint(len(body))
        self.out += body + b"\x00" + stored_checksum(bytes(body) + b"\x00")
        return handle

    def table(self, entries: list[tuple[bytes, bytes]]) -> bytes:
        parts = [entries[i : i + self.per_block] for i in range(0, len(entries), self.per_block)]
        index = [(part[-1][0], self.block(part)) for part in parts]
        meta, root = self.block([]), self.block(index)
        footer = (meta + root).ljust(40, b"\x00") + struct.pack("<Q", 0xDB4775248B80FB57)
        return bytes(self.out) + footer


def write_bundle(start: Path, tensors: Mapping[str, np.ndarray], shards: int = 1, per_block: int = 7) -> None:
    data = [bytearray() for _ in range(shards)]
    entries = [(b"", number(1, shards) + chunk(3, number(1, 1)))]
    for place, name in enumerate(sorted(tensors)):
        values = tensors[name]
        content = values.tobytes()
        dims = b"".join(chunk(2, number(1, size)) for size in values.shape)
        entry = number(1, TYPE_NUMBERS[str(values.dtype)]) + chunk(2, dims)
        shard = place % shards
        entry += number(3, shard) + number(4, len(data[shard])) + number(5, len(content))
        entry += varint(6 << 3 | 5) + stored_checksum(content)
        data[shard] += content
        entries.append((name.encode(), entry))
    for place, content in enumerate(data):
        start.with_name(f"{start.name}.data-{place:05}-of-{shards:05}").write_bytes(content)
    start.with_name(f"{start.name}.index").write_bytes(IndexWriter(per_block).table(entries))


def simclr_tensors(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {"global_step": np.array(5, np.int64)}
    for place, layer in enumerate(resnet50_layers()):
        names = layer_names(place)
        kernel = state[f"{layer.kernel}.weight"].permute(*HWIO).contiguous().numpy()
        tensors[names.pop("kernel")] = kernel
        tensors |= {name: state[f"{layer.norm}.{part}"].numpy() for part, name in names.items()}
    tensors["base_model/conv2d/kernel/Momentum"] = np.ones((7, 7, 3, 64), np.float32)
    return tensors | {"head_contrastive/nl_0/dense/kernel": np.ones((4, 4), np.float32)}


def test_simclr_checkpoint_becomes_torchvision_weights(tmp_path: Path, resnet50: dict[str, Tensor]) -> None:
    write_bundle(tmp_path / "model.ckpt-1", simclr_tensors(resnet50), shards=3)
    target = tmp_path / "out" / "w.safetensors"
    report = convert_checkpoint(model_of("simclr-tf"), tmp_path, target)
    assert set(report.left_out) == {
        "global_step",
        "base_model/conv2d/kernel/Momentum",
        "head_contrastive/nl_0/dense/kernel",
    }
    assert_same(target, resnet50)


def test_tensorflow_checkpoint_is_named_by_folder_index_or_common_start(tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "model.ckpt-1", {"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)}, shards=2
    )
    for source in (tmp_path, tmp_path / "model.ckpt-1", tmp_path / "model.ckpt-1.index"):
        names = [path.name.removeprefix("model.ckpt-1") for path in source_files(source, bundle=True)]
        assert names == [".index", ".data-00000-of-00002", ".data-00001-of-00002"]
    write_bundle(tmp_path / "model.ckpt-2", {"a": np.ones(2, np.float32)})
    with pytest.raises(WeightsError, match=r"got 2\. Name the index"):
        source_files(tmp_path, bundle=True)


def test_damaged_and_other_tensorflow_checkpoints_are_named(
    tmp_path: Path, resnet50: dict[str, Tensor]
) -> None:
    tensors = {name: simclr_tensors(resnet50)[name] for name in layer_names(0).values()}
    start = tmp_path / "m"
    index, data = tmp_path / "m.index", tmp_path / "m.data-00000-of-00001"

    def refused(message: str) -> None:
        with pytest.raises(WeightsError, match=message):
            convert_checkpoint(model_of("simclr-tf"), start, tmp_path / "out")

    write_bundle(start, {**tensors, "base_model/conv2d_53/kernel": np.ones((1, 1), np.float32)})
    refused(r"53 convolutions of a ResNet-50, got also 'base_model/conv2d_53/kernel'")
    write_bundle(start, {**tensors, "base_model/conv2d/kernel": np.ones((3, 3, 3, 32), np.float32)})
    refused(r"expected \(7, 7, 3, 64\) for 'conv1'")
    write_bundle(start, tensors)
    refused("expected the numbers of 'base_model/conv2d_1/kernel'")
    whole = data.read_bytes()
    data.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    refused("a damaged data file")
    data.write_bytes(whole[: len(whole) // 2])
    refused("a damaged data file")
    data.unlink()
    refused("got 0 data files")
    data.write_bytes(whole)
    listed = index.read_bytes()
    index.write_bytes(listed[:100] + bytes([listed[100] ^ 1]) + listed[101:])
    refused("a damaged index")
    index.write_bytes(listed[:-1])
    refused("without its footer")
    index.unlink()
    refused(r"expected the \.index file of one TensorFlow checkpoint, got 0")


def test_random_damage_to_an_index_ends_in_weights_errors_only(tmp_path: Path) -> None:
    from medtransfer.models.converters.tf_bundle import read_index

    write_bundle(tmp_path / "m", {f"a/{i}": np.ones(2, np.float32) for i in range(20)})
    whole = (tmp_path / "m.index").read_bytes()
    draws = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[int(draws.integers(len(whole)))] ^= int(draws.integers(1, 256))
        try:
            read_index(bytes(damaged))
        except (ValueError, TypeError):
            continue


def test_checksum_agrees_with_its_definition_at_every_length() -> None:
    def slow(content: bytes) -> int:
        state = 0xFFFFFFFF
        for value in content:
            state ^= value
            for _ in range(8):
                state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
        return state ^ 0xFFFFFFFF

    content = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    for length in (0, 1, 9, 4095, 4096, 4097, 8192, 20_000):
        assert crc32c(content[:length]) == slow(content[:length]), length
    assert unmasked(masked(0x12345678)) == 0x12345678


# Where the result is found


def test_converted_file_takes_the_place_of_the_original(tmp_path: Path) -> None:
    torch.save(small_network().state_dict(), tmp_path / "w.pth")
    model = model_of("pickled-module", "w.pth")
    assert model.weights is not None
    with pytest.raises(WeightsError, match=r"'w.safetensors', got only .*models convert resnet50.test"):
        locate_weights(model, tmp_path)
    target = tmp_path / converted_file_name(model.weights)
    report = convert_checkpoint(model, tmp_path / "w.pth", target)
    assert locate_weights(model, tmp_path) == target
    assert weights_hash(model, tmp_path) == report.sha256
    declared = model_of("pickled-module", "w.pth", sha256=report.source_sha256)
    assert locate_weights(declared, tmp_path) == target
    (tmp_path / "w.pth").unlink()
    assert locate_weights(declared, tmp_path) == target
    with pytest.raises(WeightsError, match="no such file"):
        locate_weights(model_of("pickled-module", "w.pth", sha256="0" * 64), tmp_path)


def test_converted_file_of_another_original_is_not_used(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "w.pth")
    convert_checkpoint(model_of(None, "w.pth"), tmp_path / "w.pth", tmp_path / "w.safetensors")
    assert locate_weights(model_of(None, "w.pth"), tmp_path).name == "w.safetensors"
    torch.save({"w": torch.zeros(3)}, tmp_path / "w.pth")
    assert locate_weights(model_of(None, "w.pth"), tmp_path).name == "w.pth"


@pytest.mark.parametrize("name", ["byol", "simclr-tf", "pickled-module"])
def test_every_converter_can_be_imported(name: str) -> None:
    module, _, function = converters.get(name).function.partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))
