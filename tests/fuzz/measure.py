"""Fuzzes every reader of the zoo, one after the other, and prints a table of executions and findings.

    make fuzz [SECONDS=60]
    python tests/fuzz/measure.py [--seconds 60] [--only TEXT] [--folder .fuzz] [--write]

An input is a finding if a reader answers it with another error than those of the zoo, ends or hangs the
process, or takes more than 1.5 s of processor time or 300 MB beyond the start of the process. Exit status 1
if there is a finding. Inputs stay in the folder, outside of the repository: those of findings may also be
crashes of other people's software. `--write` puts the table into docs/robustness.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from limits import MOST_MEMORY, MOST_SECONDS
from reader import HERE, Reader, all_readers

ROOT = HERE.parents[1]
# A process that a finding ends is started again, for the time that is left.
LEAST_SECONDS = 5
SETTLING_SECONDS = 300
REPLAY_SECONDS = 120
RESULT_NAME = "result.json"


@dataclass
class Outcome:
    """What fuzzing one reader gave."""

    name: str
    seconds: int
    inputs: int
    executions: int = 0
    findings: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The row of the table."""
        counts = [f"{count:,}" for count in (self.seconds, self.inputs, self.executions)]
        return [self.name, *counts, "; ".join(self.findings) or "none"]


def fuzz(reader: Reader, folder: Path, seconds: int) -> Outcome:
    """Fuzz a reader for so many seconds, and replay what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    executions = folder / "executions"
    executions.unlink(missing_ok=True)
    left = float(seconds)
    ends: list[str] = []
    while left >= LEAST_SECONDS or not ends:
        began = time.monotonic()
        status = _in_a_child(reader, folder, max(1, int(left)))
        if not status:
            break
        if not executions.exists():
            sys.exit(f"{reader.name}: fuzzing does not start; see {folder / 'log'}")
        ends.append(f"the process ended with {status}")
        left -= time.monotonic() - began
    (count,) = struct.unpack("<q", executions.read_bytes())
    outcome = Outcome(reader.name, seconds, len(list((folder / "corpus").iterdir())), count)
    outcome.findings = findings(reader.name, folder)
    if ends and not outcome.findings:
        outcome.findings = sorted(set(ends))
    return outcome


def _in_a_child(reader: Reader, folder: Path, seconds: int) -> int:
    """Fuzz in a fork of this process, in which all code is instrumented; returns its exit status."""
    from one_reader import fuzz_and_exit

    child = os.fork()
    if not child:
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            fuzz_and_exit(reader, folder, seconds)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    deadline = time.monotonic() + seconds + SETTLING_SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL
        time.sleep(0.05)


def findings(name: str, folder: Path) -> list[str]:
    """What still happens without the fuzzer, for each input that it put aside."""
    found = set()
    for path in sorted((folder / "findings").iterdir()):
        if path.suffix == ".json":
            continue
        try:
            replay = subprocess.run(
                [sys.executable, str(HERE / "replay.py"), name, str(path)],
                capture_output=True, text=True, timeout=REPLAY_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            found.add(f"hangs ({path.name})")
            continue
        if replay.returncode:
            found.add(f"ends the process with {replay.returncode} ({path.name})")
            continue
        came = json.loads(replay.stdout.splitlines()[-1])
        if came["raised"]:
            known = path.with_suffix(".json")
            what = json.loads(known.read_text())["what"] if known.exists() else came["raised"]
            found.add(f"{what} ({path.name})")
        elif came["seconds"] > MOST_SECONDS:
            found.add(f"{came['seconds']} s ({path.name})")
        elif came["memory"] > MOST_MEMORY:
            found.add(f"{came['memory'] >> 20} MB ({path.name})")
    return sorted(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--only", help="readers with this text in their name; several: TEXT,TEXT")
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    parser.add_argument("--write", action="store_true", help="put the table into docs/robustness.md")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit(
            "atheris is not installed; it has wheels for Linux and Python 3.11 to 3.13: make fuzz installs it"
        )
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    from one_reader import instrument

    instrument()  # before anything imports the zoo
    chosen = [
        name
        for name in all_readers()
        if arguments.only is None or any(text in name for text in arguments.only.split(","))
    ]
    for name in chosen:
        folder = arguments.folder / _slug(name)
        outcome = fuzz(all_readers()[name], folder, arguments.seconds)
        (folder / RESULT_NAME).write_text(json.dumps(asdict(outcome)), encoding="utf-8")
        print("  ".join(outcome.cells()), flush=True)
    # Those of earlier calls, too: a call may fuzz a part of the readers.
    results = [arguments.folder / _slug(name) / RESULT_NAME for name in all_readers()]
    outcomes = [Outcome(**json.loads(path.read_text(encoding="utf-8"))) for path in results if path.exists()]
    total = sum(outcome.executions for outcome in outcomes)
    failed = sum(bool(outcome.findings) for outcome in outcomes)
    summary = (
        f"{total:,} executions over {len(outcomes)} readers, {os.cpu_count()} processors; "
        f"findings in {failed} of them."
    )
    print(summary)
    if arguments.write:
        from measured_tables import replace_table

        head = ["reader", "seconds", "inputs kept", "executions", "findings"]
        rows = [head, *(outcome.cells() for outcome in outcomes)]
        replace_table(ROOT / "docs" / "robustness.md", "fuzz", rows, summary)
    return 1 if failed else 0


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


if __name__ == "__main__":
    sys.exit(main())
