"""Timeouts of requests, and when to retry them."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts and retries; all times in seconds.

    connect_timeout: to establish the connection. read_timeout: between two chunks of the body.
    low_speed_seconds, low_speed_bytes: a transfer of fewer bytes in that time is aborted.
    max_attempts: attempts in a row that bring fewer than `progress_bytes`, before the source is given up.
    first_delay: before the second attempt; it doubles with each one.
    max_delay: the longest delay; a server that asks for a longer one is given up.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    low_speed_seconds: float = 60.0
    low_speed_bytes: int = 1 << 16
    max_attempts: int = 5
    progress_bytes: int = 1 << 20
    first_delay: float = 1.0
    max_delay: float = 60.0

    def delay(self, failures: int, asked: float | None) -> float:
        """Seconds to wait after this many failures in a row: `asked` if the server asked for a delay.

        Else up to a quarter is random, so that many clients do not retry at the same time.
        """
        if asked is not None:
            return asked
        chance = random.uniform(0.75, 1.0)
        return min(self.max_delay, self.first_delay * 2.0 ** (failures - 1)) * chance
