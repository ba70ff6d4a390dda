"""Any bytes become a model or a ConverterError, and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

from corpus_cases import CORPUS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import converters

TORCH7 = CORPUS / "torch7"
SEEDS = [
    TORCH7 / name / file
    for name, file in [
        ("conv_rect_all", "net.t7"),
        ("gmodule_split", "net.t7"),
        ("cnn_state_cleared", "net_b32.t7"),
        ("dpt_threads_closure", "net.t7"),
        ("WeightNorm_Conv", "net.t7"),
        ("Sequential", "net_ascii.t7"),
    ]
]
BOUNDED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for function in (converters.load, converters.inspect):
        with contextlib.suppress(converters.ConverterError):
            function(path)


@BOUNDED
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path, content):
    survives(tmp_path / "net.t7", content)


@BOUNDED
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True), st.sampled_from([b"\0", b"\1", b"\3", b"\xff", b"7", b" "])
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_changed_bytes(tmp_path, seed, edits):
    content = bytearray(seed.read_bytes())
    for where, byte in edits:
        place = int(where * len(content))
        content[place : place + 1] = byte
    survives(tmp_path / "net.t7", bytes(content))


@BOUNDED
@given(seed=st.sampled_from(SEEDS), cut=st.floats(0, 1), gap=st.integers(0, 40))
def test_missing_bytes(tmp_path, seed, cut, gap):
    content = seed.read_bytes()
    place = int(cut * len(content))
    survives(tmp_path / "net.t7", content[:place] + content[place + gap :])
