"""Checkpoints that would run code: each is refused, and its code does not run.

The attacks are written opcode by opcode and never unpickled by the tests themselves.
"""

from __future__ import annotations

import ast
import io
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import medtransfer
from medtransfer.core.errors import UnsafeCheckpointError, WeightsError
from medtransfer.models.check import check_model
from medtransfer.models.checkpoint import read_checkpoint
from medtransfer.models.converters import converters
from medtransfer.models.converters.array_unpickler import RefusedName
from medtransfer.models.converters.convert import convert_checkpoint
from medtransfer.models.converters.torch_file import read_pickle
from medtransfer.models.source_model import Architecture, Pretraining, SourceModel, WeightsFile

TAIL = b"."


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def calls(module: str, name: str, argument: str) -> bytes:
    """Return opcodes of ``module.name(argument)``."""
    return b"c" + f"{module}\n{name}\n".encode() + text(argument) + b"\x85R"


def shell(canary: Path) -> str:
    return f"touch {canary}"


def python(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


ATTACKS: dict[str, Callable[[Path], bytes]] = {
    "system": lambda c: b"\x80\x02" + calls("posix", "system", shell(c)) + TAIL,
    "os system": lambda c: b"\x80\x02" + calls("os", "system", shell(c)) + TAIL,
    "eval": lambda c: b"\x80\x02" + calls("builtins", "eval", python(c)) + TAIL,
    "exec of python 2": lambda c: b"\x80\x02" + calls("__builtin__", "exec", python(c)) + TAIL,
    "subprocess": lambda c: b"\x80\x02" + calls("subprocess", "getoutput", shell(c)) + TAIL,
    "torch's own shell": lambda c: b"\x80\x02" + calls("torch.utils.collect_env", "run", shell(c)) + TAIL,
    "numpy's exec": lambda c: (
        b"\x80\x02" + calls("numpy.testing._private.utils", "runstring", python(c)) + TAIL
    ),
    "import": lambda c: (
        b"\x80\x02cimportlib\nimport_module\n" + text("os") + b"\x85Rcbuiltins\ngetattr\n" + TAIL
    ),
    "protocol 4": lambda c: b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text(shell(c)) + b"\x85R" + TAIL,
    "instance opcode": lambda c: b"\x80\x02(" + text(shell(c)) + b"iposix\nsystem\n" + TAIL,
    "object opcode": lambda c: b"\x80\x02(cposix\nsystem\n" + text(shell(c)) + b"o" + TAIL,
    "through the memo": lambda c: b"\x80\x02cposix\nsystem\nq\x000h\x00" + text(shell(c)) + b"\x85R" + TAIL,
    "build": lambda c: (
        b"\x80\x02ctorch\nTensor\n}(" + text("__setstate__") + calls("os", "system", shell(c)) + b"ub" + TAIL
    ),
    "nested load": lambda c: b"\x80\x02" + calls("pickle", "loads", python(c)) + TAIL,
    "nested torch load": lambda c: b"\x80\x02" + calls("torch.serialization", "load", str(c)) + TAIL,
    "before a broken tail": lambda c: b"\x80\x02" + calls("posix", "system", shell(c)) + b"\xff\xfe garbage",
    "numpy's own builtins": lambda c: (
        b"\x80\x02cnumpy\n__builtins__\n}" + text("x") + calls("builtins", "eval", python(c)) + b"sb" + TAIL
    ),
    "module runner": lambda c: b"\x80\x02" + calls("runpy", "run_path", str(c)) + TAIL,
    "code runner": lambda c: b"\x80\x02" + calls("runpy", "_run_code", python(c)) + TAIL,
    "terminal": lambda c: b"\x80\x02" + calls("pty", "spawn", shell(c)) + TAIL,
    "browser": lambda c: b"\x80\x02" + calls("webbrowser", "open", f"file://{c}") + TAIL,
    "shared library": lambda c: b"\x80\x02" + calls("ctypes", "CDLL", str(c)) + TAIL,
    "profiler": lambda c: b"\x80\x02" + calls("cProfile", "run", python(c)) + TAIL,
    "timer": lambda c: b"\x80\x02" + calls("timeit", "timeit", python(c)) + TAIL,
    "debugger": lambda c: b"\x80\x02" + calls("bdb", "Bdb.run", python(c)) + TAIL,
    "pager": lambda c: b"\x80\x02" + calls("pydoc", "pipepager", shell(c)) + TAIL,
    "installer": lambda c: b"\x80\x02" + calls("pip", "main", str(c)) + TAIL,
    "open for writing": lambda c: b"\x80\x02" + calls("io", "open", str(c)) + TAIL,
    "path method": lambda c: (
        b"\x80\x04\x8c\x07pathlib\x8c\x0aPath.touch\x93" + text(str(c)) + b"\x85R" + TAIL
    ),
    "call through a dotted name": lambda c: (
        b"\x80\x04\x8c\x08builtins\x8c\x0deval.__call__\x93" + text(python(c)) + b"\x85R" + TAIL
    ),
    "attribute getter": lambda c: b"\x80\x02" + calls("operator", "attrgetter", "system") + TAIL,
    "partial": lambda c: b"\x80\x02cfunctools\npartial\ncos\nsystem\n" + text(shell(c)) + b"\x86R)R" + TAIL,
    "function from code": lambda c: b"\x80\x02ctypes\nFunctionType\nctypes\nCodeType\n)R}\x86R)R" + TAIL,
    "dill's function": lambda c: b"\x80\x02" + calls("dill._dill", "_create_function", python(c)) + TAIL,
    "dill's eval": lambda c: b"\x80\x02" + calls("dill._dill", "_eval_repr", python(c)) + TAIL,
    "cloud pickle": lambda c: b"\x80\x02" + calls("cloudpickle.cloudpickle", "subimport", "os") + TAIL,
    "torch storage with a pickle inside": lambda c: (
        b"\x80\x02" + calls("torch.storage", "_load_from_bytes", str(c)) + TAIL
    ),
    "torch's script wrapper": lambda c: (
        b"\x80\x02" + calls("torch.jit.unsupported_tensor_ops", "execWrapper", python(c)) + TAIL
    ),
    "torch's package importer": lambda c: (
        b"\x80\x02" + calls("torch.package.package_importer", "PackageImporter", str(c)) + TAIL
    ),
    "numpy loader": lambda c: b"\x80\x02" + calls("numpy", "load", str(c)) + TAIL,
    "registered extension": lambda c: (
        b"\x80\x02ccopyreg\nadd_extension\n" + text("os") + text("system") + b"K\x01\x87R0\x82\x01" + TAIL
    ),
    "in a persistent reference": lambda c: b"\x80\x02" + calls("posix", "system", shell(c)) + b"Q" + TAIL,
    "inside a state dict": lambda c: (
        b"\x80\x02}" + text("conv1.weight") + calls("posix", "system", shell(c)) + b"s" + TAIL
    ),
}


def weights_model(converter: str) -> SourceModel:
    weights = WeightsFile(file="w.pth", converter=converter)
    return SourceModel("m", Architecture("resnet20", "medtransfer", ""), weights, Pretraining())


def in_archive(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return buffer.getvalue()


def in_legacy_file(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    header = pickle.dumps(torch.serialization.MAGIC_NUMBER, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    return header + payload


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("wrap", [bytes, in_archive, in_legacy_file], ids=["bare", "archive", "legacy"])
def test_code_is_refused_and_does_not_run(
    tmp_path: Path, canary: Path, attack: str, wrap: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(wrap(ATTACKS[attack](canary)))
    with pytest.raises(UnsafeCheckpointError, match="could run code"):
        read_checkpoint(path)
    assert not canary.exists()


@pytest.mark.parametrize("start", [b"", b"(", b"}"])
def test_pickle_of_the_oldest_protocol_is_refused(tmp_path: Path, canary: Path, start: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(start + b"cposix\nsystem\n(S'" + shell(canary).encode() + b"'\ntR.")
    with pytest.raises(UnsafeCheckpointError, match="bare pickle"):
        read_checkpoint(tmp_path / "w.pth")
    assert not canary.exists()


def test_message_names_what_was_asked_for(tmp_path: Path, canary: Path) -> None:
    (tmp_path / "w.pth").write_bytes(in_archive(ATTACKS["torch's own shell"](canary)))
    with pytest.raises(UnsafeCheckpointError, match=r"asks for 'torch.utils.collect_env.run'"):
        read_checkpoint(tmp_path / "w.pth")


def test_harmless_classes_are_refused_too(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "where": Path("x")}, tmp_path / "w.pth")
    with pytest.raises(UnsafeCheckpointError, match="pathlib"):
        read_checkpoint(tmp_path / "w.pth")


def test_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(UnsafeCheckpointError, match=r"torch.nn.modules.linear.Linear"):
        read_checkpoint(tmp_path / "w.pth")


def archive_with(tmp_path: Path, entries: list[tuple[str, bytes]]) -> Path:
    path = tmp_path / "w.pth"
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


EMPTY = b"\x80\x02}."


@pytest.mark.parametrize(
    "entries",
    [
        [("a/data.pkl", EMPTY), ("a/data.pkl", EMPTY)],
        [("a/data.pkl", EMPTY), ("b/data.pkl", EMPTY)],
        [("a/data.pkl", EMPTY), ("a/constants.pkl", EMPTY)],
        [("a/data.pkl", EMPTY), ("a/data/0", b"1"), ("a/data/0", b"2")],
        [("a/model.json", b"{}")],
    ],
)
def test_archives_with_two_faces_are_refused(tmp_path: Path, entries: list[tuple[str, bytes]]) -> None:
    with pytest.raises(UnsafeCheckpointError, match=r"one data\.pkl and unique names"):
        read_checkpoint(archive_with(tmp_path, entries))


def test_encrypted_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = archive_with(tmp_path, [("a/data.pkl", EMPTY)])
    whole = path.read_bytes()
    flagged = bytearray(whole)
    central = whole.index(b"PK\x01\x02")
    flagged[6] |= 1
    flagged[central + 8] |= 1
    path.write_bytes(flagged)
    with pytest.raises(UnsafeCheckpointError, match="open archive"):
        read_checkpoint(path)
    wrong_sum = bytearray(whole)
    wrong_sum[14] ^= 0xFF
    wrong_sum[central + 16] ^= 0xFF
    path.write_bytes(wrong_sum)
    with pytest.raises(WeightsError, match="damaged"):
        read_checkpoint(path)


def test_other_containers_that_can_hold_pickles_are_refused(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "w.pth"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("pickle")
        payload = ATTACKS["system"](canary)
        entry.size = len(payload)
        archive.addfile(entry, io.BytesIO(payload))
    with pytest.raises(WeightsError):
        read_checkpoint(path)
    path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n")
    with pytest.raises(WeightsError):
        read_checkpoint(path)
    assert not canary.exists()


def test_random_damage_ends_in_weights_errors_only(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(6.0), "b": [torch.ones(2)]}, buffer, _use_new_zipfile_serialization=False)
    whole = buffer.getvalue()
    draws = torch.Generator().manual_seed(0)
    path = tmp_path / "w.pth"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in torch.randint(2, len(whole), (3,), generator=draws).tolist():
            damaged[place] ^= int(torch.randint(1, 256, (1,), generator=draws))
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except WeightsError:
            continue


def test_check_reports_unsafe_weights_as_a_problem(tmp_path: Path, canary: Path) -> None:
    (tmp_path / "w.pth").write_bytes(ATTACKS["system"](canary))
    checked = check_model("file:w.pth?arch=resnet20", tmp_path)
    assert [problem.what for problem in checked.problems] == ["unsafe-weights"]
    assert not canary.exists()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("wrap", [bytes, in_archive, in_legacy_file], ids=["bare", "archive", "legacy"])
@pytest.mark.parametrize("converter", ["byol", "pickled-module"])
def test_the_reader_of_conversions_refuses_them_too(
    tmp_path: Path, canary: Path, attack: str, wrap: Callable[[bytes], bytes], converter: str
) -> None:
    """In this very process, where a payload that ran would leave its trace."""
    stream = io.BytesIO(wrap(ATTACKS[attack](canary)))
    with pytest.raises(RefusedName):
        read_pickle(stream, converters.get(converter).admits)
    assert not canary.exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_conversion_leaves_no_trace_and_says_why(tmp_path: Path, canary: Path, attack: str) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "w.pth").write_bytes(ATTACKS[attack](canary))
    with pytest.raises(UnsafeCheckpointError, match=r"asks for '.*nothing was written"):
        convert_checkpoint(weights_model("byol"), folder / "w.pth", folder / "out.safetensors")
    assert not canary.exists()
    assert [path.name for path in folder.iterdir()] == ["w.pth"]


HOSTILE_TO_OURS = {
    "writes onto a function of ours": b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00xNsb",
    "writes onto a storage type": b"ctorch\nFloatStorage\n}X\x04\x00\x00\x00typeNsb",
    "makes a function of ours set slots": b"ccollections\nOrderedDict\nN}X\x09\x00\x00\x00_functionNs\x86b",
    "gives a class of ours a state": b"cbyol.x\nY\n}X\x05\x00\x00\x00askedNsb",
    "array of objects": (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K\x01\x85cnumpy\ndtype\n"
        b"X\x02\x00\x00\x00O8K\x00K\x01\x87R\x89]N\x61tb"
    ),
    "tensor beyond its storage": (
        b"ctorch._utils\n_rebuild_tensor_v2\n(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpuK\x01tQK\x00K\x64\x85K\x01\x85\x89NtR"
    ),
    "tensor over no storage": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00K\x01\x85K\x01\x85\x89NtR",
    "negative shape": (
        b"ctorch._utils\n_rebuild_tensor_v2\n(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpuK\x01tQK\x00J\xff\xff\xff\xff\x85K\x01\x85\x89NtR"
    ),
    "storage key that is no text": b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nNNK\x01tQ",
    "network inside itself": (
        b"ctorch.nn.modules.x\nM\n)\x81q\x00}(X\x08\x00\x00\x00_modules}(X\x01\x00\x00\x00ah\x00"
        b"X\x01\x00\x00\x00bh\x00uub"
    ),
}
"""Pickles that name only what the reader knows, and misuse it."""


@pytest.mark.parametrize("misuse", HOSTILE_TO_OURS)
def test_misuse_of_what_the_reader_knows_is_damage(tmp_path: Path, misuse: str) -> None:
    path = tmp_path / "w.pth"
    payload = b"\x80\x03}X\x01\x00\x00\x00w" + HOSTILE_TO_OURS[misuse] + b"s."
    path.write_bytes(in_archive(payload))
    model = weights_model("byol" if "class of ours" in misuse else "pickled-module")
    with pytest.raises(WeightsError, match=r"damaged or other one .*Nothing was written"):
        convert_checkpoint(model, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_archives_with_two_faces_are_not_converted(tmp_path: Path) -> None:
    path = archive_with(tmp_path, [("a/data.pkl", EMPTY), ("b/data.pkl", EMPTY)])
    with pytest.raises(UnsafeCheckpointError, match=r"one data\.pkl and unique names"):
        convert_checkpoint(weights_model("pickled-module"), path, tmp_path / "out")


FORBIDDEN = {
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "dill.load",
    "dill.loads",
    "eval",
    "exec",
}


def called_name(node: ast.Call) -> str:
    return ast.unparse(node.func)


def safe_loaders(tree: ast.Module) -> set[str]:
    """Return the YAML loaders of a module that add to the safe one."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {
        node.name for node in classes if [ast.unparse(base) for base in node.bases] == ["yaml.SafeLoader"]
    }


def test_no_source_file_reads_foreign_bytes_unsafely() -> None:
    found = []
    for path in sorted(Path(medtransfer.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            name = called_name(node)
            unsafe = (
                name in FORBIDDEN
                or name.endswith(".extractall")
                or (name == "torch.load" and options.get("weights_only") != "True")
                or (name in {"np.load", "numpy.load"} and options.get("allow_pickle") != "False")
                or (name == "yaml.load" and options.get("Loader") not in safe_loaders(tree))
                or options.get("allow_pickle") == "True"
                or options.get("shell") == "True"
            )
            if unsafe:
                found.append(f"{path.name}:{node.lineno}: {name}")
    assert found == []
