"""A run in a process of its own, for the tests that kill it: SUITE LEDGER ROWS."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.ledger import Ledger, write_file
from benchmarks.plan import Choice, Plan
from benchmarks.registry import metrics
from benchmarks.rows import frame_of
from benchmarks.runner import Runner
from benchmarks.suite import load_suite
from benchmarks.workers import Workers
from tests.faulty_methods import counted, well_behaved


def main(suite_folder: str, ledger: str, output: str) -> None:
    """Run two methods on a suite and write the rows as a Parquet file."""
    plan = Plan(
        load_suite(suite_folder, Path(suite_folder)),
        (Choice(counted, {"seconds": 0.3}), Choice(well_behaved, {})),
        (Choice(metrics()["si-sdr"], {}), Choice(metrics()["output-ratio"], {})),
        (),
    )
    with Workers(count=2) as workers:
        print("started", flush=True)
        rows = Runner(plan, Ledger(Path(ledger)), workers).run()
    write_file(Path(output), frame_of(rows).to_parquet(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
