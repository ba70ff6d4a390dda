"""The public functions as a caller meets them: which files make a net, what the batch is, what errors say."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_cases import CORPUS, Case

import converters

CAFFE = CORPUS / "caffe"
NET = Case.load(CAFFE / "arch-alexnet").sources


def shapes(model: object) -> dict[str, str]:
    return model.meta["report"].inputs  # type: ignore[attr-defined]


def test_the_batch_is_symbolic_unless_asked_otherwise() -> None:
    assert shapes(converters.load(*NET)) == {"data": "Nx3x35x35"}
    assert shapes(converters.load(*NET, static_batch=7)) == {"data": "7x3x35x35"}
    assert shapes(converters.load(*NET, input_shapes={"data": (2, 3, 35, 35)})) == {"data": "2x3x35x35"}
    assert shapes(converters.load(*NET, input_shapes={"data": ("B", 3, 35, 35)})) == {"data": "Bx3x35x35"}


def test_outputs_can_be_any_blob() -> None:
    model = converters.load(*NET, outputs=["conv1", "norm1"])
    assert [value.name for value in model.graph.outputs] == ["conv1", "norm1"]
    assert model.meta["report"].layers < converters.load(*NET).meta["report"].layers


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"outputs": ["conv9"]}, "has no blob 'conv9'.*did you mean"),
        ({"outputs": []}, "the net has no output"),
        ({"outputs": ["conv1", "conv1"]}, "named twice"),
        ({"outputs": "conv1"}, "must be a list of names"),
        ({"static_batch": 0}, "static_batch must be 1 or more"),
        ({"input_shapes": {"image": (1, 3, 35, 35)}}, "--input-shape names image; inputs: data"),
        ({"input_shapes": {"data": (1, 0, 35, 35)}}, "has the size 0: expected a number from 1 on"),
        ({"input_shapes": {"data": ("2 x", 3)}}, "has the size '2 x'"),
        ({"select": "model"}, "names a place in a Torch7 file"),
    ],
)
def test_options_that_make_no_sense_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(converters.UsageError, match=says):
        converters.load(*NET, **arguments)  # type: ignore[arg-type]


def test_options_of_a_definition_are_not_for_a_torch7_file() -> None:
    net = CAFFE.parent / "torch7" / "Add" / "net.t7"
    with pytest.raises(converters.UsageError, match="stages and level are about a Caffe definition"):
        converters.load(net, stages=["deploy"], level=1)


def test_which_files_make_a_net(tmp_path: Path) -> None:
    with pytest.raises(converters.UsageError, match="no files given"):
        converters.load()
    with pytest.raises(converters.UsageError, match="no such file"):
        converters.load(tmp_path / "missing.prototxt")
    with pytest.raises(converters.UsageError, match="two files of the same kind"):
        converters.load(NET[0], NET[0])
    with pytest.raises(converters.UsageError, match="this is a directory"):
        converters.load(tmp_path)
    with pytest.raises(converters.UsageError, match=r"none of \.onnx"):
        converters.convert(NET, tmp_path / "net.tflite")
    with pytest.raises(converters.UsageError, match="exclude each other"):
        converters.convert(NET, tmp_path / "net.onnx", link=True, external=True)
    with pytest.raises(converters.UsageError, match=r"--opset is for \.onnx output"):
        converters.convert(NET, tmp_path / "net.py", opset=13)
    assert not list(tmp_path.iterdir())


def test_an_onnx_file_can_be_read_back(tmp_path: Path) -> None:
    converters.convert(NET, tmp_path / "net.onnx")
    model = converters.load(tmp_path / "net.onnx")
    assert [value.name for value in model.graph.outputs] == ["prob"]
    (tmp_path / "bad.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:-100])
    with pytest.raises(converters.FormatError, match="not a readable ONNX model"):
        converters.load(tmp_path / "bad.onnx")


def test_hashes_that_are_known_are_recorded_and_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[2] / "manifests" / "digits" / "caffe"
    sources = [folder / "train_val.prototxt", folder / "dsd.caffemodel"]
    computed = converters.load(*sources).meta["report"].sources
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    known = [source.sha256 for source in computed]
    assert converters.load(*sources, sha256=known).meta["report"].sources == computed
    with pytest.raises(converters.UsageError, match="sha256 has 1 hashes for 2 files; give one for each"):
        converters.load(*sources, sha256=known[:1])
