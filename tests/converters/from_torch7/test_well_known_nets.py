"""The Torch7 files that most people have: the classes that their published definitions use all convert.

Small nets of the same code, recorded from the real Torch7, are in the corpus: `fns_reflect_in` and
`fns_none_bn` (fast-neural-style), `dpnn_inception` (a block of OpenFace). Of a whole OpenFace and ENet there
is none: their classes are recorded in other nets, and `test_enet.py` holds a thin ENet against PyTorch.
"""

from __future__ import annotations

import re

import pytest
from corpus_cases import CORPUS

from converters.from_torch7.modules import support
from zoo.catalog.catalog import Catalog

# Name in the catalog: the definition, by repository, commit and path, and the classes that it uses.
DEFINITIONS = {
    "openface-nn4-small2": (
        "cmusatyalab/openface 9d1bd99 models/openface/nn4.small2.def.lua",
        "DepthConcat Inception Linear Normalize ReLU Reshape Sequential SpatialAveragePooling "
        "SpatialBatchNormalization SpatialConvolution SpatialConvolutionMM SpatialCrossMapLRN "
        "SpatialLPPooling SpatialMaxPooling View",
    ),
    "enet-cityscapes": (
        "e-lab/ENet-training 16f3883 train/models/encoder.lua, decoder.lua",
        "CAddTable ConcatTable Identity JoinTable PReLU Padding ReLU Sequential SpatialBatchNormalization "
        "SpatialConvolution SpatialDilatedConvolution SpatialDropout SpatialFullConvolution "
        "SpatialMaxPooling SpatialMaxUnpooling",
    ),
    "fast-neural-style-starry-night": (
        "jcjohnson/fast-neural-style 2cdacb2 fast_neural_style/models.lua",
        "CAddTable ConcatTable Identity MulConstant ReLU Sequential ShaveImage SpatialBatchNormalization "
        "SpatialConvolution SpatialFullConvolution SpatialReflectionPadding SpatialReplicationPadding "
        "SpatialUpSamplingNearest Tanh TotalVariation",
    ),
    "fast-neural-style-feathers": (
        "jcjohnson/fast-neural-style 2cdacb2 fast_neural_style/models.lua",
        "CAddTable ConcatTable Identity InstanceNormalization MulConstant ReLU Sequential ShaveImage "
        "SpatialConvolution SpatialFullConvolution SpatialReflectionPadding SpatialReplicationPadding "
        "SpatialUpSamplingNearest Tanh TotalVariation",
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_classes_of_a_well_known_net_convert(name):
    converted = {known for known, summary in support() if not summary.startswith("not converted: ")}
    assert set(DEFINITIONS[name][1].split()) <= converted


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_well_known_file_is_known_by_its_hash(name):
    weights = Catalog.load().get(name).file("weights")
    assert weights is not None
    assert weights.sha1 is not None


def test_each_of_their_classes_is_in_a_recorded_net():
    recorded: set[bytes] = set()
    for folder in ("torch7", "torch7-community"):
        for path in (CORPUS / folder).glob("*/net.t7"):
            recorded |= set(re.findall(rb"nn\.([A-Za-z]+)", path.read_bytes()))
    wanted = {name.encode() for _, names in DEFINITIONS.values() for name in names.split()}
    assert wanted <= recorded
