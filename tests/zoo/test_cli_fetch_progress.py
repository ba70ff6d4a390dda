"""Progress on terminals of any width: a line for each file, with its numbers whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from zoo.cli._fetch_progress import _columns


@pytest.mark.parametrize("width", [40, 79, 80, 200])
def test_a_line_a_file_with_its_numbers_whole(width):
    console = Console(width=width, file=io.StringIO())
    bars = Progress(*_columns(width), console=console)
    for name in ("all files", "a_file_with_a_long_name.caffemodel of squeezenet-deep-compression"):
        bars.add_task(name, total=675763, completed=330000, note="")
    with console.capture() as shown:
        console.print(bars.get_renderable())
    lines = shown.get().splitlines()
    assert len(lines) == 2
    assert all("330.0/675.8 kB" in line and len(line) <= width for line in lines)
    assert lines[1].startswith("a_file_wit")
    assert ("━" in lines[1]) == (width >= 80)
