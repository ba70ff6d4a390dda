"""Every published number derived again from its per-batch trace: accuracies wherever printed, and losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.claims.audit import Audit, audit
from zoo.claims.trace import average_loss
from zoo.errors import DataError

CATALOG = Catalog.load()
TRACED = {
    "alexnet-dsd": ("1.77038", "41.48% error", "18.71% error"),
    "vgg16-dsd": ("1.12401", "27.19% error", "8.67% error"),
    "googlenet-dsd": ("1.23825", "30.02% error", "10.34% error"),
    "squeezenet-dsd": ("1.7059", "38.24% error", "16.53% error"),
    "resnet18-dsd": (None, "29.17% error", "10.13% error"),
    "resnet50-dsd": (None, "22.89% error", "6.47% error"),
}


@pytest.mark.parametrize(("name", "expected"), TRACED.items(), ids=TRACED)
def test_logs_and_table_follow_from_the_batches(name, expected):
    found = audit(CATALOG.get(name), CATALOG)
    assert found.holds
    loss, *errors = expected
    assert (None if found.loss is None else found.loss.printed) == loss
    for claim, error in zip(found.claims, errors, strict=True):
        assert claim.derivation is not None
        assert claim.derivation.holds
        assert error in [other.printed for other in claim.derivation.also]
        assert all(other.holds for other in claim.derivation.also)


def own_audit(folder: Path, old: str, new: str) -> Audit:
    """The audit of squeezenet-dsd with one text replaced in its manifest."""
    text = (bundled_folder() / "squeezenet-dsd.toml").read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1).replace('name = "squeezenet-dsd"', 'name = "own"', 1)
    (folder / "own.toml").write_text(text, encoding="utf-8")
    (folder / "claims").mkdir()
    trace = bundled_folder() / "claims" / "squeezenet-dsd.csv"
    (folder / "claims" / "squeezenet-dsd.csv").write_bytes(trace.read_bytes())
    catalog = Catalog.load([folder])
    return audit(catalog.get("own"), catalog)


def test_a_printing_that_does_not_follow_is_a_problem(tmp_path):
    found = own_audit(tmp_path, '"38.24% error"', '"38.25% error"')
    assert not found.holds
    (problem,) = found.problems
    assert problem.startswith("top-1: '38.25% error' in https://github.com/songhan/DSD/")
    assert problem.endswith("its trace gives '38.24% error'")


def test_a_loss_that_does_not_follow_is_a_problem(tmp_path):
    found = own_audit(tmp_path, '"1.7059"', '"1.706"')
    assert not found.holds
    (problem,) = found.problems
    assert problem.startswith("loss: '1.706' in ")
    assert problem.endswith("its trace gives '1.7059'")


@pytest.mark.parametrize(
    "text",
    ["batch,top1_correct,top5_correct\n0,1,1\n", "batch,loss\n0,1.5\n1,x\n", "batch,loss\n0\n", "\xff"],
)
def test_a_trace_without_losses_is_an_error(tmp_path, text):
    path = tmp_path / "trace.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="expected a column 'loss' with a number in every line"):
        average_loss(path)
