"""What works where none of the extras is installed, and what the others say to type."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import runner

from converters import extras
from zoo.bundled import bundled_folder
from zoo.runtimes import runtime as runtime_module

CAFFE = [bundled_folder() / "digits" / "caffe" / name for name in ("deploy.prototxt", "dsd.caffemodel")]
PAIR = ["digits-caffe-dsd", "digits-caffe-baseline"]
PROGRAM = Path(__file__).parents[1] / "corpus" / "rescue" / "classify.py"
IMAGES = bundled_folder() / "digits" / "images" / "test_images.tar"


@pytest.fixture
def light(monkeypatch, capsys, tmp_path):
    """The command line, without the packages of the extras."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.png").touch()
    for module in extras.EXTRAS:
        monkeypatch.setitem(sys.modules, module, None)

    def found(name: str) -> object:
        return None if name.partition(".")[0] in extras.EXTRAS else find_spec(name)

    for place in (extras, runtime_module):
        monkeypatch.setattr(place, "find_spec", found)
    # Modules of the converter that hold PyTorch already are loaded again, as in a new process.
    for name in [name for name in sys.modules if name.startswith("converters.to_pytorch.")]:
        monkeypatch.delitem(sys.modules, name)
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize(
    "line",
    [
        ["list"],
        ["show", "vgg16-dsd"],
        ["inspect", *CAFFE],
        ["convert", *CAFFE, "-o", "net.onnx"],
        ["verify", "digits-caffe-dsd"],
        ["audit", "vgg16-dsd"],
        ["fetch", "digits-caffe-dsd"],
    ],
)
def test_what_reads_converts_and_audits_works(light, line):
    outcome = light(*line)
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            ["convert", *CAFFE, "-o", "net.py"],
            "net.py: writing PyTorch needs PyTorch, which is not installed\n",
        ),
        (["convert", *CAFFE, "-o", "net"], "net: writing PyTorch needs PyTorch, which is not installed\n"),
        (["validate", "digits-caffe-dsd"], "the runtime onnx needs ONNX Runtime, which is not installed\n"),
        (["pack", "--data", IMAGES, "-o", "x.dsd"], "this command needs OpenCV, which is not installed\n"),
        (["bench", "digits-caffe-dsd"], "no runtime is installed that could run a net\n"),
        (["demo"], "no runtime is installed that could run a net\n"),
        (["predict", "digits-caffe-dsd", "a.png"], "the runtime onnx needs ONNX Runtime"),
        (["publish", "digits-caffe-dsd", "-o", "x"], "publish: writing PyTorch needs PyTorch"),
        (["train", "digits"], "training needs PyTorch, which is not installed\n"),
        (["compare", *PAIR], "this command needs ONNX Runtime, which is not installed\n"),
        (["compare", *PAIR, "--with", "pytorch"], "--with pytorch needs PyTorch, which is not installed\n"),
        (["rescue", PROGRAM], "checking the converted nets needs OpenCV, which is not installed\n"),
        (["validate", "digits-caffe-dsd", "--runtime", "pytorch"], "the runtime pytorch needs PyTorch"),
        (["validate", "digits-caffe-dsd", "--runtime", "openvino"], "the runtime openvino needs OpenVINO"),
    ],
)
def test_what_needs_more_says_what_to_type(light, line, message):
    outcome = light(*line)
    assert outcome.code == 2
    assert outcome.err.startswith(f"dsd-zoo: {message}")
    assert outcome.err.splitlines()[1].startswith('  pip install "dsd-zoo[')
    assert not list(Path("cache").rglob("*.py"))


def test_verify_says_what_it_did_not_compare(light):
    outcome = light("verify", "digits-caffe-dsd")
    assert 'not compared; ONNX Runtime is not installed: pip install "dsd-zoo[onnxruntime]"' in outcome.out
    assert 'not compared; PyTorch is not installed: pip install "dsd-zoo[torch]"' in outcome.out


def test_every_extra_that_is_named_exists():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    assert set(extras.EXTRAS.values()) <= set(optional)
    assert set(extras.EXTRAS) == set(extras.NAMES)
