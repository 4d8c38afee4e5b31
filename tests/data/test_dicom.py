"""DICOM files: values against pydicom, display by hand, order by position, refusal of everything damaged."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medtransfer.core.errors import BadImageError
from medtransfer.data.dicom_headers import read_dicom_header
from medtransfer.data.dicom_pixels import read_dicom_frame
from medtransfer.data.dicom_series import dicom_files, directory_files, find_series, sorted_dicom_files
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS, VolumeRange, Window
from medtransfer.data.locators import channels_locator, slice_locator
from medtransfer.tasks.sample_files import write_dicom

CT = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTRANSFER_CACHE", str(tmp_path / "cache"))


def drawn(seed: int = 0, bits: int = 12, size: tuple[int, ...] = (20, 24)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << bits, size).astype(np.uint16)


def written(tmp_path: Path, tags: Mapping[str, Any], stored: np.ndarray | None = None) -> Path:
    path = tmp_path / "data" / "a.dcm"
    write_dicom(path, drawn() if stored is None else stored, {"BitsStored": 12, "HighBit": 11, **tags})
    return path


class TestValues:
    @pytest.mark.parametrize(
        "tags",
        [
            CT,
            {"RescaleSlope": 2.5, "RescaleIntercept": -3.25},
            {"RescaleSlope": 1, "RescaleIntercept": 0},
            {},
        ],
    )
    def test_rescale_is_pydicoms(self, tmp_path: Path, tags: Mapping[str, Any]) -> None:
        path = written(tmp_path, tags)
        dataset = pydicom.dcmread(path)
        expected = apply_modality_lut(pixel_array(dataset), dataset)
        np.testing.assert_allclose(read_dicom_frame(path, "a").values, expected, rtol=0, atol=0)

    def test_signed_values_and_two_byte_range_survive(self, tmp_path: Path) -> None:
        stored = np.array([[-32768, 32767], [0, -1]], dtype=np.int16)
        path = written(
            tmp_path, {"BitsStored": 16, "HighBit": 15, "RescaleSlope": 1, "RescaleIntercept": -9}, stored
        )
        assert read_dicom_frame(path, "a").values.tolist() == [[-32777, 32758], [-9, -10]]

    @pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
    def test_compressed_files_hold_the_same_values(self, tmp_path: Path, syntax: Any) -> None:
        path = written(tmp_path, CT, drawn(size=(40, 48)))
        expected = read_dicom_frame(path, "a").values
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
        np.testing.assert_array_equal(read_dicom_frame(path, "a").values, expected)

    def test_frames_are_counted_from_zero(self, tmp_path: Path) -> None:
        stored = drawn(size=(3, 8, 9))
        path = written(tmp_path, {}, stored)
        source = FileSource(path.parent, intensity=Window(0, 4095))
        frames = [source.read_image(slice_locator("a.dcm", k)) for k in range(3)]
        assert read_dicom_header(path.parent, "a.dcm").frames == 3
        for k, frame in enumerate(frames):
            np.testing.assert_array_equal(frame, np.floor(stored[k].astype(float) * 255 / 4095 + 0.5))
        with pytest.raises(BadImageError, match="frame from 0 to 2, got 3"):
            source.read_image(slice_locator("a.dcm", 3))


class TestDisplay:
    def test_a_stated_window_wins_over_the_files_own(self, tmp_path: Path) -> None:
        path = written(tmp_path, CT | {"WindowCenter": 0, "WindowWidth": 10})
        values = read_dicom_frame(path, "a").values.astype(float)
        lung = WINDOWS["lung"]
        shown = FileSource(path.parent, intensity=lung).read_image("a.dcm")
        expected = np.clip((values - lung.low) / (lung.high - lung.low) * 255, 0, 255)
        np.testing.assert_allclose(shown, expected, atol=0.51)
        assert (lung.low, lung.high) == (-1350, 150)

    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
    def test_the_files_own_window_is_pydicoms(self, tmp_path: Path, function: str) -> None:
        path = written(
            tmp_path, CT | {"WindowCenter": [300, 9], "WindowWidth": [900, 9], "VOILUTFunction": function}
        )
        dataset = pydicom.dcmread(path)
        expected = apply_voi_lut(apply_modality_lut(pixel_array(dataset), dataset), dataset, index=0)
        # pydicom maps onto the rescaled 12-bit output range, we onto a byte
        expected = (expected - (-1024)) / 4095 * 255
        shown = FileSource(path.parent).read_image("a.dcm")
        np.testing.assert_allclose(shown, expected, atol=0.6)

    def test_a_look_up_table_of_the_file_is_applied(self, tmp_path: Path) -> None:
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [4, 0, 8])
        table.add_new("LUTData", "US", [0, 10, 200, 255])
        path = written(
            tmp_path, {"VOILUTSequence": DicomSequence([table])}, np.array([[0, 1], [2, 3]], np.uint16)
        )
        assert FileSource(path.parent).read_image("a.dcm").tolist() == [[0, 10], [200, 255]]

    def test_without_any_window_the_range_without_padding_is_shown(self, tmp_path: Path) -> None:
        stored = np.array([[0, 100], [200, 300]], dtype=np.uint16)
        path = written(tmp_path, {"PixelPaddingValue": 0}, stored)
        assert FileSource(path.parent).read_image("a.dcm").tolist() == [[0, 0], [128, 255]]

    def test_monochrome1_is_inverted(self, tmp_path: Path) -> None:
        stored = np.array([[0, 4095]], dtype=np.uint16)
        path = written(tmp_path, {"PhotometricInterpretation": "MONOCHROME1"}, stored)
        assert FileSource(path.parent).read_image("a.dcm").tolist() == [[255, 0]]
        assert FileSource(path.parent, intensity=Window(0, 4095)).read_image("a.dcm").tolist() == [[255, 0]]

    def test_colours_are_kept(self, tmp_path: Path) -> None:
        stored = np.random.default_rng(1).integers(0, 256, (6, 5, 3)).astype(np.uint8)
        path = tmp_path / "data" / "a.dcm"
        write_dicom(path, stored, {})
        np.testing.assert_array_equal(FileSource(path.parent).read_image("a.dcm"), stored)

    def test_twelve_bits_are_never_cast_to_eight(self, tmp_path: Path) -> None:
        stored = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
        shown = FileSource(written(tmp_path, {}, stored).parent).read_image("a.dcm")
        assert (np.diff(shown.ravel().astype(int)) >= 0).all()
        assert (shown.min(), shown.max()) == (0, 255)


class TestSeries:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "data"
        for number, place in enumerate([30.0, -10.0, 10.0]):
            tags = {
                "SeriesInstanceUID": "1.2.3",
                "PatientID": " P1 ",
                "InstanceNumber": number,
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "ImagePositionPatient": [0, 0, place],
                "Modality": "MR",
            }
            write_dicom(root / f"{number}.dcm", drawn(number) + np.uint16(number * 5000), tags)
        (root / "readme.txt").write_text("no image")
        (root / ".hidden.dcm").write_bytes(b"x" * 200)
        return root

    def test_slices_follow_their_positions_not_their_names(self, root: Path) -> None:
        (series,) = find_series(root, dicom_files(root))
        assert [part.locator for part in series.slices] == ["1.dcm", "2.dcm", "0.dcm"]
        assert (series.patient_id, series.ordered_by, series.uid) == ("P1", "position", "1.2.3")

    def test_files_that_are_dicom_by_name_alone_are_told_apart(self, root: Path) -> None:
        (root / "0.dcm").write_bytes((root / "0.dcm").read_bytes()[:90])
        for name in ("DICOMDIR", "a.IMA", "b.dicom", "c", "d.png"):
            (root / name).touch()
        assert sorted_dicom_files(root) == (["1.dcm", "2.dcm"], ["0.dcm", "a.IMA", "b.dicom"])
        assert dicom_files(root) == ["1.dcm", "2.dcm"]

    def test_the_normal_decides_what_lies_behind_what(self, root: Path) -> None:
        for path in root.glob("?.dcm"):
            dataset = pydicom.dcmread(path)
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]  # sagittal, normal towards the right
            dataset.ImagePositionPatient = [dataset.ImagePositionPatient[2], 0, 0]
            dataset.save_as(path)
        (series,) = find_series(root, dicom_files(root))
        places = [part.header.place_mm for part in series.slices]
        assert places == sorted(places)
        assert [part.locator for part in series.slices] == ["0.dcm", "2.dcm", "1.dcm"]

    def test_orientations_are_stacks_of_their_own(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "0.dcm")
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.save_as(root / "0.dcm")
        assert sorted((s.uid, len(s.slices)) for s in find_series(root, dicom_files(root))) == [
            ("1.2.3#0", 1),
            ("1.2.3#1", 2),
        ]

    def test_without_positions_instance_numbers_order(self, root: Path) -> None:
        for path in root.glob("?.dcm"):
            dataset = pydicom.dcmread(path)
            del dataset.ImagePositionPatient
            dataset.save_as(path)
        (series,) = find_series(root, dicom_files(root))
        assert [part.header.instance_number for part in series.slices] == [0, 1, 2]
        assert series.ordered_by == "instance number"
        dataset = pydicom.dcmread(root / "1.dcm")
        dataset.InstanceNumber = 2
        dataset.save_as(root / "1.dcm")
        with pytest.raises(BadImageError, match="order of its slices is unknown"):
            find_series(root, dicom_files(root))

    def test_two_patients_in_one_series_are_refused(self, root: Path) -> None:
        dataset = pydicom.dcmread(root / "1.dcm")
        dataset.PatientID = "P2"
        dataset.save_as(root / "1.dcm")
        with pytest.raises(BadImageError, match=r"one patient in series 1\.2\.3, got \['P1', 'P2'\]"):
            find_series(root, dicom_files(root))

    def test_a_volume_range_is_that_of_all_slices(self, root: Path) -> None:
        values = np.concatenate([pydicom.dcmread(path).pixel_array.ravel() for path in root.glob("?.dcm")])
        low, high = np.percentile(values, (0.5, 99.5))
        shown = FileSource(root, intensity=VolumeRange()).read_image("1.dcm")
        stored = pydicom.dcmread(root / "1.dcm").pixel_array.astype(float)
        np.testing.assert_allclose(shown, np.clip((stored - low) / (high - low) * 255, 0, 255), atol=0.51)

    def test_a_volume_range_is_part_of_the_hash_of_every_slice(self, root: Path) -> None:
        measured, windowed = (
            FileSource(root, intensity=VolumeRange()),
            FileSource(root, intensity=Window(0, 9)),
        )
        before = measured.content_hash("1.dcm"), windowed.content_hash("1.dcm")
        dataset = pydicom.dcmread(root / "0.dcm")
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(root / "0.dcm")
        assert measured.content_hash("1.dcm") != before[0]
        assert windowed.content_hash("1.dcm") == before[1]
        write_dicom(root / "other.dcm", drawn(9), {"SeriesInstanceUID": "9.9"})
        again = measured.content_hash("1.dcm")
        (root / "other.dcm").unlink()
        assert measured.content_hash("1.dcm") == again

    def test_channels_are_stacked_in_order(self, root: Path) -> None:
        source = FileSource(root, intensity=Window(0, 20000))
        stacked = source.read_image(channels_locator("1.dcm", "2.dcm", "0.dcm"))
        for number, name in enumerate(("1.dcm", "2.dcm", "0.dcm")):
            np.testing.assert_array_equal(stacked[..., number], source.read_image(name))
        assert source.describe(channels_locator("1.dcm", "2.dcm", "0.dcm")) == "1.dcm + 2.dcm + 0.dcm"
        one, other = (
            source.content_hash(channels_locator("1.dcm", *rest))
            for rest in (("2.dcm", "0.dcm"), ("0.dcm", "2.dcm"))
        )
        assert one != other


class TestDirectory:
    def write(self, root: Path, parts: list[str]) -> None:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record.ReferencedFileID = parts
        dataset = Dataset()
        dataset.DirectoryRecordSequence = DicomSequence([record])
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the point is that these names are not allowed
            dataset.save_as(root / "DICOMDIR", enforce_file_format=True)

    def test_files_below_the_folder_are_found(self, tmp_path: Path) -> None:
        write_dicom(tmp_path / "IMAGES" / "A", drawn(), {})
        self.write(tmp_path, ["IMAGES", "A"])
        assert directory_files(tmp_path, "DICOMDIR") == ["IMAGES/A"]
        assert dicom_files(tmp_path) == ["IMAGES/A"]

    @pytest.mark.parametrize("parts", [["..", "secret"], ["/etc/passwd"], ["IMAGES", "a/../../b"]])
    def test_a_reference_outside_is_refused(self, tmp_path: Path, parts: list[str]) -> None:
        (tmp_path / "data").mkdir()
        write_dicom(tmp_path / "secret", drawn(), {})
        self.write(tmp_path / "data", parts)
        with pytest.raises(BadImageError, match=r"file ids below its folder|leaves it|absolute"):
            directory_files(tmp_path / "data", "DICOMDIR")

    def test_a_link_that_leaves_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        write_dicom(tmp_path / "secret", drawn(), {})
        (tmp_path / "data" / "LINK").symlink_to(tmp_path / "secret")
        self.write(tmp_path / "data", ["LINK"])
        with pytest.raises(BadImageError, match="leaves it"):
            directory_files(tmp_path / "data", "DICOMDIR")


class TestDamage:
    def refused(self, path: Path) -> bool:
        try:
            FileSource(path.parent).read_image(path.name)
        except BadImageError:
            return True
        return False

    @pytest.mark.parametrize("compressed", [False, True])
    def test_every_cut_is_refused(self, tmp_path: Path, compressed: bool) -> None:
        path = written(tmp_path, CT, drawn(size=(6, 6)))
        if compressed:
            dataset = pydicom.dcmread(path)
            dataset.compress(RLELossless)
            dataset.save_as(path)
        whole = path.read_bytes()
        cut = path.with_name("cut.dcm")
        read = []
        for length in range(len(whole)):
            cut.write_bytes(whole[:length])
            if not self.refused(cut):
                read.append(length)
        assert read == []
        cut.write_bytes(whole)
        assert not self.refused(cut)

    def test_fuzzed_bytes_end_in_one_kind_of_error(self, tmp_path: Path) -> None:
        path = written(tmp_path, CT, drawn(size=(8, 8)))
        whole = bytearray(path.read_bytes())
        draw = np.random.default_rng(3)
        refused = 0
        for _ in range(400):
            broken = whole.copy()
            for place in draw.integers(0, len(whole), 4):
                broken[place] = draw.integers(0, 256)
            path.write_bytes(bytes(broken))
            refused += self.refused(path)
        assert 50 < refused < 400

    @pytest.mark.parametrize(
        ("tags", "message"),
        [
            ({"Rows": 65535, "Columns": 65535}, "at most 2147483648 bytes"),
            ({"NumberOfFrames": 2_000_000_000}, "at most 2147483648 bytes"),
            ({"Rows": 21}, r"expected 1008 bytes for 24 x 21 pixels.*got 960"),
            ({"Rows": 0}, "grey or RGB image"),
            ({"SamplesPerPixel": 2}, "grey or RGB image"),
            ({"PhotometricInterpretation": "HSV"}, "photometric interpretation 'HSV'"),
        ],
    )
    def test_sizes_that_lie_are_refused(self, tmp_path: Path, tags: Mapping[str, Any], message: str) -> None:
        path = written(tmp_path, tags)
        with pytest.raises(BadImageError, match=message):
            FileSource(path.parent).read_image("a.dcm")

    def test_a_length_beyond_the_file_is_refused(self, tmp_path: Path) -> None:
        path = written(tmp_path, {})
        content = path.read_bytes()
        start = content.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW")) + 8
        path.write_bytes(content[:start] + b"\xf0\xff\xff\xff" + content[start + 4 :])
        assert self.refused(path)

    def test_a_deflate_bomb_is_refused_before_it_is_unpacked(self, tmp_path: Path) -> None:
        path = written(tmp_path, {})
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
        assert not self.refused(path)
        content = path.read_bytes()
        meta = 132 + 12 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
        engine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        bomb = engine.compress(bytes(64 << 20)) + engine.flush()
        path.write_bytes(content[:meta] + bomb)
        with pytest.raises(BadImageError, match="at most 50 times"):
            FileSource(path.parent).read_image("a.dcm")

    def test_junk_and_reports_are_no_images(self, tmp_path: Path) -> None:
        junk = tmp_path / "junk.dcm"
        junk.write_bytes(b"\0" * 128 + b"DICM" + bytes(300))
        with pytest.raises(
            BadImageError, match=r"junk\.dcm: expected a DICOM image, got a file without Rows"
        ):
            FileSource(tmp_path).read_image("junk.dcm")
        (tmp_path / "text").write_text("no image " * 40)
        with pytest.raises(BadImageError, match="'DICM' after 128 bytes"):
            read_dicom_header(tmp_path, "text")

    def test_nan_values_are_refused(self, tmp_path: Path) -> None:
        path = written(tmp_path, {"RescaleSlope": "1", "RescaleIntercept": "0"})
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope = 1e308
        dataset.RescaleIntercept = 1
        dataset.save_as(path)
        with pytest.raises(BadImageError, match="finite"):
            FileSource(path.parent).read_image("a.dcm")


class TestForeignCompression:
    """Files as other programs write them: JPEG processes that pydicom itself cannot encode."""

    def test_lossless_jpeg_holds_the_same_values(self, tmp_path: Path) -> None:
        gdcm = pytest.importorskip("gdcm")
        path = written(tmp_path, CT, drawn(size=(40, 48)))
        expected = read_dicom_frame(path, "a").values
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == pydicom.uid.JPEGLosslessSV1
        np.testing.assert_array_equal(read_dicom_frame(path, "a").values, expected)

    def test_baseline_jpeg_is_what_pillow_decodes(self, tmp_path: Path) -> None:
        import io

        from PIL import Image
        from pydicom.encaps import encapsulate

        picture = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * 3
        path = tmp_path / "data" / "a.dcm"
        write_dicom(path, picture, {})
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=90)
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
        dataset.PixelData = encapsulate([stream.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
        with Image.open(stream) as image:
            expected = np.array(image).astype(int)
        assert np.abs(read_dicom_frame(path, "a").values.astype(int) - expected).max() <= 1
