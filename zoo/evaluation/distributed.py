"""Several processes that share one measurement, as `torchrun` starts them; or one alone.

    torchrun --nproc-per-node=4 -m zoo validate MODEL --data SRC --device cuda

On several machines, the same on each but for its number; machine 0 prints the result and keeps it:

    torchrun --nnodes=2 --node-rank=0 --master-addr=HOST --master-port=29500 --nproc-per-node=4 -m zoo ...

torchrun tells every process its rank; they find each other through its store. Nothing is exchanged while
images are ranked but a sign of life. What is computed is handed to all ranks at the end, over gloo; on GPUs
the counts are also summed over nccl, so that an image that went astray shows. Machines need no common folder.
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
# What torchrun tells its processes.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# What is handed around lies on the host; nccl knows GPUs only.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# What gloo reads.
INTERFACE = "GLOO_SOCKET_IFNAME"
# A process that has done no batch for so long is taken for lost; the slowest batch takes seconds.
LOST_AFTER = timedelta(minutes=10)
POLL_SECONDS = 0.2


class RankLostError(ZooError):
    """A process of the run is gone; what the others have done is kept."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class SingleProcess:
    """One process, which has nobody to wait for."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    def heartbeat(self, done: int) -> None:
        """Nobody listens."""

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
    """This process among those that torchrun started."""

    def __init__(self, environment: Mapping[str, str], kind: str, store: Store) -> None:
        self.rank = int(environment["RANK"])
        self.size = int(environment["WORLD_SIZE"])
        self.local_rank = int(environment["LOCAL_RANK"])
        self.local_size = int(environment["LOCAL_WORLD_SIZE"])
        self._kind, self._store = kind, store

    def heartbeat(self, done: int) -> None:
        """Tell the others that this process is alive and has done so many batches. RankLostError as below."""
        self._say(f"beat/{self.rank}", str(done))

    def broadcast(self, value: T, source: int = 0) -> T:
        """The value of rank `source`, for all, who wait for it. RankLostError if it is gone."""
        import torch.distributed as dist

        values = [value]
        with _lost_when_it_fails():
            dist.broadcast_object_list(values, src=source)
        return values[0]

    def all_gather(self, value: T, timeout: timedelta = LOST_AFTER) -> list[T]:
        """The values of all ranks, in order, for each of them; waits for the slower ones.

        Raises:
            RankLostError: a rank has shown no sign of life for so long, or has hung up.
        """
        import torch.distributed as dist

        self._say(f"arrived/{self.rank}", "")
        self._wait(timeout)
        values: list[Any] = [None] * self.size
        with _lost_when_it_fails():
            dist.all_gather_object(values, value)
        return values

    def all_reduce(self, counts: Sequence[int]) -> list[int]:
        """Sums over all ranks, on the device of the run."""
        import torch
        import torch.distributed as dist

        sums = torch.tensor(counts, dtype=torch.int64, device=self._kind)
        with _lost_when_it_fails():
            dist.all_reduce(sums)
        return [int(count) for count in sums.tolist()]

    def _wait(self, timeout: timedelta) -> None:
        """Until all ranks have arrived. Polling, because a collective call would not hear a signal."""
        beats: dict[int, bytes] = {}
        since = dict.fromkeys(range(self.size), time.monotonic())
        while missing := [r for r in range(self.size) if not self._known(f"arrived/{r}")]:
            for rank in missing:
                beat = self._store.get(f"beat/{rank}") if self._known(f"beat/{rank}") else b""
                if beats.get(rank) != beat:
                    beats[rank], since[rank] = beat, time.monotonic()
                elif time.monotonic() - since[rank] > timeout.total_seconds():
                    raise RankLostError(
                        f"rank {rank} of {self.size} has shown no sign of life for {timeout}: it is lost"
                    )
            time.sleep(POLL_SECONDS)

    def _say(self, key: str, value: str) -> None:
        with _lost_when_it_fails():
            self._store.set(key, value)

    def _known(self, key: str) -> bool:
        with _lost_when_it_fails():
            return bool(self._store.check([key]))


Group = SingleProcess | ProcessGroup


@contextmanager
def join_group(device: str, environment: Mapping[str, str] | None = None) -> Iterator[Group]:
    """The processes of this run: all that torchrun started, or this one.

    device: where the processes compute; counts are summed there, on each one's current device.
    While it lasts, SIGTERM, by which torchrun ends the others when one is lost, is a RankLostError.

    Raises:
        UsageError: the environment is not what torchrun sets.
        RankLostError: the processes do not find together.
    """
    environment = os.environ if environment is None else environment
    if "WORLD_SIZE" not in environment or "RANK" not in environment:
        yield SingleProcess()
        return
    if missing := [name for name in VARIABLES if name not in environment]:
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
            f"  if they do not reach each other: {INTERFACE} names the network interface between the "
            "machines, and --master-addr must be an address that all of them reach"
        ) from error
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield ProcessGroup(environment, kind, store)
    finally:
        signal.signal(signal.SIGTERM, before)
        dist.destroy_process_group()


def _choose_interface(environment: Mapping[str, str]) -> None:
    """Tells gloo the interface by which the machines reach each other, unless the user has said which.

    By itself it takes the address that the host's name has, which on many machines is the loopback's.
    """
    if INTERFACE in environment or environment["WORLD_SIZE"] == environment["LOCAL_WORLD_SIZE"]:
        return
    if (name := interface_to(environment["MASTER_ADDR"])) is not None:
        os.environ[INTERFACE] = name


def _end(number: int, frame: object) -> None:
    raise RankLostError("ended by SIGTERM, which is what torchrun sends to all when it loses one of them")


@contextmanager
def _lost_when_it_fails() -> Iterator[None]:
    """What gloo, nccl and the store raise when the other side hangs up."""
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(f"another process of the run is gone: {error}") from error
