"""NIfTI volumes: patient axes against nibabel, windows, ranges, and refusal of headers that lie."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medtransfer.core.errors import BadImageError
from medtransfer.data.file_source import FileSource
from medtransfer.data.intensity import WINDOWS, VolumeRange
from medtransfer.data.locators import channels_locator, class_locator, slice_locator
from medtransfer.data.nifti_volumes import read_nifti_slices, read_nifti_volume


def voxels(shape: tuple[int, ...] = (5, 6, 7)) -> np.ndarray:
    return np.random.default_rng(1).integers(-1000, 1000, shape).astype(np.int16)


def write(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(data, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "LAI"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_every_orientation_is_turned_to_the_same_slices(tmp_path: Path, codes: str, plane: str) -> None:
    straight = nib.Nifti1Image(voxels(), np.diag([1.0, 2.0, 3.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
    )
    turned = straight.as_reoriented(turn)
    nib.save(turned, tmp_path / "v.nii.gz")
    volume = read_nifti_volume(tmp_path / "v.nii.gz", "v")
    np.testing.assert_array_equal(volume.voxels, voxels())
    assert volume.spacing_mm == pytest.approx((1, 2, 3))
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    assert read_nifti_slices(tmp_path / "v.nii.gz", "v", plane) == voxels().shape[axis]


def test_slices_lie_as_radiologists_look_at_them() -> None:
    from medtransfer.data.nifti_volumes import Volume

    data = np.zeros((4, 5, 6))
    data[3, 4, 5] = 1  # the voxel furthest to the right, anterior and superior
    volume = Volume(data, (1.0, 1.0, 1.0))
    assert volume.cut(5, "axial")[0, 0] == 1  # anterior at the top, right at the left
    assert volume.cut(4, "coronal")[0, 0] == 1  # superior at the top, right at the left
    assert volume.cut(3, "sagittal")[0, 0] == 1  # superior at the top, anterior at the left
    assert volume.cut(0, "axial").shape == (5, 4)


def test_windows_keep_hounsfield_units(tmp_path: Path) -> None:
    data = voxels()
    write(tmp_path / "ct.nii", data)
    bone = WINDOWS["bone"]
    shown = FileSource(tmp_path, intensity=bone).read_image(slice_locator("ct.nii", 2))
    expected = np.clip((data[::-1, ::-1, 2].T - bone.low) / (bone.high - bone.low) * 255.0, 0, 255)
    np.testing.assert_allclose(shown, expected, atol=0.51)


def test_without_a_window_the_volume_gives_the_range(tmp_path: Path) -> None:
    data = voxels().astype(np.float32) * 1e5
    write(tmp_path / "mr.nii.gz", data)
    low, high = np.percentile(data, (0.5, 99.5))
    for source in (FileSource(tmp_path), FileSource(tmp_path, intensity=VolumeRange())):
        shown = source.read_image(slice_locator("mr.nii.gz", 0))
        expected = np.clip((data[::-1, ::-1, 0].T - low) / (high - low) * 255.0, 0, 255)
        np.testing.assert_allclose(shown, expected, atol=0.51)


def test_scaled_integers_are_read_with_their_slope(tmp_path: Path) -> None:
    image = nib.Nifti1Image(voxels(), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "v.nii")
    expected = np.asarray(nib.load(tmp_path / "v.nii").dataobj)
    np.testing.assert_allclose(read_nifti_volume(tmp_path / "v.nii", "v").voxels, expected)


def test_masks_are_cut_like_their_images(tmp_path: Path) -> None:
    labels = np.random.default_rng(2).integers(0, 3, (5, 6, 7)).astype(np.uint8)
    write(tmp_path / "m.nii.gz", labels)
    source = FileSource(tmp_path, mask_rule={0: 0, 1: 1, 2: 2})
    np.testing.assert_array_equal(source.read_mask(slice_locator("m.nii.gz", 3)), labels[::-1, ::-1, 3].T)
    inside = FileSource(tmp_path).read_mask(class_locator(slice_locator("m.nii.gz", 3), 2))
    np.testing.assert_array_equal(inside, 2 * (labels[::-1, ::-1, 3].T > 0))
    with pytest.raises(
        BadImageError, match=r"m\.nii\.gz slice 3: expected mask values among \[0, 1\], got \[2\]"
    ):
        FileSource(tmp_path, mask_rule={0: 0, 1: 1}).read_mask(slice_locator("m.nii.gz", 3))


def test_three_volumes_make_a_colour_image(tmp_path: Path) -> None:
    for number, name in enumerate(("a.nii", "b.nii", "c.nii")):
        write(tmp_path / name, voxels() + np.int16(number))
    source = FileSource(tmp_path, intensity=WINDOWS["lung"])
    parts = [slice_locator(name, 1) for name in ("a.nii", "b.nii", "c.nii")]
    stacked = source.read_image(channels_locator(*parts))
    for number, part in enumerate(parts):
        np.testing.assert_array_equal(stacked[..., number], source.read_image(part))
    write(tmp_path / "c.nii", voxels((5, 5, 7)))
    with pytest.raises(BadImageError, match="grey channels of one size"):
        source.read_image(channels_locator(*parts))


def test_what_is_shown_changes_the_hash(tmp_path: Path) -> None:
    write(tmp_path / "v.nii", voxels())
    hashes = {
        source.content_hash(slice_locator("v.nii", index))
        for index in (0, 1)
        for source in (
            FileSource(tmp_path),
            FileSource(tmp_path, intensity=WINDOWS["lung"]),
            FileSource(tmp_path, plane="coronal"),
        )
    }
    assert len(hashes) == 6


@pytest.mark.parametrize("index", [7, 99])
def test_slices_beyond_the_volume_are_refused(tmp_path: Path, index: int) -> None:
    write(tmp_path / "v.nii", voxels())
    with pytest.raises(BadImageError, match="a slice from 0 to 6"):
        FileSource(tmp_path).read_image(slice_locator("v.nii", index))
    with pytest.raises(BadImageError, match="a slice of the volume, which has 7"):
        FileSource(tmp_path).read_image("v.nii")


class TestDamage:
    def refusal(self, path: Path) -> str:
        with pytest.raises(BadImageError) as refused:
            read_nifti_volume(path, path.name)
        return str(refused.value)

    def patched(self, tmp_path: Path, offset: int, values: np.ndarray) -> Path:
        path = write(tmp_path / "v.nii", voxels())
        content = bytearray(path.read_bytes())
        content[offset : offset + values.nbytes] = values.tobytes()
        path.write_bytes(bytes(content))
        return path

    @pytest.mark.parametrize(
        ("dims", "message"),
        [
            ([3, 32767, 32767, 32767, 1], "at most 4294967296 bytes"),
            ([4, 32767, 32767, 32767, 100], "at most 4294967296 bytes"),
            ([3, -5, 6, 7, 1], "three dimensions"),
            ([3, 5, 6, 8, 1], r"expected 832 bytes for \[5, 6, 8\], got 772"),
            ([2, 5, 6, 7, 1], "three dimensions"),
            ([4, 5, 6, 1, 7], "one volume of three dimensions"),
        ],
    )
    def test_sizes_that_lie_are_refused_early(self, tmp_path: Path, dims: list[int], message: str) -> None:
        assert re.search(message, self.refusal(self.patched(tmp_path, 40, np.array(dims, dtype="<i2"))))

    @pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
    def test_every_cut_is_refused(self, tmp_path: Path, ending: str) -> None:
        whole = write(tmp_path / f"v{ending}", voxels((3, 3, 3))).read_bytes()
        path = tmp_path / f"cut{ending}"
        for length in range(0, len(whole), 7 if ending == ".nii" else 1):
            path.write_bytes(whole[:length])
            self.refusal(path)

    def test_a_wrong_checksum_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "v.nii.gz", voxels())
        content = bytearray(path.read_bytes())
        content[-6] ^= 0xFF
        path.write_bytes(bytes(content))
        assert "CRC" in self.refusal(path)

    def test_a_bomb_is_not_unpacked(self, tmp_path: Path) -> None:
        write(tmp_path / "v.nii", voxels())
        with gzip.open(tmp_path / "bomb.nii.gz", "wb", compresslevel=9) as stream:
            stream.write((tmp_path / "v.nii").read_bytes())
            for _ in range(64):
                stream.write(bytes(1 << 20))
        assert "many more" in self.refusal(tmp_path / "bomb.nii.gz")

    def test_nan_and_singular_orientations_are_refused(self, tmp_path: Path) -> None:
        data = voxels().astype(np.float32)
        data[0, 0, 0] = np.nan
        assert "finite voxels" in self.refusal(write(tmp_path / "n.nii", data))
        flat = nib.Nifti1Image(voxels(), None)
        flat.header.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), code=1)
        nib.save(flat, tmp_path / "f.nii")
        assert "can be inverted" in self.refusal(tmp_path / "f.nii")

    def test_other_content_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.nii").write_bytes(bytes(1000))
        assert "NIfTI-1 or NIfTI-2" in self.refusal(tmp_path / "x.nii")
        with pytest.raises(BadImageError):
            FileSource(tmp_path).read_image("x.nii")
