"""Commands are found in `zoo/cli/commands`, and importing all of them is fast."""

from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import pytest
import typer
from command_line import HEAVY

from zoo.cli import commands
from zoo.cli.command import all_commands, command
from zoo.cli.main import main

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


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY | {"numpy", "pydantic"}),
        (["list"], HEAVY | {"numpy"}),
        (["show", "alexnet-dsd"], HEAVY | {"numpy"}),
    ],
)
def test_help_list_and_show_import_nothing_heavy(arguments, heavy):
    code = f"import atexit, sys\natexit.register(lambda: print({heavy} & set(sys.modules), file=sys.stderr))"
    done = run(code, *arguments)
    assert done.returncode == 0
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (["list", "--task", "classification"], 1),
        (["--debug", "list"], 1),
        (["show", "list"], 1),
        (["list", "--help"], 1),
        (["--help"], None),
        (["lst"], None),
        ([], None),
    ],
)
def test_only_the_options_of_the_command_that_is_called_are_read(monkeypatch, arguments, read):
    given = []
    register = typer.Typer.command

    def counted(app, name, **options):
        given.append(name)
        return register(app, name, **options)

    monkeypatch.setattr(typer.Typer, "command", counted)
    monkeypatch.setattr(sys, "argv", ["dsd-zoo", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert len(given) == (read or len(all_commands()))


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


def options_of(name: str) -> dict[str, str]:
    """The parameter of each option of a command, by how the option is written."""
    found: dict[str, str] = {}
    for parameter, annotation in get_type_hints(all_commands()[name].function, include_extras=True).items():
        for option in getattr(annotation, "__metadata__", ()):
            if isinstance(option, typer.models.OptionInfo):
                # In an annotation the place of the default has the first way to write it.
                given = [one for one in (option.default, *(option.param_decls or [])) if isinstance(one, str)]
                # Typer adds the long form where only a short one is given.
                if not any(one.startswith("--") for one in given):
                    given.append(f"--{parameter.replace('_', '-')}")
                for written in given:
                    assert written not in found, f"{name}: {written} is {found.get(written)} and {parameter}"
                    found[written] = parameter
    return found


def test_an_option_has_one_meaning_and_o_is_out():
    for name in all_commands():
        options = options_of(name)
        assert options.get("-o") == options.get("--out"), name
