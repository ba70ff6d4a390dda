"""Decoding a text from class probabilities, against a float64 reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_sequences as reference
from reference_nets import assert_close, computed, layer, normal, write_net

import converters


@pytest.mark.parametrize("tops", ["text", "text score"])
@pytest.mark.parametrize(
    ("shape", "blank", "merge"),
    [
        ((9, 3, 4), 0, True),
        ((9, 3, 4), 2, False),
        ((6, 1, 3), -1, True),
        ((1, 2, 5), 0, True),
        ((12, 4, 2), 1, True),
        ((5, 2, 1), 0, False),
    ],
)
def test_ctc_greedy_decoder(
    tmp_path: Path, shape: tuple[int, int, int], blank: int, merge: bool, tops: str
) -> None:
    x = normal(*shape)
    # Sequences of several lengths; steps behind the end are not read.
    begins = np.random.default_rng(5).integers(1, shape[0] + 1, shape[1])
    going_on = np.ones(shape[:2])
    going_on[0] = 0
    for item, begin in enumerate(begins):
        going_on[begin : begin + 1, item] = 0
    text = f"ctc_decoder_param {{ blank_index: {blank} ctc_merge_repeated: {str(merge).lower()} }}"
    inputs = {"x": x, "going_on": going_on}
    got = computed(tmp_path, layer("CTCGreedyDecoder", "x going_on", tops, text), inputs)
    texts, scores = reference.ctc_greedy(x, going_on, blank, merge)
    assert_close(got["text"], texts)
    if "score" in tops:
        assert_close(got["score"], scores)


def test_ctc_greedy_decoder_takes_the_first_of_equal_classes(tmp_path: Path) -> None:
    x = np.zeros((3, 1, 4))
    x[1, 0, 2:] = x[2, 0, 1:3] = 1
    inputs = {"x": x, "going_on": np.ones((3, 1, 1, 1))}
    net = layer("CTCGreedyDecoder", "x going_on", "text", "ctc_decoder_param { blank_index: 0 }")
    assert computed(tmp_path, net, inputs)["text"].ravel().tolist() == [2, 1, -1]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": (4, 2, 3, 1), "s": (4, 2)}, "takes 3 axes"),
        ({"x": (4, 2, 3), "s": (2, 4)}, "indicators must be"),
    ],
)
def test_ctc_greedy_decoder_refuses(tmp_path: Path, shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, layer("CTCGreedyDecoder", "x s", "text"), shapes))
