"""`python -m zoo.cli.inspect_each FILE...`: the hook for pre-commit, which gives all changed files at once.

`dsd-zoo inspect` takes the files of one net; here each file is one. pre-commit shows what was printed only if
one fails, so of the others one line is enough.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def main(files: Sequence[str]) -> int:
    """1 if something in one of the files would not convert or it cannot be read, else 0."""
    codes = [_inspect(file) for file in files]
    return int(any(codes))


def _inspect(file: str) -> int:
    """Inspect a file and print what was found; returns the exit code."""
    command = [sys.executable, "-m", "zoo", "inspect", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        print(f"{file}: {lines[-1]}", flush=True)
    else:
        print(file, *lines, sep="\n", end="\n\n", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
