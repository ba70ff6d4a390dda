"""Kills, broken connections and full disks: what is left must be whole, and the same command must go on.

    make chaos [SECONDS=60]
    python tests/chaos/measure.py [--seconds 60] [--only TEXT] [--seed N] [--write]

`--seconds` is how long each scenario with random kills goes on. Exit status 1 if anything is lost, mixed or
left behind. `--write` puts the table into docs/robustness.md.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from measured_tables import replace_table  # noqa: E402
from scenarios import SCENARIOS, Skipped  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each scenario with random kills")
    parser.add_argument("--only", default="", help="scenarios with this text in their name")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--write", action="store_true", help="put the table into docs/robustness.md")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rows, failed = [["what", "how often", "what was left"]], 0
    for name, scenario in SCENARIOS.items():
        if arguments.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                times, left = scenario(Path(folder), random.Random(arguments.seed), arguments.seconds)
            except Skipped as reason:
                times, left = "skipped", str(reason)
            except AssertionError as error:
                failed += 1
                times, left = "failed", " ".join(str(error).split())[:300]
        rows.append([name, times, left])
        print("  ".join(rows[-1]), flush=True)
    summary = (
        f"{len(rows) - 1} scenarios, {arguments.seconds} s for each with random kills, {os.cpu_count()} "
        f"processors, seed {arguments.seed}; {failed} failed."
    )
    print(summary)
    if arguments.write:
        replace_table(ROOT / "docs" / "robustness.md", "chaos", rows, summary)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
