"""The folder that is published: every file loads where it should, and the card says what is known."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import re
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import runner
from safetensors.numpy import load_file
from small_training import small_job

from zoo.bundled import bundled_folder
from zoo.evidence.run import write_run
from zoo.publication.citation import bibtex
from zoo.training.train import train

FILES = ["README.md", "model.onnx", "net.py", "net.safetensors", "config.json", "labels.txt", "LICENSE"]


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def published(dsd_zoo, *arguments: object) -> dict:
    done = dsd_zoo("publish", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_the_programs_of_the_card_run_in_the_folder(dsd_zoo, monkeypatch, tmp_path, model):
    assert published(dsd_zoo, model, "-o", "out")["files"] == FILES
    monkeypatch.chdir("out")
    monkeypatch.syspath_prepend(tmp_path / "out")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with tarfile.open(bundled_folder() / "digits" / "images" / "test_images.tar") as tar:
        file = tar.extractfile(next(name for name in tar.getnames() if name.endswith("test_00003.png")))
        assert file is not None
        Path("image.jpg").write_bytes(file.read())  # OpenCV looks at the content
    framework = model.split("-")[1]
    with np.load(bundled_folder() / "digits" / framework / "dsd_golden.npz") as recorded:
        truth = recorded["out:prob" if framework == "caffe" else "logits"][3]
    programs = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        sys.modules.pop("net", None)
        importlib.invalidate_caches()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(program, "card", "exec"), {})  # noqa: S102
        rows = [line.split() for line in printed.getvalue().splitlines()]
        assert [int(index) for index, _ in rows] == np.argsort(-truth, kind="stable")[:5].tolist()
        scores = [float(score) for _, score in rows]
        np.testing.assert_allclose(scores, np.sort(truth)[::-1][:5], atol=1e-5 * np.abs(truth).max())


def test_every_file_is_what_the_card_and_the_config_say(dsd_zoo, tmp_path):
    published(dsd_zoo, "digits-caffe-dsd", "-o", "out")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    card = (out / "README.md").read_text(encoding="utf-8")
    for name in FILES[1:]:
        digest = hashlib.sha256((out / name).read_bytes()).hexdigest()
        assert f"| `{name}` | {(out / name).stat().st_size:,} | `{digest}` |" in card
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (config["num_labels"], config["num_channels"], config["image_size"]) == (10, 3, 32)
    assert config["id2label"] == {str(digit): str(digit) for digit in range(10)}
    assert config["label2id"] == {str(digit): digit for digit in range(10)}
    assert config["preparation"]["channels"] == "BGR"
    assert (out / "labels.txt").read_text(encoding="utf-8").split() == [str(digit) for digit in range(10)]
    assert "BSD-2-Clause" in (out / "LICENSE").read_text(encoding="utf-8")
    # Self-contained: netron and runtimes open it alone. Its weights are those of the safetensors.
    (out / "net.safetensors").rename(tmp_path / "elsewhere.safetensors")
    onnx.checker.check_model(out / "model.onnx", full_check=True)
    assert onnxruntime.InferenceSession(out / "model.onnx").get_inputs()[0].name == "data"
    weights = {array.tobytes() for array in load_file(tmp_path / "elsewhere.safetensors").values()}
    stored = onnx.load(out / "model.onnx").graph.initializer
    assert weights & {onnx.numpy_helper.to_array(tensor).tobytes() for tensor in stored}


def test_the_card_has_claims_gains_limits_and_bibtex(dsd_zoo, tmp_path, made_run):
    write_run(tmp_path / "results" / "dsd", made_run("digits-caffe-dsd"))
    published(dsd_zoo, "digits-caffe-dsd", "-o", "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    head = card.split("---\n")[1]
    assert "license: bsd-2-clause\npipeline_tag: image-classification\n" in head
    assert "      value: 98.4\n" in head
    assert "| top-1 | 98.4 % | 492 | 500 | 492 of 500 (ONNX Runtime) |" in card
    assert "## Gain over digits-caffe-baseline" in card
    assert "| warped to 36x36, crop 32 | as published | 98.60 | 98.40 | -0.20 |" in card
    assert "caffe-warp36, crop 32, mean 127 127 127, scale 0.0078125" in card
    assert "Top-5 is 500 of 500 for every net and separates nothing." in card
    assert "No accuracy was measured here" not in card
    assert "@misc{digits-caffe-dsd," in card


def test_a_second_call_replaces_the_first_and_nothing_else(dsd_zoo, tmp_path):
    published(dsd_zoo, "digits-caffe-dsd", "-o", "out")
    (tmp_path / "out" / ".gitattributes").write_text("*.onnx filter=lfs\n", encoding="utf-8")
    published(dsd_zoo, "digits-torch7-dsd", "-o", "out")
    assert "torch7" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "out" / ".gitattributes").exists()
    (tmp_path / "out" / "thesis.tex").write_text("mine", encoding="utf-8")
    done = dsd_zoo("publish", "digits-caffe-dsd", "-o", "out")
    assert (done.code, "holds thesis.tex, which dsd-zoo publish did not write" in done.err) == (2, True)
    assert "torch7" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "config", ["{", "[]", '{"dsd_zoo": {"files": 3}}', '{"dsd_zoo": {"files": ["../x"]}}']
)
def test_only_names_in_the_folder_are_ever_removed(dsd_zoo, tmp_path, config):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text(config, encoding="utf-8")
    (tmp_path / "x").write_text("mine", encoding="utf-8")
    done = dsd_zoo("publish", "digits-caffe-dsd", "-o", "out")
    assert (done.code, "which dsd-zoo publish did not write" in done.err) == (2, True)
    assert (tmp_path / "x").exists()


def test_what_cannot_be_published_is_refused_and_nothing_is_left(dsd_zoo, tmp_path):
    done = dsd_zoo("publish", "digits-caffe-dsd", "-o", "out", "--torchvision")
    assert done.code == 2
    assert "digits-caffe-dsd: torchvision has no net of this architecture" in done.err
    assert "  resnet18: no layer of the net is its conv1, a convolution with weights 64x3x7x7" in done.err
    net = bundled_folder() / "digits" / "torch7" / "dsd.t7"
    done = dsd_zoo("publish", net, "-o", "out")
    assert (done.code, "write a manifest" in done.err) == (2, True)
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = dsd_zoo("publish", "digits-caffe-dsd", "-o", "file")
    assert (done.code, "a file is in the way" in done.err) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "file", "lock.json"}


def test_a_mean_image_lies_beside_the_net(dsd_zoo, monkeypatch, tmp_path):
    text = (bundled_folder() / "digits-caffe-dsd.toml").read_text(encoding="utf-8")
    text = re.sub(r'^name = "digits-caffe-dsd"', 'name = "own"', text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^mean = .*$", "mean_image = true", text, count=1, flags=re.MULTILINE)
    text = re.sub(r'^path = "', f'path = "{"digits-of-the-zoo/"}', text, flags=re.MULTILINE)
    text = re.sub(r"^trace = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^baseline = .*\n", "", text, flags=re.MULTILINE)
    text += '\n[[files]]\nname = "mean.npy"\nrole = "mean"\npath = "mean.npy"\n'
    own = tmp_path / "own"
    own.mkdir()
    (own / "own.toml").write_text(text, encoding="utf-8")
    (own / "digits-of-the-zoo").symlink_to(bundled_folder())
    mean = np.random.default_rng(0).uniform(90, 130, (3, 36, 36)).astype(np.float32)
    np.save(own / "mean.npy", mean)
    assert "mean.npy" in published(dsd_zoo, "own", "-o", "out", "--manifests", own)["files"]
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "mean.npy"), mean)
    # The programs subtract its centre: they agree with predict.
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    cv2.imwrite("out/image.png", image)
    (tmp_path / "out" / "image.png").rename(tmp_path / "out" / "image.jpg")
    done = dsd_zoo("predict", "own", tmp_path / "out" / "image.jpg", "--manifests", own, "--json")
    classes = json.loads(done.out)["predictions"][0]["classes"]
    monkeypatch.chdir("out")
    monkeypatch.syspath_prepend(tmp_path / "out")
    card = Path("README.md").read_text(encoding="utf-8")
    for program in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        sys.modules.pop("net", None)
        importlib.invalidate_caches()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(program, "card", "exec"), {})  # noqa: S102
        rows = [line.split() for line in printed.getvalue().splitlines()]
        np.testing.assert_allclose(
            [(float(k), float(score)) for k, score in rows],
            [(row["index"], row["score"]) for row in classes],
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ("citation", "lines"),
    [
        (
            "K. He, X. Zhang: Deep Residual Learning for Image Recognition, CVPR 2016",
            [
                "@inproceedings{key,",
                "  author = {K. He and X. Zhang},",
                "  title = {{Deep Residual Learning for Image Recognition}},",
                "  booktitle = {CVPR},",
                "  year = {2016},",
                "}",
            ],
        ),
        (
            "F. Iandola: SqueezeNet: AlexNet-level accuracy & <0.5MB model size, arXiv:1602.07360, 2016",
            [
                "@misc{key,",
                "  author = {F. Iandola},",
                "  title = {{SqueezeNet: AlexNet-level accuracy \\& <0.5MB model size}},",
                "  eprint = {1602.07360},",
                "  year = {2016},",
                "}",
            ],
        ),
        ("OpenCV, its face detector", ["@misc{key,", "  note = {OpenCV, its face detector},", "}"]),
    ],
)
def test_bibtex(citation, lines):
    assert bibtex(citation, "key").splitlines() == lines


def test_a_net_that_dsd_zoo_trained_can_be_published(dsd_zoo, tmp_path):
    train(small_job(tmp_path), tmp_path / "run")
    published(dsd_zoo, "small-seed3-dsd", "--manifests", "run", "-o", "out")
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "compute what the trained net does" in card
    assert "nothing was trained again" not in " ".join(card.split())
    assert "not on record" in card  # no licence is known for files of the user's own
    assert card.count("- pytorch\n") == 1
