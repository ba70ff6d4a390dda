"""How a function becomes a command of `dsd-zoo`.

@command("fetch", order=30)
def fetch(...) -> None:
    \"\"\"What --help shows.\"\"\"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from converters import Registry, modules_in

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `--help` lists commands from the lowest `order` to the highest.

    optional_values: the values of options that may also stand alone; alone, an option has the first of them.
    """

    function: Callable[..., None]
    order: int
    optional_values: Mapping[str, Sequence[str]] = field(default_factory=dict)


_COMMANDS: Registry[Command] = Registry("command")


def command(
    name: str, *, order: int, optional_values: Mapping[str, Sequence[str]] | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function as `dsd-zoo <name>`. ValueError if there is a command of that name."""

    def register(function: Function) -> Function:
        _COMMANDS.add(name, Command(function, order, optional_values or {}))
        return function

    return register


def all_commands() -> dict[str, Command]:
    """All commands by name, those of `zoo/cli/commands` included, in the order of `--help`."""
    from zoo.cli import commands

    for _ in modules_in(commands):
        pass
    return dict(sorted(_COMMANDS.items(), key=lambda entry: entry[1].order))


def with_values(arguments: Sequence[str], optional_values: Mapping[str, Sequence[str]]) -> list[str]:
    """The arguments of a command, in which an option that may stand alone has its value: --option=value.

    The next argument is its value only if it is one of those that the option has: other arguments, such as
    the files of a net, stay what they are. Nothing behind `--` is an option.
    """
    found: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*found, argument, *rest]
        if argument in optional_values:
            values = optional_values[argument]
            argument += f"={rest.pop(0) if rest and rest[0] in values else values[0]}"
        found.append(argument)
    return found
