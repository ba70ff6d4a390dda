"""How long to wait for a server, and how often to ask it again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts and retries; all times in seconds.

    connect: for the connection to stand. silence: between two pieces of the answer.
    slow, slow_bytes: fewer bytes than that in so long a time is as good as nothing.
    tries: how often a source is asked in a row without bringing `progress_bytes` or more.
    first_wait: before the second try; it doubles from try to try.
    longest_wait: no wait is longer, and a server that asks for a longer one is left.
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
        """The time to wait after this many failures in a row; what the server asked for counts first.

        Up to a quarter is left to chance, so that many clients do not come back at once.
        """
        if asked is not None:
            return asked
        chance = random.uniform(0.75, 1.0)
        return min(self.max_delay, self.first_delay * 2.0 ** (failures - 1)) * chance
