"""Cases recorded from the real Torch7 with packages of its community: nnx, stn, rnn, dpnn, inn, w2nn, fbnn.

Cases marked `quirk` depend on how Torch shares memory; other tests hold these.
"""

from __future__ import annotations

import json

import pytest
from corpus_cases import CORPUS, run_pytorch
from torch7_cases import assert_same, recorded, run_model

import converters

COMMUNITY = CORPUS / "torch7-community"
CASES = sorted(
    path.parent.name
    for path in COMMUNITY.glob("*/case.json")
    if "quirk" not in json.loads(path.read_text(encoding="utf-8"))
)


def test_the_corpus_is_there():
    assert len(CASES) >= 8


@pytest.mark.parametrize("case", CASES)
def test_converted_net_gives_what_torch_gave(case, check_case):
    check_case(COMMUNITY / case)


@pytest.mark.parametrize("case", ["waifu2x_vgg7_y", "fns_none_bn"])
def test_height_and_width_stay_open_behind_crops_and_before_a_last_view(case, tmp_path):
    inputs, wanted = recorded(COMMUNITY / case)
    model = converters.load(COMMUNITY / case / "net.t7")
    assert model.meta["report"].inputs["input"].endswith("xHxW")
    converters.save(model, tmp_path / "net.py")
    assert_same(run_model(model, inputs), wanted)
    assert_same(run_pytorch(tmp_path / "net.py", inputs, model), wanted)


@pytest.mark.parametrize("case", CASES)
def test_pytorch_form_gives_what_torch_gave(case, check_pytorch):
    check_pytorch(COMMUNITY / case)
