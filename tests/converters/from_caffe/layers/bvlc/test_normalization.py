"""Normalising layers: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


NORMALIZATION_CASES = {
    "lrn-with-negative-beta": (
        "LRN",
        "lrn_param { local_size: 1 alpha: 2 beta: -0.5 k: 3 }",
        X,
        X * np.sqrt(3 + 2 * X**2),
    ),
    "lrn-with-negative-alpha": (
        "LRN",
        "lrn_param { local_size: 5 alpha: -0.01 beta: 1 k: 3 }",
        X,
        X / (3 - 0.002 * (X**2).sum(1, keepdims=True)),
    ),
}


@pytest.mark.parametrize("name", NORMALIZATION_CASES)
def test_normalization_case(name: str, tmp_path: Path) -> None:
    kind, parameters, x, wanted = NORMALIZATION_CASES[name]
    assert_close(computed(tmp_path, layer(kind, "x", "y", parameters), {"x": x})["y"], wanted)
