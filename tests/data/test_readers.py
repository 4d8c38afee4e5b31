"""Readers against arrays written by Pillow, and against damaged, disguised and hostile files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from medtransfer.core.errors import BadImageError
from medtransfer.data.readers import MAX_PIXELS, MAX_SIDE, read_image, read_mask

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
LOSSLESS = [("PNG", ".png"), ("TIFF", ".tif")]
DAMAGED = [("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("GIF", ".gif")]


def save(path: Path, image: Image.Image | np.ndarray, file_format: str = "PNG", **options: object) -> Path:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, file_format, **options)
    return path


def declared_png(path: Path, width: int, height: int) -> Path:
    """A valid PNG that declares a size and holds almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(10))), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize(("file_format", "suffix"), LOSSLESS)
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_pixels_come_back(tmp_path: Path, file_format: str, suffix: str, pixels: np.ndarray) -> None:
    read = read_image(save(tmp_path / f"a{suffix}", pixels, file_format))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_a_grey_palette_is_grey(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.gif", GREY, "GIF")), GREY)


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    jpeg = save(tmp_path / "a.jpg", COLOUR, "JPEG")
    disguised = tmp_path / "a.png"
    disguised.write_bytes(jpeg.read_bytes())
    np.testing.assert_array_equal(read_image(disguised), np.asarray(Image.open(jpeg)))


@pytest.mark.parametrize("name", ["rgba", "la"])
def test_alpha_is_dropped_and_not_blended(tmp_path: Path, name: str) -> None:
    opaque = COLOUR if name == "rgba" else GREY
    pixels = np.dstack([opaque, np.zeros_like(GREY)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", pixels)), opaque)


def test_palette_becomes_colour_and_one_bit_becomes_0_and_255(tmp_path: Path) -> None:
    indexed = Image.fromarray(np.array([[0, 1], [2, 0]], dtype=np.uint8))
    indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "p.png", indexed)),
        [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [10, 20, 30]]],
    )
    bits = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    np.testing.assert_array_equal(read_image(save(tmp_path / "1.png", bits)), [[0, 255]])


@pytest.mark.parametrize(
    ("values", "suffix", "file_format"),
    [
        (np.array([[1000, 2000], [1500, 3000]], dtype=np.uint16), ".png", "PNG"),
        (np.array([[1000, 2000], [1500, 3000]], dtype=np.uint16), ".tif", "TIFF"),
        (np.array([[-2000, 0], [-1000, 2000]], dtype=np.int32), ".tif", "TIFF"),
        (np.array([[-0.5, 0.0], [-0.25, 0.5]], dtype=np.float32), ".tif", "TIFF"),
    ],
)
def test_deep_grey_is_stretched_between_its_extremes(
    tmp_path: Path, values: np.ndarray, suffix: str, file_format: str
) -> None:
    read = read_image(save(tmp_path / f"a{suffix}", values, file_format))
    np.testing.assert_array_equal(read, [[0, 128], [64, 255]])


def test_big_endian_16_bit_is_stretched_by_value(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[256, 2], [0, 512]], dtype=">u2"))
    assert image.mode == "I;16B"
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.tif", image, "TIFF")), [[128, 1], [0, 255]])


def test_constant_deep_grey_is_zero_and_nan_is_refused(tmp_path: Path) -> None:
    constant = save(tmp_path / "a.png", np.full((2, 2), 900, dtype=np.uint16))
    assert not read_image(constant).any()
    broken = save(tmp_path / "a.tif", np.array([[np.nan, 1.0]], dtype=np.float32), "TIFF")
    with pytest.raises(BadImageError, match=r"a\.tif: expected finite"):
        read_image(broken)


@pytest.mark.parametrize(("file_format", "suffix"), DAMAGED)
def test_cut_files_are_refused_wherever_they_are_cut(tmp_path: Path, file_format: str, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    whole = save(tmp_path / f"a{suffix}", noise, file_format).read_bytes()
    cut = tmp_path / f"cut{suffix}"
    for length in np.linspace(0, len(whole) - 8, 25).astype(int):
        cut.write_bytes(whole[:length])
        with pytest.raises(BadImageError, match="cut"):
            read_image(cut)


def test_a_flipped_bit_in_png_pixels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8))
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(BadImageError, match=r"a\.png"):
        read_image(path)


@pytest.mark.parametrize(("file_format", "suffix"), DAMAGED)
def test_random_damage_is_a_bad_image_or_nothing(tmp_path: Path, file_format: str, suffix: str) -> None:
    generator = np.random.default_rng(1)
    whole = save(tmp_path / f"a{suffix}", COLOUR[..., 0], file_format).read_bytes()
    path, refused = tmp_path / f"b{suffix}", 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[generator.integers(len(whole))] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            read_image(path)
        except BadImageError:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("width", "height"),
    [(9_460, 9_460), (30_000, 30_000), (10**6, 10**6), (MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)],
)
def test_bombs_are_refused_before_decoding(tmp_path: Path, width: int, height: int) -> None:
    assert width * height > MAX_PIXELS or max(width, height) > MAX_SIDE
    with pytest.raises(BadImageError, match=r"a\.png"):
        read_image(declared_png(tmp_path / "a.png", width, height))


@pytest.mark.parametrize("content", [b"", b"<html>", b"BM" + bytes(60), b"\x00" * 200])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BadImageError, match=r"a\.png: expected a readable PNG, JPEG, TIFF, GIF file"):
        read_image(tmp_path / "a.png")


def test_formats_outside_the_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImageError):
        read_image(save(tmp_path / "a.png", GREY, "BMP"))
    with pytest.raises(BadImageError, match="'LAB'"):
        read_image(save(tmp_path / "a.tif", Image.new("LAB", (3, 2)), "TIFF"))


def test_printing_colours_become_red_green_and_blue(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(COLOUR).convert("CMYK"), "JPEG")
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize(("file_format", "suffix"), [("GIF", ".gif"), ("TIFF", ".tif")])
def test_several_pictures_are_refused(tmp_path: Path, file_format: str, suffix: str) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    path = save(tmp_path / f"a{suffix}", frames[0], file_format, save_all=True, append_images=frames[1:])
    with pytest.raises(BadImageError, match="expected one picture, got 2"):
        read_image(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png", tmp_path / ("x" * 5000)):
        with pytest.raises(BadImageError):
            read_image(path)


def test_tolerance_of_cut_files_set_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", GREY)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(BadImageError, match="LOAD_TRUNCATED_IMAGES"):
        read_image(path)


def test_a_root_is_not_left(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-other"
    inside.mkdir()
    outside.mkdir()
    save(outside / "a.png", GREY)
    (inside / "link.png").symlink_to(outside / "a.png")
    save(inside / "own.png", GREY)
    np.testing.assert_array_equal(read_image(inside / "own.png", root=inside), GREY)
    for path in (outside / "a.png", inside / ".." / "in-other" / "a.png", inside / "link.png"):
        with pytest.raises(BadImageError, match="leaves it"):
            read_image(path, root=inside)
        with pytest.raises(BadImageError, match="leaves it"):
            read_mask(path, root=inside)


def test_messages_name_the_path_below_the_root(tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=r"^train/none\.png: "):
        read_image(tmp_path / "train" / "none.png", root=tmp_path)


def test_masks_of_every_form_become_class_ids(tmp_path: Path) -> None:
    truth = np.array([[0, 1, 1], [1, 0, 0]], dtype=np.uint8)
    picture = Image.fromarray(truth * 255)
    swapped = Image.fromarray(1 - truth)
    swapped.putpalette([255, 255, 255, 0, 0, 0])
    forms = {
        "grey.png": picture,
        "bits.png": picture.convert("1"),
        "ones.png": Image.fromarray(truth),
        "rgb.png": picture.convert("RGB"),
        "rgba.png": picture.convert("RGBA"),
        "deep.png": Image.fromarray(truth.astype(np.uint16) * 300),
        "white-first.png": swapped,
    }
    for name, form in forms.items():
        mask = read_mask(save(tmp_path / name, form))
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, truth, err_msg=name)


def test_palette_masks_in_colour_keep_their_indices(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([0, 0, 0, 128, 0, 0, 128, 128, 128])
    rule = {0: 0, 1: 1, 2: 2}
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", image), rule=rule), ids)


def test_mapped_masks_refuse_what_is_not_declared(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 85], [170, 255]], dtype=np.uint8))
    rule = {0: 0, 85: 1, 170: 2, 255: 0}
    np.testing.assert_array_equal(read_mask(path, rule=rule), [[0, 1], [2, 0]])
    del rule[170]
    with pytest.raises(
        BadImageError, match=r"a\.png: expected mask values among \[0, 85, 255\], got \[170\]"
    ):
        read_mask(path, rule=rule)
    with pytest.raises(BadImageError, match="grey mask"):
        read_mask(save(tmp_path / "b.png", COLOUR), rule=rule)


def test_lossy_masks_need_the_rule_that_cuts_at_half(tmp_path: Path) -> None:
    truth = np.zeros((16, 16), dtype=np.uint8)
    truth[4:11, 5:13] = 1
    path = save(tmp_path / "a.jpg", truth * 255, "JPEG", quality=60)
    with pytest.raises(BadImageError, match="above-half"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, rule="above-half"), truth)


def test_above_half_depends_on_the_bits(tmp_path: Path) -> None:
    eight = save(tmp_path / "8.png", np.array([[127, 128]], dtype=np.uint8))
    sixteen = save(tmp_path / "16.png", np.array([[32767, 32768]], dtype=np.uint16))
    one = save(tmp_path / "1.png", Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1"))
    for path in (eight, sixteen, one):
        np.testing.assert_array_equal(read_mask(path, rule="above-half"), [[0, 1]])


def test_a_mask_hidden_in_an_alpha_channel_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0, 3] = 255
    with pytest.raises(BadImageError, match="transparency"):
        read_mask(save(tmp_path / "a.png", pixels))
