"""What each format, mode and orientation becomes: one test for each row of docs/fidelity.md."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from zlib import compress, crc32

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from bvg.data.folders import image_files, in_class_folders
from bvg.data.preprocessing import UNDECODABLE, as_rgb, decode, image_endings
from conftest import REPOSITORY, draw

ROWS: dict[str, Callable[[Path], None]] = {}
GREY = (np.arange(40 * 32, dtype=np.uint16).reshape(32, 40) * 51).astype(np.uint16)  # to 65,229
COLOUR = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)


def row(name: str):
    """Return a decorator that keeps a test as that of the row that begins with `name`."""

    def keep(test):
        ROWS[name] = test
        return test

    return keep


def rows_of_the_docs() -> list[str]:
    text = (REPOSITORY / "docs" / "fidelity.md").read_text()
    table = text.partition("## Decoding")[2].partition("\n## ")[0]
    cells = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    return cells[1:]


def test_the_table_has_a_test_for_each_row():
    assert rows_of_the_docs() == list(ROWS)


@pytest.mark.parametrize("name", rows_of_the_docs())
def test_row(name, tmp_path):
    ROWS[name](tmp_path)


def saved(folder: Path, name: str, image: Image.Image | np.ndarray, **options) -> Path:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> np.ndarray:
    rgb = decode(path)
    assert rgb.mode == "RGB"
    return np.asarray(rgb)


def torchvisions(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(path).convert("RGB"))


def three(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey] * 3, axis=-1)


def undecodable(path: Path) -> str:
    with pytest.raises(UNDECODABLE) as caught:
        decode(path)
    return str(caught.value)


def rounded(values: np.ndarray, greatest: int) -> np.ndarray:
    """Return 8-bit greys, by floating-point numbers (no value lies halfway between two)."""
    return np.rint(values.astype(np.float64) / greatest * 255).astype(np.uint8)


@row("8-bit RGB")
def _(folder):
    for name in ("a.png", "a.bmp", "a.tif", "a.ppm", "a.TGA", "a.dib", "a.pcx", "a.sgi"):
        np.testing.assert_array_equal(pixels(saved(folder, name, COLOUR)), COLOUR)
    np.testing.assert_array_equal(pixels(saved(folder, "a.webp", COLOUR, lossless=True)), COLOUR)
    np.testing.assert_array_equal(pixels(saved(folder, "a.jp2", COLOUR)), COLOUR)
    lossy = ["a.jpg", "a.jfif"] + ["a.avif"] * features.check("avif")
    for name in lossy:
        path = saved(folder, name, draw(folder / "b.png", 1) and Image.open(folder / "b.png"))
        np.testing.assert_array_equal(pixels(path), torchvisions(path))
        assert np.abs(pixels(path).astype(int) - pixels(folder / "b.png")).mean() < 8


@row("8-bit grey")
def _(folder):
    for name in ("a.png", "a.pgm", "a.tif", "a.gif"):
        np.testing.assert_array_equal(
            pixels(saved(folder, name, COLOUR[..., 0])), three(COLOUR[..., 0])
        )


@row("black and white (1 bit)")
def _(folder):
    dots = COLOUR[..., 0] > 127
    for name in ("a.png", "a.pbm", "a.tif", "a.msp", "a.xbm"):
        np.testing.assert_array_equal(
            pixels(saved(folder, name, dots)), three(dots * np.uint8(255))
        )


@row("palette, also with transparency")
def _(folder):
    image = Image.fromarray(COLOUR).quantize(16)
    colours = np.asarray(image.convert("RGB"))
    for options in ({}, {"transparency": 3}, {"transparency": bytes(range(0, 256, 16))}):
        path = saved(folder, "a.png", image, **options)
        assert Image.open(path).mode == "P"
        np.testing.assert_array_equal(pixels(path), colours)


@row("alpha channel (LA, RGBA)")
def _(folder):
    alpha = COLOUR[::-1, :, 2]
    path = saved(folder, "rgba.png", np.dstack([COLOUR, alpha]))
    np.testing.assert_array_equal(pixels(path), COLOUR)
    grey = Image.merge("LA", [Image.fromarray(COLOUR[..., 0]), Image.fromarray(alpha)])
    np.testing.assert_array_equal(pixels(saved(folder, "la.png", grey)), three(COLOUR[..., 0]))
    for name in ("a.webp", "a.tif", "a.tga"):
        options = {"lossless": True, "exact": True} if name == "a.webp" else {}
        path = saved(folder, name, np.dstack([COLOUR, alpha]), **options)
        np.testing.assert_array_equal(pixels(path), COLOUR)
    padded = Image.merge("RGBX", [*Image.fromarray(COLOUR).split(), Image.fromarray(alpha)])
    np.testing.assert_array_equal(np.asarray(as_rgb(padded)), COLOUR)


@row("CMYK, also as Adobe's JPEG")
def _(folder):
    ink = Image.fromarray(np.full((32, 40, 4), (0, 255, 255, 0), np.uint8), mode="CMYK")
    for name in ("a.jpg", "a.tif"):  # Pillow writes Adobe's inverted JPEG
        path = saved(folder, name, ink)
        assert Image.open(path).mode == "CMYK"
        assert np.abs(pixels(path).astype(int) - (255, 0, 0)).max() <= 2
        np.testing.assert_array_equal(pixels(path), torchvisions(path))


@row("YCbCr, HSV, LAB")
def _(folder):
    for mode in ("YCbCr", "HSV", "LAB"):
        converted = Image.fromarray(np.full((32, 40, 3), (200, 40, 90), np.uint8)).convert(mode)
        images = [converted]
        if mode == "LAB":
            images.append(Image.open(saved(folder, "lab.tif", converted)))
        for image in images:
            assert image.mode == mode
            assert np.abs(np.asarray(as_rgb(image)).astype(int) - (200, 40, 90)).max() <= 4


@row("16-bit grey (PNG, PGM, TIFF, JPEG 2000)")
def _(folder):
    for values in (GREY, GREY[::-1] // 7 + 129):
        image = Image.fromarray(np.ascontiguousarray(values))
        expected = three(rounded(values, 65_535))
        for name in ("a.png", "a.pgm", "a.tif", "a.jp2"):
            np.testing.assert_array_equal(pixels(saved(folder, name, image)), expected)
        big = Image.frombytes("I;16B", image.size, values.astype(">u2").tobytes())
        path = saved(folder, "big.tif", big)
        assert Image.open(path).mode == "I;16B"
        np.testing.assert_array_equal(pixels(path), expected)
    wide = Image.open(saved(folder, "wide.pgm", Image.fromarray(GREY)))
    assert wide.mode == "I"  # as PNG was in earlier versions of Pillow


@row("12-bit grey (TIFF)")
def _(folder):
    values = np.arange(40 * 32, dtype=np.uint16).reshape(32, 40) * 3 + 100
    path = saved(folder, "a.tif", np.zeros((32, 40), np.uint16))
    first, second = values.ravel()[0::2].astype(int), values.ravel()[1::2].astype(int)
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1)
    _rewrite(path, packed.astype(np.uint8).tobytes(), bits=12)
    assert Image.open(path).mode == "I;16"
    np.testing.assert_array_equal(pixels(path), three(rounded(values, 4095)))


def _rewrite(path: Path, data: bytes, bits: int) -> None:
    """Write a minimal little-endian TIFF of 40 x 32 grey pixels."""
    tags = {256: 40, 257: 32, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 32, 279: len(data)}
    entries = b"".join(
        tag.to_bytes(2, "little")
        + b"\4\0"
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for tag, value in tags.items()
    )
    head = b"II*\0" + (8 + len(data)).to_bytes(4, "little")
    path.write_bytes(head + data + len(tags).to_bytes(2, "little") + entries + bytes(4))


@row("16-bit grey, white is zero (TIFF)")
def _(folder):
    path = saved(folder, "a.tif", GREY, tiffinfo={262: 0})
    np.testing.assert_array_equal(pixels(path), three(255 - rounded(GREY, 65_535)))


@row("16-bit colour or alpha (PNG)")
def _(folder):
    values = np.random.default_rng(1).integers(0, 65_536, (32, 40, 4), dtype=np.uint16)
    for kind, channels in ((2, [0, 1, 2]), (6, [0, 1, 2, 3]), (4, [0, 3])):
        write_png(folder / "a.png", values[..., channels], kind)
        upper = (values >> 8).astype(np.uint8)
        expected = three(upper[..., 0]) if kind == 4 else upper[..., :3]
        np.testing.assert_array_equal(pixels(folder / "a.png"), expected)


def write_png(path: Path, values: np.ndarray, kind: int) -> None:
    """Write 16-bit values (H, W, channels), which Pillow cannot, as a PNG of the colour type."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in values.astype(">u2"))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
        + chunk(b"IDAT", compress(lines))
        + chunk(b"IEND", b"")
    )


def write_fits(path: Path, values: np.ndarray, bits: int) -> Path:
    height, width = values.shape
    facts = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height}
    lines = [f"{name:8}= {value:>20}" for name, value in facts.items()]
    text = "".join(line.ljust(80) for line in [*lines, "END"]).ljust(2880)
    path.write_bytes(text.encode() + values.tobytes())
    return path


@row("other integers (32 bits, signed, FITS)")
def _(folder):
    for values in (GREY.astype(np.int32), (GREY // 300).astype(np.int32)):
        assert "range" in undecodable(saved(folder, "a.tif", values))
    assert "range" in undecodable(write_fits(folder / "a.fits", GREY.astype(">i2"), 16))
    unfit = Image.fromarray(np.full((32, 40), 70_000, np.int32))
    unfit.format = "PNG"  # as an earlier Pillow might open one
    with pytest.raises(ValueError, match="range"):
        as_rgb(unfit)


@row("floating-point numbers (TIFF, PFM, FITS)")
def _(folder):
    for values in (GREY / 65_535, GREY / 257, GREY - 3000.0):
        for name in ("a.tif", "a.pfm"):
            path = saved(folder, name, values.astype(np.float32))
            assert "8-bit" in undecodable(path)
        assert "8-bit" in undecodable(write_fits(folder / "a.fits", values.astype(">f4"), -32))


@row("premultiplied grey (TIFF)")
def _(folder):
    with pytest.raises(UNDECODABLE):
        as_rgb(Image.new("La", (40, 32)))


@row("several frames (GIF, APNG, WebP, TIFF, MPO)")
def _(folder):
    frames = [Image.new("RGB", (40, 32), colour) for colour in ("red", "blue", "white")]
    for name in ("a.gif", "a.png", "a.apng", "a.webp", "a.tif", "a.mpo"):
        path = saved(folder, name, frames[0], save_all=True, append_images=frames[1:])
        assert Image.open(path).n_frames == 3
        assert np.abs(pixels(path).astype(int) - (255, 0, 0)).max() <= 2


def _turned(image: Image.Image) -> Image.Exif:
    exif = image.getexif()
    exif[274] = 6  # the top of the picture is the right-hand side
    return exif


@row("EXIF orientation (JPEG, PNG, WebP)")
def _(folder):
    image = Image.open(draw(folder / "plain.png", 2))
    for name in ("a.jpg", "a.png", "a.webp"):
        plain = pixels(saved(folder, f"plain_{name}", image))
        turned = pixels(saved(folder, name, image, exif=_turned(image)))
        assert Image.open(folder / name).getexif()[274] == 6
        np.testing.assert_array_equal(turned, plain)


@row("orientation of a TIFF")
def _(folder):
    path = saved(folder, "a.tif", COLOUR, tiffinfo={274: 6})
    np.testing.assert_array_equal(pixels(path), np.rot90(COLOUR, -1))
    np.testing.assert_array_equal(pixels(path), torchvisions(path))


@row("ICC profile")
def _(folder):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name in ("a.png", "a.tif"):
        path = saved(folder, name, COLOUR, icc_profile=profile)
        assert Image.open(path).info["icc_profile"] == profile
        np.testing.assert_array_equal(pixels(path), COLOUR)


@row("damaged, truncated or not an image")
def _(folder):
    whole = draw(folder / "a.png", 3).read_bytes()
    for name, content in {
        "cut.png": whole[: len(whole) // 2],
        "text.jpg": b"version https://git-lfs.github.com/spec/v1",
        "empty.gif": b"",
        "header.tif": b"II*\0\x08\0\0\0\1\0\0\1\4\0\1\0\0\0",
        "odd.bmp": b"BM" + bytes(60),
        "odd.psd": b"8BPS\0\1" + bytes(100),
        "odd.ico": b"\0\0\1\0\1\0" + bytes(16),
        "odd.dds": b"DDS " + bytes(124),
    }.items():
        (folder / name).write_bytes(content)
        assert undecodable(folder / name)


@row("fewer than 8 px on a side, or more than 178,956,970 pixels")
def _(folder):
    for size in ((1, 1), (7, 300)):
        assert f"{size[0]} x {size[1]}" in undecodable(saved(folder, "a.png", Image.new("L", size)))
    assert decode(saved(folder, "a.png", Image.new("L", (8, 8)))).size == (8, 8)
    assert Image.MAX_IMAGE_PIXELS * 2 == 178_956_970
    side = b"13378 13378"  # 178,970,884
    (folder / "huge.ppm").write_bytes(b"P6 " + side + b" 255\n")
    assert "exceeds limit" in undecodable(folder / "huge.ppm")


@row("EPS, PDF, WMF, GRIB, BUFR, HDF5, MPEG")
def _(folder):
    (folder / "ant").mkdir()
    endings = ("eps", "ps", "pdf", "wmf", "emf", "grib", "bufr", "h5", "hdf", "mpg", "mpeg")
    for ending in endings:
        (folder / "ant" / f"a.{ending.upper()}").write_bytes(b"x")
    draw(folder / "ant" / "a.png", 1)
    found = in_class_folders(folder, ("ant",))
    assert found.files == ["ant/a.png"]
    assert found.unused == {f".{ending}": 1 for ending in endings}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # IM, which Pillow 15 will drop
def test_every_ending_that_pillow_writes_and_decodes_is_read(tmp_path):
    written = []
    for ending, name in Image.registered_extensions().items():
        if name in Image.SAVE and name not in ("EPS", "PDF", "PALM"):
            for mode in ("RGB", "1"):
                try:
                    Image.new(mode, (40, 32), 1).save(tmp_path / f"a{ending.upper()}")
                except (OSError, ValueError, KeyError):
                    (tmp_path / f"a{ending.upper()}").unlink(missing_ok=True)
                else:
                    written.append(f"a{ending.upper()}")
                    break
    assert len(written) > 40
    assert image_files(tmp_path) == sorted(written)
    assert [decode(tmp_path / name).mode for name in written] == ["RGB"] * len(written)


def test_text_and_tables_are_not_images():
    assert not image_endings() & {".txt", ".csv", ".json", ".xml", ".npy", ".zip", ".mp4", ""}
