"""A part of a benchmark in a process of its own: so many threads, and a memory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.workers import THREAD_LIMITS


def printed_by(
    module: str, task: Sequence[str], threads: int, settings: dict[str, str] | None = None
) -> str:
    """What ``python -m module --process TASK...`` prints.

    Args:
        module: the benchmark.
        task: its part, in words.
        threads: how many it may use.
        settings: more variables of its environment.
    """
    limits = dict.fromkeys(THREAD_LIMITS, str(threads))
    return subprocess.run(
        [sys.executable, "-m", module, "--process", *task],
        env=os.environ | limits | (settings or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
