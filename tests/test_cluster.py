"""A run on a cluster that shares no disk with its client gives the rows of a local one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ledger import Ledger
from benchmarks.plan import estimate_key
from benchmarks.rows import Row
from benchmarks.runner import Runner
from benchmarks.suite import Suite
from benchmarks.workers import Workers
from tests import faulty_methods as faulty
from tests.test_command_line import refused
from tests.test_faults import plan_of


def values(rows: list[Row]) -> dict[tuple[str, str, str, str], float | None]:
    """Every score that does not depend on the clock."""
    return {
        (row.clip, row.method, row.metric, row.target): row.value
        for row in rows
        if row.metric != "run-time"
    }


@pytest.mark.slow
def test_a_cluster_gives_the_rows_of_a_local_run_and_is_sent_its_weights(
    tiny_suite: Suite, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    plan = plan_of(tiny_suite, faulty.well_behaved, faulty.needs_an_asset, faulty.raises)
    far_away = tmp_path / "a cache of the cluster's own"
    # Without an index the workers can't fetch the asset themselves: it has to come from the client.
    environment = {"SEPBENCH_CACHE": str(far_away), "PIP_NO_INDEX": "1"}
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", env=environment
        ) as cluster,
        Workers(scheduler=cluster.scheduler_address) as workers,
    ):
        remote = Runner(plan, Ledger(tmp_path / "remote"), workers).run()
    with Workers(count=2) as workers:
        local = Runner(plan, Ledger(tmp_path / "local"), workers).run()

    assert values(remote) == values(local)
    assert {row.status for row in remote if row.method == "raises"} == {"failed"}
    key = estimate_key(tiny_suite.clips[0], plan.methods[1])
    (note,) = Ledger(tmp_path / "remote").facts(key)["notes"]
    assert str(far_away) in note


def test_a_scheduler_that_does_not_answer_is_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    said = refused(
        "run", tiny_folder, "--scheduler", "tcp://127.0.0.1:9", "--methods", "mixture",
        cwd=tmp_path,
    )  # fmt: skip
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in said
