"""`python -m zoo.cli.inspect_each FILE...`: the hook for pre-commit, which gives all changed files at once.

`dsd-zoo inspect` takes the files of one net; here each file is one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def main(files: Sequence[str]) -> int:
    """1 if something in one of the files would not convert or it cannot be read, else 0."""
    inspect = [sys.executable, "-m", "zoo", "inspect"]
    codes = [subprocess.run([*inspect, file], check=False).returncode for file in files]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
