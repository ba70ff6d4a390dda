"""Progress on terminals of any width: one line each, with full numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from zoo.cli import _fetch_progress, _image_progress


@pytest.mark.parametrize("width", [40, 79, 80, 200])
def test_each_file_has_one_line_with_full_numbers(width):
    console = Console(width=width, file=io.StringIO())
    bars = Progress(*_fetch_progress._columns(width), console=console)
    for name in ("all files", "a_file_with_a_long_name.caffemodel of squeezenet-deep-compression"):
        bars.add_task(name, total=675763, completed=330000, note="")
    with console.capture() as shown:
        console.print(bars.get_renderable())
    lines = shown.get().splitlines()
    assert len(lines) == 2
    assert all("330.0/675.8 kB" in line and len(line) <= width for line in lines)
    assert lines[1].startswith("a_file_wit")
    assert ("━" in lines[1]) == (width >= 80)


def test_logs_get_a_line_now_and_then(capsys):
    now = [0.0]
    lines = _image_progress.ProgressLines("net", clock=lambda: now[0])
    for second in range(0, 201, 10):
        now[0] = second
        lines(second * 250, 50000)
    assert capsys.readouterr().err.splitlines() == [
        "net: 7,500 of 50,000 images, 250.0 images/s, 0:02:50 left",
        "net: 22,500 of 50,000 images, 250.0 images/s, 0:01:50 left",
        "net: 37,500 of 50,000 images, 250.0 images/s, 0:00:50 left",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_images_have_one_line_with_full_numbers(width):
    console = Console(width=width, file=io.StringIO())
    bars = Progress(*_image_progress._columns(width), console=console)
    bars.add_task("squeezenet-deep-compression", total=50000, completed=12345)
    with console.capture() as shown:
        console.print(bars.get_renderable())
    (line,) = shown.get().splitlines()
    assert line.startswith("squee")
    assert "12345/50000 images -:--:--" in line
    assert "━" in line
