"""The demo runs all steps in one command; the parity check that it relies on can fail."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import converters
from zoo import demo
from zoo.bundled import bundled_folder, embedded_images
from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.cli.main import main
from zoo.datasets import open_dataset
from zoo.errors import DataError, IntegrityError
from zoo.evidence.run import find_runs, read_run
from zoo.store.cache import Cache
from zoo.verification.difference import BOUND
from zoo.verification.parity import Parity, against_recorded
from zoo.vocabulary import RUNTIME_NAMES

# Right images of 500, as the original frameworks counted them.
RECORDED = {
    "digits-caffe-baseline": 493,
    "digits-caffe-dsd": 492,
    "digits-caffe-sparse": 490,
    "digits-torch7-baseline": 491,
    "digits-torch7-dsd": 490,
    "digits-torch7-sparse": 489,
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    folder: Path


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    """One run of `dsd-zoo demo`, as a user starts it, in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.chdir(folder)
        patch.setenv("DSD_ZOO_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["dsd-zoo", "demo", "--out", "page.html", "--keep", "kept"])
        patch.setattr(sys.stdout, "write", lines.append)
        with pytest.raises(SystemExit) as caught:
            main()
    code = caught.value.code
    return Outcome(code if isinstance(code, int) else 0, "".join(lines), folder)


def test_everything_reproduces_and_the_gain_is_not_dressed_up(outcome) -> None:
    assert outcome.code == 0
    assert outcome.out.count("  reproduced") == 6
    assert "NOT REPRODUCED" not in outcome.out
    assert outcome.out.count("not significant") == 4
    text = " ".join(outcome.out.split())
    assert "Of the 4 pairs measured here, none shows a significant gain in top-1." in text
    for model, top1 in RECORDED.items():
        assert f"{top1} of 500" in next(line for line in outcome.out.splitlines() if line.startswith(model))


def test_evidence_holds_the_recorded_counts(outcome) -> None:
    found = {}
    for run in find_runs(outcome.folder / "kept" / "runs"):
        result = read_run(run).result
        found[result.model, result.runtime] = (result.top1_correct, result.top5_correct, result.n)
    assert found == {
        (model, runtime): (top1, 500, 500) for model, top1 in RECORDED.items() for runtime in RUNTIME_NAMES
    }


def test_the_page_and_nothing_else_is_left(outcome) -> None:
    page = (outcome.folder / "page.html").read_text(encoding="utf-8")
    assert "All 12 published accuracies of 6 models were measured here and agree." in page
    assert page.count('class="verdict differs"') == 0
    assert sorted(path.name for path in outcome.folder.iterdir()) == ["kept", "page.html"]
    assert sorted(path.name for path in (outcome.folder / "kept").iterdir()) == ["converted", "runs"]


def test_a_damaged_model_stops_the_demo(tmp_path) -> None:
    (tmp_path / "digits").mkdir()
    shutil.copytree(bundled_folder() / "digits" / "caffe", tmp_path / "digits" / "caffe")
    shutil.copy(bundled_folder() / "digits-caffe-dsd.toml", tmp_path)
    weights = tmp_path / "digits" / "caffe" / "dsd.caffemodel"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with pytest.raises(IntegrityError, match=r"(?s)digits-caffe-dsd: .*dsd\.caffemodel: .*sha256"):
        demo._verified(Manifest.read(tmp_path / "digits-caffe-dsd.toml"), Cache(tmp_path / "cache"))


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    """digits-caffe-dsd as ONNX."""
    caffe = bundled_folder() / "digits" / "caffe"
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    converters.convert([caffe / "train_val.prototxt", caffe / "dsd.caffemodel"], path)
    return path


@pytest.fixture
def parity(net):
    """Compares the net with a recording."""

    def check(recorded: Path) -> Parity:
        with open_dataset(embedded_images("digits-test")) as data:
            manifest = Catalog.load().get("digits-caffe-dsd")
            (row,) = against_recorded(manifest, net, "onnx", data, recorded)
        return row

    return check


def test_parity_with_the_true_recording(parity) -> None:
    row = parity(bundled_folder() / "digits" / "caffe" / "dsd_golden.npz")
    assert (row.model, row.runtime, row.output, row.images) == ("digits-caffe-dsd", "onnx", "prob", 500)
    assert 0 < row.difference < BOUND / 5
    assert row.holds


def test_no_parity_with_the_recording_of_another_net(parity) -> None:
    row = parity(bundled_folder() / "digits" / "caffe" / "sparse_golden.npz")
    assert row.difference > 0.1
    assert not row.holds


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"out:prob": np.ones((499, 10))}, "one row for each of the 500 images"),
        ({"out:prob": np.full((500, 10), np.nan)}, "expected finite numbers"),
        ({"out:prob": np.zeros((500, 10))}, "expected finite numbers"),
        ({"out:prob": np.ones((500, 9))}, "is (500, 10), recorded is (500, 9)"),
        ({"other": np.ones((500, 10))}, "'out:prob' cannot be read"),
    ],
)
def test_recordings_that_are_none(parity, tmp_path, arrays, message) -> None:
    np.savez(tmp_path / "recorded.npz", **arrays)
    with pytest.raises(DataError) as caught:
        parity(tmp_path / "recorded.npz")
    assert message in str(caught.value)
