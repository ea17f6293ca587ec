"""Tests of linear growth: compare times of one process as a ratio, not in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


def cost(read: Callable[[str], object], text: str) -> float:
    """Return the shortest of three runs, in seconds of CPU time."""
    times = []
    for _ in range(3):
        start = time.process_time()
        read(text)
        times.append(time.process_time() - start)
    return min(times)


def grows_linearly(
    read: Callable[[str], object], text: str, head: str = "", tail: str = ""
) -> bool:
    """Return whether eight times as much of ``text`` takes less than 16 times as long.

    Linear growth is a ratio of 8, quadratic growth one of 64. The smaller size is large enough for
    the resolution of the clock. Other processes may disturb one of the four tries.
    """
    count = 512
    while cost(read, head + text * count + tail) < 0.002 and count * len(text) < 2**19:
        count *= 2
    for _ in range(4):
        small = cost(read, head + text * count + tail)
        if cost(read, head + text * count * 8 + tail) < 16 * max(small, 0.0005):
            return True
    return False
