"""Every case recorded from the real Torch7, in each of the forms it was saved in."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "torch7"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*.t7"))


def test_the_corpus_is_there():
    assert len(FILES) == 293


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent}-{file.stem}")
def test_converted_net_gives_what_torch_gave(file, check_case):
    check_case(CORPUS / file.parent, file.name)


@pytest.mark.parametrize("case", sorted({file.parent for file in FILES}), ids=str)
def test_pytorch_form_gives_what_torch_gave(case, check_pytorch):
    check_pytorch(CORPUS / case)
