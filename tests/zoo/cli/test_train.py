"""`dsd-zoo train`: from the words of the command to models for the other commands."""

from __future__ import annotations

import json

import pytest
import torch
from image_sources import FORMS, write
from small_training import DEFINITION, NORM, SHORT_RECIPE, write_images

from zoo.datasets import open_dataset


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def files(tmp_path):
    """A definition whose data layer states its preprocessing, images, and a recipe; the options to train."""
    data = (
        'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 8 '
        "mean_value: 127 scale: 0.0078125 } data_param { batch_size: 4 } }"
    )
    text = "\n".join(line for line in DEFINITION.splitlines() if '"Input"' not in line)
    (tmp_path / "my net.prototxt").write_text(data + text.replace("NORM", NORM))
    write_images(tmp_path / "train", 24)
    write_images(tmp_path / "a test", 12, seed=1)
    (tmp_path / "short.toml").write_text(SHORT_RECIPE)
    return [
        *(tmp_path / "my net.prototxt", "--flavour", "caffe-warp10", "--data", tmp_path / "train"),
        *("--test", tmp_path / "a test", "--recipe", tmp_path / "short.toml"),
    ]


def test_a_definition_becomes_models_that_other_commands_take(dsd_zoo, files, tmp_path):
    run = tmp_path / "run"
    trained = dsd_zoo("train", *files, "-o", run)
    assert trained.code == 0, trained.err
    assert "SEED  BASELINE  SPARSE  DSD  GAIN  DISCORDANT  McNEMAR P" in trained.out
    assert "Student's t over 2 seeds" in trained.out
    # Not on a terminal: a line at the end of each stage.
    lines = trained.err.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["seed", seed, stage]
        for seed in ("1", "2")
        for stage in ("dense", "sparse", "dsd", "baseline-half", "baseline")
    ]
    assert "the whole story" in trained.out
    assert "Gains by seed" in (run / "report.html").read_text()
    assert all("loss" in line and "top-1" in line and line.endswith("left") for line in lines)

    names = [f"my-net-seed1-{result}" for result in ("baseline", "sparse", "dsd")]
    listed = json.loads(dsd_zoo("list", "--json", "--manifests", run).out)
    assert set(names) <= {model["name"] for model in listed}
    audited = dsd_zoo("audit", *names, "--manifests", run, "--evidence", run / "evidence")
    assert audited.code == 0, audited.err
    assert audited.out.count("agrees") >= 6
    validated = dsd_zoo(
        "validate", names[2], "--data", tmp_path / "a test", "--manifests", run, "--out", tmp_path / "v"
    )
    assert validated.code == 0, validated.err
    assert dsd_zoo("convert", names[1], "-o", tmp_path / "sparse.py", "--manifests", run).code == 0
    assert dsd_zoo("compare", names[2], names[0], "--manifests", run).code == 1
    assert dsd_zoo("verify", names[2], "--manifests", run).code == 0
    assert dsd_zoo("show", names[2], "--manifests", run).code == 0

    again = dsd_zoo("train", *files, "-o", run)
    assert again.code == 2
    assert "--resume" in again.err
    resumed = dsd_zoo("train", *files, "-o", run, "--resume")
    assert resumed.out == trained.out


def test_json_has_the_verdicts(dsd_zoo, files, tmp_path):
    trained = dsd_zoo("train", *files, "-o", tmp_path / "run", "--seed", "5", "--json")
    printed = json.loads(trained.out)
    top1, top5 = printed["verdicts"]
    assert (top1["metric"], top5["metric"]) == ("top1", "top5")
    assert [seed["seed"] for seed in top1["seeds"]] == [5]
    assert top1["interval"] is None
    assert 0 <= top1["seeds"][0]["paired"]["p_value"] <= 1


@pytest.mark.parametrize("form", FORMS)
def test_every_source_of_images_trains_the_same_net(dsd_zoo, files, tmp_path, form):
    with open_dataset(tmp_path / "train") as data:
        images = [(sample.id, sample.label, sample.read()) for sample in data]
    (tmp_path / "other").mkdir()
    files[files.index("--data") + 1] = write(form, tmp_path / "other", images, "caffe-warp10")
    trained = dsd_zoo("train", *files, "-o", tmp_path / form, "--seed", "1", "--json")
    assert trained.code == 0, trained.err
    losses = [line.split("loss")[1].split()[0] for line in trained.err.splitlines()]
    assert losses == EXPECTED.setdefault("losses", losses)


EXPECTED: dict[str, list[str]] = {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--data": None}, "give --data: images to train with"),
        ({"--recipe": "unknown"}, "no recipe is called 'unknown': expected digits or squeezenet-dsd"),
        ({"--flavour": None}, "give --flavour"),
        ({"--flavour": "torch7-bicubic10"}, "are for caffe-stored"),
        ({"--precision": "tf32"}, "mode of NVIDIA"),
        ({"--data": "missing"}, "no such folder or file"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said_at_once(dsd_zoo, files, tmp_path, change, message):
    arguments = list(files)
    for option, value in change.items():
        if option in arguments:
            at = arguments.index(option)
            del arguments[at : at + 2]
        if value is not None:
            arguments += [option, value]
    failed = dsd_zoo("train", *arguments, "-o", tmp_path / "run")
    assert failed.code == 2
    assert message in failed.err
    assert not (tmp_path / "run").exists()


def test_the_embedded_training_needs_no_other_words(dsd_zoo, tmp_path, monkeypatch):
    """Only its inputs; the training itself takes a minute."""
    from zoo.training import train as module

    jobs = []
    monkeypatch.setattr(module, "train", lambda job, out, **_: jobs.append((job, out)) or [])
    monkeypatch.setattr("zoo.cli._train_text.print_verdicts", lambda *_: None)
    monkeypatch.setattr("zoo.report.training.write_training_page", lambda out: out)
    assert dsd_zoo("train", "digits", "--seed", "2").code == 0
    ((job, out),) = jobs
    assert str(out) == "runs/digits"
    assert (len(job.data), len(job.test)) == (1297, 500)
    assert job.recipe.seeds == [2]
    assert job.source.is_untrained
    assert dsd_zoo("train", "digits", "--data", tmp_path).code == 2
