"""Module objects used in several places: what Torch's memory does to their results, recorded from Torch7."""

from __future__ import annotations

import pytest
from corpus_cases import CORPUS

from converters import UnsupportedError

COMMUNITY = CORPUS / "torch7-community"
FOLLOWED = [
    "cadd_inplace_aba",
    "dpnn_clip_crossed",
    "fuzz0553",
    "fuzz1128",
    "fuzz1379",
    "row_softmax",
    "shared_cadd_inplace",
    "shared_hardtanh_inplace",
    "shared_relu_nngraph_two",
    "shared_relu_resblock",
    "shared_relu_resblock_first",
    "shared_relu_unet",
    "shared_unsqueeze",
    "shared_view_two",
    "unbatched_bn1d_sibling",
    "unbatched_bn_sibling",
]


@pytest.mark.parametrize("case", FOLLOWED)
def test_shared_memory_is_followed(case, check_case):
    check_case(COMMUNITY / case)


@pytest.mark.parametrize("case", FOLLOWED)
def test_pytorch_form_follows_shared_memory(case, check_pytorch):
    check_pytorch(COMMUNITY / case)


@pytest.mark.parametrize("case", ["row_sum", "fuzz0422", "fuzz0788", "fuzz0934"])
def test_a_module_that_reads_what_it_overwrites_is_refused(case, check_case):
    with pytest.raises(UnsupportedError, match="it overwrites what it still reads"):
        check_case(COMMUNITY / case)
