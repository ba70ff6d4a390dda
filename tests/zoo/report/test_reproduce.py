"""The command that gives a report again: one, and without folders of the machine it was made on."""

from __future__ import annotations

import shlex

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.reported import reported
from zoo.report.reproduce import command_of_report, one_command, reproduction


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dsd-zoo validate m --resume", "dsd-zoo validate m"),
        ("dsd-zoo validate m --restart --json --limit 5", "dsd-zoo validate m --limit 5"),
        (
            "dsd-zoo validate /home/me/a.prototxt 'C:\\nets\\a b.caffemodel' --data=/d/val.tar --out x",
            "dsd-zoo validate a.prototxt 'a b.caffemodel' --data=val.tar",
        ),
        ("dsd-zoo validate nets/a.onnx --junit=x.xml --html p.html", "dsd-zoo validate nets/a.onnx"),
        ("", ""),
    ],
)
def test_a_command_to_reproduce_names_no_folder_of_this_machine(command, expected):
    assert reproduction(command) == expected


def test_a_command_that_no_shell_would_take_stays():
    assert reproduction("dsd-zoo 'open") == "dsd-zoo 'open"


def test_runs_with_the_same_options_are_one_pass():
    commands = [
        "dsd-zoo validate a --data val.tar --out x",
        "dsd-zoo validate b --data val.tar",
        "dsd-zoo validate a --data val.tar --resume",
        "dsd-zoo validate a --data val.tar --runtime pytorch",
    ]
    assert one_command(commands, {"a", "b"}).split(" && \\\n  ") == [
        "dsd-zoo validate a b --data val.tar",
        "dsd-zoo validate a --data val.tar --runtime pytorch",
    ]


def test_files_are_never_mixed_with_those_of_another_net():
    commands = ["dsd-zoo validate a.prototxt a.caffemodel", "dsd-zoo validate b.prototxt b.caffemodel"]
    assert one_command(commands).split(" && \\\n  ") == commands


def test_a_report_is_one_command_with_the_page_at_its_end(made_run):
    runs = [made_run(name) for name in ("digits-caffe-dsd", "digits-caffe-baseline")]
    command = command_of_report(reported(Catalog.load(), runs))
    assert command.endswith(" && \\\n  dsd-zoo report results")
    # As a shell reads it: a pass with both models, then the page.
    assert shlex.split(command.replace("\\\n", ""))[:4] == [
        "dsd-zoo",
        "validate",
        "digits-caffe-baseline",
        "digits-caffe-dsd",
    ]


def test_results_of_other_programs_do_not_get_our_command(made_run):
    run = made_run("digits-caffe-dsd", command="python measure.py")
    assert command_of_report(reported(Catalog.load(), [run])) == "python measure.py"
