"""Claims against traces and runs: what holds, what is a problem, and what is only a finding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import Audit, audit
from zoo.claims.statistics import mcnemar_exact, paired_difference_interval, unpaired_difference_interval
from zoo.errors import DataError
from zoo.evidence.run import Run

MANIFEST = """
schema_version = 1
name = "{name}"
title = "A net"
summary = "For tests."
architecture = "net"
recipe = "dense"
framework = "caffe"
dataset = "ilsvrc2012-val"
classes = 1000
input_shape = [3, 227, 227]
citation = "none"
{extra}
[license]
name = "MIT"
[preprocessing]
flavour = "caffe-warp256"
crop = 227
[[files]]
name = "net.caffemodel"
role = "weights"
{claims}
"""
CLAIM = """
[[claims]]
metric = "top1"
n = {n}
{correct}
published = "{published}"
percent = {percent}
source = "log"
how = "test"
{more}
"""
TRACE = "batch,top1_correct,top5_correct\n" + "".join(f"{i},{30 + i % 3},45\n" for i in range(1000))
IN_TRACE = sum(30 + i % 3 for i in range(1000))


def catalog_of(folder: Path, claim: dict[str, object] | None = None, extra: str = "") -> Catalog:
    given: dict[str, object] = {
        "n": 50000,
        "correct": f"correct = {IN_TRACE}",
        "published": "0.61998",
        "percent": 61.998,
        "more": 'trace = "trace.csv"',
    }
    text = CLAIM.format(**(given | (claim or {})))
    (folder / "net-x.toml").write_text(MANIFEST.format(name="net-x", claims=text, extra=extra))
    (folder / "trace.csv").write_text(TRACE)
    return Catalog.load([folder])


def audit_of(catalog: Catalog, model: str, *runs: Run) -> Audit:
    return audit(catalog.get(model), catalog, runs)


@pytest.mark.parametrize("name", [manifest.name for manifest in Catalog.load() if manifest.claims])
def test_every_bundled_claim_follows_from_its_trace(name: str) -> None:
    found = audit_of(Catalog.load(), name)
    assert found.holds, found.problems
    assert {claim.verdict for claim in found.claims} == {"not measured"}


def test_published_squeezenet_numbers_are_derived_to_the_printed_digit() -> None:
    top1, top5 = (claim.derivation for claim in audit_of(Catalog.load(), "squeezenet-dsd").claims)
    assert top1 is not None
    assert (top1.batches, top1.batch_size, top1.correct, top1.printed) == (1000, 50, 30879, "0.617579")
    assert top5 is not None
    assert (top5.correct, top5.printed) == (41737, "0.834742")


def test_a_claim_that_its_trace_does_not_give(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, {"published": "0.62", "percent": 62.0})
    found = audit_of(catalog, "net-x")
    assert not found.holds
    assert found.problems == [
        f"top-1: published is '0.62' ({IN_TRACE} of 50000), its trace trace.csv gives '0.619981' ({IN_TRACE})"
    ]


def test_a_count_that_its_trace_does_not_give(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, {"correct": f"correct = {IN_TRACE + 1}", "published": "62.00 %"})
    found = audit_of(catalog, "net-x")
    assert [claim.derivation.holds for claim in found.claims if claim.derivation] == [False]
    assert len(found.problems) == 1


def test_damaged_trace_is_an_error(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path)
    (tmp_path / "trace.csv").write_text("batch,top1_correct,top5_correct\n0,1,1\n2,1,1\n")
    with pytest.raises(DataError, match=r"trace\.csv"):
        audit_of(catalog, "net-x")


class TestAgainstRuns:
    """The digits models with made-up runs."""

    catalog = Catalog.load()

    def test_same_counts_agree(self, made_run) -> None:
        found = audit_of(self.catalog, "digits-caffe-dsd", made_run("digits-caffe-dsd"))
        assert found.holds
        assert [claim.verdict for claim in found.claims] == ["agrees", "agrees"]
        assert [claim.measurements[0].difference for claim in found.claims] == [0, 0]

    def test_one_image_off_differs(self, made_run) -> None:
        run = made_run("digits-caffe-dsd", wrong={91, 95, 124, 161, 162, 207, 360})
        found = audit_of(self.catalog, "digits-caffe-dsd", run)
        assert not found.holds
        assert found.claims[0].measurements[0].difference == 1
        assert found.problems == [
            "top-1: published is '0.984', measured 493 of 500 with onnx on cpu: 1 image more right"
        ]

    def test_one_runtime_of_two_differs(self, made_run) -> None:
        runs = made_run("digits-caffe-dsd"), made_run("digits-caffe-dsd", wrong=range(9), runtime="pytorch")
        found = audit_of(self.catalog, "digits-caffe-dsd", *runs)
        assert [run.verdict for run in found.claims[0].measurements] == ["agrees", "differs"]
        assert found.claims[0].verdict == "differs"
        assert "with pytorch on cpu: 1 image fewer right" in found.problems[0]

    def test_a_fitting_subset_is_no_measurement_of_the_claim(self, made_run) -> None:
        found = audit_of(self.catalog, "digits-caffe-dsd", made_run("digits-caffe-dsd", images=100))
        measured = found.claims[0].measurements[0]
        assert found.holds
        assert found.claims[0].verdict == "subset only"
        assert measured.difference is None
        assert measured.whole_set is not None
        assert measured.whole_set.low <= 492 <= measured.whole_set.high

    def test_a_subset_can_refute(self, made_run) -> None:
        run = made_run("digits-caffe-dsd", wrong=range(0, 100, 4), images=100)
        found = audit_of(self.catalog, "digits-caffe-dsd", run)
        assert found.claims[0].verdict == "differs"
        assert not found.holds

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": "my-digits"},
            {"preprocessing": {"flavour": "caffe-warp36", "crop": 28}},
            {"n_dataset": 600, "images": 600},
            {"precision": "bf16"},
        ],
    )
    def test_other_circumstances_are_no_measurement_of_the_claim(self, made_run, changes) -> None:
        found = audit_of(
            self.catalog, "digits-caffe-dsd", made_run("digits-caffe-dsd", wrong=range(50), **changes)
        )
        assert found.holds
        assert found.claims[0].verdict == "not measured"
        assert found.claims[0].measurements[0].remark

    def test_other_files_than_the_pinned_ones(self, made_run) -> None:
        run = made_run("digits-caffe-dsd", files={"dsd.caffemodel": "0" * 64})
        found = audit_of(self.catalog, "digits-caffe-dsd", run)
        assert not found.holds
        assert found.problems[0] == "the onnx run does not say which train_val.prototxt it used"
        assert "used a dsd.caffemodel with sha256 " + "0" * 64 in found.problems[1]

    def test_paired_gain_is_the_recorded_one(self, made_run) -> None:
        runs = made_run("digits-caffe-dsd"), made_run("digits-caffe-baseline")
        gain = audit_of(self.catalog, "digits-caffe-dsd", *runs).gains[0]
        (pair,) = gain.measured
        assert (pair.both, pair.only_model, pair.only_baseline, pair.neither) == (491, 1, 2, 6)
        assert pair.gain == -0.002
        assert pair.interval == paired_difference_interval(1, 2, 500)
        assert pair.p_value == mcnemar_exact(1, 2) == 1.0
        assert not pair.significant
        assert gain.claimed is not None
        assert (gain.claimed.correct, gain.claimed.baseline_correct, gain.claimed.exact) == (492, 493, True)

    def test_a_gain_of_six_images_one_way_is_significant(self, made_run) -> None:
        runs = made_run("digits-caffe-dsd", wrong={91}), made_run("digits-caffe-baseline")
        (pair,) = audit_of(self.catalog, "digits-caffe-dsd", *runs).gains[0].measured
        assert (pair.only_model, pair.only_baseline) == (6, 0)
        assert pair.p_value == 2 / 64
        assert pair.significant

    @pytest.mark.parametrize(
        "changes", [{"runtime": "pytorch"}, {"device": "cuda"}, {"images": 499}, {"precision": "tf32"}]
    )
    def test_runs_that_do_not_match_are_not_paired(self, made_run, changes) -> None:
        runs = made_run("digits-caffe-dsd"), made_run("digits-caffe-baseline", **changes)
        assert audit_of(self.catalog, "digits-caffe-dsd", *runs).gains[0].measured == []

    def test_an_empty_run_says_nothing(self, made_run) -> None:
        runs = made_run("digits-caffe-dsd", images=0), made_run("digits-caffe-baseline", images=0)
        found = audit_of(self.catalog, "digits-caffe-dsd", *runs)
        assert found.claims[0].measurements == []
        assert found.gains[0].measured == []


def test_claimed_gain_from_a_rounded_percentage() -> None:
    gain = audit_of(Catalog.load(), "squeezenet-dsd").gains[0].claimed
    assert gain is not None
    assert (gain.correct, gain.baseline_correct, gain.exact) == (30879, 28720, False)
    assert gain.gain == pytest.approx(0.04318)
    assert gain.interval == unpaired_difference_interval(30879, 50000, 28720, 50000)
    assert gain.significant


def test_tolerance_comes_from_the_manifest(tmp_path: Path, made_run) -> None:
    """A claim that is only a rounded percentage stands for the nearest count."""
    more = "tolerance_images = 2"
    catalog = catalog_of(
        tmp_path, {"n": 500, "correct": "", "published": "57.5 %", "percent": 57.5, "more": more}
    )
    changes = {
        "model": "net-x",
        "dataset": "ilsvrc2012-val",
        "flavour": "caffe-warp256",
        "preprocessing": {"flavour": "caffe-warp256", "crop": 227, "mean_image": False, "scale": 1.0},
        "files": {},
    }
    verdicts = {}
    for right in (285, 286, 290, 291):
        run = made_run("digits-caffe-dsd", wrong=range(500 - right), **changes)
        verdicts[right] = audit_of(catalog, "net-x", run).claims[0].verdict
    assert verdicts == {285: "differs", 286: "agrees", 290: "agrees", 291: "differs"}


def test_conflicts_are_reported_and_are_no_failure() -> None:
    found = audit_of(Catalog.load(), "squeezenet-v1.0")
    assert found.holds
    published = {(conflict.metric, conflict.published): conflict for conflict in found.conflicts}
    assert published["top1", "42.39% error"].difference_points == 0.17


def test_trust_names_the_unpinned_files(tmp_path: Path) -> None:
    found = audit_of(catalog_of(tmp_path), "net-x")
    assert (found.trust, found.unpinned_files) == ("unpinned", ["net.caffemodel"])
    assert audit_of(Catalog.load(), "digits-caffe-dsd").trust == "pinned"


def test_json_is_complete(made_run) -> None:
    runs = made_run("digits-caffe-dsd"), made_run("digits-caffe-baseline")
    data = json.loads(json.dumps(audit_of(Catalog.load(), "digits-caffe-dsd", *runs).to_json()))
    assert data["holds"] is True
    assert data["claims"][0]["derivation"]["printed"] == "0.984"
    assert data["claims"][0]["measurements"][0]["correct"] == 492
    assert data["gains"][0]["measured"][0]["only_baseline"] == 2
