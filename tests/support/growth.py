"""How the work of a reader grows with its input: a ratio, since seconds are the machine's."""

from __future__ import annotations

import time
from collections.abc import Callable


def cost(read: Callable[[str], object], text: str) -> float:
    """Give the least time of three, of this process alone."""
    times = []
    for _ in range(3):
        start = time.process_time()
        read(text)
        times.append(time.process_time() - start)
    return min(times)


def grows_linearly(
    read: Callable[[str], object], text: str, head: str = "", tail: str = ""
) -> bool:
    """Tell whether eight times as much of ``text`` takes less than 16 times as long.

    What is linear takes 8 times as long, what is quadratic 64 times; the size is one at which the
    clock says something. A neighbour on the machine may spoil one try, not all.
    """
    count = 512
    while cost(read, head + text * count + tail) < 0.002 and count * len(text) < 2**19:
        count *= 2
    for _ in range(4):
        small = cost(read, head + text * count + tail)
        if cost(read, head + text * count * 8 + tail) < 16 * max(small, 0.0005):
            return True
    return False
