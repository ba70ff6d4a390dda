"""The command that gives the numbers of a report again."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.claims.reported import Reported

AND = " && \\\n  "


def one_command(commands: Iterable[str], models: Collection[str] = ()) -> str:
    """The commands of some runs as one that another person can paste, each run once.

    models: names of the catalog. Runs of several of these with the same options become one pass.
    """
    passes: dict[tuple[str, ...], list[str]] = {}
    for command in dict.fromkeys(map(reproduction, commands)):
        nets, options = _split(command, models)
        passes.setdefault(options, []).extend(net for net in nets if net not in passes.get(options, []))
    return AND.join(_joined(nets, options) for options, nets in passes.items())


def command_of_report(found: Reported) -> str:
    """One command for all runs of a report and its page; empty if no run says how it was made."""
    commands = [result.command for net in found.nets for result in net.results if result.command]
    models = {net.name for net in found.nets if net.manifest is not None}
    joined = one_command(commands, models)
    made_here = bool(commands) and all(command.startswith("dsd-zoo ") for command in commands)
    return f"{joined}{AND}dsd-zoo report results" if made_here else joined


def _split(command: str, models: Collection[str]) -> tuple[list[str], tuple[str, ...]]:
    """The models that a validation names, and everything else; no models if it is about other nets."""
    try:
        parts = shlex.split(command)
    except ValueError:  # a result of other people, with no command in it
        return [], (command,)
    options = next((at for at, part in enumerate(parts) if part.startswith("-")), len(parts))
    nets = parts[2:options]
    if parts[:2] != ["dsd-zoo", "validate"] or not nets or not all(net in models for net in nets):
        return [], (command,)
    return nets, tuple(parts[options:])


def _joined(nets: Sequence[str], options: Sequence[str]) -> str:
    return shlex.join(["dsd-zoo", "validate", *nets, *options]) if nets else options[0]


def reproduction(command: str) -> str:
    """The command of a run as another person gives it: without folders of this machine, and from the start.

    Options that say how an interrupted run goes on, and where files are written, are left out.
    """
    try:
        parts, kept = iter(shlex.split(command)), []
    except ValueError:  # a result of other people, with no command in it
        return command
    for part in parts:
        option, equals, _ = part.partition("=")
        if part in ("--resume", "--restart", "--json"):
            continue
        if option in ("-o", "--out", "--junit", "--markdown", "--html"):
            if not equals:
                next(parts, None)
            continue
        kept.append(_without_folder(part))
    return shlex.join(kept)


def _without_folder(part: str) -> str:
    option, equals, value = part.partition("=") if part.startswith("-") else ("", "", part)
    for flavour in (PurePosixPath, PureWindowsPath):
        if flavour(value).is_absolute():
            return f"{option}{equals}{flavour(value).name}"
    return part
