"""Measures this project against its peers, its bounds and, if asked, another build of itself, in one run.

    make bench [ARGS="--quick"]
    python tests/benchmarks/measure.py [--quick] [--only NAME,NAME] [--opencv4 PYTHON] [--baseline PYTHON]
                                       [--folder DIR] [--json FILE] [--write]

The weights are made up from seeds (tests/benchmarks/definition.py); nothing is downloaded. --opencv4 is a
Python with opencv-python-headless 4.14, whose Caffe reader is compared with; --baseline a Python with another
version of this project. --write puts the tables into docs/benchmarks.md. Exit status 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(ROOT)]

import converting  # noqa: E402, F401
import evaluation  # noqa: E402, F401
import inference  # noqa: E402, F401
import operators  # noqa: E402, F401
import start_up  # noqa: E402, F401
from machine import description  # noqa: E402
from measured_tables import markdown_table, replace_table  # noqa: E402
from measurement import MEASUREMENTS, Measurement, Row, Settings, Unavailable, text_of  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    arguments = _arguments()
    chosen = [name for name in arguments.only.split(",") if name] or list(MEASUREMENTS)
    if unknown := set(chosen) - set(MEASUREMENTS):
        raise SystemExit(
            f"--only: no measurement is called {', '.join(sorted(unknown))}: {', '.join(MEASUREMENTS)}"
        )
    about = description()
    print("  ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    results: dict[str, object] = {"machine": about, "quick": arguments.quick}
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        settings = Settings(folder.resolve(), arguments.quick, arguments.opencv4, arguments.baseline)
        for name in chosen:
            rows = _rows(MEASUREMENTS[name], settings)
            failed += rows is None
            if rows:
                results[name] = rows
                _show(MEASUREMENTS[name], rows, about, write=arguments.write)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer nets and rounds: a look in some minutes")
    parser.add_argument("--only", default="", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--opencv4", type=Path, metavar="PYTHON")
    parser.add_argument("--baseline", type=Path, metavar="PYTHON")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep scratch files here for the next run")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


def _rows(measurement: Measurement, settings: Settings) -> list[Row] | None:
    """The rows; none if something is not here, None if the measurement failed."""
    print(f"\n{measurement.name}: {measurement.about}", flush=True)
    try:
        return measurement.run(settings)
    except Unavailable as reason:
        print(f"left out: {reason}")
        return []
    except Exception:  # the other measurements go on
        traceback.print_exc()
        return None


def _show(measurement: Measurement, rows: list[Row], about: dict[str, str], *, write: bool) -> None:
    table = [list(rows[0]), *([text_of(value) for value in row.values()] for row in rows)]
    print(markdown_table(table), flush=True)
    if write:
        keys = ("cpu", "processors", "memory", "system", "day", "commit")
        where = ", ".join(f"{key} {about[key]}" for key in keys if key in about)
        replace_table(PAGE, measurement.name, table, f"{measurement.about} Measured on: {where}.")


if __name__ == "__main__":
    sys.exit(main())
