"""The ground floor: registries, seeds, fingerprints, whole writes, errors, problems, provenance."""

from __future__ import annotations

import errno
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medtransfer.core import errors
from medtransfer.core.atomic import atomic_writer, write_atomically
from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import NotRegisteredError, TrialError, UsageError
from medtransfer.core.fingerprints import canonical_json, fingerprint, hash_array, hash_file, hash_json
from medtransfer.core.locations import cache_folder, data_folder, weights_folder
from medtransfer.core.problems import Problem, describe_problems
from medtransfer.core.provenance import code_revision, command_line, hardware, package_versions
from medtransfer.core.registry import Registry
from medtransfer.core.seeds import generator, seed_from


class TestRegistry:
    @pytest.fixture
    def fruit(self) -> Registry[int]:
        registry: Registry[int] = Registry("fruit", "fruit list")
        registry.add("pear", 2)
        registry.add("apple", 1)
        return registry

    def test_it_is_sorted_and_iterates_its_entries(self, fruit: Registry[int]) -> None:
        assert fruit.names() == ["apple", "pear"]
        assert list(fruit) == [1, 2]
        assert (len(fruit), "pear" in fruit, "plum" in fruit) == (2, True, False)

    def test_an_unknown_name_gets_near_ones_and_a_place_to_look(self, fruit: Registry[int]) -> None:
        with pytest.raises(NotRegisteredError) as refused:
            fruit.get("appel")
        assert (
            str(refused.value) == "fruit 'appel' is not registered. Did you mean 'apple'? See 'fruit list'."
        )
        assert isinstance(refused.value, LookupError)
        with pytest.raises(NotRegisteredError, match=r"not registered\. See"):
            fruit.get("xyzzy")

    def test_a_name_is_taken_once(self, fruit: Registry[int]) -> None:
        with pytest.raises(UsageError, match="'pear'"):
            fruit.add("pear", 3)
        assert fruit.get("pear") == 2


class TestSeeds:
    def test_they_stay_what_they_are(self) -> None:
        """A change here would change every published number."""
        assert seed_from("subset", "breastmnist", 0) == 7817579370471589531
        assert generator("a", 1).integers(0, 1000, 3).tolist() == [939, 947, 781]

    def test_parts_and_their_types_are_told_apart(self) -> None:
        parts = [("a", "bc"), ("ab", "c"), ("abc",), ("a", 1), ("a", "1"), ("a", 1.0), (1, "a")]
        seeds = [seed_from(*part) for part in parts]
        assert len(set(seeds)) == len(parts)
        assert all(0 <= seed < 2**63 for seed in seeds)


class TestFingerprints:
    def test_equal_values_have_one_text(self) -> None:
        assert canonical_json({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'
        assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
        assert fingerprint({"a": 1}) != fingerprint({"a": 2}) != fingerprint({"a": "2"})

    def test_what_is_no_number_is_refused(self) -> None:
        with pytest.raises(ValueError, match="JSON"):
            hash_json({"a": math.nan})

    def test_files_and_arrays(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"abc")
        assert hash_file(tmp_path / "file").startswith("ba7816bf8f01cfea")
        array = np.arange(6, dtype=np.int32)
        assert hash_array(array) == hash_array(array[::1].copy())
        assert len({hash_array(a) for a in (array, array.reshape(2, 3), array.astype(np.int64))}) == 3
        assert hash_array(array.reshape(2, 3).T) == hash_array(np.ascontiguousarray(array.reshape(2, 3).T))


class TestAtomicWrites:
    def test_the_new_file_is_whole_or_the_old_one_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "file.txt"
        write_atomically(path, "old")
        with pytest.raises(RuntimeError, match="half way"), atomic_writer(path) as stream:  # noqa: PT012
            stream.write(b"new")
            raise RuntimeError("half way")
        assert path.read_text() == "old"
        write_atomically(path, b"new")
        assert path.read_text() == "new"
        assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]

    def test_a_full_disk_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomically(path, "old")
        program = (
            "import resource, signal, sys; from pathlib import Path\n"
            "from medtransfer.core.atomic import write_atomically\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "try:\n    write_atomically(Path(sys.argv[1]), b'x' * 5000)\n"
            "except OSError as error:\n    print(error.errno)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        assert done.stdout == "27\n"
        assert path.read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_kill_in_the_middle_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomically(path, "old")
        program = (
            "import sys, time; from pathlib import Path\n"
            "from medtransfer.core.atomic import atomic_writer\n"
            "with atomic_writer(Path(sys.argv[1])) as stream:\n"
            "    stream.write(b'new'); stream.flush(); print('in', flush=True); time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
        assert path.read_text() == "old"


class TestErrors:
    def test_each_kind_ends_a_command_with_its_code(self) -> None:
        codes = {
            kind.__name__: kind.exit_code
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, errors.MedtransferError)
        }
        assert codes == {
            "MedtransferError": 1,
            "UsageError": 2,
            "NotRegisteredError": 2,
            "DataError": 3,
            "BadImageError": 3,
            "WeightsError": 3,
            "UnsafeCheckpointError": 3,
            "ShapeError": 1,
            "StoreError": 1,
            "LeaseLostError": 1,
            "TrialError": 1,
        }

    def test_a_failed_trial_travels_between_processes(self) -> None:
        again = pickle.loads(pickle.dumps(TrialError("non_finite_loss", "step 3")))
        assert (again.reason, str(again)) == ("non_finite_loss", "step 3")


class TestProblems:
    def test_one_sentence_names_everything(self) -> None:
        problem = Problem("mask-size", "train split", "masks of their image's size", "a.png", "Match them.")
        sentence = "mask-size: train split: expected masks of their image's size, got a.png. Match them."
        assert problem.sentence() == sentence
        assert describe_problems([problem, problem]) == f"  - {sentence}\n  - {sentence}"
        assert set(problem.as_json()) == {"what", "where", "expected", "found", "next_step"}


class Columns(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    image: str


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    epochs: int = Field(ge=1)
    columns: Columns | None = None


def test_faults_of_a_declaration_name_place_expectation_and_advice() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"epochs": 0, "epoch": 3, "columns": {"imag": "a"}})
    keys = lambda place: Columns.model_fields if place else Settings.model_fields  # noqa: E731
    assert sorted(declaration_faults(refused.value, keys)) == [
        "columns.imag: expected a known key. Did you mean 'image'?",
        "columns.image: expected a value, got none.",
        "epoch: expected a known key. Did you mean 'epochs'?",
        "epochs: expected greater than or equal to 1, got 0.",
    ]


def test_places_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"MEDTRANSFER_{name}", f"/places/{name}")
    assert (data_folder(), weights_folder(), cache_folder()) == (
        Path("/places/DATA"),
        Path("/places/WEIGHTS"),
        Path("/places/CACHE"),
    )
    for name in ("DATA", "WEIGHTS", "CACHE"):
        monkeypatch.delenv(f"MEDTRANSFER_{name}")
    assert (data_folder(), weights_folder()) == (None, None)
    assert cache_folder().name == "medtransfer"


def test_provenance_names_versions_and_hardware_but_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = package_versions()
    assert {"python", "torch", "numpy", "medtransfer"} <= set(versions)
    assert set(hardware()) == {"processor", "cores", "system"}
    assert os.uname().nodename not in str(hardware())
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/medtransfer", "run", "a.yaml"])
    assert command_line() == "medtransfer run a.yaml"
    assert code_revision()
    started = time.monotonic()
    code_revision()
    assert time.monotonic() - started < 0.1


def test_a_full_disk_names_the_file_that_was_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as refused, atomic_writer(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert refused.value.filename == str(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No space") as refused, atomic_writer(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, "No space left on device", "other.html")
    assert refused.value.filename == "other.html"
