"""The size of an image file is known, and possible, before anything is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, all_flavours, decode
from zoo.preprocessing import image_header as image_header_module
from zoo.preprocessing.image_header import (
    MOST_SCANS,
    PIXELS_OF_A_BYTE,
    PIXELS_OF_ANY_FILE,
    ImageHeader,
    check_image,
    check_pixels,
    image_header,
)

COLOURS = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes, kind: int = 2, bits: int = 8) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(*options: int, pixels: np.ndarray = COLOURS) -> bytes:
    return cv2.imencode(".jpg", pixels, list(options))[1].tobytes()


def saved(form: str, pixels: np.ndarray = COLOURS, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def never_called(*arguments: object, **options: object) -> None:
    raise AssertionError("a decoder was started")


@pytest.fixture
def no_decoder(monkeypatch):
    """No pixel is decoded in this test."""
    monkeypatch.setattr(cv2, "imdecode", never_called)
    monkeypatch.setattr(Image.Image, "load", never_called)


def bmp(length: int, width: int, height: int, more: bytes) -> bytes:
    form = "<IHHIIHHHH" if length == 12 else "<IHHIIiiHH"
    return b"BM" + struct.pack(form, 54, 0, 0, 54, length, width, height, 1, 24) + more


# A frame of three components, of 65535 x 65535 pixels.
FRAME = bytes.fromhex("ffc0 0011 08 ffff ffff 03 011100 021100 031100")
BOMBS = {
    "PNG": png(60000, 60000, b""),
    "PNG without pixels": png(4000, 3000, zlib.compress(b"")),
    "PNG with a chunk beyond its end": png(40, 30, b"")[:-12] + struct.pack(">I4s", 1 << 31, b"tEXt"),
    "JPEG": b"\xff\xd8" + FRAME,
    "JPEG after bytes of no segment": b"\xff\xd8\x12\x34" + FRAME,
    "JPEG without pixels": b"\xff\xd8" + FRAME.replace(b"\xff\xff\xff\xff", b"\x0c\0\x0c\0") + b"\xff\xd9",
    "BMP": bmp(40, 50000, -50000, bytes(24)),
    "BMP of OS/2": bmp(12, 65000, 65000, b""),
    "BMP with a short header": bmp(36, 9000, 9000, bytes(24)),
    "BMP without pixels": bmp(40, 3000, 3000, bytes(24)),
    "PNG that is too long": png(1 << 20, 1, zlib.compress(bytes(3 << 20))),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("pixels", ["bgr", "deep_bgr", "pillow_rgb"])
def test_what_claims_more_than_it_holds_is_not_decoded(no_decoder, name, pixels):
    with pytest.raises(DataError, match=r"of \d+x\d+ pixels|cannot hold|a chunk claims|cannot decode"):
        getattr(EncodedImage(BOMBS[name]), pixels)


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PPM"])
def test_formats_that_only_pillow_reads_are_bounded_too(monkeypatch, form):
    data = saved(form)
    assert decode.decode_pillow(data).shape == COLOURS.shape
    monkeypatch.setattr("zoo.preprocessing.image_header.PIXELS_OF_ANY_FILE", 1000)
    monkeypatch.setattr("zoo.preprocessing.image_header.PIXELS_OF_A_BYTE", 0)
    monkeypatch.setattr(Image.Image, "load", never_called)
    with pytest.raises(DataError, match="an image of 56x40 pixels"):
        decode.decode_pillow(data)


def test_a_format_that_starts_another_program_is_not_opened():
    with pytest.raises(DataError, match="cannot identify"):
        decode.decode_pillow(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("flavour", all_flavours())
def test_ordinary_images_are_decoded_by_every_flavour(flavour):
    family = all_flavours()[flavour](32)
    for data in (jpeg(), jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), saved("PNG"), saved("BMP")):
        assert family.scale(family.decode(EncodedImage(data))).shape[2] == 3


def test_flat_images_are_no_bombs():
    """They compress as far as any: the bounds of what bytes can hold are those of the formats."""
    flat = np.full((3000, 4000, 3), 200, np.uint8)
    for data in (jpeg(pixels=flat), saved("PNG", flat, compress_level=9), jpeg(1, 1, pixels=flat)):
        assert len(data) < 1 << 18
        check_image(data, image_header(data))
    for kind, bits in ((0, 1), (0, 16), (3, 8), (4, 8), (6, 16)):
        samples = {0: 1, 3: 1, 4: 2, 6: 4}[kind]
        rows = bytes((1 + 2000 * bits * samples // 8) * 2000)
        data = png(2000, 2000, zlib.compress(rows, 9), kind, bits)
        check_image(data, image_header(data))


def test_bytes_after_the_end_of_a_png_do_not_count():
    data = saved("PNG") + b"\xff" * 100
    check_image(data, image_header(data))


def test_a_file_of_a_megabyte_may_have_as_many_pixels_as_memory_allows():
    check_pixels(4096, 3072, 1)
    with pytest.raises(DataError, match="an image of 4097x3072 pixels in 1 bytes"):
        check_pixels(4097, 3072, 1)
    size = 2 * PIXELS_OF_ANY_FILE // PIXELS_OF_A_BYTE
    check_pixels(8192, 3072, size)
    with pytest.raises(DataError):
        check_pixels(8193, 3072, size)
    with pytest.raises(DataError, match="200000000x1"):
        check_pixels(200_000_000, 1, 1 << 30)


def test_a_progressive_jpeg_of_many_scans_is_refused(no_decoder):
    data = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    start = data.rindex(b"\xff\xda")
    check_image(data, image_header(data))
    scans = data[:-2] + data[start:-2] * MOST_SCANS + b"\xff\xd9"
    with pytest.raises(DataError, match="in 110 scans: far more than encoders write"):
        _ = EncodedImage(scans).bgr
    # Each scan goes over all pixels.
    large = ImageHeader(width=4000, height=3000, components=3, bits=8)
    fewer = data[:-2] + data[start:-2] * 20 + b"\xff\xd9" + bytes(1 << 20)
    with pytest.raises(DataError, match="4000x3000 pixels in 30 scans"):
        check_image(fewer, large)


def test_markers_inside_the_pixels_and_thumbnails_are_no_scans():
    thumbnail = jpeg(pixels=COLOURS[:8, :8])
    application = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    for data in (jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 1), jpeg()[:2] + application + jpeg()[2:]):
        assert image_header(data) == ImageHeader(width=56, height=40, components=3, bits=8)
        check_image(data, image_header(data))
        assert EncodedImage(data).bgr.shape == (40, 56, 3)


def test_the_pixels_of_a_usual_jpeg_are_not_searched_for_scans(monkeypatch):
    """Counted: how often more is asked for than the segments up to the first scan."""
    scans, searched = [], []
    real = image_header_module._jpeg_segments

    def counted(data):
        for segment in real(data):
            scans.extend([segment] if segment[0] == 0xDA else [])
            yield segment
            searched.extend([segment] if segment[0] == 0xDA else [])

    monkeypatch.setattr(image_header_module, "_jpeg_segments", counted)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert EncodedImage(data).bgr.shape == (64, 64, 3)
    assert scans
    assert not searched


def test_the_pairs_of_bytes_that_begin_a_scan_are_all_counted():
    random = np.random.default_rng(0)
    for length in (*range(12), 1000, 1001):
        data = random.choice([0xFF, 0xDA, 0], length).astype(np.uint8).tobytes()
        assert image_header_module._most_scans(data) == data.count(b"\xff\xda")
