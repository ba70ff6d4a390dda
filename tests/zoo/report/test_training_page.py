"""The page of a training: what it shows is in the files beside it, and it needs nothing else."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_training import small_job, small_recipe

from zoo.errors import DataError
from zoo.report.line_plot import Curve, Phase, draw_curves, value_below_axis
from zoo.report.training import render_training, write_training_page
from zoo.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    job = small_job(folder, recipe=small_recipe(seeds=[3, 4], title="<script>alert(1)</script>"))
    train(job, folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def text(run):
    return write_training_page(run).read_text()


def test_it_loads_nothing_and_runs_nothing(text):
    assert not re.findall(r'(?:src|href)="', text)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_every_seed_has_its_line_and_its_curves(run, text):
    (top1,) = [v for v in json.loads((run / "verdict.json").read_text())["verdicts"] if v["metric"] == "top1"]
    for seed in top1["seeds"]:
        row = text[text.index(f'<th scope="row">{seed["seed"]}</th>') :].split("</tr>")[0]
        cells = re.findall(r">([^<>]+)</td>", row)
        assert cells[:3] == [str(seed[f"{name}_correct"]) for name in ("baseline", "sparse", "dsd")]
        cells = [cell.replace("\u00a0", " ").replace("\u2212", "-") for cell in cells]
        assert f"p = {seed['paired']['p_value']:.3g}" in cells
        low, high = (100 * share for share in seed["paired"]["interval"])
        assert f"{low:+.2f} to {high:+.2f}" in cells
    for kind in ("dsd", "baseline"):
        assert text.count(f'<polyline class="{kind}"') == 2 * 2
    # Dense, sparse and dense again have 2, 2 and 1 epochs.
    (points,) = {line.count(",") for line in re.findall(r'<polyline class="dsd" points="([^"]+)"', text)[2:]}
    assert points == 5


def test_every_column_has_a_heading_in_words(text):
    """What axe calls empty-table-header: a drawing is hidden from screen readers."""
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", text, re.DOTALL)
    assert len(heads) == 9
    for head in heads:
        assert re.sub(r"<svg.*?</svg>|<[^>]+>", "", head, flags=re.DOTALL).strip(), head


def test_the_zeros_are_those_of_the_nets(run, text):
    for title, stage in (
        ("sparse phase", "sparse"),
        ("last phase: DSD", "dsd"),
        ("the same time", "baseline"),
    ):
        nets = [load_file(run / f"seed-{seed}" / f"{stage}.safetensors") for seed in (3, 4)]
        arrays = [a for net in nets for key, a in net.items() if key.startswith("net/") and a.ndim > 1]
        zeros = sum(int(np.count_nonzero(a == 0)) for a in arrays)
        size = sum(a.size for a in arrays)
        assert re.search(rf"{title} <small>{zeros:,} of {size:,} are exactly zero", text), title


def test_a_curve_that_begins_below_the_axis_comes_up_from_there():
    curve = Curve("dsd", [(1, 10.0), (2, 80.0), (3, 92.0), (4, 94.0), (5, 93.0)])
    drawn = str(draw_curves([curve], [Phase("dense", 0, 5)], "accuracy", settled=3))
    heights = [float(p.split(",")[1]) for p in re.search(r'points="([^"]+)"', drawn)[1].split()]
    bottom = max(float(y) for y in re.findall(r'class="grid"[^>]* y1="([\d.]+)"', drawn))
    assert [height <= bottom for height in heights] == [False, False, True, True, True]
    inner, top, height = re.search(
        r'<svg y="(\d+)"[^>]*viewBox="0 (\d+) \d+ (\d+)"><polyline', drawn
    ).groups()
    assert inner == top  # so nothing moves, and what is below the axis is cut off
    assert int(top) + int(height) == bottom + 1
    assert value_below_axis([curve], 3) == "92"
    assert value_below_axis([curve], 0) is None


def test_a_training_that_is_not_finished_has_no_page(run, tmp_path):
    with pytest.raises(DataError, match="not finished"):
        render_training(tmp_path)
    for name in ("run.json", "verdict.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(DataError, match=r"dense\.safetensors: is not there"):
        render_training(tmp_path)


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 0.0], [97.2, 98.8], [-3.0, 1e-9], [1e6, 2e6]])
def test_curves_of_any_values_lie_on_the_drawing(values):
    curve = Curve("dsd", list(enumerate(values, 1)))
    drawn = str(draw_curves([curve], [Phase("dense", 0, 2)], "a curve"))
    places = re.search(r'points="([^"]+)"', drawn)[1].split()
    assert len(places) == 2
    for place in places:
        x, y = map(float, place.split(","))
        assert 48 <= x <= 628
        assert 20 <= y <= 212
    assert 2 <= drawn.count('class="grid"') <= 8
