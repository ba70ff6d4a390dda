"""Commands are found in `zoo/cli/commands`, and importing all of them is fast."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import HEAVY

from zoo.cli import commands
from zoo.cli.command import all_commands, command

TOY = '''
from zoo.cli.command import command

@command("toy", order=25)
def toy(count: int) -> None:
    """Count toys."""
    print(f"{count} toys")
'''


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, after `code`."""
    program = f"{code}\nfrom zoo.cli.main import main\nmain()"
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("argument", "heavy"), [("--help", HEAVY | {"numpy", "pydantic"}), ("list", HEAVY)])
def test_help_and_list_import_nothing_heavy(argument, heavy):
    code = f"import atexit, sys\natexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr))"
    done = run(code, argument)
    assert done.returncode == 0
    assert done.stderr.strip() == "set()"


def test_a_file_among_the_commands_is_a_command(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    code = f"from zoo.cli import commands\ncommands.__path__.append({str(tmp_path)!r})"
    overview = run(code, "--help").stdout.splitlines()
    listed = [line.split()[0] for line in overview[overview.index("Commands:") + 1 :]]
    assert listed[:4] == ["list", "show", "toy", "fetch"]
    assert "Count toys." in run(code, "toy", "--help").stdout
    assert run(code, "toy", 3).stdout == "3 toys\n"


def test_a_second_command_of_one_name_is_refused():
    all_commands()
    with pytest.raises(ValueError, match="two entries of the kind 'command' are named 'fetch'"):
        command("fetch", order=1)(commands)


def test_every_command_has_a_place_of_its_own_in_the_overview():
    places = [entry.order for entry in all_commands().values()]
    assert places == sorted(set(places))
