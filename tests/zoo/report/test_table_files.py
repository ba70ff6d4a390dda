"""The tables of a report for texts and programs: every number is there, and no name breaks a row."""

from __future__ import annotations

import csv
import io
import re

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import audit
from zoo.claims.reported import Reported, ReportedNet, reported
from zoo.errors import UsageError
from zoo.report.table_files import tables_as_text, write_tables

MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"
ODD = r"a|b & 100%_of $x$ {y} \z #1 ~^<>"


@pytest.fixture
def found(made_run) -> Reported:
    return reported(
        Catalog.load(),
        [
            made_run(MODEL),
            made_run(BASELINE),
            made_run(MODEL, flavour="caffe-short36"),
            made_run(BASELINE, wrong=range(9), flavour="caffe-short36"),
            made_run(MODEL, model=ODD, command=f"dsd-zoo validate x --against {MODEL}"),
        ],
    )


def rows_of(found: Reported) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tables_as_text(found, "csv"))))


def test_csv_has_a_row_for_each_number_unrounded(found):
    rows = rows_of(found)
    assert {row["kind"] for row in rows} == {"claim", "accuracy", "gain"}
    (claim,) = (
        row for row in rows if (row["kind"], row["model"], row["metric"]) == ("claim", MODEL, "top-1")
    )
    assert (claim["right"], claim["images"], claim["verdict"]) == ("492", "500", "agrees")
    gains = [row for row in rows if (row["kind"], row["model"], row["metric"]) == ("gain", MODEL, "top-1")]
    assert [(row["basis"], row["won"], row["lost"]) for row in gains] == [
        ("published", "", ""), ("here", "1", "2"), ("here", "9", "8"),
    ]  # fmt: skip
    assert float(gains[1]["points"]) == pytest.approx(-0.2, abs=1e-12)
    assert (float(gains[1]["percent"]), float(gains[1]["baseline_percent"])) == (98.4, 98.6)
    assert float(gains[1]["p_value"]) == 1
    accuracies = [row for row in rows if row["kind"] == "accuracy"]
    assert len(accuracies) == 2 * 5
    assert all(float(row["low"]) < float(row["percent"]) <= float(row["high"]) for row in accuracies)


def test_csv_keeps_odd_names_as_they_are(found):
    assert ODD in {row["model"] for row in rows_of(found)}


def test_markdown_has_as_many_cells_in_each_row_as_in_its_head(found):
    text = tables_as_text(found, "markdown")
    for table in re.split(r"^### .*$", text, flags=re.MULTILINE)[1:]:
        lines = [line for line in table.splitlines() if line.startswith("|")]
        counts = {line.replace("\\|", "").count("|") for line in lines}
        assert len(lines) >= 3
        assert len(counts) == 1, table
    assert "### Top-1: gain of digits-caffe-dsd over digits-caffe-baseline" in text
    assert "| digits-caffe-dsd | digits-caffe-baseline | top-1 | 491 | 1 | 2 | 6 | 1 |" in text


def test_latex_has_as_many_cells_in_each_row_as_columns_and_no_open_command(found):
    text = tables_as_text(found, "latex")
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    plain = re.sub(r"\\[&%$#_{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") == 2 * plain.count("$-$")
    assert not re.search(r"(?<!\\)[%#]", text)
    assert r"a|b \& 100\%\_of \$x\$ \{y\} \textbackslash{}z \#1 \textasciitilde{}\textasciicircum{}" in text
    assert "$-$0.20" in text


def test_a_model_that_nobody_ran_has_its_published_gain():
    catalog = Catalog.load()
    manifest = catalog.get("vgg16-dsd")
    net = ReportedNet("vgg16-dsd", manifest=manifest, audit=audit(manifest, catalog))
    text = tables_as_text(Reported([net]), "markdown")
    assert "| 68.50 | 72.81 | +4.31 | +3.75 to +4.87 | significant gain |" in text
    assert "shrinks to +1.41" in text


def test_tables_are_written_completely_or_not_at_all(found, tmp_path):
    write_tables(tmp_path / "t.csv", found, "csv")
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()
    with pytest.raises(UsageError, match="the tables cannot be written: No such file"):
        write_tables(tmp_path / "none" / "t.csv", found, "csv")
