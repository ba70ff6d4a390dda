"""The verdict of `inspect` is that of a conversion with the same options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus_cases import CORPUS, Case

import converters


def nets(folder: Path) -> Iterator[tuple[list[Path], dict[str, Any]]]:
    """Each net of a corpus, as a user has it: alone, with what its case states, and with its shapes."""
    for place in sorted(folder.rglob("io.npz")):
        case = Case.load(place.parent)
        sources = case.sources
        if (place.parent / "net.t7").exists():
            sources = [place.parent / "net.t7"]
        shapes = {name: array.shape for name, array in case.inputs.items()}
        yield sources, {}
        if sources[1:]:
            yield sources[:1], {}
        yield sources, {**case.options, "input_shapes": shapes}


def converts(sources: list[Path], options: dict[str, Any]) -> bool:
    try:
        converters.load(*sources, **options)
    except converters.ConverterError:
        return False
    return True


def verdict(sources: list[Path], options: dict[str, Any]) -> bool:
    try:
        found = converters.inspect(*sources, **options)
    except converters.ConverterError:
        return False
    return found.complete and not found.needs_weights


@pytest.mark.parametrize(
    "name", ["caffe-forks", "field-caffe", "torch7", "torch7-community", "torch7-models"]
)
def test_all_of_it_converts_where_a_conversion_succeeds(name: str) -> None:
    tried = list(nets(CORPUS / name))
    assert len(tried) >= 20
    assert [case for case in tried if verdict(*case) != converts(*case)] == []


def test_a_net_of_open_shape_needs_the_shape() -> None:
    net = CORPUS / "torch7" / "ReLU" / "net.t7"
    found = converters.inspect(net)
    assert not found.complete
    assert "--input-shape input=N,3,224,224" in found.problems[0]
    assert converters.inspect(net, input_shapes={"input": ("N", 4)}).complete


def test_an_ignored_field_is_a_note_and_another_one_a_problem(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        'input: "data" input_shape { dim: 1 dim: 3 }\n'
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" mine: 1 yours: 2 }'
    )
    found = converters.inspect(tmp_path / "net.prototxt", ignore_fields=["mine"])
    assert "the field mine (line 2), as asked" in found.notes[0]
    assert ["field yours " in problem for problem in found.problems] == [True]
    assert converters.inspect(tmp_path / "net.prototxt", ignore_fields=["mine", "yours"]).complete


def test_what_an_output_does_not_need_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        'input: "data" input_shape { dim: 1 dim: 3 }\n'
        'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
        'layer { name: "u" type: "Unheard" bottom: "r" top: "u" }'
    )
    assert not converters.inspect(tmp_path / "net.prototxt").complete
    found = converters.inspect(tmp_path / "net.prototxt", outputs=["r"])
    assert found.complete
    assert found.outputs == {"r": "Nx3"}


def test_a_definition_alone_needs_its_weights_unless_fillers_make_them() -> None:
    needs = converters.inspect(CORPUS / "caffe" / "arch-vgg" / "net.prototxt")
    assert (needs.complete, needs.needs_weights) == (True, True)
    made = converters.inspect(CORPUS / "caffe" / "prelu-2d" / "net.prototxt")
    assert (made.complete, made.needs_weights) == (True, False)
