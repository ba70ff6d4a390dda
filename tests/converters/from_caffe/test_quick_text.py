"""The quick reader of usual text, held against protobuf's parser: the same message, or none."""

from __future__ import annotations

import random
import warnings

import pytest
from corpus_cases import CORPUS
from google.protobuf import text_format

from converters.from_caffe import schema
from converters.from_caffe.quick_text import read_quickly

TEXTS = {str(path.relative_to(CORPUS)): path for path in sorted(CORPUS.rglob("*.prototxt"))}
# Pieces that mean something in a text, or nothing.
PIECES = (
    *"\"'{}:\\-+.e10f#\n\t\r ,;[]<>_u\0\x0b\x85\u00e9",
    *("''", "true", "1e400", "nan", "inf", "0x1", "007", "9" * 20, "MAX", "name", "layer", "-1", "# a\n"),
)


def quick(text: str) -> bytes | None:
    net = schema.new("NetParameter")
    return net.SerializePartialToString(deterministic=True) if read_quickly(net, text) else None


def by_protobuf(text: str) -> bytes | None:
    net = schema.new("NetParameter")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            text_format.Parse(text, net)
    except (text_format.ParseError, DeprecationWarning):
        return None
    return bytes(net.SerializePartialToString(deterministic=True))


def test_recorded_definitions_are_read_alike() -> None:
    read = 0
    for path in TEXTS.values():
        text = path.read_bytes().decode()
        found = quick(text)
        assert found is None or found == by_protobuf(text), path
        read += found is not None
    assert read > 0.95 * len(TEXTS)  # the others have unusual forms


def test_changed_definitions_are_read_alike_or_not_at_all() -> None:
    rng = random.Random(0)
    texts = [text for path in TEXTS.values() if len(text := path.read_bytes().decode()) < 1_500]
    read = 0
    for _ in range(3_000):
        text = rng.choice(texts)
        begin = rng.randrange(len(text) + 1)
        end = begin + rng.choice([0, 0, 1, 2, 5, 20])
        text = text[:begin] + rng.choice(PIECES) + text[end:]
        found = quick(text)
        assert found is None or found == by_protobuf(text), text
        read += found is not None
    assert read > 100


@pytest.mark.parametrize(
    "text",
    [
        "name: \"a\" # comment\nlayer { name: 'b' ; pooling_param: { pool: AVE, kernel_size: 3 } }",
        "layer { power_param { scale: -1.5e-3 shift: 2. power: 0 } phase: 1 }",
        "force_backward: 1 layer { convolution_param { bias_term: false pad: 0 pad: 1 } }",
        "",
        " # nothing",
    ],
)
def test_usual_forms_need_no_other_parser(text: str) -> None:
    assert quick(text) == by_protobuf(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "layer {",
        "layer { } }",
        "layer { , }",
        "layer { name: a }",
        'name: "a" name: "b"',
        "layer { pooling_param { } pooling_param { } }",
        "layer { pooling_param { kernel_size: -1 } }",
        "layer { pooling_param { kernel_size: 4294967296 } }",
        "layer { pooling_param { kernel_size: 3x } }",
        "layer { pooling_param { pool: STRANGE } }",
        "layer { pooling_param { pool: 7 } }",
        "layer { strange: 1 }",
        "layer: 1",
        "layer { convolution_param { bias_term: 2 } }",
    ],
)
def test_errors_are_left_to_protobuf(text: str) -> None:
    assert quick(text) is None
    assert by_protobuf(text) is None
