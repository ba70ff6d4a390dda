"""What the shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from command_line import HEAVY

from zoo.bundled import TASKS
from zoo.catalog.catalog import Catalog


def completions(line: str, cwd=None) -> list[str]:
    """What bash gets for the last word of `line`; nothing heavy may have been loaded for it."""
    heavy = HEAVY | {"numpy", "zoo.catalog.manifest"}
    program = (
        f"import atexit, sys\natexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr))\n"
        "from zoo.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_DSD_ZOO_COMPLETE": "complete_bash",
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "set()"
    return done.stdout.split()


@pytest.mark.parametrize(
    "command", ["show", "fetch squeezenet-dsd", "audit", "publish", "export-cache DIR", "convert"]
)
def test_names_of_models_are_completed(command, tmp_path):
    wanted = [name for name in Catalog.load().names() if name.startswith("vgg")]
    assert len(wanted) > 1
    assert completions(f"dsd-zoo {command} vgg", cwd=tmp_path) == wanted


def test_models_of_the_users_folders_are_completed(own, tmp_path):
    assert completions(f"dsd-zoo show --manifests {own} tin", cwd=tmp_path) == ["tiny"]


def test_files_are_offered_beside_models_and_paths_are_left_to_the_shell(tmp_path):
    (tmp_path / "vgg16.prototxt").touch()
    found = completions("dsd-zoo inspect vgg16", cwd=tmp_path)
    assert "vgg16-dsd" in found
    assert found[-1] == "vgg16.prototxt"
    (tmp_path / "nets").mkdir()
    assert completions("dsd-zoo inspect nets", cwd=tmp_path) == []


def test_commands_and_tasks_are_completed(tmp_path):
    assert completions("dsd-zoo sho", cwd=tmp_path) == ["show"]
    assert completions("dsd-zoo list --task ", cwd=tmp_path) == list(TASKS)
