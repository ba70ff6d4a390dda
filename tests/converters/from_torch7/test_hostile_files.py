"""Damaged, misleading and malicious files: each gets a clear error, and takes little memory."""
# ruff: noqa: E501

from __future__ import annotations

import json
import tracemalloc

import pytest
from corpus_cases import CORPUS

import converters
from converters import FormatError, MismatchError, UnsupportedError, WrongFileError

HOSTILE = CORPUS / "torch7-hostile"

# None: the file is legal in Torch and loads here too.
ERRORS = {
    "valid_reference": None,
    "empty": (FormatError, "the file is empty; download or copy it again"),
    "truncated_2_bytes": (FormatError, "byte 0: the type of a value needs 4 bytes, but only 2 are left"),
    "truncated_class_name": (FormatError, "byte 19: a class name needs 13 bytes, but only 5 are left"),
    "truncated_storage": (
        FormatError,
        "byte 262: a torch.FloatStorage of 6 elements needs 24 bytes, but only 10 are left",
    ),
    "truncated_last_byte": (FormatError, "byte 578: a boolean needs 4 bytes, but only 3 are left"),
    "trailing_garbage": None,
    "huge_storage": (
        FormatError,
        "byte 262: a torch.FloatStorage of 1,099,511,627,776 elements needs 4,398,046,511,104 bytes, but only 195 are left",
    ),
    "huge_string": (FormatError, "byte 8: a string needs 2,147,483,647 bytes, but only 3 are left"),
    "negative_string": (FormatError, "byte 8: a string has a negative length (-7)"),
    "negative_storage": (
        FormatError,
        "byte 262: a torch.FloatStorage of -6 elements has a negative length (-24)",
    ),
    "huge_table": (FormatError, "byte 12: a table claims 2,147,483,647 entries, but only 24 bytes are left"),
    "negative_table": (FormatError, "byte 12: a table claims -1 entries, but only 24 bytes are left"),
    "negative_object_index": None,
    "zero_object_index": None,
    "index_of_other_kind": (
        FormatError,
        "byte 21: object 1 is a table, but is referred to as a torch object",
    ),
    "self_reference_table": (UnsupportedError, "this is data, not a network: a table of 1 entries (me)"),
    "sequential_contains_itself": (FormatError, "nn.Sequential at 1: the module contains itself"),
    "deep_tables": (UnsupportedError, "this is data, not a network: a table of 1 entries (1)"),
    "deep_sequential": (UnsupportedError, "modules are nested deeper than 100"),
    "unknown_type_tag": (FormatError, "byte 0: 99 is no type of value; expected 0 to 8"),
    "unknown_type_tag_inside": (FormatError, "byte 26: 42 is no type of value; expected 0 to 8"),
    "unknown_class": (UnsupportedError, "evil.Backdoor at 1: no module class of this name is known"),
    "unknown_nn_class": (UnsupportedError, "nn.TotallyNewLayer at 1: no module class of this name is known"),
    "git_lfs_pointer": (WrongFileError, "this is a Git LFS pointer, not the file it points to"),
    "html_page": (WrongFileError, "this is an HTML page"),
    "gzipped": (WrongFileError, "this is gzip-compressed"),
    "pickle": (WrongFileError, "this is a Python pickle"),
    "zip_pth": (
        WrongFileError,
        "this is a PyTorch checkpoint (torch.save or torch.jit.save), which is neither Caffe nor",
    ),
    "mixed_long_sizes": (FormatError, "byte 262: 1075838976 is no type of value; expected 0 to 8"),
    "big_endian": (
        FormatError,
        "byte 0: 67108864 is no type of value; expected 0 to 8 (big-endian? only little-endian files are supported)",
    ),
    "crlf_damaged": (
        FormatError,
        "(every line feed comes with a carriage return: damaged by a transfer in text mode?)",
    ),
    "negative_dimension": (
        FormatError,
        "byte 173: a torch.FloatTensor of size -2x3, strides 3x1: a size is negative",
    ),
    "million_dimensions": (
        FormatError,
        "byte 173: a torch.FloatTensor of 1,073,741,824 dimensions; 0 to 64 expected",
    ),
    "size_overflow": (
        FormatError,
        "byte 173: a torch.FloatTensor of size 4294967296x4294967296, strides 4294967296x1: more elements than any memory holds",
    ),
    "view_past_storage": (FormatError, "strides 3x1: it reaches from element 5 to 10 of a storage of 6"),
    "negative_offset": (FormatError, "strides 3x1: it reaches from element -3 to 2 of a storage of 6"),
    "negative_stride": (FormatError, "size 2x3, strides -3x1: a stride is negative"),
    "expanded_bomb": (
        FormatError,
        "nn.Linear at 1: tensor 'weight' is one of 1048576x1048576 expanded from a smaller one",
    ),
    "nil_storage": (FormatError, "size 2x3, strides 3x1: it has no storage"),
    "nil_key": (FormatError, "byte 12: the key of a table entry is nil"),
    "nan_key": (FormatError, "byte 12: the key of a table entry is NaN"),
    "function_type8": (UnsupportedError, "this is data, not a network: a table of 1 entries (f)"),
    "function_type7": (UnsupportedError, "this is data, not a network: a table of 1 entries (f)"),
    "function_type6": (UnsupportedError, "this is data, not a network: a table of 1 entries (f)"),
    "function_in_module": (
        UnsupportedError,
        "nn.Sequential: its method 'updateOutput' was replaced by a stored Lua function, which is never run",
    ),
    "missing_weight": (FormatError, "nn.Linear at 1: tensor 'weight' is missing; the field is nil"),
    "weight_shape_lie": (
        MismatchError,
        "nn.SpatialConvolution at 1: tensor 'weight' is 4x3x2x2, but the fields ask for 4x3x3x3",
    ),
    "zero_stride_conv": (FormatError, "nn.SpatialConvolution at 1: field 'dH' should be 1 or more, but is 0"),
    "fractional_kernel": None,
    "plain_table": (
        UnsupportedError,
        "this is data, not a network: a table of 2 entries (epoch, modelFile); it names model_7.t7",
    ),
    "bare_tensor": (UnsupportedError, "this is data, not a network: a torch.FloatTensor of 2"),
    "checkpoint_wrapper": None,
    "ascii_garbage": (
        FormatError,
        "byte 77: a torch.FloatStorage of 2 elements expected, a number, but found 'banana'",
    ),
    "ascii_truncated": (
        FormatError,
        "byte 76: a torch.FloatStorage of 2 elements: 2 numbers expected, but the file ends after 1",
    ),
    "ascii_binary_noise": (FormatError, "byte 39: the type of a value expected, a number, but"),
    "ascii_wrong_count": (FormatError, "byte 14: a class name claims 170 values, but only 68 bytes are left"),
    "ascii_nan_inf": (UnsupportedError, "this is data, not a network: a torch.FloatTensor of 2"),
}
# The most bytes that reading a small file may allocate. The deepest nesting takes the most.
MOST_MEMORY = 12_000_000


def test_the_table_is_complete():
    cases = json.loads((HOSTILE / "hostile.json").read_text())["cases"]
    assert [case["file"] for case in cases] == [f"{name}.t7" for name in ERRORS]
    must_load = {case["file"].removesuffix(".t7") for case in cases if case["expect"] == "load"}
    may_load = {case["file"].removesuffix(".t7") for case in cases if case["expect"] in ("load", "either")}
    loads = {name for name, error in ERRORS.items() if error is None}
    assert must_load <= loads <= may_load


@pytest.mark.parametrize("name", [name for name, error in ERRORS.items() if error is not None])
def test_each_gets_its_own_error(name, tmp_path):
    kind, message = ERRORS[name]
    out = tmp_path / "net.onnx"
    with pytest.raises(converters.ConverterError) as error:
        converters.convert(HOSTILE / f"{name}.t7", out)
    assert type(error.value) is kind
    assert message in str(error.value)
    assert f"{name}.t7" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name, error in ERRORS.items() if error is None])
def test_what_is_legal_loads(name):
    report = converters.load(HOSTILE / f"{name}.t7").meta["report"]
    shapes = ("NxCxHxW", "NxCxH_1xW_1") if name == "fractional_kernel" else ("Nx3", "Nx2")
    assert (report.inputs["input"], report.outputs["output"]) == shapes


@pytest.mark.parametrize("name", ERRORS)
def test_none_takes_memory_that_it_only_claims(name):
    converters.load(HOSTILE / "valid_reference.t7")  # imports must not count
    tracemalloc.start()
    try:
        for function in (converters.load, converters.inspect):
            try:
                function(HOSTILE / f"{name}.t7")
            except converters.ConverterError:
                continue
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def test_reading_no_further_than_torch_is_said():
    report = converters.load(HOSTILE / "trailing_garbage.t7").meta["report"]
    assert report.notes == ["32 bytes after the first object were not read; Torch reads no further either"]


def test_a_net_that_doubles_at_each_level_is_refused(save_t7):
    net: tuple = ("nn.Tanh", {})
    for _ in range(40):
        net = ("nn.Sequential", {"modules": [net, net]})
    with pytest.raises(converters.UnsupportedError, match="runs its modules more than 50,000 times"):
        converters.load(save_t7(net), input_shapes={"input": (1, 3)})
