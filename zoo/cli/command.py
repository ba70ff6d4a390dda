"""How a function becomes a command of `dsd-zoo`.

@command("fetch", order=30)
def fetch(...) -> None:
    \"\"\"What --help shows.\"\"\"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from converters import Registry, modules_in

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `--help` lists commands from the lowest `order` to the highest."""

    function: Callable[..., None]
    order: int


_COMMANDS: Registry[Command] = Registry("command")


def command(name: str, *, order: int) -> Callable[[Function], Function]:
    """Register the decorated function as `dsd-zoo <name>`. ValueError if there is a command of that name."""

    def register(function: Function) -> Function:
        _COMMANDS.add(name, Command(function, order))
        return function

    return register


def all_commands() -> dict[str, Command]:
    """All commands by name, those of `zoo/cli/commands` included, in the order of `--help`."""
    from zoo.cli import commands

    for _ in modules_in(commands):
        pass
    return dict(sorted(_COMMANDS.items(), key=lambda entry: entry[1].order))
