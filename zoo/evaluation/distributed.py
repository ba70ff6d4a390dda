"""Processes that share one evaluation: those that `torchrun` started, or one alone.

    torchrun --nproc-per-node=4 -m zoo validate MODEL --data SRC --device cuda

On several machines, the same on each except for its number; machine 0 prints and keeps the result:

    torchrun --nnodes=2 --node-rank=0 --master-addr=HOST --master-port=29500 --nproc-per-node=4 -m zoo ...

torchrun tells every process its rank; the processes find each other through its store. While images are
ranked they exchange heartbeats only. At the end gloo sends all results to all ranks; on GPUs nccl also sums
the counts, which shows if an image was lost. The machines need no shared folder.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.errors import UsageError, ZooError
from zoo.evaluation.network_interface import interface_to
from zoo.runtimes.runtime import parse_device

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

T = TypeVar("T")
# The environment variables that torchrun sets.
TORCHRUN_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# Results are in host memory, which gloo sends; nccl works on GPUs only.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# The environment variable that gloo reads.
GLOO_VARIABLE = "GLOO_SOCKET_IFNAME"
# A process that finishes no batch for this long counts as lost; the slowest batch takes seconds.
LOST_AFTER = timedelta(minutes=10)
POLL_SECONDS = 0.2


class RankLostError(ZooError):
    """A process of the run has ended; the evidence of the others is kept."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class SingleProcess:
    """One process alone: a group of size 1."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    def heartbeat(self, done: int) -> None:
        """Does nothing: there is no other process."""

    def broadcast(self, value: T, source: int = 0) -> T:
        """The value itself."""
        return value

    def all_gather(self, value: T, timeout: timedelta = LOST_AFTER) -> list[T]:
        """The value itself."""
        return [value]

    def all_reduce(self, counts: Sequence[int]) -> list[int]:
        """The counts themselves."""
        return list(counts)


class ProcessGroup:
    """The processes that torchrun started, as seen from this one."""

    def __init__(self, environment: Mapping[str, str], kind: str, store: Store) -> None:
        self.rank = int(environment["RANK"])
        self.size = int(environment["WORLD_SIZE"])
        self.local_rank = int(environment["LOCAL_RANK"])
        self.local_size = int(environment["LOCAL_WORLD_SIZE"])
        self._kind, self._store = kind, store

    def heartbeat(self, done: int) -> None:
        """Tell the others that this process is alive; `done` differs in each call. Errors as below."""
        self._set(f"beat/{self.rank}", str(done))

    def broadcast(self, value: T, source: int = 0) -> T:
        """The value of rank `source`, in every process. RankLostError if that rank has ended."""
        import torch.distributed as dist

        values = [value]
        with _failure_is_lost_rank():
            dist.broadcast_object_list(values, src=source)
        return values[0]

    def all_gather(self, value: T, timeout: timedelta = LOST_AFTER) -> list[T]:
        """The values of all ranks, by rank, in every process; waits for the slower ones.

        Raises:
            RankLostError: a rank sent no heartbeat within `timeout`, or closed its connection.
        """
        import torch.distributed as dist

        self._set(f"arrived/{self.rank}", "")
        self._wait(timeout)
        values: list[Any] = [None] * self.size
        with _failure_is_lost_rank():
            dist.all_gather_object(values, value)
        return values

    def all_reduce(self, counts: Sequence[int]) -> list[int]:
        """The sum of each count over all ranks, computed on the device of the run."""
        import torch
        import torch.distributed as dist

        sums = torch.tensor(counts, dtype=torch.int64, device=self._kind)
        with _failure_is_lost_rank():
            dist.all_reduce(sums)
        return [int(count) for count in sums.tolist()]

    def _wait(self, timeout: timedelta) -> None:
        """Wait until all ranks have arrived. It polls, because a collective call would block signals."""
        beats: dict[int, bytes] = {}
        since = dict.fromkeys(range(self.size), time.monotonic())
        while missing := [r for r in range(self.size) if not self._is_set(f"arrived/{r}")]:
            for rank in missing:
                beat = self._store.get(f"beat/{rank}") if self._is_set(f"beat/{rank}") else b""
                if beats.get(rank) != beat:
                    beats[rank], since[rank] = beat, time.monotonic()
                elif time.monotonic() - since[rank] > timeout.total_seconds():
                    raise RankLostError(
                        f"rank {rank} of {self.size} has shown no sign of life for {timeout}: it is lost"
                    )
            time.sleep(POLL_SECONDS)

    def _set(self, key: str, value: str) -> None:
        with _failure_is_lost_rank():
            self._store.set(key, value)

    def _is_set(self, key: str) -> bool:
        with _failure_is_lost_rank():
            return bool(self._store.check([key]))


Group = SingleProcess | ProcessGroup


@contextmanager
def join_group(device: str, environment: Mapping[str, str] | None = None) -> Iterator[Group]:
    """The processes of this run: those that torchrun started, or this one alone.

    device: where the processes compute and sum counts, each on its current device.
    Inside the context SIGTERM raises RankLostError: torchrun sends it to the others when one process ends.

    Raises:
        UsageError: the environment is not what torchrun sets.
        RankLostError: the processes do not reach each other.
    """
    environment = os.environ if environment is None else environment
    if "WORLD_SIZE" not in environment or "RANK" not in environment:
        yield SingleProcess()
        return
    if missing := [name for name in TORCHRUN_VARIABLES if name not in environment]:
        raise UsageError(
            f"started as one of several processes, but without {', '.join(missing)}; use torchrun"
        )
    import torch.distributed as dist

    kind, _ = parse_device(device)
    _choose_interface(environment)
    try:
        store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
        store = dist.PrefixStore("dsd-zoo", store)  # type: ignore[attr-defined]
        dist.init_process_group(BACKENDS[kind], store=store, rank=rank, world_size=size)
    except RuntimeError as error:
        raise RankLostError(
            f"the processes of the run did not find together: {error}\n"
            f"  if they do not reach each other: {GLOO_VARIABLE} names the network interface between the "
            "machines, and --master-addr must be an address that all of them reach"
        ) from error
    before = signal.signal(signal.SIGTERM, _raise_lost)
    try:
        yield ProcessGroup(environment, kind, store)
    finally:
        signal.signal(signal.SIGTERM, before)
        dist.destroy_process_group()


def _choose_interface(environment: Mapping[str, str]) -> None:
    """Set the network interface that gloo uses between machines, unless the user has set it.

    By default gloo uses the address of the host's name, which on many machines is the loopback address.
    """
    if GLOO_VARIABLE in environment or environment["WORLD_SIZE"] == environment["LOCAL_WORLD_SIZE"]:
        return
    if (name := interface_to(environment["MASTER_ADDR"])) is not None:
        os.environ[GLOO_VARIABLE] = name


def _raise_lost(number: int, frame: object) -> None:
    raise RankLostError("ended by SIGTERM, which is what torchrun sends to all when it loses one of them")


@contextmanager
def _failure_is_lost_rank() -> Iterator[None]:
    """RankLostError for what gloo, nccl and the store raise when another process closes its connection."""
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(f"another process of the run is gone: {error}") from error
