"""What this repository offers to the CI of others, as a shell runs it: the composite action and the hook."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from colour_net import WEIGHTS, save_net

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / ".github" / "actions" / "accuracy" / "action.yml").read_text(encoding="utf-8")
# As GitHub runs the steps of an action whose shell is bash (docs.github.com, "Workflow syntax").
SHELL = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]
INSTALL = re.search(r"^      run: (python .*)$", ACTION, re.MULTILINE)[1]
MEASURE = textwrap.dedent(ACTION.rpartition("run: |\n")[2])
HOOK = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs bash scripts")


@pytest.fixture
def shell(tmp_path):
    """Runs a command where `python` prints its arguments, one a line."""
    script = tmp_path / "bin" / "python"
    script.parent.mkdir()
    script.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    script.chmod(0o755)

    def run(*command: str, **variables: str) -> tuple[int, list[str]]:
        environment = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", **variables}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    return run


def measure(shell, **inputs: str) -> list[str]:
    """The arguments that the action's last step gives to dsd-zoo. inputs: by the names of the variables."""
    defaults = dict.fromkeys(re.findall(r"^        ([A-Z_0-9]+): \$\{\{ inputs", ACTION, re.MULTILINE), "")
    variables = {**defaults, "OUT": "accuracy", "GITHUB_STEP_SUMMARY": "summary.md", **inputs}
    code, lines = shell(*SHELL, MEASURE, **variables)
    assert (code, lines[:2]) == (0, ["-m", "zoo"])
    return lines[2:]


def test_the_action_passes_on_what_is_given_and_nothing_else(shell):
    fixed = ["--out", "accuracy", "--restart", "--junit", "accuracy.xml", "--markdown", "summary.md"]
    assert measure(shell, NET="digits-caffe-dsd") == ["validate", "digits-caffe-dsd", *fixed]
    given = measure(
        shell,
        NET="a.prototxt b.caffemodel",
        DATA="my images; echo x",
        BASELINE="before/result.json",
        TOLERANCE="1",
        MAX_DROP="0.5",
        MIN_TOP1="98",
        MIN_TOP5="99.5",
        OPTIONS="--flavour caffe-warp36 --crop 32",
    )
    assert given == [
        "validate", "a.prototxt", "b.caffemodel", "--flavour", "caffe-warp36", "--crop", "32",
        "--data", "my images; echo x", "--baseline", "before/result.json", "--tolerance", "1",
        "--max-drop", "0.5", "--min-top1", "98", "--min-top5", "99.5", *fixed,
    ]  # fmt: skip


def test_a_list_may_stand_in_lines_and_is_not_expanded(shell, tmp_path):
    (tmp_path / "other.prototxt").touch()
    given = measure(
        shell, NET="a.prototxt\n  b.caffemodel\n", OPTIONS="--crop 32\n--mean 1,2,3\n*.prototxt $HOME\n"
    )
    assert given[:8] == [
        "validate", "a.prototxt", "b.caffemodel", "--crop", "32", "--mean", "1,2,3", "*.prototxt",
    ]  # fmt: skip
    assert given[8] == "$HOME"


def test_the_action_installs_this_repository(shell):
    code, words = shell(*SHELL, INSTALL, GITHUB_ACTION_PATH=str(ROOT / ".github" / "actions" / "accuracy"))
    assert (code, words[:3]) == (0, ["-m", "pip", "install"])
    folder, _, extra = words[3].rpartition("[")
    assert (Path(folder).resolve(), extra) == (ROOT, "onnxruntime]")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "onnxruntime" in project["optional-dependencies"]


@pytest.fixture
def job(tmp_path):
    """Measures a small net as a step of a job does; returns the exit code and what was printed.

    The net scores mean colours; it knows all six images, one of each class. inputs: as for `measure`.
    """
    save_net(tmp_path / "net.onnx")
    (tmp_path / "images").mkdir()
    for label in range(6):
        colour = [127, 127, 127]
        colour[label % 3] = 255 if label < 3 else 0
        cv2.imwrite(str(tmp_path / "images" / f"{label}.png"), np.full((8, 8, 3), colour, np.uint8))
    (tmp_path / "labels.txt").write_text("".join(f"{label}.png {label}\n" for label in range(6)))

    def run(**inputs: str) -> tuple[int, str]:
        variables = dict.fromkeys(re.findall(r"^        ([A-Z_0-9]+): \$\{\{", ACTION, re.MULTILINE), "")
        variables |= {
            "NET": "net.onnx",
            "DATA": "images",
            "OPTIONS": "--labels labels.txt\n--flavour caffe-warp8 --crop 8 --mean 127,127,127",
            "OUT": "accuracy",
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            **inputs,
        }
        done = subprocess.run(
            [*SHELL, MEASURE], env=os.environ | variables, cwd=tmp_path, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_measured_net_its_outputs_and_its_summary(job, tmp_path):
    code, printed = job(MIN_TOP1="100")
    assert code == 0, printed
    # What the action names as its outputs is there.
    named = re.findall(r"^    value: (.*)$", ACTION, re.MULTILINE)
    places = [tmp_path / value.replace("${{ inputs.out }}", "accuracy") for value in named]
    assert [place.name for place in places] == ["result.json", "accuracy.xml"]
    assert json.loads(places[0].read_text(encoding="utf-8"))["top1_correct"] == 6
    suite = ElementTree.parse(places[1]).getroot().find("testsuite")
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "0")
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "| top-1 | 6 | 6 | 100.00 % |" in summary
    assert "::error" not in printed


def test_a_worse_net_fails_the_job_beside_the_commit(job, tmp_path):
    assert job(OUT="baseline")[0] == 0
    # Blue and green are mixed up now.
    save_net(tmp_path / "net.onnx", weights=WEIGHTS[[1, 0, 2, 3, 4, 5]])
    code, printed = job(BASELINE="baseline/result.json", TOLERANCE="1")
    assert code == 1
    assert "2 of 6 images changed their verdict; allowed are 1" in printed
    assert [
        line
        for line in printed.splitlines()
        if line.startswith("::error title=net%2C baseline%3A all images::")
    ]
    assert "**does not hold**" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    # A second run in the same folder starts over.
    assert job(BASELINE="baseline/result.json", TOLERANCE="2")[0] == 0
    assert job(BASELINE="baseline/result.json", MAX_DROP="34")[0] == 0


def test_an_error_is_shown_beside_the_commit_too(job):
    code, printed = job(NET="absent.onnx")
    assert code == 2
    assert "::error title=dsd-zoo::no such file: absent.onnx" in printed


def test_the_action_reads_every_input_through_the_environment():
    inputs = ACTION.partition("inputs:\n")[2].partition("\noutputs:")[0]
    names = set(re.findall(r"^  ([a-z0-9-]+):", inputs, re.MULTILINE))
    steps = ACTION.partition("\nruns:")[2]
    assert (
        set(re.findall(r"^        [A-Z_0-9]+: \$\{\{ inputs\.([a-z0-9-]+) }}", steps, re.MULTILINE)) == names
    )
    assert "${{" not in steps.rpartition("run: |\n")[2]


def test_the_hook_inspects_each_net_and_fails_if_one_does_not_convert(corpus):
    entry = shlex.split(re.search(r"^  entry: (.*)$", HOOK, re.MULTILINE)[1])
    assert entry[0] == "python"  # pre-commit's own one, in which it has installed the zoo

    def run(*files: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *entry[1:], *files], cwd=ROOT, capture_output=True, text=True)

    net = corpus / "caffe" / "absval-2d" / "net.prototxt"
    both = run(net, ROOT / "manifests" / "digits" / "torch7" / "dsd.t7")
    assert both.returncode == 0, both.stderr
    assert [line.count("layers convert.") for line in both.stdout.splitlines()] == [1, 1]
    assert both.stdout.startswith(f"{net}: ")
    broken = run(ROOT / "README.md", net)
    assert (broken.returncode, broken.stdout.count("layers convert.")) == (1, 1)
    assert broken.stdout.startswith(f"{ROOT / 'README.md'}\ndsd-zoo: ")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("nets/deploy.prototxt", True), ("net.t7", True), ("my_solver.prototxt", False), ("net.txt", False)],
)
def test_the_hook_chooses_nets(name, wanted):
    files, exclude = (re.search(rf"^  {key}: (.*)$", HOOK, re.MULTILINE)[1] for key in ("files", "exclude"))
    assert (re.search(files, name) is not None and re.search(exclude, name) is None) == wanted
