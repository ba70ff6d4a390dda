"""Cases recorded from the real Torch7 with packages of its community: nnx, stn, rnn, dpnn, inn, w2nn, fbnn.

Cases marked `quirk` depend on how Torch shares memory; other tests hold these.
"""

from __future__ import annotations

import json

import pytest
from corpus_cases import CORPUS

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


@pytest.mark.parametrize("case", CASES)
def test_pytorch_form_gives_what_torch_gave(case, check_pytorch):
    check_pytorch(COMMUNITY / case)
