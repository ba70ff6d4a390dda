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


@pytest.mark.parametrize(("steps", "items"), [(1, 1), (5, 1), (4, 3), (1, 2)])
def test_lstm_over_folded_axes(tmp_path: Path, steps: int, items: int) -> None:
    """junhyukoh's rows are t * N + n; each item has a state of its own, as in its GPU code."""
    weights = [normal(8, 3, seed=1), normal(8, 2, seed=2), normal(8, seed=3)]
    x = normal(steps, items, 3)
    text = layer("Lstm", "x", "y", f"lstm_param {{ num_output: 2 batch_size: {items} }}")
    got = computed(tmp_path, text, {"x": x.reshape(steps * items, 3)}, {"layer": weights})
    assert_close(got["y"], reference.lstm(x, *weights).reshape(steps * items, 2))


@pytest.mark.parametrize("shape", [(7,), (7, 1)])
@pytest.mark.parametrize("first", [0, 1])
def test_lstm_starts_anew_where_the_marker_is_zero(
    tmp_path: Path, shape: tuple[int, ...], first: float
) -> None:
    weights = [normal(8, 3, seed=1), normal(8, 2, seed=2), normal(8, seed=3)]
    x, markers = normal(7, 3), np.array([first, 1, 0, 0.5, -1, 0, 2])
    text = layer("Lstm", "x m", "y", "lstm_param { num_output: 2 }")
    got = computed(tmp_path, text, {"x": x, "m": markers.reshape(shape)}, {"layer": weights})
    sequences = [x[:2], x[2:5], x[5:]]
    wanted = [reference.lstm(part[:, None], *weights).reshape(-1, 2) for part in sequences]
    assert_close(got["y"], np.concatenate(wanted))


def test_lstm_with_markers_for_several_items_is_refused(tmp_path: Path) -> None:
    text = layer("Lstm", "x m", "y", "lstm_param { num_output: 2 batch_size: 2 }")
    with pytest.raises(converters.UnsupportedError, match="mixes up the items"):
        converters.load(*write_net(tmp_path, text, {"x": (4, 3), "m": (4,)}))


@pytest.mark.parametrize(
    ("shape", "text", "error", "message"),
    [
        ((4, 2, 3), "num_output: 2 batch_size: 2", "UnsupportedError", "batch_size"),
        ((4, 3), "num_output: 2 batch_size: 3", "FormatError", "divide the 4 rows"),
        ((2001, 3), "num_output: 2", "UnsupportedError", "2,001 steps"),
        ((4, 2, 3), "", "FormatError", "must be positive"),
    ],
)
def test_lstm_refuses(tmp_path: Path, shape: tuple[int, ...], text: str, error: str, message: str) -> None:
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(
            *write_net(tmp_path, layer("Lstm", "x", "y", f"lstm_param {{ {text} }}"), {"x": shape})
        )
