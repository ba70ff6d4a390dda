"""What `validate` says and writes when a pass over the images ends before everything is found."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, InterruptedRunError
from zoo.vocabulary import METRIC_NAMES, METRICS

if TYPE_CHECKING:
    from zoo.evaluation.distributed import Group


@contextlib.contextmanager
def errors_in_junit(junit: Path | None, nets: Sequence[str], group: Group) -> Iterator[None]:
    """Write an error of the pass into the JUnit XML that was asked for, as one suite for each net."""
    from zoo.report.files import write_error

    try:
        yield
    except Exception as error:
        if junit is not None and not group.rank:
            write_error(junit, nets, str(error))
        raise


@contextlib.contextmanager
def ending_explained(folders: Sequence[Path], group: Group) -> Iterator[None]:
    """Say what was counted and kept of a pass that an error, Ctrl-C or the loss of a process ends."""
    from zoo.evaluation.distributed import RankLostError

    before = [_kept(folder) for folder in folders]
    try:
        yield
    except RankLostError as error:
        raise RankLostError(f"rank {group.rank} of {group.size}: {error}\n  {_evidence(folders)}") from error
    except Exception:
        if [_kept(folder) for folder in folders] != before:
            print(f"dsd-zoo: stopped; {_evidence(folders)}", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        raise InterruptedRunError(f"interrupted; {_evidence(folders)}") from None


def _kept(folder: Path) -> tuple[int, ...]:
    """Images that the unfinished run in `folder` has ranked, and how many are right by each metric."""
    from zoo.evidence import journal
    from zoo.evidence.rows import Rows

    try:
        batches = journal.read(folder)
    except DataError:
        return ()
    rows = Rows.joined([batch.rows[0] for batch in batches.values()])
    return (len(rows), *map(rows.count_correct, METRICS))


def _evidence(folders: Sequence[Path]) -> str:
    parts = []
    for folder in folders:
        count, *right = _kept(folder) or (0, 0, 0)
        counts = ", ".join(
            f"{METRIC_NAMES[metric]} {n:,} right" for metric, n in zip(METRICS, right, strict=True)
        )
        parts.append(f"{count:,} images is kept in {folder}" + (f" ({counts})" if count else ""))
    return f"the evidence of {' and of '.join(parts)}; the same command with --resume goes on"
