"""The weights of two nets in one drawing, from the very files that were run."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.catalog.catalog import Catalog
from zoo.claims.reported import reported
from zoo.report.weight_histogram import BINS, REACH, draw_histograms, histograms_of
from zoo.store.cache import Cache


def write_net(path, weights):
    """A net of one matrix product with these weights."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "fc.weight"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", weights.shape[1]])],
        [numpy_helper.from_array(weights, "fc.weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.fixture
def nets(tmp_path, made_run):
    """Two nets outside the catalog, each with the run that names its file; the second one is pruned."""
    rng = np.random.default_rng(3)
    dense = rng.standard_normal((40, 30)).astype(np.float32)
    pruned = np.where(np.abs(dense) < 0.5, np.float32(0), dense)
    runs = []
    for name, weights in (("dense", dense), ("pruned", pruned)):
        path = tmp_path / f"{name}.onnx"
        files = write_net(path, weights)
        command = f"dsd-zoo validate {path} --against dense"
        runs.append(made_run("digits-caffe-dsd", model=name, files=files, command=command))
    (pair,) = reported(Catalog.load(), runs).pairs
    return pair, dense, pruned


def test_the_counts_are_those_of_numpy(nets, tmp_path):
    pair, dense, pruned = nets
    found = histograms_of(pair.model, pair.baseline, Cache(tmp_path / "cache"))
    scale = float(np.sqrt(np.mean(np.square(dense, dtype=np.float64))))
    for counts, weights in zip(found.counts, (pruned, dense), strict=True):
        values = np.clip(weights[weights != 0] / scale, -REACH, REACH)
        expected = np.histogram(values, BINS, (-REACH, REACH))[0]
        # Dividing in another order may move a value on an edge into the next part.
        assert np.abs(np.cumsum(expected) - np.cumsum(counts)).max() <= 1
        assert sum(counts) == np.count_nonzero(weights)
    assert found.zeros == (int((pruned == 0).sum()), 0)
    assert (found.size, found.equal) == (1200, int((pruned == dense).sum()))


def test_a_file_that_is_not_the_one_that_was_run_is_not_drawn(nets, tmp_path):
    pair, dense, _ = nets
    write_net(tmp_path / "pruned.onnx", dense)
    assert histograms_of(pair.model, pair.baseline, Cache(tmp_path / "cache")) is None
    (tmp_path / "pruned.onnx").unlink()
    assert histograms_of(pair.model, pair.baseline, Cache(tmp_path / "cache")) is None


def test_nets_of_two_architectures_are_not_drawn(nets, tmp_path, made_run):
    pair, _, _ = nets
    path = tmp_path / "other.onnx"
    files = write_net(path, np.ones((3, 2), np.float32))
    run = made_run("digits-caffe-dsd", model="other", files=files, command=f"dsd-zoo validate {path}")
    (other,) = reported(Catalog.load(), [run]).nets
    assert histograms_of(other, pair.baseline, Cache(tmp_path / "cache")) is None


def test_the_drawing_stays_inside_its_frame_and_says_what_it_is(nets, tmp_path):
    pair, _, _ = nets
    found = histograms_of(pair.model, pair.baseline, Cache(tmp_path / "cache"))
    drawn = str(draw_histograms(found, "<pruned>", "dense"))
    assert 'role="img" aria-label="Distribution of the weights of &lt;pruned&gt; and of dense"' in drawn
    for path in re.findall(r' d="([^"]+)"', drawn):
        numbers = [float(number) for number in re.findall(r"[HV]([-0-9.]+)", path)]
        assert min(numbers) >= 0
        assert max(numbers) <= 100
        assert path.endswith("H61V100")
