"""What this repository offers to the CI of others, as a shell runs it: the composite action and the hook."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / ".github" / "actions" / "accuracy" / "action.yml").read_text(encoding="utf-8")
HOOK = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs bash scripts")


@pytest.fixture
def shell(tmp_path):
    """Runs a command where `dsd-zoo` prints its arguments, one a line, and fails for `bad.prototxt`."""
    script = tmp_path / "bin" / "dsd-zoo"
    script.parent.mkdir()
    script.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n[ "${@: -1}" != bad.prototxt ]\n')
    script.chmod(0o755)

    def run(*command: str, **variables: str) -> tuple[int, list[str]]:
        environment = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", **variables}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    return run


def measure(shell, **inputs: str) -> list[str]:
    """The arguments that the action's last step gives to dsd-zoo. inputs: by the names of the variables."""
    script = textwrap.dedent(ACTION.rpartition("run: |\n")[2])
    defaults = dict.fromkeys(re.findall(r"^        ([A-Z_0-9]+): \$\{\{ inputs", ACTION, re.MULTILINE), "")
    variables = {**defaults, "OUT": "accuracy", "GITHUB_STEP_SUMMARY": "summary.md", **inputs}
    code, lines = shell("bash", "-e", "-o", "pipefail", "-c", script, **variables)
    assert code == 0
    return lines


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
    assert both.stdout.count("layers convert.") == 2
    broken = run(ROOT / "README.md", net)
    assert (broken.returncode, broken.stdout.count("layers convert.")) == (1, 1)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("nets/deploy.prototxt", True), ("net.t7", True), ("my_solver.prototxt", False), ("net.txt", False)],
)
def test_the_hook_chooses_nets(name, wanted):
    files, exclude = (re.search(rf"^  {key}: (.*)$", HOOK, re.MULTILINE)[1] for key in ("files", "exclude"))
    assert (re.search(files, name) is not None and re.search(exclude, name) is None) == wanted
