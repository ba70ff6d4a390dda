"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent

# The gate gives the same answer every time; `pytest --hypothesis-profile=explore` looks for new cases.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Our own recorded cases, committed with the tests."""
    return CHECKOUT / "tests" / "corpus"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Other people's files (weights, photographs): used where they lie, never committed."""
    folder = Path(os.environ.get("DSD_ZOO_SHARED", CHECKOUT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the shared folder with other people's weights and photographs at {folder}")
    return folder


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """The same ids in every process: arrays, functions and tables go by the name of their argument."""
    if isinstance(val, np.ndarray | dict | list | tuple) or callable(val):
        return argname
    return None
