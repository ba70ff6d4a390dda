"""Decoding: EXIF ignored but found, damage named, headers read from literal bytes."""

from __future__ import annotations

import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, decode
from zoo.preprocessing.image_header import ImageHeader, image_header


def jpeg(height: int = 6, width: int = 10) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def with_exif(data: bytes, orientation: int, order: str = "<") -> bytes:
    """A JPEG with an APP1 segment put first that holds one directory entry: the orientation."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = magic + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
    payload = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_found_and_ignored(orientation, order):
    plain = jpeg()
    turned = with_exif(plain, orientation, order)
    header = image_header(turned)
    assert header == ImageHeader(width=10, height=6, components=3, bits=8, orientation=orientation)
    assert header.rotated == (orientation != 1)
    np.testing.assert_array_equal(EncodedImage(turned).bgr, EncodedImage(plain).bgr)
    if orientation == 6:
        # OpenCV itself would turn this one: the file is what it is meant to be.
        assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (10, 6)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff",  # a directory far outside
        b"\xff\xd8\xff\xe1\x00\x12Exif\0\0MM\0*\0\0\0\x08\xff\xff",  # 65535 entries claimed, none there
        b"\xff\xd8\xff\xe1\xff\xff",
        b"\xff\xd8\xff\xe1\x00\x00" * 50,
        b"\xff\xd8" + b"\xff" * 100,
    ],
)
def test_a_damaged_header_is_no_error(data):
    assert image_header(data) == ImageHeader()


@pytest.mark.parametrize(
    ("decoder", "pixels"),
    [("decode_bgr", "bgr"), ("decode_deep_bgr", "deep_bgr"), ("decode_pillow", "pillow_rgb")],
)
def test_images_are_decoded_side_by_side(monkeypatch, decoder, pixels):
    both = threading.Barrier(2)
    monkeypatch.setattr(decode, decoder, lambda data, *_: [len(data), both.wait(timeout=10)])
    sixteen_bits = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint16))[1].tobytes()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: getattr(EncodedImage(sixteen_bits), pixels), range(2)))
    assert sorted(results) == [[len(sixteen_bits), 0], [len(sixteen_bits), 1]]


def test_an_image_is_decoded_once():
    image = EncodedImage(jpeg())
    assert image.bgr is image.bgr
    assert image.deep_bgr is image.bgr
    assert image.pillow_rgb is image.pillow_rgb


def test_the_header_is_read_once(monkeypatch):
    read = []
    monkeypatch.setattr(decode, "image_header", lambda data: read.append(data) or image_header(data))
    assert EncodedImage(jpeg()).bgr.size
    assert len(read) == 1


def test_grey_and_colour_components():
    grey = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes()
    assert image_header(grey).components == 1
    assert image_header(jpeg()).components == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot decode an empty file"),
        (b"<html>404</html>", "begin with b'<html>40'"),
        (jpeg()[:-40], "truncated or damaged JPEG of"),
        (jpeg()[:20], "truncated or damaged JPEG of 20 bytes"),
    ],
)
def test_what_is_no_image_is_named(data, message):
    with pytest.raises(DataError, match=message):
        _ = EncodedImage(data).bgr


def test_an_image_bomb_is_refused_before_it_is_decoded():
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60000, 60000)
    with pytest.raises(DataError, match="60000x60000"):
        _ = EncodedImage(bomb).bgr
    with pytest.raises(DataError, match="65535x65535"):
        _ = EncodedImage(bytes.fromhex("ffd8 ffc0 0011 08 ffff ffff 03 011100 021100 031100")).bgr
    bitmap = b"BM" + struct.pack("<IHHIIiiHH", 54, 0, 0, 54, 40, 50000, -50000, 1, 24) + bytes(24)
    with pytest.raises(DataError, match="50000x50000"):
        _ = EncodedImage(bitmap).bgr
    animation = b"GIF89a" + struct.pack("<HH", 30000, 30000) + bytes.fromhex("80 00 00 000000 ffffff")
    animation += b"," + struct.pack("<HHHH", 0, 0, 30000, 30000) + bytes.fromhex("00 02 02 4c01 00 3b")
    with pytest.raises(DataError, match="begin with b'GIF89a"):
        _ = EncodedImage(animation).bgr


def test_a_bitmap_says_its_size():
    for rows in (np.zeros((3, 5, 3), np.uint8), np.zeros((7, 2), np.uint8)):
        data = cv2.imencode(".bmp", rows)[1].tobytes()
        header = image_header(data)
        assert (header.height, header.width) == rows.shape[:2]
        assert EncodedImage(data).bgr.shape == (*rows.shape[:2], 3)
