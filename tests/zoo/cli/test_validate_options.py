"""`dsd-zoo validate` beyond counting, as a user meets it: variants, baselines, gains, reports."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from colour_net import PLAIN, save_net
from command_line import runner

from zoo.bundled import bundled_folder
from zoo.datasets import Dataset, Sample
from zoo.errors import DataError
from zoo.evaluation.benchmark import benchmark
from zoo.evaluation.job import Job
from zoo.evaluation.variants import Variant
from zoo.evidence.run import read_run

DIGITS = bundled_folder() / "digits"
FILES = [DIGITS / "caffe" / "train_val.prototxt", DIGITS / "caffe" / "dsd.caffemodel"]
IMAGES = DIGITS / "images" / "test_images.tar"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Converted once for all tests here."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path, cache):
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(cache))
    return runner(monkeypatch, capsys)


def test_sensitivity_is_a_matrix_and_a_run_for_each_flavour(dsd_zoo):
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--sensitivity")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    header = lines.index(["FLAVOUR", "TOP-1", "POINTS", "CHANGED", "TOP-5", "POINTS", "CHANGED"])
    rows = {line[0]: line[1:] for line in lines[header + 1 : header + 5]}
    assert rows["caffe-warp36"] == ["492", "0.00", "0", "500", "0.00", "0"]
    assert set(rows) == {"caffe-warp36", "caffe-short36", "torch7-bicubic36", "pil-bicubic-short36"}
    # The digits are 36 pixels already for all but the squares, so the numbers come from the conversions.
    for flavour, cells in rows.items():
        folder = Path("results/digits-caffe-dsd") / ("onnx" if "warp" in flavour else f"onnx-{flavour}")
        run = read_run(folder)
        assert (run.result.flavour, str(run.result.top1_correct)) == (flavour, cells[0])
        assert len(run.rows) == 500
    assert read_run(Path("results/digits-caffe-dsd/onnx-pil-bicubic-short36")).result.preprocessing[
        "meant_for"
    ] == ("caffe-warp36")
    # The same matrix as separate runs.
    single = json.loads(
        dsd_zoo("validate", "digits-caffe-dsd", "--flavour", "torch7-bicubic36", "--json").out
    )
    assert str(single["result"]["top1_correct"]) == rows["torch7-bicubic36"][0]
    assert single["out"] == "results/digits-caffe-dsd/onnx-torch7-bicubic36"


def test_files_of_a_caffe_net_keep_their_numbers_under_another_flavour(dsd_zoo):
    outcome = dsd_zoo("validate", *FILES, "--data", IMAGES, "--flavour", "pil-bicubic-short36", "--json")
    printed = json.loads(outcome.out)["result"]
    assert printed["preprocessing"]["meant_for"] == "caffe-stored"
    assert printed["preprocessing"]["mean"] == [127, 127, 127]
    assert printed["top1_correct"] >= 485
    # With --meant-for, the numbers are those of the flavour itself.
    told = dsd_zoo(
        "validate", *FILES, "--data", IMAGES, "--flavour", "pil-bicubic-short36", "--mean", "0.498",
        "--scale", "1", "--meant-for", "pil-bicubic-short36", "--json", "--out", "told",
    )  # fmt: skip
    assert "meant_for" not in json.loads(told.out)["result"]["preprocessing"]


def pairs(ours, theirs):
    return zip(ours.scores, theirs.scores, strict=True)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_printed_beside_float32(dsd_zoo, precision):
    outcome = dsd_zoo(
        "validate", "digits-caffe-dsd", "--runtime", "pytorch", "--precision", precision, "--limit", 200
    )
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    header = lines.index(["PRECISION", "TOP-1", "POINTS", "CHANGED", "TOP-5", "POINTS", "CHANGED"])
    half, full = lines[header + 1 : header + 3]
    assert (half[0], full[0]) == (precision, "float32")
    assert full[2:4] == ["0.00", "0"]
    assert abs(int(half[1]) - int(full[1])) <= 3
    folder = Path("results/digits-caffe-dsd")
    half_run = read_run(folder / f"pytorch-{precision}-first200")
    exact_run = read_run(folder / "pytorch-first200")
    assert (half_run.result.precision, exact_run.result.precision) == (precision, "float32")
    # It really was computed in half precision.
    differences = [
        abs(a - b) for x, y in zip(half_run.rows, exact_run.rows, strict=True) for a, b in pairs(x, y)
    ]
    assert 1e-5 < max(differences) < 0.2


def test_a_baseline_holds_or_names_what_changed(dsd_zoo):
    dsd_zoo("validate", "digits-caffe-baseline", "--out", "before")
    outcome = dsd_zoo(
        "validate", "digits-caffe-baseline", "--baseline", "before/result.json", "--junit", "checks.xml",
        "--markdown", "summary.md",
    )  # fmt: skip
    assert outcome.code == 0
    assert "baseline: identical to the last bit over 500 images" in outcome.out
    suite = ElementTree.parse("checks.xml").getroot().find("testsuite")
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", "0")
    # Other weights under the same name give a regression.
    outcome = dsd_zoo(
        "validate", "digits-caffe-dsd", "--baseline", "before", "--junit", "checks.xml",
        "--markdown", "summary.md", "--json",
    )  # fmt: skip
    assert outcome.code == 1
    found = json.loads(outcome.out)["baseline"]
    assert (found["holds"], found["before"]["top1"], found["now"]["top1"]) == (False, 493, 492)
    flipped = [change["image"] for change in found["changes"] if change["flipped"]]
    assert flipped == ["test_00012.png", "test_00243.png", "test_00360.png"]
    suite = ElementTree.parse("checks.xml").getroot().find("testsuite")
    assert suite.attrib["failures"] == "4"
    text = Path("summary.md").read_text()
    assert text.count("### digits-caffe") == 2
    assert "test\\_00243.png" in text
    # --tolerance allows it, also across runtimes.
    for extra in ([], ["--runtime", "pytorch"]):
        outcome = dsd_zoo("validate", "digits-caffe-dsd", "--baseline", "before", "--tolerance", 3, *extra)
        assert outcome.code == 0
        assert "3 of 500 images changed their verdict; allowed are 3" in outcome.out
        assert "test_00012.png, class" in outcome.out


def test_the_gain_over_another_net(dsd_zoo):
    dsd_zoo("validate", "digits-caffe-baseline", "--out", "base")
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--against", "base/result.json", "--out", "dsd")
    assert outcome.code == 0
    assert "against digits-caffe-baseline, image by image:" in outcome.out
    # Hand-counted from the recorded logits: 1 only right here, 2 only right there.
    assert "top-1: -1 of 500 images, -0.20 points" in outcome.out
    assert "1 right here only, 2 there only; 500 images reveal a true gain of" in outcome.out
    assert "most lost: class" in outcome.out
    printed = json.loads(dsd_zoo("validate", "digits-caffe-dsd", "--against", "base", "--json").out)
    assert printed["against"]["gains"]["top1"]["p_value"] == 1.0
    assert sum(found["correct"] - found["other_correct"] for found in printed["against"]["classes"]) == -1


def test_a_run_of_the_baseline_in_the_results_folder_is_compared(dsd_zoo):
    assert "over its baseline" not in dsd_zoo("validate", "digits-caffe-dsd").out
    dsd_zoo("validate", "digits-caffe-baseline")
    outcome = dsd_zoo("validate", "digits-caffe-dsd")
    assert "digits-caffe-dsd over its baseline digits-caffe-baseline" in outcome.out
    text = " ".join(outcome.out.split())
    assert "The pair measured here shows no significant gain in top-1." in text


def test_the_order_of_the_published_run_and_a_part_of_it(dsd_zoo):
    outcome = dsd_zoo("validate", "digits-caffe-dsd")
    assert "top-1 by batches of 50: all 10 as published" in outcome.out
    assert "top-1: 0 images off the claimed 492, 0 allowed: equivalent" in outcome.out
    assert "that of the net's classes, as the first 256 images show" in outcome.out
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--limit", 100)
    assert "OF ALL 500" in outcome.out
    assert "as good as drawn at random" in outcome.out


def test_a_mean_image_of_compute_image_mean(dsd_zoo, tmp_path):
    """The blob of 127s, in Caffe's own format, counts as the mean value."""
    shape = b"".join(bytes([number << 3, value]) for number, value in ((1, 1), (2, 3), (3, 36), (4, 36)))
    values = np.full(3 * 36 * 36, 127, "<f4").tobytes()
    size = bytes([len(values) & 127 | 128, len(values) >> 7])
    (tmp_path / "mean.binaryproto").write_bytes(shape + b"\x2a" + size + values)
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--mean", "mean.binaryproto", "--json")
    assert json.loads(outcome.out)["result"]["top1_correct"] == 492


def test_reports_that_cannot_be_written_are_named(dsd_zoo):
    for option in ("--junit", "--markdown"):
        outcome = dsd_zoo("validate", "digits-caffe-dsd", "--limit", 10, option, "nowhere/file")
        assert outcome.code == 2
        assert "nowhere/file: the report cannot be written: No such file" in outcome.err
        # The findings are printed all the same.
        assert "top-1" in outcome.out


def test_bench_measures_the_three_rates(dsd_zoo):
    outcome = dsd_zoo("bench", "digits-caffe-dsd", "--runtime", "onnx", "--seconds", "0.3", "--json")
    assert outcome.code == 0
    printed = json.loads(outcome.out)
    assert min(printed["decoding"], printed["inference"], printed["validation"]) > 0
    slower = min(printed["decoding"], printed["inference"])
    assert printed["share_of_slower"] == pytest.approx(printed["validation"] / slower)
    assert printed["bound"] == pytest.approx(1 / (1 / printed["decoding"] + 1 / printed["inference"]))
    assert printed["share_of_bound"] == pytest.approx(printed["validation"] / printed["bound"])
    assert printed["shared"] is True
    options = ("--runtime", "onnx", "--seconds", "0.2", "--preprocess-on", "device")
    outcome = dsd_zoo("bench", "digits-caffe-dsd", *options)
    assert "decoding alone" in outcome.out
    assert "bound by sharing: on the same processors both can do" in outcome.out
    assert "processors" in outcome.out


def test_bench_names_the_fastest_of_all_installed_runtimes(dsd_zoo):
    printed = json.loads(dsd_zoo("bench", "digits-caffe-dsd", "--seconds", "0.2", "--json").out)
    rates = {name: found["validation"] for name, found in printed["runtimes"].items()}
    assert set(rates) == {"onnx", "openvino", "pytorch"}
    assert printed["fastest"] == max(rates, key=rates.get)
    outcome = dsd_zoo("bench", "digits-caffe-dsd", "--seconds", "0.2")
    names = [line.split()[0] for line in outcome.out.splitlines()[3:6]]
    assert set(names) == set(rates)
    assert f"The fastest for this net on this machine: --runtime {names[0]}" in outcome.out


def test_bench_tries_only_runtimes_that_can_run_the_net(dsd_zoo, tmp_path):
    assert dsd_zoo("convert", "digits-caffe-dsd", "-o", tmp_path / "net.py").code == 0
    options = ("--data", IMAGES, "--flavour", "caffe-warp36", "--crop", "32", "--seconds", "0.1", "--json")
    printed = json.loads(dsd_zoo("bench", tmp_path / "net.py", *options).out)
    assert list(printed["runtimes"]) == ["pytorch"]
    printed = json.loads(dsd_zoo("bench", "digits-caffe-dsd", "--precision", "bf16", *options[-3:]).out)
    assert list(printed["runtimes"]) == ["pytorch"]


def test_bench_names_an_image_that_cannot_be_read(dsd_zoo, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"<html>")
    (folder / "labels.txt").write_text("a.png 0\n")
    outcome = dsd_zoo("bench", "digits-caffe-dsd", "--data", folder, "--seconds", "0.2")
    assert outcome.code == 2
    assert "a.png: cannot decode" in outcome.err


def test_labels_that_fit_no_known_order_are_reported_as_doubtful(dsd_zoo, tmp_path):
    lines = (DIGITS / "images" / "val.txt").read_text().splitlines()
    shuffled = [f"{name} {(int(label) + 5) % 10}\n" for name, label in map(str.split, lines)]
    (tmp_path / "mine.txt").write_text("".join(shuffled))
    arguments = ("validate", "digits-caffe-dsd", "--data", IMAGES, "--labels", "mine.txt", "--limit", "100")
    assert "label order    IN DOUBT: no known one fits" in dsd_zoo(*arguments).out
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--limit", "100")
    assert "label order    that of the net's classes" in outcome.out


def test_bench_needs_one_image_that_can_be_read(tmp_path):
    """Also if unreadable images are skipped."""
    images = tuple(Sample(str(i), 0, lambda: b"<html>") for i in range(3))
    net = save_net(tmp_path / "net.onnx")
    job = Job(net, Dataset("none", "nowhere", "nobody", images), "m", skip_unreadable=True, batch_size=2)
    with pytest.raises(DataError, match="nowhere: none of the first 2 images can be read"):
        benchmark(job, Variant(PLAIN), seconds=0.1)
