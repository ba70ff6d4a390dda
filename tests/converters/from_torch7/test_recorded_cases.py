"""Every case recorded from the real Torch7, in every file format in which it was saved."""

from __future__ import annotations

import pytest
from corpus_cases import CORPUS

TORCH7 = CORPUS / "torch7"
FILES = sorted(path.relative_to(TORCH7) for path in TORCH7.glob("*/*.t7"))


def test_the_corpus_is_there():
    assert len(FILES) == 293


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent}-{file.stem}")
def test_converted_net_gives_what_torch_gave(file, check_case):
    check_case(TORCH7 / file.parent, file.name)


@pytest.mark.parametrize("case", sorted({file.parent for file in FILES}), ids=str)
def test_pytorch_form_gives_what_torch_gave(case, check_pytorch):
    check_pytorch(TORCH7 / case)
