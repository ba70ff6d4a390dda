"""Traces of published runs give back what the original tools printed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.trace import average_loss, caffe_average, read_trace, reprint, trace_agreement
from zoo.errors import DataError

HEADER = "batch,top1_correct,top5_correct,loss\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def test_reads_counts_in_order(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, HEADER + "0,34,44,1.3\n1,35,47,1.1\n2,0,50,2\n"), 150)
    assert trace.batch_size == 50
    assert trace.counts("top1") == (34, 35, 0)
    assert trace.counts("top5") == (44, 47, 50)


@pytest.mark.parametrize(
    ("text", "n", "message"),
    [
        ("batch,top1_correct\n0,1\n", 50, "missing: ['top5_correct']"),
        (HEADER, 50, "50 images do not make 0 batches"),
        (HEADER + "0,1,2,0\n1,1,2,0\n2,1,2,0\n", 50, "50 images do not make 3 batches of one size"),
        (HEADER + "0,1,x,0\n", 50, "line 2: expected whole numbers"),
        (HEADER + "0,1\n", 50, "line 2: expected whole numbers"),
        (HEADER + "0,1,2,0\n2,1,2,0\n", 50, "line 3: expected batch 1"),
        (HEADER + "0,3,2,0\n", 50, "0 <= top1 <= top5 <= 50; came: 0, 3, 2"),
        ("", 50, "missing: ['batch', 'top1_correct', 'top5_correct']"),
        # A dictionary for each of these lines would have 100,001 entries.
        ("batch,top1_correct,top5_correct" + ",x" * 100_000 + "\n" + "1\n" * 100_000, 50, "100000 batches"),
        (HEADER + "0,1,51,0\n", 50, "0 <= top1 <= top5 <= 50; came: 0, 1, 51"),
    ],
)
def test_damaged_traces_name_the_line(tmp_path: Path, text: str, n: int, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_trace(write(tmp_path, text), n)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "loss\n", "batch\n1\n", "batch,loss\n0\n", "loss\nx\n"])
def test_a_trace_without_losses_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected a column 'loss' with a number in every line"):
        average_loss(write(tmp_path, text))


def test_a_claim_of_too_many_digits() -> None:
    with pytest.raises(DataError, match="far too many digits"):
        reprint(f"0.{'1' * 100} %", [1, 2], 50)


def test_missing_trace(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: the trace cannot be read: No such file or directory$"):
        read_trace(tmp_path / "none.csv", 50)


# What the original tools printed in the published logs.
PUBLISHED = [
    ("alexnet-dsd", "0.585159", "0.812902"),
    ("vgg16-dsd", "0.7281", "0.913282"),
    ("googlenet-dsd", "0.69978", "0.896562"),
    ("squeezenet-dsd", "0.617579", "0.834742"),
    ("resnet18-dsd", "29.168 % error", "10.130 % error"),
    ("resnet50-dsd", "22.890 % error", "6.472 % error"),
]


@pytest.mark.parametrize(("name", "top1", "top5"), PUBLISHED)
def test_published_logs_are_reproduced_to_the_printed_digit(
    shared: Path, name: str, top1: str, top5: str
) -> None:
    trace = read_trace(shared / "facts" / "claims" / f"{name}.csv", 50000)
    assert reprint(top1, trace.top1, trace.batch_size) == top1
    assert reprint(top5, trace.top5, trace.batch_size) == top5


def test_caffe_adds_in_single_precision() -> None:
    """1000 batches of 31 of 50 are exactly 0.62, but the float32 sum is off by then."""

    def single(value: float) -> float:
        return struct.unpack("<f", struct.pack("<f", value))[0]

    total = 0.0
    for _ in range(1000):
        total = single(total + single(31 / 50))
    assert caffe_average([31] * 1000, 50) == f"{single(total / 1000):.6g}" == "0.619996"
    assert caffe_average([50] * 10, 50) == "1"
    assert caffe_average([49, 49, 50, 49], 50) == "0.985"


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("41.48 % error", "41.48 % error"),
        ("error 41.484", "error 41.484"),
        ("41 % error", "41 % error"),
        ("58.5 %", "58.5 %"),
        ("top-1 58.52%", "top-1 58.52%"),
        ("top-1 error 20742 (41.484%)", "top-1 error 20742 (41.484%)"),
    ],
)
def test_percentages_come_from_the_summed_counts(published: str, expected: str) -> None:
    assert reprint(published, [29258], 50000) == expected


def test_a_claim_without_a_number() -> None:
    with pytest.raises(DataError, match="expected a published claim with a number in it"):
        reprint("as good as AlexNet", [1], 1)


def test_the_published_batches_are_found_again(made_run):
    manifest = Catalog.load().get("digits-caffe-dsd")
    top1, top5 = trace_agreement(manifest, made_run("digits-caffe-dsd").rows)
    assert (top1.batches, top1.batch_size, top1.equal, top1.largest) == (10, 50, 10, 0)
    assert top1.correlation == pytest.approx(1)
    # All batches have the same top-5 count, so there is no correlation.
    assert (top5.equal, top5.correlation) == (10, None)


def test_another_order_shows(made_run):
    manifest = Catalog.load().get("digits-caffe-dsd")
    rows = made_run("digits-caffe-dsd").rows
    top1 = trace_agreement(manifest, [*rows[250:], *rows[:250]])[0]
    assert top1.equal < 10
    assert top1.correlation < 0.5
    assert trace_agreement(manifest, rows[:499]) == []
