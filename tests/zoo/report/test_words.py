"""Findings in words."""

from __future__ import annotations

import pytest

from zoo.report import words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dsd-zoo validate m --resume", "dsd-zoo validate m"),
        ("dsd-zoo validate m --restart --json --limit 5", "dsd-zoo validate m --limit 5"),
        (
            "dsd-zoo validate /home/me/a.prototxt 'C:\\nets\\a b.caffemodel' --data=/data/val.tar --out /tmp/x",
            "dsd-zoo validate a.prototxt 'a b.caffemodel' --data=val.tar",
        ),
        ("dsd-zoo validate nets/a.onnx --junit=x.xml --html p.html", "dsd-zoo validate nets/a.onnx"),
        ("", ""),
    ],
)
def test_a_command_to_reproduce_names_no_folder_of_this_machine(command, expected):
    assert words.reproduction(command) == expected


def test_a_command_that_no_shell_would_take_stays():
    assert words.reproduction("dsd-zoo 'open") == "dsd-zoo 'open"
