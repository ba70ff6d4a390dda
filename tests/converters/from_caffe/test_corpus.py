"""Every recorded Caffe case: converted, it gives what the real Caffe gave; what Caffe refuses is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx, run_pytorch

import converters

CAFFE = CORPUS / "caffe"
CASES = sorted(
    path.parent.name for path in CAFFE.glob("*/case.json") if json.loads(path.read_text())["inputs"]
)
REFUSED_BY_CAFFE = json.loads((CAFFE / "refused.json").read_text())

# The one case that Caffe computes and that is not converted, with what the error says.
NOT_CONVERTED = {
    "inplace-eltwise-max": r"layer 'mx' \(Eltwise\): in place, Caffe's SUM and MAX lose the first operand",
}

# Nets that Caffe refuses and that are converted, and why this is no wrong answer.
ACCEPTED = {
    "permute-type",  # a layer of SSD's fork, unknown to BVLC Caffe alone
    "softmaxloss-two-tops-plain",  # a loss that Caffe cannot set up; at inference there is no loss
    "softmaxloss-two-tops-weights",
}


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_CONVERTED])
def test_both_forms_give_what_caffe_gave(name: str, tmp_path: Path) -> None:
    case = Case.load(CAFFE / name)
    model = converters.load(*case.sources, **case.options)
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    tolerance = float(case.meta.get("tolerance", DEFAULT_TOLERANCE))
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, tolerance)
    assert_agrees(run_pytorch(tmp_path / "net.py", case.inputs, model), case.outputs, tolerance)


@pytest.mark.parametrize("name", NOT_CONVERTED)
def test_what_cannot_be_converted_says_why(name: str) -> None:
    case = Case.load(CAFFE / name)
    with pytest.raises(converters.UnsupportedError, match=NOT_CONVERTED[name]):
        converters.load(*case.sources, **case.options)


@pytest.mark.parametrize(
    "name",
    sorted(
        name for name in CASES if "equal_in_caffe" in json.loads((CAFFE / name / "case.json").read_text())
    ),
)
def test_other_generations_of_the_same_net_convert_alike(name: str, tmp_path: Path) -> None:
    """Pairs of files (upgraded, V1, V2, HDF5) that the real Caffe ran to bit-identical outputs."""
    case = Case.load(CAFFE / name)
    for k, (definition, weights) in enumerate(case.meta["equal_in_caffe"]):
        sources = [case.folder / definition, case.folder / weights]
        out = tmp_path / f"{k}.onnx"
        converters.convert(sources, out, **case.options)
        assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("name", sorted(set(REFUSED_BY_CAFFE) - ACCEPTED))
def test_what_caffe_refuses_is_refused(name: str, tmp_path: Path) -> None:
    definition = tmp_path / "net.prototxt"
    definition.write_text(REFUSED_BY_CAFFE[name]["prototxt"])
    with pytest.raises(converters.ConverterError) as caught:
        converters.load(definition)
    # Without weights, loading may stop before it comes to the layer that Caffe refuses; inspecting goes on.
    if isinstance(caught.value, converters.MismatchError):
        inspection = converters.inspect(definition)
        assert not inspection.complete
        assert any(row.problem for row in inspection.layers)
