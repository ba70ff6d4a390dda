"""The Lstm of forks for text recognition, against a float64 reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_sequences as reference
from reference_nets import assert_close, computed, layer, normal, write_net

import converters


@pytest.mark.parametrize(
    ("shape", "size"),
    [((5, 2, 3), 4), ((1, 3, 2), 5), ((7, 1, 6), 1), ((3, 2, 2, 3), 3), ((4, 3, 5, 1, 1), 2)],
)
def test_lstm_of_text_recognition(tmp_path: Path, shape: tuple[int, ...], size: int) -> None:
    inputs = int(np.prod(shape[2:]))
    weights = [normal(4 * size, inputs, seed=1), normal(4 * size, size, seed=2), normal(4 * size, seed=3)]
    text = f"lstm_param {{ num_output: {size} clipping_threshold: 100 }}"
    x = normal(*shape)
    got = computed(tmp_path, layer("Lstm", "x", "y", text), {"x": x}, {"layer": weights})
    assert_close(got["y"], reference.lstm(x, *weights))


@pytest.mark.parametrize(
    ("shape", "text", "error", "message"),
    [
        ((4, 2, 3), "num_output: 2 batch_size: 2", "UnsupportedError", "batch_size"),
        ((4, 3), "num_output: 2", "UnsupportedError", "two axes"),
        ((4, 2, 3), "", "FormatError", "must be positive"),
    ],
)
def test_lstm_refuses(tmp_path: Path, shape: tuple[int, ...], text: str, error: str, message: str) -> None:
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(
            *write_net(tmp_path, layer("Lstm", "x", "y", f"lstm_param {{ {text} }}"), {"x": shape})
        )
