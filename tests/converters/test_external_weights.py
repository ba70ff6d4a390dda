"""Weights beside an .onnx: read where onnx itself refuses, and refused in words where they cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from caffemodel_writer import write_caffemodel
from corpus_cases import CORPUS, Case, assert_agrees, run_onnx

import converters
from converters import weights_record
from converters.errors import FormatError, UsageError

CASE = Case.load(CORPUS / "caffe" / "arch-alexnet")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """An .onnx with its weights in net.safetensors, in a folder of its own."""
    (tmp_path / "folder").mkdir()
    converters.convert(CASE.sources, tmp_path / "folder" / "net.onnx", external=True, **CASE.options)
    return tmp_path / "folder" / "net.onnx"


def test_a_hard_linked_file_is_read(net: Path, tmp_path: Path) -> None:
    os.link(net.with_suffix(".safetensors"), tmp_path / "second name")
    values = onnx_ir.load(net).graph.initializers.values()
    outside = next(v.const_value for v in values if isinstance(v.const_value, onnx_ir.ExternalTensor))
    with pytest.raises(ValueError, match="hard link"):
        outside.numpy()
    converters.convert([net], tmp_path / "whole.onnx")
    assert_agrees(run_onnx(tmp_path / "whole.onnx", CASE.inputs), CASE.outputs, 1e-5)


def test_a_link_inside_the_folder_is_read(net: Path, tmp_path: Path) -> None:
    weights = net.with_suffix(".safetensors")
    weights.rename(net.parent / "data")
    weights.symlink_to("data")
    converters.convert([net], tmp_path / "whole.onnx")
    assert_agrees(run_onnx(tmp_path / "whole.onnx", CASE.inputs), CASE.outputs, 1e-5)


def test_a_link_that_leads_outside_is_refused(net: Path, tmp_path: Path) -> None:
    weights = net.with_suffix(".safetensors")
    weights.rename(tmp_path / "data")
    weights.symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match=r"net\.safetensors, which leads to .*/data, outside .*; copy"):
        converters.load(net)


def test_a_place_outside_the_folder_is_refused(net: Path) -> None:
    proto = onnx.load(net, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../net.safetensors"
    net.write_bytes(proto.SerializeToString())
    with pytest.raises(UsageError, match=r"are in \.\./net\.safetensors, .*copy that file into the folder"):
        converters.load(net)


def test_a_missing_file_is_named_also_by_inspect(net: Path) -> None:
    net.with_suffix(".safetensors").unlink()
    with pytest.raises(UsageError, match=r"net\.safetensors, which is missing; put that file there"):
        converters.load(net)
    found = converters.inspect(net)
    assert found.parameters == sum(
        int(np.prod(tensor.dims)) for tensor in onnx.load(net, load_external_data=False).graph.initializer
    )
    assert not found.complete
    assert "which is missing; put that file there" in found.problems[0]


def test_a_file_that_is_cut_off(net: Path) -> None:
    """Of another tool, so that nothing is on record."""
    forget_record(net)
    weights = net.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(FormatError, match=r"needs bytes .* of net\.safetensors, which has .*cut off"):
        converters.load(net)
    with pytest.raises(FormatError, match=r"needs bytes .* of net\.safetensors, which has .*cut off"):
        converters.external_files(net)
    assert "cut off" in converters.inspect(net).problems[0]


def forget_record(net: Path) -> None:
    proto = onnx.load(net, load_external_data=False)
    rest = [entry for entry in proto.metadata_props if entry.key != "dsd-zoo.weights"]
    assert len(rest) < len(proto.metadata_props)
    del proto.metadata_props[:]
    proto.metadata_props.extend(rest)
    net.write_bytes(proto.SerializeToString())


def set_entry(net: Path, key: str, value: str) -> None:
    proto = onnx.load(net, load_external_data=False)
    tensor = next(t for t in proto.graph.initializer if t.external_data)
    next(entry for entry in tensor.external_data if entry.key == key).value = value
    net.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("length", "4", r"takes .* bytes, and the model gives it 4 bytes of net\.safetensors"),
        ("offset", "1000000", r"needs bytes .* of net\.safetensors, which has .*cut off"),
        ("offset", "-8", "not a readable ONNX model"),
        ("offset", "many", "not a readable ONNX model"),
        ("location", "", "leads to .*, outside the folder of the model"),
        ("location", "/etc/passwd", "leads to /etc/passwd, outside the folder of the model"),
        ("location", "a\0b", "names no file"),
        ("location", "x" * 300, "names no file"),
        ("location", ".", "which is missing"),
    ],
)
def test_a_place_that_cannot_be_is_an_error_and_no_crash(
    net: Path, key: str, value: str, message: str
) -> None:
    forget_record(net)
    set_entry(net, key, value)
    with pytest.raises(converters.ConverterError, match=message):
        converters.load(net)
    if message.startswith("not a readable"):
        with pytest.raises(FormatError, match="not a readable ONNX model"):
            converters.inspect(net)
    else:
        assert not converters.inspect(net).complete


def change_a_float(path: Path, offset: int) -> None:
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """An .onnx linked to a caffemodel of 2 MB, of which a sample is a small part."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((500, 1000), np.float32), np.zeros(500, np.float32)]
    write_caffemodel(tmp_path / "w.caffemodel", {"fc": weights})
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1000 } } }'
        'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 500 } }"
    )
    sources = [tmp_path / "net.prototxt", tmp_path / "w.caffemodel"]
    converters.convert(sources, tmp_path / "net.onnx", link=True)
    return tmp_path / "net.onnx"


def checks(net: Path, *, verify: bool = False) -> list[str]:
    """What `load`, `external_files` and `inspect` say of the weights; nothing of what they accept."""
    said = []
    for read in (converters.load, converters.external_files):
        try:
            read(net, verify=verify)
        except converters.ConverterError as error:
            said.append(str(error))
    return [*said, *converters.inspect(net, verify=verify).problems]


def test_a_linked_net_takes_the_weights_that_it_was_written_with(linked: Path) -> None:
    onnx.checker.check_model(linked)
    assert checks(linked) == checks(linked, verify=True) == []
    # A copy has another time, and is hashed.
    weights = linked.with_name("w.caffemodel")
    shutil.copy(weights, linked.with_name("copy"))
    linked.with_name("copy").replace(weights)
    assert checks(linked) == []


def test_unchanged_weights_are_not_hashed_again(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(weights_record, "hash_of", lambda file: hashed.append(file.path) or "")
    assert checks(linked) == []
    assert not hashed
    assert len(checks(linked, verify=True)) == len(hashed) == 3


@pytest.mark.parametrize("with_time", [False, True])
def test_one_changed_float_is_found(linked: Path, with_time: bool) -> None:
    weights = linked.with_name("w.caffemodel")
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[1_000_003] ^= 1
    weights.write_bytes(content)
    if with_time:  # as a file of a damaged disk, or one that someone wants to pass for the old one
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert checks(linked) == []
    found = checks(linked, verify=with_time)
    assert len(found) == 3
    assert all(
        "w.caffemodel: not the weights that" in line and "expected the sha256" in line for line in found
    )


def test_a_changed_sample_is_found_whatever_the_time_says(linked: Path) -> None:
    change_a_float(linked.with_name("w.caffemodel"), 100)
    assert len(checks(linked)) == 3


@pytest.mark.parametrize("change", [-40, 40])
def test_another_length_is_found(linked: Path, change: int) -> None:
    weights = linked.with_name("w.caffemodel")
    content = weights.read_bytes()
    weights.write_bytes(content[:change] if change < 0 else content + bytes(change))
    assert [line.partition(": ")[2][:27] for line in checks(linked)] == [
        "not the weights that " + str(linked)[:6]
    ] * 3


def test_external_weights_are_always_hashed(net: Path) -> None:
    """They record no time, so that the same net makes the same file."""
    again = net.parent / "again"
    converters.convert(CASE.sources, again / "net.onnx", external=True, **CASE.options)
    assert (again / "net.onnx").read_bytes() == net.read_bytes()
    change_a_float(net.with_suffix(".safetensors"), 9_000)
    assert len(checks(net)) == 3


def test_a_file_written_from_an_external_one_has_its_own_record_or_none(net: Path) -> None:
    converters.convert([net], net.with_name("whole.onnx"))
    converters.convert([net], net.with_name("second.onnx"), external=True)
    assert "dsd-zoo.weights" not in converters.load(net.with_name("whole.onnx")).metadata_props
    assert checks(net.with_name("second.onnx")) == []
    # Over itself: its weights are read and replaced.
    converters.convert([net], net, external=True)
    assert checks(net) == []
    assert_agrees(run_onnx(net, CASE.inputs), CASE.outputs, 1e-5)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": 1}', '{"a": {}}', '{"a": {"bytes": "1", "sha256": "", "sample": ""}}']
)
def test_a_damaged_record_is_an_error(net: Path, text: str) -> None:
    proto = onnx.load(net, load_external_data=False)
    next(entry for entry in proto.metadata_props if entry.key == "dsd-zoo.weights").value = text
    net.write_bytes(proto.SerializeToString())
    assert all("the record of its weights file is damaged" in line for line in checks(net))
    assert len(checks(net)) == 3


def test_tensors_in_attributes_and_inner_graphs_are_found_too(tmp_path: Path) -> None:
    big = np.arange(400, dtype=np.float32)
    (tmp_path / "data").write_bytes(big.tobytes())

    def outside(name: str) -> onnx.TensorProto:
        tensor = onnx.TensorProto(name=name, dims=[400], data_type=onnx.TensorProto.FLOAT)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="data")
        tensor.external_data.add(key="length", value="1600")
        return tensor

    out = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [400]) for name in ("a", "b", "y")
    ]
    nodes = [onnx.helper.make_node("Constant", [], ["a"], value=outside("c"))]
    then = onnx.helper.make_graph(nodes, "then", [], out[:1])
    other = [onnx.helper.make_node("Identity", ["w"], ["b"])]
    otherwise = onnx.helper.make_graph(other, "else", [], out[1:2], [outside("w")])
    choose = onnx.helper.make_node("If", ["x"], ["y"], then_branch=then, else_branch=otherwise)
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.BOOL, [])
    graph = onnx.helper.make_graph([choose], "net", [x], out[2:])
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    assert list(converters.external_files(tmp_path / "net.onnx")) == ["data"]
    converters.convert([tmp_path / "net.onnx"], tmp_path / "whole.onnx")
    assert converters.external_files(tmp_path / "whole.onnx") == {}
    (tmp_path / "data").write_bytes(b"short")
    assert len(checks(tmp_path / "net.onnx")) == 3
    for branch in (True, False):
        (found,) = run_onnx(tmp_path / "whole.onnx", {"x": np.array(branch)}).values()
        np.testing.assert_array_equal(found, big)
