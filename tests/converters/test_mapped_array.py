"""Views of mapped files: what is computed with them is read from the file; mapped memory is not touched."""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus_cases import CORPUS
from untouchable_memory import forbid_mapped_memory, outcome

import converters
from converters import SourceChangedError, SourceFile, source_files
from converters.mapped_array import MappedArray, contiguous, in_memory

VALUES = np.random.default_rng(0).standard_normal((6, 4, 5)).astype("<f4")
# What uses the values of an array, in every way that numpy has.
USES: dict[str, Callable[[Any], Any]] = {
    "ufunc": lambda x: x * 2 + np.sqrt(abs(x)),
    "reduce": lambda x: np.add.reduce(x, axis=1),
    "comparison": lambda x: x > 0,
    "matmul": lambda x: x @ np.ones((5, 2), np.float32),
    "where": lambda x: np.where(x > 0, x, -x),
    "into": lambda x: np.add(np.zeros_like(x), x, out=np.empty(x.shape, np.float32)),
    "concatenate": lambda x: np.concatenate([x, x]),
    "stack": lambda x: np.stack([x[0], x[1]]),
    "function": lambda x: np.einsum("abc,dbc->ad", x, x),
    "allclose": lambda x: np.array_equal(x, x),
    "asarray of another type": lambda x: np.asarray(in_memory(x), np.float64),
    "astype": lambda x: x.astype(np.float64),
    "astype of a part": lambda x: x[1:, ::2].astype(np.int32),
    "byte order": lambda x: x.astype(">f4"),
    "sum": lambda x: x.sum(axis=0),
    "any": lambda x: (x.any(), x.all()),
    "min": lambda x: (x.min(), x.max(), x.mean(), x.argmax()),
    "flatten": lambda x: x.T.flatten(),
    "reshape of a transposed one": lambda x: x.T.reshape(-1),
    "tobytes": lambda x: x[:, 1].tobytes(),
    "tolist": lambda x: x.tolist(),
    "item": lambda x: (x[1, 2, 3], x[1, 2].item(3), x.item(0)),
    "float": lambda x: (float(x[0, 0, :1][0]), int(x[1, 1, 1]), bool(x[0, 0, 0])),
    "iteration": lambda x: [float(value) for value in x[2, 2]],
    "in": lambda x: x[0, 0, 0] in x,
    "fancy index": lambda x: x[[0, 2], 1:],
    "mask": lambda x: x[np.asarray(in_memory(x)) > 0],
    "copy": lambda x: x.copy(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "repr": repr,
    "contiguous": lambda x: contiguous(x.T),
}
# What needs no values: another view.
VIEWS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: x[1:4, ::-1],
    "number": lambda x: x[3],
    "new axis": lambda x: x[None, ..., 0],
    "reshape": lambda x: x.reshape(24, 5),
    "transpose": lambda x: np.transpose(x, (2, 0, 1)),
    "T": lambda x: x.T,
    "type": lambda x: x.view("<u4"),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "broadcast": lambda x: np.broadcast_to(x[0], (3, 4, 5)),
    "the same type": lambda x: x.astype(np.float32, copy=False),
    "contiguous": contiguous,
    "0 axes": lambda x: x[0, 0, 0, ...],
}


@pytest.fixture
def view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MappedArray:
    """A view of VALUES in a file, in whose mapped memory other values stand."""
    (tmp_path / "file").write_bytes(bytes(8) + VALUES.tobytes() + bytes(8))
    others = functools.cached_property(lambda file: np.full(file.state.size, 77, np.uint8))
    others.__set_name__(SourceFile, "_memory")
    monkeypatch.setattr(SourceFile, "_memory", others)
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", 1)
    found = SourceFile(tmp_path / "file").data[8:-8].view("<f4").reshape(6, 4, 5)
    assert isinstance(found, MappedArray)
    return found


@pytest.mark.parametrize("use", USES)
def test_values_are_those_of_the_file(view, use):
    found, wanted = USES[use](view), USES[use](VALUES)
    assert not isinstance(found, MappedArray)
    assert getattr(found, "dtype", None) == getattr(wanted, "dtype", None)
    np.testing.assert_equal(found, wanted)


@pytest.mark.parametrize("make", VIEWS)
def test_views_stay_views_and_have_the_values_of_the_file(view, make):
    found = VIEWS[make](view)
    assert isinstance(found, MappedArray)
    assert np.shares_memory(found, view)
    np.testing.assert_array_equal(in_memory(found), VIEWS[make](VALUES))


def test_nothing_in_it_can_be_changed(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(8))
    monkeypatch.setattr(source_files, "MAPPED_FROM_BYTES", 1)
    with pytest.raises(ValueError, match="read-only"):
        SourceFile(tmp_path / "file").data[0] = 1


def test_a_cast_reads_in_parts(view, monkeypatch):
    monkeypatch.setattr("converters.mapped_array._CHUNK_BYTES", 64)
    sizes, read = [], SourceFile.read_into

    def counted(file, buffer, offset):
        sizes.append(len(buffer))
        read(file, buffer, offset)

    monkeypatch.setattr(SourceFile, "read_into", counted)
    np.testing.assert_array_equal(view.astype(np.float64), VALUES)
    assert sum(sizes) == VALUES.nbytes
    assert max(sizes) == 64


def test_a_file_that_is_cut_off_is_an_error_where_its_values_are_needed(view, tmp_path):
    os.truncate(tmp_path / "file", 100)
    assert view.T.shape == (5, 4, 6)
    with pytest.raises(SourceChangedError, match="the file was changed while it was read: byte 100 of"):
        view.sum()


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


# Of every kind of file that is mapped, nets whose values are converted, scattered, folded or reordered.
NETS = [
    *("caffe/arch-densenet", "caffe/arch-inception", "caffe/arch-mobilenet", "caffe/bn-params3-upgrade"),
    *("caffe/wire-double", "caffe/wire-double-and-float", "caffe/wire-double-unpacked", "caffe/fold-two-bn"),
    *(
        "caffe/lstm-basic",
        "caffe/rnn-basic",
        "caffe/ip-transpose",
        "caffe/deconv-group3",
        "caffe/prelu-shared",
    ),
    *("caffe-forks/local-k1", "caffe-forks/lstm-jh", "caffe-forks/bn-psp-eps", "caffe-forks/nvbn-default"),
    *("torch7-models/resnet18-thin", "torch7-models/inception-like"),
    *("torch7/half_linear", "torch7/cuda_half_linear", "torch7-community/rnn_seqbrnn"),
    *("torch7-community/w2nn_RandomBinaryConvolution", "torch7-community/three_cosine"),
]
WAYS: dict[str, dict[str, bool]] = {"a.onnx": {}, "a.py": {}, "folded.onnx": {"fold": True}}


def _sources(net: str) -> list[Path]:
    folder = CORPUS / net
    return [folder / "net.t7"] if "torch7" in net else [folder / "net.prototxt", folder / "net.caffemodel"]


def _written(sources: list[Path], folder: Path) -> str:
    folder.mkdir()
    digests = [
        hashlib.sha256(file.read_bytes()).hexdigest()
        for out, options in WAYS.items()
        for file in converters.convert(sources, folder / out, **options).files
    ]
    return " ".join(digests)


@pytest.mark.parametrize("net", NETS)
def test_no_conversion_touches_mapped_memory(tmp_path, monkeypatch, net):
    sources = _sources(net)
    wanted = _written(sources, tmp_path / "as usual")

    def convert() -> None:
        forbid_mapped_memory(monkeypatch)
        assert SourceFile(sources[-1]).is_mapped
        found = _written(sources, tmp_path / "forbidden")
        assert found == wanted

    assert outcome(convert) == "done"


def test_touching_it_would_be_noticed(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(200)))

    def touch() -> None:
        forbid_mapped_memory(monkeypatch)
        np.asarray(SourceFile(tmp_path / "file").data)[100].sum()

    assert outcome(touch) == "SIGSEGV"


def test_no_reading_of_weights_outside_an_onnx_touches_mapped_memory(tmp_path, monkeypatch):
    converters.convert(_sources("torch7-models/resnet18-thin"), tmp_path / "net.onnx", external=True)
    wanted = converters.weights_of(converters.load(_sources("torch7-models/resnet18-thin")[0]))
    converters.convert([tmp_path / "net.onnx"], tmp_path / "wanted.py", fold=True)

    def convert() -> None:
        forbid_mapped_memory(monkeypatch)
        model = converters.load(tmp_path / "net.onnx")
        found = converters.weights_of(model)
        assert any(isinstance(array, MappedArray) for array in found.values())
        for name, array in found.items():
            assert np.array_equal(array, wanted[name]), name
        converters.convert([tmp_path / "net.onnx"], tmp_path / "found.py", fold=True)

    assert outcome(convert) == "done"
    for end in ("wanted", "found"):
        assert (tmp_path / f"{end}.safetensors").stat().st_size > 1000
    assert _digest([tmp_path / "wanted.safetensors"]) == _digest([tmp_path / "found.safetensors"])


def test_comparing_weights_touches_no_mapped_memory(tmp_path, monkeypatch):
    from zoo.verification.weights import compare_weights, pair_weights, weights_of

    nets = [_sources("torch7-models/resnet18-thin"), _sources("torch7-models/resnet18-thin")]

    def compare() -> None:
        forbid_mapped_memory(monkeypatch)
        pairs = pair_weights(*(weights_of(converters.load(*net)) for net in nets))
        assert all(compare_weights(*pair).equal == pair[0].array.size for pair in pairs)

    assert outcome(compare) == "done"
