"""Random nets with shared module objects, against an interpreter of Torch's memory.

The interpreter itself is held against what the real Torch7 gave for recorded nets.
"""

from __future__ import annotations

from collections import Counter

import pytest
import reference_torch_memory as reference
from corpus_cases import CORPUS
from random_torch_nets import RandomNets
from torch7_cases import assert_same, named, recorded

from converters import ConverterError, UnsupportedError
from converters.from_torch7.objects import Storage, Table, Tensor, TorchObject
from converters.from_torch7.reader import read

COMMUNITY = [
    "cadd_inplace_aba",
    "row_softmax",
    "shared_cadd_inplace",
    "shared_hardtanh_inplace",
    "shared_relu_resblock",
    "shared_relu_resblock_first",
    "shared_unsqueeze",
    "shared_view_two",
    "unbatched_bn1d_sibling",
]
TORCH7 = [
    "AddConstant",
    "BatchNormalization",
    "Bottle",
    "CAddTable",
    "ConcatTable",
    "Contiguous",
    "Copy",
    "Dropout_v1",
    "ELU",
    "FlattenTable",
    "HardTanh",
    "Identity",
    "Linear",
    "MulConstant",
    "Narrow",
    "ParallelTable",
    "ReLU",
    "Select",
    "SelectTable",
    "Sequential",
    "SoftMax_1d",
    "SoftMax_2d",
    "SoftMax_4d",
    "SoftPlus",
    "Squeeze",
    "Sum_avg",
    "Sum_dim2",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "View",
    "View_neg",
    "ZeroGrad",
    "bn_noaffine",
    "contiguous_chain",
    "dropout_legacy_no_v2",
    "dropout_v1_inplace",
    "dropout_v2_inplace",
    "inplace_relu_before_identity",
    "linear_1d",
    "linear_nobias_1d",
    "same_module_twice",
    "share_method",
    "view_infer_batch1",
    "view_infer_middle",
    "view_total_drops_batch",
]
CASES = [
    *(CORPUS / "torch7-community" / name for name in COMMUNITY),
    *(CORPUS / "torch7" / name for name in TORCH7),
]


def as_written(value: object, known: dict[int, object]) -> object:
    """What a file holds, as the values that the interpreter takes; one object stays one object."""
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, TorchObject):
        fields: dict[str, object] = {}
        known[id(value)] = value.class_name, fields
        fields |= {key: as_written(item, known) for key, item in value.fields.fields.items()}
        return known[id(value)]
    if isinstance(value, Table):
        return [as_written(item, known) for item in value.sequence()]
    if isinstance(value, Storage | Tensor):
        return value.array if isinstance(value, Tensor) else ("storage", value.array)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_interpreter_gives_what_torch_gave(case):
    inputs, wanted = recorded(case)
    outputs = reference.run(as_written(read(case / "net.t7").value, {}), *inputs.values())
    assert_same(named("output", outputs), wanted)


def outcome(seed: int, run_net) -> str:
    """Runs one random net in both; the outputs must be equal, and what is an accident must be refused."""
    nets = RandomNets(seed)
    net, x = nets.net(), nets.input()
    try:
        wanted = reference.run(net, x)
    except reference.Stopped:
        return "stopped"
    except reference.Accident:
        with pytest.raises(ConverterError):
            run_net(net, x)
        return "accident"
    try:
        got = run_net(net, x)
    except UnsupportedError:
        return "refused"
    assert_same(named("output", got), named("output", wanted))
    return "equal"


def test_random_nets_follow_torchs_memory(run_net):
    counts = Counter(outcome(seed, run_net) for seed in range(300))
    assert counts["equal"] >= 90
    assert counts["accident"] >= 25
    assert counts["refused"] <= 0.05 * counts["equal"]
