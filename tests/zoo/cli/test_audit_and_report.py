"""`dsd-zoo audit`, `report`, `convert`, `inspect`, `compare` as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, runner
from corpus_cases import CORPUS

import converters
from zoo.bundled import bundled_folder
from zoo.evidence.run import write_run

CAFFE = bundled_folder() / "digits" / "caffe"
# Variables that would keep ONNX Runtime from writing to the home folder.
HOME_ELSEWHERE = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "ORT_DISABLE_TELEMETRY")
NET = [str(CAFFE / "train_val.prototxt"), str(CAFFE / "dsd.caffemodel")]


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path) -> Run:
    """Runs the command line in this process, in an empty folder and with an empty cache."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


@pytest.fixture
def runs(tmp_path, made_run) -> Path:
    """Evidence of the Caffe pair, as measured."""
    for name in ("digits-caffe-dsd", "digits-caffe-baseline"):
        write_run(tmp_path / "runs" / name, made_run(name))
    return tmp_path / "runs"


def test_audit_of_everything_needs_no_evidence(dsd_zoo) -> None:
    outcome = dsd_zoo("audit")
    assert outcome.code == 0
    assert "1000 batches of 50" in outcome.out
    assert "+4.32" in outcome.out
    assert "conflict: squeezenet-v1.0 top-1 is also published as 42.39% error" in outcome.out
    assert "none was measured here in full; 24" in outcome.out


def test_audit_with_evidence(dsd_zoo, runs) -> None:
    outcome = dsd_zoo("audit", "digits-caffe-dsd", "--evidence", runs)
    assert outcome.code == 0
    assert "492 of 500  ONNX Runtime  agrees" in outcome.out
    assert "here, caffe-warp36: ONNX Runtime, 500 images, p = 1" in outcome.out
    assert "Both published accuracies of digits-caffe-dsd were measured here" in outcome.out
    text = " ".join(outcome.out.split())
    assert "The pair measured here shows no significant gain in top-1." in text


def test_audit_finds_evidence_in_its_usual_place(dsd_zoo, made_run) -> None:
    write_run(Path("results") / "digits-caffe-dsd" / "onnx", made_run("digits-caffe-dsd"))
    assert "492 of 500  ONNX Runtime  agrees" in dsd_zoo("audit", "digits-caffe-dsd").out


def test_audit_ends_with_1_when_a_claim_is_contradicted(dsd_zoo, tmp_path, made_run) -> None:
    write_run(tmp_path / "runs", made_run("digits-caffe-dsd", wrong=range(30)))
    outcome = dsd_zoo("audit", "digits-caffe-dsd", "--evidence", tmp_path)
    assert outcome.code == 1
    assert "digits-caffe-dsd: top-1: published is '0.984', measured 470 of 500" in outcome.out
    assert "1 thing does not hold." in outcome.out


def test_audit_as_json(dsd_zoo, runs) -> None:
    (found,) = json.loads(dsd_zoo("audit", "digits-caffe-dsd", "--evidence", runs, "--json").out)
    assert found["holds"] is True
    assert found["gains"][0]["measured"][0]["p_value"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("audit", "digits-caffe-dsb"), "did you mean digits-caffe-dsd"),
        (("audit", "--evidence", "nowhere"), "no run (result.json) at or below it"),
        (("report", "nowhere"), "no run (result.json) at or below it"),
        (("convert", "net.prototxt", "-o", "x.onnx"), "no such file: net.prototxt"),
        (("convert", *NET, "-o", "x.txt"), "the ending '.txt' is none of"),
        (("convert", *NET, "-o", "x.onnx", "--output", "fc7"), "fc7"),
        (("convert", *NET, "-o", "x.onnx", "--input-shape", "data"), "expected NAME=SIZE,SIZE,..."),
        (("convert", *NET, "-o", "x.onnx", "--input-shape", "data=0,3"), "expected NAME=SIZE,SIZE,..."),
        (("compare", "nowhere.onnx", "digits-caffe-dsd"), "no such file: nowhere.onnx"),
        (("inspect", "nowhere.t7"), "no such file: nowhere.t7"),
        (("inspect", "."), ". is a folder; name the file in it"),
        (("inspect", *NET, NET[0]), "several files of one name"),
        (("demo", "-o", "nowhere/report.html"), "no such folder: nowhere"),
        (("demo", "-o", "."), "it is a folder"),
    ],
)
def test_usage_errors_say_what_to_do_and_write_nothing(dsd_zoo, arguments, message) -> None:
    outcome = dsd_zoo(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert list(Path().iterdir()) == []


def test_running_a_net_leaves_nothing_in_the_home_folder(tmp_path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in HOME_ELSEWHERE}
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "compare", "digits-caffe-dsd", "digits-caffe-dsd"],
        env={**kept, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_report_writes_the_page(dsd_zoo, runs) -> None:
    outcome = dsd_zoo("report", runs, "-o", "page.html")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "page.html"
    assert "digits-caffe-baseline" in Path("page.html").read_text(encoding="utf-8")


def test_a_net_outside_the_catalog_is_on_the_page_too(dsd_zoo, runs, made_run) -> None:
    write_run(runs / "own", made_run("digits-caffe-dsd", **{"model": "my-net"}))
    outcome = dsd_zoo("report", runs, "--against", "digits-caffe-baseline")
    assert (outcome.code, outcome.err) == (0, "")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "not in the catalog" in page
    assert '<h2 id="my-net-over-digits-caffe-baseline">' in page


def test_report_of_nets_that_the_catalog_does_not_know_at_all(dsd_zoo, tmp_path, made_run) -> None:
    command = "dsd-zoo validate one.onnx two.onnx --data d --against one"
    for name, wrong in (("one", range(40)), ("two", range(8))):
        run = made_run("digits-caffe-dsd", wrong=wrong, **{"model": name, "command": command})
        write_run(tmp_path / "runs" / name, run)
    outcome = dsd_zoo("report", tmp_path / "runs")
    assert outcome.code == 0
    assert " ".join(outcome.out.splitlines()[:-1]) == (
        "one and two, measured on 500 images. two shows a significant gain over one in top-1."
    )


def test_report_compares_only_with_a_net_that_was_run(dsd_zoo, runs) -> None:
    outcome = dsd_zoo("report", runs, "--against", "nobody")
    assert outcome.code == 2
    assert "--against nobody: expected one of the nets that were run: digits-caffe-baseline" in outcome.err
    assert not Path("report.html").exists()


def test_report_as_json_has_the_numbers_of_the_page(dsd_zoo, runs) -> None:
    found = json.loads(dsd_zoo("report", runs, "--json", "-o", "page.html").out)
    assert (found["holds"], found["out"]) == (True, "page.html")
    assert [net["name"] for net in found["nets"]] == ["digits-caffe-baseline", "digits-caffe-dsd"]
    assert {net["in_catalog"] for net in found["nets"]} == {True}
    (pair,) = found["pairs"]
    assert (pair["model"], pair["rows"][0]["gains"]["top1"]["only_model"]) == ("digits-caffe-dsd", 1)
    assert sum(one["n"] for one in pair["classes"]) == 500
    assert Path("page.html").is_file()


@pytest.mark.parametrize(
    ("kind", "name", "first"),
    [
        ("markdown", "report.md", "### Top-1 accuracy, claimed and measured"),
        ("csv", "report.csv", "kind,model,baseline,metric,"),
        ("latex", "report.tex", r"\begin{table}"),
    ],
)
def test_report_writes_its_tables(dsd_zoo, runs, kind, name, first) -> None:
    outcome = dsd_zoo("report", runs, "--format", kind)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, name)
    assert Path(name).read_text(encoding="utf-8").startswith(first)


def test_report_ends_with_1_when_something_does_not_hold(dsd_zoo, tmp_path, made_run) -> None:
    write_run(tmp_path / "runs", made_run("digits-caffe-dsd", wrong=range(30)))
    outcome = dsd_zoo("report", tmp_path)
    assert outcome.code == 1
    assert Path("report.html").is_file()


@pytest.mark.parametrize("what", [["digits-caffe-dsd"], NET])
def test_convert_reports_what_it_did(dsd_zoo, what) -> None:
    outcome = dsd_zoo("convert", *what, "-o", "net.onnx")
    assert outcome.code == 0, outcome.err
    for said in (
        "caffe to ONNX",
        "data  Nx3x32x32",
        "prob  Nx10",
        "27,490 parameters",
        "loss (SoftmaxWithLoss)",
        "scale 0.0078125",
        f"net.onnx  {Path('net.onnx').stat().st_size:,} bytes",
        f"dsd-zoo compare {','.join(what)} net.onnx",
    ):
        assert said in outcome.out
    assert [path.name for path in Path().iterdir()] == ["net.onnx"]


def test_what_to_run_next_can_be_pasted_into_a_shell(dsd_zoo) -> None:
    outcome = dsd_zoo("convert", "digits-caffe-dsd", "-o", "my net.onnx")
    assert "dsd-zoo compare digits-caffe-dsd 'my net.onnx'\n" in outcome.out


def test_convert_options_reach_the_converter(dsd_zoo) -> None:
    outcome = dsd_zoo(
        "convert", "digits-caffe-dsd", "-o", "net.onnx", "--output", "ip1", "--static-batch", 4, "--json"
    )
    report = json.loads(outcome.out)
    assert report["outputs"] == {"ip1": "4x64"}
    assert report["files"] == ["net.onnx"]


def test_a_converted_net_compares_equal_and_another_one_does_not(dsd_zoo) -> None:
    dsd_zoo("convert", "digits-caffe-dsd", "-o", "net.onnx")
    outcome = dsd_zoo("compare", ",".join(NET), "net.onnx")
    assert outcome.code == 0
    assert "values that both have agree within 1e-05." in outcome.out
    outcome = dsd_zoo("compare", "digits-caffe-baseline", "net.onnx")
    assert outcome.code == 1
    assert "First divergence: conv1" in outcome.out
    found = json.loads(dsd_zoo("compare", "digits-caffe-baseline", "net.onnx", "--json").out)
    assert found["first_divergence"] == found["values"][0]["name"]
    assert found["agrees"] is False


def test_a_folded_net_agrees_at_its_outputs(dsd_zoo) -> None:
    dsd_zoo("convert", "digits-torch7-dsd", "-o", "net.onnx", "--fold")
    outcome = dsd_zoo("compare", "digits-torch7-dsd", "net.onnx")
    assert outcome.code == 0
    assert "First divergence: conv1" in outcome.out
    assert "The outputs agree all the same" in outcome.out


@pytest.mark.parametrize(
    ("name", "order", "limits", "words"),
    [
        ("digits-caffe-dsd", "BGR", [0, 255], "BGR, 0 to 255"),
        ("digits-torch7-dsd", "RGB", [0, 1], "RGB, 0 to 1"),
    ],
)
def test_channel_order_and_range_are_said_wherever_pixels_are(dsd_zoo, name, order, limits, words) -> None:
    report = json.loads(dsd_zoo("convert", name, "-o", "net.onnx", "--json").out)
    assert report["preprocessing"]["crop"] == 32
    assert report["preprocessing"]["channel_order"] == order
    assert report["preprocessing"]["value_range"] == limits
    written = converters.load("net.onnx").metadata_props
    assert json.loads(written["dsd-zoo.channel_order"]) == order
    assert json.loads(written["dsd-zoo.value_range"]) == limits
    embedded = dsd_zoo("convert", name, "-o", "pixels.onnx", "--embed-preprocessing")
    assert f"the input takes the cropped pixels unchanged, {words}" in embedded.out


def test_what_convert_suggests_runs_and_can_be_independent(dsd_zoo) -> None:
    net = str(CORPUS / "torch7-models" / "resnet18-thin" / "net.t7")
    text = dsd_zoo("convert", net, "-o", "net.onnx").out
    line = next(line for line in text.splitlines() if "dsd-zoo compare" in line)
    command = line[line.index("compare") :].split()
    assert command[-2:] == ["--input-shape", "input=2,3,224,224"]
    assert "add --with pytorch: the source then runs in something else" in text
    found = dsd_zoo(*command, "--with", "pytorch")
    assert found.code == 0
    assert "A was converted to PyTorch and run there." in found.out
    told = json.loads(dsd_zoo(*command, "--with", "pytorch", "--json").out)
    assert (told["with"], told["agrees"]) == ("pytorch", True)
    assert dsd_zoo("compare", net, "net.onnx", "--with-python", sys.executable).code == 2


def test_inspect_shows_the_layers(dsd_zoo) -> None:
    outcome = dsd_zoo("inspect", "digits-caffe-dsd")
    assert outcome.code == 0
    assert "conv1" in outcome.out
    assert "All of it converts." in outcome.out
    found = json.loads(dsd_zoo("inspect", *NET, "--json").out)
    assert found["complete"] is True


def test_inspect_says_what_else_a_conversion_needs(dsd_zoo) -> None:
    alone = dsd_zoo("inspect", NET[0])
    assert alone.code == 0
    assert "With its weights, all of it converts." in alone.out
    net = str(CORPUS / "torch7" / "ReLU" / "net.t7")
    refused = dsd_zoo("inspect", net)
    assert refused.code == dsd_zoo("convert", net, "-o", "net.onnx").code - 1 == 1
    assert "does not convert: the net does not say what shape its input 'input' has" in refused.out
    given = dsd_zoo("inspect", net, "--input-shape", "input=N,4", "--static-batch", "3")
    assert given.code == 0
    assert "All of it converts." in given.out


def test_inspect_ends_with_1_when_a_layer_does_not_convert(dsd_zoo) -> None:
    text = Path(NET[0]).read_text(encoding="utf-8").replace('type: "LRN"', 'type: "Unheard"')
    Path("net.prototxt").write_text(text, encoding="utf-8")
    outcome = dsd_zoo("inspect", "net.prototxt", NET[1])
    assert outcome.code == 1
    assert "Unheard" in outcome.out
    assert "Not all of it converts." in outcome.out


def test_the_story_of_vgg16_is_one_screen(dsd_zoo, monkeypatch) -> None:
    """Claimed 4.31 points; 1.41 where one laboratory measured both nets in one way."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = dsd_zoo("audit", "vgg16-dsd").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    cells = [" ".join(line.split()) for line in lines]
    at = cells.index("shorter side 256, crop 224")
    assert cells[at - 2 : at] == [
        "as the authors did, not stated",
        "as published 68.50 72.81 +4.31 +3.75 to +4.87 yes",
    ]
    assert cells[at + 1 : at + 4] == [
        "soeaver/caffe-model 70.97 72.38 +1.41 +0.85 to +1.97 yes",
        "Open Model Zoo 70.97",
        "ChainerCV 71.0",
    ]
    text = " ".join(cells)
    assert "shrinks to +1.41 (+0.85 to +1.97, significant). The other 2.90 points come with" in text
    assert "vgg16-vgg wins 2.47 and vgg16-dsd loses 0.43." in text
    assert "soeaver/caffe-model 89.88 90.98 +1.10 +0.74 to +1.46 yes" in text


def test_summaries_of_many_pairs_say_what_is_published_and_what_was_measured(dsd_zoo, runs) -> None:
    text = " ".join(dsd_zoo("audit", "--evidence", runs).out.split())
    assert (
        "pairs with published numbers, 7 claim a significant gain in top-1. Of these gains, 1 shrinks" in text
    )
    assert text.endswith("The pair measured here shows no significant gain in top-1.")


def test_audit_as_json_has_the_gains_by_preparation(dsd_zoo) -> None:
    (found,) = json.loads(dsd_zoo("audit", "vgg16-dsd", "--json").out)
    top1, top5 = found["by_preparation"]
    assert (top1["metric"], top1["standing"], top5["standing"]) == ("top1", "shrinks", "shrinks")
    row = top1["rows"][1]
    assert (row["basis"], row["model"]["who"], row["model"]["percent"]) == (
        "others",
        "soeaver/caffe-model",
        72.38,
    )
    assert row["model"]["source"].startswith("https://github.com/soeaver/caffe-model/blob/49dc8e06")
    assert found["gains"][0]["claimed"]["correct"] == 36405
    shown = json.loads(dsd_zoo("show", "vgg16-dsd", "--json").out)
    assert shown["by_preparation"] == found["by_preparation"]


def test_runs_under_several_flavours_give_a_gain_for_each(dsd_zoo, tmp_path, made_run) -> None:
    for name in ("digits-caffe-dsd", "digits-caffe-baseline"):
        for flavour in ("caffe-warp36", "caffe-short36"):
            own = made_run(name).result.preprocessing
            run = made_run(name, flavour=flavour, preprocessing={**own, "flavour": flavour})
            write_run(tmp_path / "runs" / name / flavour, run)
    for command in ("audit", "show"):
        text = " ".join(dsd_zoo(command, "digits-caffe-dsd", "--evidence", tmp_path / "runs").out.split())
        assert "as published 98.60 98.40 -0.20 -1.89 to +1.46 no here, caffe-warp36 98.60 98.40 -0.20" in text
        assert "shorter side 36, crop 32 here, caffe-short36 98.60 98.40 -0.20 -1.27 to +0.76 no" in text
