"""Which runs stand for a net, and which nets are compared."""

from __future__ import annotations

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.reported import reported
from zoo.errors import UsageError

MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


def pairs_of(found) -> list[tuple[str, str]]:
    return [(pair.model.name, pair.baseline.name) for pair in found.pairs]


def test_the_run_under_the_preprocessing_of_the_claims_stands_for_a_model(catalog, made_run):
    own = made_run(MODEL)
    short = {**own.result.preprocessing, "flavour": "caffe-short36"}
    others = [
        made_run(MODEL, flavour="caffe-short36", preprocessing=short),
        made_run(MODEL, precision="bf16"),
    ]
    (net,) = reported(catalog, [*others, own]).nets
    assert net.main is own
    assert [run.result.precision for run in net.runs] == ["float32", "bf16", "float32"]


def test_the_run_over_the_most_images_stands_for_a_net_outside_the_catalog(catalog, made_run):
    part, whole = (made_run(MODEL, images=count, model="net") for count in (100, 500))
    half = made_run(MODEL, model="net", precision="fp16")
    (net,) = reported(catalog, [half, part, whole]).nets
    assert net.main is whole
    assert (net.manifest, net.audit) == (None, None)
    assert net.class_names[3] == "3"


def test_a_model_is_compared_with_its_baseline_and_with_the_net_that_was_asked_for(catalog, made_run):
    own = made_run(MODEL, model="net", command="dsd-zoo validate net.onnx --against=digits-caffe-dsd")
    runs = [made_run(MODEL), made_run(BASELINE), own]
    assert pairs_of(reported(catalog, runs)) == [(MODEL, BASELINE), ("net", MODEL)]
    assert pairs_of(reported(catalog, runs, BASELINE)) == [
        (MODEL, BASELINE), ("net", MODEL), ("net", BASELINE),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="expected one of the nets that were run: digits-caffe-baseline"):
        reported(catalog, runs, "other")


def test_a_pair_is_counted_image_by_image_and_class_by_class(catalog, made_run):
    (pair,) = reported(catalog, [made_run(MODEL), made_run(BASELINE)]).pairs
    gain = pair.matrix.rows[0].gains["top1"]
    assert (gain.both, gain.only_model, gain.only_baseline, gain.neither) == (491, 1, 2, 6)
    assert sum(found.gain for found in pair.classes) == -1


@pytest.mark.parametrize("changes", [{"runtime": "pytorch"}, {"dataset": "other"}])
def test_runs_elsewhere_or_over_other_images_are_not_compared(catalog, made_run, changes):
    (pair,) = reported(catalog, [made_run(MODEL), made_run(BASELINE, **changes)]).pairs
    assert (pair.runs, pair.matrix.rows) == (None, [])
    assert pair.matrix.not_paired == [f"{BASELINE} was not run over the same images in the same runtime"]


def test_runs_of_other_preparations_are_not_compared(catalog, made_run):
    (pair,) = reported(catalog, [made_run(MODEL), made_run(BASELINE, flavour="caffe-short36")]).pairs
    assert pair.runs is None
    assert len(pair.matrix.not_paired) == 2


@pytest.mark.parametrize("command", ["dsd-zoo 'open", "", "dsd-zoo validate a --against"])
def test_a_command_that_names_no_net_is_no_error(catalog, made_run, command):
    assert reported(catalog, [made_run(MODEL, command=command)]).pairs == []
