"""What the README lists is what the code has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.from_caffe.layers import support as caffe_layers
from converters.from_torch7.modules import support as torch7_classes
from zoo.bundled import bundled_folder
from zoo.cli.main import COMMANDS

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def table(rows: list[tuple[str, str]]) -> str:
    """Rows as a Markdown table; a pipe in a text must not end its cell."""
    lines = [f"| {name} | {text} |" for name, text in ((n, t.replace("|", "\\|")) for n, t in rows)]
    return "\n".join(["| name | what it computes |", "|---|---|", *lines])


@pytest.mark.parametrize(
    ("marker", "support"), [("caffe-layers", caffe_layers), ("torch7-classes", torch7_classes)]
)
def test_support_tables_are_those_of_the_registries(
    marker: str, support: Callable[[], list[tuple[str, str]]]
) -> None:
    found = re.search(rf"<!-- {marker} -->\n\n(.*?)\n\n<!-- end -->", README, re.DOTALL)
    assert found is not None
    assert found[1] == table(support())


def test_every_command_is_in_the_table_and_the_other_way_round() -> None:
    rows = README.split("| command | does |", 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\|([^|]*(?:\\\|[^|]*)*)\|", rows, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`([a-z-]+)", cell) if not name.startswith("-")}
    assert listed == set(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        "audit squeezenet-dsd",
        "convert train_val.prototxt dsd.caffemodel -o net.onnx",
        "validate squeezenet-deep-compression --data imagenet-sample",
    ],
)
def test_what_a_command_is_said_to_print_is_what_it_prints(
    command: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    for name in ("train_val.prototxt", "dsd.caffemodel"):
        shutil.copy(bundled_folder() / "digits" / "caffe" / name, tmp_path)
    if command.startswith("validate"):
        shared: Path = request.getfixturevalue("shared")
        (tmp_path / "imagenet-sample").symlink_to(shared / "imagenet-sample")
        folder = shared / "models" / "squeezenet-deep-compression"
        for name in ("compressed_SqueezeNet.net", "SqueezeNet_deploy.prototxt"):
            printed(f"add squeezenet-deep-compression {folder / name}", tmp_path)
    _, _, said = README.partition(f"$ dsd-zoo {command}\n")
    assert timeless(said.partition("```")[0]) == timeless(printed(command, tmp_path))


def printed(command: str, folder: Path) -> str:
    """What `dsd-zoo command` prints in `folder`."""
    arguments = [sys.executable, "-m", "zoo", *command.split()]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True).stdout


def timeless(text: str) -> str:
    """The text without what differs from run to run: how fast it was."""
    return re.sub(r"[\d.]+ images/s, [\d.]+ s, batches of \d+", "...", text).strip()
