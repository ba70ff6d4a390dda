"""Nets that take whole images: bit for bit what every flavour makes of them, in the file that is written."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import converters
from converters.image_preparation import ImagePreparation
from zoo.errors import DataError
from zoo.preprocessing import preprocessor, resolve
from zoo.preprocessing.preparation import image_preparation
from zoo.preprocessing.settings import Preprocessing

# The prime sizes have longer sides that are rounded; 32 of 32 leaves no surplus.
SETTINGS: dict[str, dict[str, Any]] = {
    "caffe-warp36": {"crop": 31, "mean": [104.0, 117.0, 123.0], "scale": 0.017},
    "caffe-short37": {"crop": 32, "mean": [120.0]},
    "caffe-stored": {"crop": 20, "scale": 1 / 256},
    "pil-bicubic-short37": {"crop": 32, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "pil-bicubic-short32": {"crop": 32},
    "torch7-bicubic37": {"crop": 32, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "torch7-bicubic32": {"crop": 32},
}
# One pixel, sizes that stay, twice the size, halves, long and narrow, and 43 / 37 * 37 < 43 in float64.
SIZES = [(1, 1), (36, 36), (32, 32), (72, 72), (74, 64), (43, 37), (37, 43), (20, 20), (21, 90), (200, 7)]


def identity(path: Path, *, opset: int = 18, size: int | str = "S", batch: int | str = "N") -> Path:
    """A net whose output is its input: (batch, 3, size, size)."""
    shape = [batch, 3, size, size]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["data"], ["out"])],
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 3, size, size])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def embedded(
    folder: Path, preparation: dict[str, Any], *, opset: int | None = None, **options: Any
) -> onnxruntime.InferenceSession:
    out = folder / "full.onnx"
    metadata = {"preparation": preparation}
    source = folder / "net.onnx"
    if not source.exists():
        identity(source)
    converters.convert([source], out, embed_preprocessing="full", metadata=metadata, opset=opset, **options)
    onnx.checker.check_model(out, full_check=True)
    return onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])


def preparation_of(flavour: str, **changes: Any) -> tuple[Preprocessing, dict[str, Any]]:
    chosen = Preprocessing(flavour=flavour, **{**SETTINGS[flavour], **changes})
    found = image_preparation(chosen)
    assert found is not None
    return chosen, found.to_dict()


def prepared(chosen: Preprocessing, images: np.ndarray, mean_image: Path | None = None) -> np.ndarray:
    """What the zoo makes of decoded images (N, height, width, 3), in the order in which it decodes."""
    prepare, flavour = preprocessor(chosen, mean_image), resolve(chosen.flavour)
    return np.stack([prepare.finish(flavour.scale_window(image, chosen.crop)) for image in images])


def random_images(height: int, width: int, seed: int, count: int = 2) -> np.ndarray:
    """Noise, or only black and white, which over- and undershoots most."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, height, width, 3), np.uint8)
    return images if seed % 2 else np.where(images > 127, 255, 0).astype(np.uint8)


def check(
    session: onnxruntime.InferenceSession, chosen: Preprocessing, images: np.ndarray, order: str
) -> None:
    """images: in the order of channels in which the flavour decodes."""
    decoded = resolve(chosen.flavour).decoded_channels
    shown = images if decoded == order else np.ascontiguousarray(images[..., ::-1])
    try:
        expected = prepared(chosen, images)
    except DataError:
        # Too small for the window, or so narrow that the zoo refuses it.
        if "stored" in chosen.flavour:
            with pytest.raises(Exception, match="Reshape"):
                session.run(None, {"data": shown})
        return
    (found,) = session.run(None, {"data": shown})
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module", params=itertools.product(SETTINGS, ["BGR", "RGB"]), ids="-".join)
def case(request, tmp_path_factory):
    flavour, order = request.param
    chosen, preparation = preparation_of(flavour)
    session = embedded(tmp_path_factory.mktemp("net"), preparation, channel_order=order)
    return session, chosen, order


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_flavour_at_telling_sizes(case, size):
    session, chosen, order = case
    for seed in (0, 1):
        check(session, chosen, random_images(*size, seed), order)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 130), width=st.integers(1, 130), seed=st.integers(0, 999))
def test_every_flavour_at_any_size(case, height, width, seed):
    session, chosen, order = case
    check(session, chosen, random_images(height, width, seed, count=1), order)


@pytest.mark.parametrize("flavour", ["caffe-warp256", "caffe-short256", "pil-bicubic-short256"])
def test_bytes_of_photographs_in_the_sizes_of_imagenet(tmp_path, flavour):
    chosen = Preprocessing(flavour=flavour, crop=227 if "caffe" in flavour else 224)
    found = image_preparation(chosen)
    assert found is not None
    session = embedded(tmp_path, found.to_dict())
    for size in ((375, 500), (500, 333), (512, 512), (1200, 1600)):
        images = cv2.GaussianBlur(random_images(*size, 1, count=1)[0], (9, 9), 0)[None]
        check(session, chosen, images, found.channels)


def test_the_pixels_of_real_convert_imageset(tmp_path, corpus):
    """The digits as Caffe's own tool warped them to 36x36 and put them into an LMDB."""
    with np.load(corpus / "preprocessing" / "digits.npz") as recorded:
        files, expected = [recorded[f"png_{k}"] for k in range(8)], recorded["caffe_resized"][:8]
    session = embedded(tmp_path, preparation_of("caffe-warp36", crop=36, mean=None, scale=1.0)[1])
    images = np.stack([cv2.imdecode(file, cv2.IMREAD_COLOR) for file in files])
    (found,) = session.run(None, {"data": images})
    np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("opset", [13, 24])
@pytest.mark.parametrize("flavour", SETTINGS)
def test_every_opset(tmp_path, flavour, opset):
    chosen, preparation = preparation_of(flavour)
    session = embedded(tmp_path, preparation, opset=opset)
    assert onnx.load(tmp_path / "full.onnx").opset_import[0].version == opset
    check(session, chosen, random_images(41, 59, 1), chosen_order(preparation))


def chosen_order(preparation: dict[str, Any]) -> str:
    return ImagePreparation.of(preparation).channels


def test_the_file_says_what_it_takes(tmp_path):
    session = embedded(tmp_path, preparation_of("caffe-warp36")[1], channel_order="RGB")
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("data", "tensor(uint8)", ["N", "H", "W", 3])
    model = onnx.load(tmp_path / "full.onnx")
    assert "uint8 images (N, height, width, 3), RGB" in model.graph.input[0].doc_string
    metadata = {entry.key.removeprefix("dsd-zoo."): entry.value for entry in model.metadata_props}
    assert metadata["channel_order"] == '"RGB"'
    assert metadata["layout"] == '"NHWC"'
    assert metadata["value_range"] == "[0, 255]"
    # Nothing is left to prepare.
    assert "preprocessing" not in metadata
    assert "preparation" not in metadata


def test_a_size_that_the_net_calls_h_is_another_one(tmp_path):
    identity(tmp_path / "net.onnx", size="H")
    session = embedded(tmp_path, preparation_of("caffe-warp36")[1])
    assert session.get_inputs()[0].shape == ["N", "height", "width", 3]


def test_a_net_with_a_fixed_batch(tmp_path):
    identity(tmp_path / "net.onnx", size=31, batch=2)
    chosen, preparation = preparation_of("caffe-warp36")
    session = embedded(tmp_path, preparation)
    assert session.get_inputs()[0].shape[0] == 2
    check(session, chosen, random_images(50, 40, 1), "BGR")


@pytest.mark.parametrize("flavour", ["caffe-warp36", "caffe-short36"])
def test_a_mean_image_is_cut_at_the_window(tmp_path, flavour):
    mean = np.random.default_rng(3).uniform(0, 255, (3, 36, 36)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    chosen = Preprocessing(flavour=flavour, crop=31, mean_image=True)
    found = image_preparation(chosen)
    assert found is not None
    session = embedded(tmp_path, found.to_dict(), mean_image=mean)
    images = random_images(60, 45, 1)
    (given_back,) = session.run(None, {"data": images})
    np.testing.assert_array_equal(given_back, prepared(chosen, images, tmp_path / "mean.npy"))


def test_images_that_keep_their_size_must_have_that_of_the_mean_image(tmp_path):
    mean = np.random.default_rng(3).uniform(0, 255, (3, 40, 33)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    chosen = Preprocessing(flavour="caffe-stored", crop=31, mean_image=True)
    found = image_preparation(chosen)
    assert found is not None
    session = embedded(tmp_path, found.to_dict(), mean_image=mean)
    images = random_images(40, 33, 1)
    (given_back,) = session.run(None, {"data": images})
    np.testing.assert_array_equal(given_back, prepared(chosen, images, tmp_path / "mean.npy"))
    with pytest.raises(Exception, match="Got invalid dimensions"):
        session.run(None, {"data": random_images(41, 33, 1)})


@pytest.mark.parametrize(
    "flavour", ["caffe-warp36", "caffe-short37", "pil-bicubic-short37", "torch7-bicubic37"]
)
@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_image_without_pixels_ends_in_an_error(tmp_path, flavour, size):
    session = embedded(tmp_path, preparation_of(flavour)[1])
    with pytest.raises(Exception, match="preprocessing/"):
        session.run(None, {"data": np.zeros((1, *size, 3), np.uint8)})


@pytest.mark.parametrize(
    ("net", "out", "changes", "says"),
    [
        ({"size": 30}, "full.onnx", {}, "the preparation makes N x 3 x 31 x 31 of an image: give the right"),
        ({}, "full.onnx", {"crop": 37}, "a window of 37 pixels does not fit into an image resized to 36"),
        ({"opset": 12}, "full.onnx", {}, "the net is of opset 12; expected 13 or later"),
        ({}, "full.py", {}, "write NET.onnx; a net.py has preprocess"),
        ({}, "folder", {}, "write NET.onnx"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, net, out, changes, says):
    identity(tmp_path / "net.onnx", **net)
    preparation = {**preparation_of("caffe-warp36")[1], **changes}
    with pytest.raises(converters.UsageError, match=says):
        converters.convert(
            [tmp_path / "net.onnx"],
            tmp_path / out,
            embed_preprocessing="full",
            metadata={"preparation": preparation},
        )
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_preparation_that_is_not_known_is_asked_for(tmp_path):
    with pytest.raises(converters.UsageError, match="is not known: say it with --flavour, --crop and --mean"):
        converters.convert(
            [identity(tmp_path / "net.onnx")], tmp_path / "full.onnx", embed_preprocessing="full"
        )


def test_the_order_of_channels_is_about_whole_images(tmp_path):
    for mode in (True, False):
        with pytest.raises(
            converters.UsageError, match=r"channel_order .* is about --embed-preprocessing full"
        ):
            converters.convert(
                [identity(tmp_path / "net.onnx")],
                tmp_path / "full.onnx",
                embed_preprocessing=mode,
                channel_order="RGB",
            )


def test_the_net_behind_is_the_net_that_was_given(tmp_path):
    embedded(tmp_path, preparation_of("torch7-bicubic37")[1])
    behind = converters.without_embedded_preprocessing(converters.load(tmp_path / "full.onnx"))
    assert [node.op_type for node in behind.graph] == ["Identity"]
    assert [(value.name, str(value.dtype)) for value in behind.graph.inputs] == [("data", "FLOAT")]
    converters.save(behind, tmp_path / "behind.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "behind.onnx", providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(session.run(None, {"data": x})[0], x)
    assert converters.embedded_preprocessing_of(behind) is None


def test_a_net_that_takes_images_becomes_no_net_py(tmp_path):
    embedded(tmp_path, preparation_of("caffe-warp36")[1])
    with pytest.raises(converters.UnsupportedError, match="prepares its images in its first nodes"):
        converters.convert([tmp_path / "full.onnx"], tmp_path / "net.py")
    assert not (tmp_path / "net.py").exists()


@pytest.mark.parametrize("text", ["[", "3", "[1]"])
def test_damaged_metadata_are_said(tmp_path, text):
    model = onnx.load(identity(tmp_path / "net.onnx"))
    helper.set_model_props(model, {"dsd-zoo.embedded_preprocessing": text})
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(converters.FormatError, match="embedded_preprocessing are no settings"):
        converters.inspect(tmp_path / "net.onnx")


def test_metadata_that_lie_about_first_nodes_are_said(tmp_path):
    model = onnx.load(identity(tmp_path / "net.onnx"))
    helper.set_model_props(model, {"dsd-zoo.embedded_preprocessing": '{"layout": "NHWC"}'})
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(converters.FormatError, match="damaged, or changed by another program"):
        converters.without_embedded_preprocessing(converters.load(tmp_path / "net.onnx"))
