"""Whatever a method does, it costs its own cell, with a reason, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.contract import Method
from benchmarks.ledger import Ledger
from benchmarks.options import parse_options
from benchmarks.plan import Choice, Plan
from benchmarks.registry import metrics
from benchmarks.rows import Row
from benchmarks.runner import Runner
from benchmarks.suite import Suite
from benchmarks.workers import Workers
from tests import faulty_methods as faulty

pytestmark = pytest.mark.slow


def plan_of(suite: Suite, *methods: Method) -> Plan:
    """These methods, scored by SI-SDR and run time."""
    chosen = tuple(Choice(method, parse_options(method, {})) for method in methods)
    wanted = [metrics()[name] for name in ("si-sdr", "run-time")]
    return Plan(suite, chosen, tuple(Choice(metric, {}) for metric in wanted), ())


def run(plan: Plan, ledger: Path, **settings: float | str) -> list[Row]:
    timeout = float(settings.get("timeout_seconds", 60))
    memory = str(settings.get("memory_limit", "auto"))
    with Workers(count=2, timeout_seconds=timeout, memory_limit=memory) as workers:
        return Runner(plan, Ledger(ledger), workers).run()


@pytest.fixture(scope="module")
def rows_by_method(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """One run of everything that goes wrong, beside a method that behaves."""
    from benchmarks.suite import load_suite
    from tests.conftest import write_clip

    folder = tmp_path_factory.mktemp("faults")
    write_clip(folder / "suite" / "simple" / "one", 1)
    write_clip(folder / "suite" / "simple" / "two", 2)
    plan = plan_of(
        load_suite(str(folder / "suite"), folder),
        faulty.well_behaved, faulty.raises, faulty.dies, faulty.crashes, faulty.hangs,
        faulty.wrong_shape, faulty.not_a_number, faulty.writes_into_its_input,
        faulty.needs_a_song, faulty.needs_a_package, faulty.needs_a_weight,
    )  # fmt: skip
    rows = run(plan, folder / "ledger", timeout_seconds=3)
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.method, []).append(row)
    return found


def test_the_well_behaved_method_is_scored_on_every_clip(
    rows_by_method: dict[str, list[Row]],
) -> None:
    rows = rows_by_method["well-behaved"]
    assert {row.clip for row in rows if row.metric == "si-sdr" and row.status == "ok"} == {
        "one",
        "two",
    }


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("raises", "failed", "ZeroDivisionError: the planted fault"),
        ("dies", "failed", "worker process died"),
        ("crashes", "failed", "worker process died"),
        ("hangs", "timed out", "took longer than 3 s; allow more with --timeout"),
        ("wrong-shape", "failed", "came back with shape (2, 15999)"),
        ("not-a-number", "failed", "1 samples that are NaN"),
        ("writes-into-its-input", "failed", "read-only"),
        ("needs-a-song", "not applicable", "needs the clean song"),
        ("needs-a-package", "unavailable", "pip install no-such-package-of-ours"),
        ("needs-a-weight", "unavailable", "no-such-asset"),
    ],
)
def test_each_fault_is_one_row_a_clip_with_its_reason(
    rows_by_method: dict[str, list[Row]], method: str, status: str, reason: str
) -> None:
    rows = rows_by_method[method]
    assert [row.clip for row in rows] == ["one", "two"]
    for row in rows:
        assert row.status == status
        assert reason in row.reason
        assert "\n" not in row.reason
        assert (row.metric, row.target, row.value) == ("", "", None)


def test_a_method_that_outgrows_its_memory_is_told_so(tiny_suite: Suite, tmp_path: Path) -> None:
    suite = dataclasses.replace(tiny_suite, clips=tiny_suite.clips[:1])
    plan = plan_of(suite, faulty.outgrows, faulty.well_behaved)
    rows = run(plan, tmp_path / "ledger", memory_limit="1 GiB")
    (outgrown,) = [row for row in rows if row.method == "outgrows"]
    assert outgrown.status == "failed"
    assert "outgrew the memory that a worker may hold (1 GiB)" in outgrown.reason
    assert any(row.status == "ok" for row in rows if row.method == "well-behaved")


def test_failures_are_tried_again_and_successes_are_not(
    tiny_suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, ledger = tmp_path / "log", tmp_path / "ledger"
    monkeypatch.setenv("COUNTED_LOG", str(log))
    plan = plan_of(tiny_suite, faulty.counted)
    first = run(plan, ledger)
    second = run(plan, ledger)
    assert sorted(log.read_text().split()) == ["one", "three", "two"]
    assert not any(row.reused for row in first)
    assert all(row.reused for row in second)
    assert values(first) == values(second)
    failing = plan_of(tiny_suite, faulty.raises)
    assert all(not row.reused for row in run(failing, ledger) + run(failing, ledger))


def values(rows: list[Row]) -> dict[tuple[str, str, str], float | None]:
    return {(row.clip, row.metric, row.target): row.value for row in rows}
