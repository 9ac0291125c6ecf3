"""The threads of this process, of Python and native."""

from __future__ import annotations

import os
import time


def tasks() -> dict[str, str]:
    """The kernel's threads of this process: id and name."""
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm", encoding="utf-8") as name:
                found[task] = name.read().strip()
        except OSError:  # it has ended since
            pass
    return found


def left(before: dict[str, str], within: float = 5.0) -> dict[str, str]:
    """The threads that did not exist before. Waits a moment, because a joined thread can still be listed."""
    end = time.monotonic() + within
    while True:
        more = {task: name for task, name in tasks().items() if task not in before}
        if not more or time.monotonic() > end:
            return more
        time.sleep(0.002)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
