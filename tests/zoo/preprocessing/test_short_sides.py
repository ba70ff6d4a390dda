"""The flavours that keep the aspect, the conventions of nets, and image files out of the ordinary."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from zoo.errors import DataError, UsageError
from zoo.preprocessing import EncodedImage, all_flavours, preprocessor, resolve
from zoo.preprocessing.settings import Preprocessing


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("height", "width", "resized", "origin"),
    [
        # The script's arithmetic by hand: 256 * 500 / 375 = 341, (341 - 256) / 2 = 42
        (375, 500, (256, 341), (0, 42)),
        (500, 375, (341, 256), (42, 0)),
        (256, 256, (256, 256), (0, 0)),
        (303, 445, (256, 375), (0, 59)),
        (100, 90, (284, 256), (14, 0)),
    ],
)
def test_caffe_short_is_the_scripts_resize_and_square(height, width, resized, origin):
    image = random_image(height, width)
    whole = cv2.resize(image, (resized[1], resized[0]))
    square = whole[origin[0] : origin[0] + 256, origin[1] : origin[1] + 256]
    np.testing.assert_array_equal(resolve("caffe-short256").resize(png(image)), square)


@pytest.mark.parametrize(
    ("height", "width", "resized"),
    [
        (375, 500, (256, 341)),
        (500, 375, (341, 256)),
        (256, 300, (256, 300)),
        (303, 445, (256, 375)),
        (56, 75, (256, 342)),
    ],
)
def test_pil_bicubic_short_is_pillows_resize(height, width, resized):
    image = random_image(height, width)
    expected = Image.fromarray(image).resize((resized[1], resized[0]), Image.Resampling.BICUBIC)
    result = resolve("pil-bicubic-short256").resize(png(image[:, :, ::-1]))
    np.testing.assert_array_equal(result, np.asarray(expected))


def test_pil_bicubic_short_ends_as_to_tensor_and_normalize():
    image = random_image(40, 51)
    settings = Preprocessing(
        flavour="pil-bicubic-short40", crop=32, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
    )
    result = preprocessor(settings)(png(image[:, :, ::-1]))
    # CenterCrop: (40 - 32) / 2 = 4; (51 - 32) / 2 = 9.5, which Python rounds to 10.
    window = image[4:36, 10:42].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (settings.mean, settings.std))
    np.testing.assert_array_equal(result, (window - mean) / std)


@pytest.mark.parametrize(
    ("flavour", "scaled"),
    [("pil-bicubic-short32", 1.0), ("torch7-bicubic32", 255.0)],
)
def test_another_flavour_under_a_net_made_for_caffe(flavour, scaled):
    image = png(random_image(32, 32))
    ours = preprocessor(
        Preprocessing(flavour=flavour, crop=32, mean=[104, 117, 123], scale=0.5), meant_for="caffe-warp32"
    )
    # Nothing is resized, so the net must see what its own flavour gives it.
    own = preprocessor(Preprocessing(flavour="caffe-warp32", crop=32, mean=[104, 117, 123], scale=0.5))
    np.testing.assert_allclose(ours(image), own(image), rtol=0, atol=2e-5 * scaled)


def test_another_flavour_under_a_net_made_for_torch7():
    image = png(random_image(32, 32))
    numbers = {"crop": 32, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    ours = preprocessor(Preprocessing(flavour="caffe-warp32", **numbers), meant_for="torch7-bicubic32")
    own = preprocessor(Preprocessing(flavour="torch7-bicubic32", **numbers))
    np.testing.assert_allclose(ours(image), own(image), rtol=0, atol=1e-6)


def test_a_mean_image_under_another_flavour_counts_with_its_own_centre(tmp_path):
    mean = np.random.default_rng(0).uniform(0, 255, (3, 32, 32)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    settings = Preprocessing(flavour="pil-bicubic-short32", crop=20, mean_image=True)
    image = random_image(32, 44)
    result = preprocessor(settings, tmp_path / "mean.npy", "caffe-warp32")(png(image))
    window = image[6:26, 12:32].transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_array_equal(result, window - mean[:, 6:26, 6:26])


def test_numbers_are_those_of_the_flavour_they_are_made_for():
    with pytest.raises(UsageError, match="caffe-warp32 divides by no std"):
        preprocessor(
            Preprocessing(flavour="torch7-bicubic32", crop=32, std=[1, 1, 1]), meant_for="caffe-warp32"
        )


def test_the_sample_decodes_alike_in_opencv_and_pillow(shared):
    for path in sorted((shared / "imagenet-sample").glob("*.JPEG"))[::4]:
        encoded = EncodedImage(path.read_bytes())
        np.testing.assert_array_equal(encoded.pillow_rgb, encoded.bgr[:, :, ::-1])


def cmyk_jpeg() -> bytes:
    ink = np.random.default_rng(0).integers(0, 256, (24, 30, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(ink, "CMYK").save(file, "JPEG", quality=95)
    return file.getvalue()


def test_cmyk_is_converted_by_each_librarys_own_rule_or_refused():
    data = cmyk_jpeg()
    assert EncodedImage(data).header.components == 4
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(resolve("caffe-stored").resize(data), opencv)
    with Image.open(io.BytesIO(data)) as image:
        pillow = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(resolve("pil-bicubic-short24").resize(data), pillow)
    with pytest.raises(DataError, match="a CMYK JPEG, of which Torch7"):
        resolve("torch7-bicubic24").resize(data)


@pytest.mark.parametrize(
    "flavour", [name if name == "caffe-stored" else f"{name}24" for name in all_flavours()]
)
def test_grey_jpegs_have_three_equal_channels(flavour):
    grey = cv2.imencode(".jpg", random_image(24, 24)[:, :, 0])[1].tobytes()
    result = resolve(flavour).resize(grey)
    assert result.shape == (24, 24, 3)
    assert (result == result[:, :, :1]).all()


@pytest.mark.parametrize(
    "flavour", [name if name == "caffe-stored" else f"{name}24" for name in all_flavours()]
)
def test_broken_files_are_named_by_every_flavour(flavour):
    whole = cv2.imencode(".jpg", random_image(60, 60))[1].tobytes()
    for data, message in (
        (b"", "an empty file"),
        (b"<html>", "6 bytes that begin with"),
        (whole[: len(whole) // 2], "a truncated or damaged JPEG of"),
    ):
        with pytest.raises(DataError, match=f"cannot decode {message}"):
            resolve(flavour).resize(data)


def test_a_bomb_is_refused_by_pillow_too():
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60000, 60000)
    with pytest.raises(DataError, match="60000x60000"):
        _ = EncodedImage(bomb).pillow_rgb


def test_each_decoder_runs_once(monkeypatch):
    calls = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *args: calls.append(args) or decode(*args))
    encoded = EncodedImage(png(random_image(40, 50)))
    for flavour in ("caffe-warp32", "caffe-short32", "caffe-stored", "torch7-bicubic32"):
        resolve(flavour).scale(resolve(flavour).decode(encoded))
    assert len(calls) == 1


def test_mean_images_of_compute_image_mean(corpus, tmp_path):
    from zoo.preprocessing.mean_image import read_mean_image

    folder = corpus / "caffe" / "data-meanfile"
    with np.load(folder / "batches.npz") as recorded:
        np.testing.assert_array_equal(read_mean_image(folder / "mean.binaryproto", None), recorded["mean"])
    whole = (folder / "mean.binaryproto").read_bytes()
    for content, message in (
        (whole[:-5], "field 5 claims .* remain: truncated or damaged"),
        (b"", "a blob of no shape with 0 bytes"),
        (b"\x08\x01\x10\x03\x18\x02\x20\x02", r"a blob 1 x 3 x 2 x 2 with 0 bytes"),
        (b"\x08\x02\x10\x01\x18\x01\x20\x01\x2a\x08" + bytes(8), "a blob 2 x 1 x 1 x 1"),
    ):
        (tmp_path / "mean.binaryproto").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_mean_image(tmp_path / "mean.binaryproto", None)
    with pytest.raises(DataError, match="expected a mean image of 3 x 256 x 256 numbers"):
        read_mean_image(folder / "mean.binaryproto", 256)
