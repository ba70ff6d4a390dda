"""Verdicts in colour: only on terminals, and as NO_COLOR and FORCE_COLOR say."""

from __future__ import annotations

import ctypes
import io
import sys

import pytest

from zoo.cli._colour import GREEN, RED, RESET, Verdict, coloured
from zoo.cli._output import print_table, say


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def on_terminal(monkeypatch) -> Terminal:
    """Called within a test: between fixtures and the test pytest takes stdout for itself."""
    found = Terminal()
    monkeypatch.setattr(sys, "stdout", found)
    return found


@pytest.mark.parametrize(
    ("holds", "before", "after"), [(True, GREEN, RESET), (False, RED, RESET), (None, "", "")]
)
def test_a_terminal_shows_what_holds(monkeypatch, holds, before, after):
    on_terminal(monkeypatch)
    assert coloured(Verdict("agrees", holds)) == f"{before}agrees{after}"
    assert coloured("agrees") == "agrees"


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_the_environment_decides(monkeypatch, variables, has_colours):
    on_terminal(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (coloured(Verdict("yes", True)) != "yes") == has_colours


def test_a_pipe_gets_colours_only_if_forced(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert coloured(Verdict("NO", False)) == "NO"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert coloured(Verdict("NO", False)) == f"{RED}NO{RESET}"


def test_no_stdout_has_no_colours(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert coloured(Verdict("NO", False)) == "NO"


def test_colours_change_no_place_in_a_table(monkeypatch):
    terminal = on_terminal(monkeypatch)
    rows = [("conv1", Verdict("yes", True), "1"), ("pool1", Verdict("NO", False), "22")]
    print_table(("LAYER", "CONVERTS", "N"), rows, right=(2,))
    with_colours = terminal.getvalue()
    assert f"{RED}NO      {RESET}" in with_colours
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(("LAYER", "CONVERTS", "N"), rows, right=(2,))
    without = terminal.getvalue().removeprefix(with_colours)
    assert with_colours.replace(RED, "").replace(GREEN, "").replace(RESET, "") == without


def test_each_line_of_a_verdict_is_coloured(monkeypatch):
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "8")
    say(Verdict("does not hold", False))
    assert terminal.getvalue() == f"{RED}does not{RESET}\n{RED}hold{RESET}\n"


class Console:
    """The console of Windows, as kernel32 gives it."""

    def __init__(self, knows_escapes: bool) -> None:
        self.knows_escapes, self.mode = knows_escapes, 3

    def GetStdHandle(self, number: int) -> int:  # noqa: N802 - its name
        assert number == -11
        return 7

    def GetConsoleMode(self, handle: int, mode: object) -> int:  # noqa: N802
        mode._obj.value = self.mode
        return 1

    def SetConsoleMode(self, handle: int, mode: int) -> int:  # noqa: N802
        self.mode = mode if self.knows_escapes else self.mode
        return int(self.knows_escapes)


@pytest.mark.parametrize("knows_escapes", [True, False])
def test_the_console_of_windows_is_asked_to_understand_colours(monkeypatch, knows_escapes):
    on_terminal(monkeypatch)
    console = Console(knows_escapes)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", type("Libraries", (), {"kernel32": console})(), raising=False)
    assert (coloured(Verdict("yes", True)) != "yes") == knows_escapes
    assert console.mode == (7 if knows_escapes else 3)
