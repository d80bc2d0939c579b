"""A run that is killed loses only what was under way, and ends with the table it would have had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, write_clip

pytestmark = pytest.mark.slow

CLIPS = 6
# What may differ between two runs of one plan: whether a cell was reused, and how it was timed.
OF_THE_RUN = ["reused", "start"]


@pytest.fixture(scope="module")
def suite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "suite"
    for seed in range(CLIPS):
        write_clip(folder / "simple" / f"clip{seed}", seed)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(suite_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("whole")
    start(suite_folder, folder).wait()
    return table(folder)


def start(suite_folder: Path, folder: Path) -> subprocess.Popen[str]:
    """Start a run in a session of its own, and wait until its workers are there."""
    arguments = [str(suite_folder), *(str(folder / name) for name in ("ledger", "rows"))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.run_counted", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        env={**os.environ, "COUNTED_LOG": str(folder / "log")},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "started"
    return process


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "rows").drop(columns=OF_THE_RUN)


def finished_clips(folder: Path) -> set[str]:
    """Clips whose counted separation is in the ledger."""
    facts = [
        json.loads(path.read_text()) for path in folder.glob("ledger/estimates/*/*/facts.json")
    ]
    return {one["clip"] for one in facts if one["method"] == "counted"}


@pytest.mark.parametrize("done_before", [0, 1, 3, CLIPS])
def test_a_killed_run_resumes_to_the_same_table_and_repeats_nothing_finished(
    done_before: int, suite_folder: Path, uninterrupted: pd.DataFrame, tmp_path: Path
) -> None:
    process = start(suite_folder, tmp_path)
    deadline = time.monotonic() + 60
    while len(finished_clips(tmp_path)) < done_before and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = finished_clips(tmp_path)
    assert len(finished) >= done_before

    again = start(suite_folder, tmp_path)
    assert again.wait() == 0
    pd.testing.assert_frame_equal(table(tmp_path), uninterrupted)
    runs = Counter((tmp_path / "log").read_text().split())
    assert all(runs[clip] == 1 for clip in finished)
    assert set(runs) == {f"clip{seed}" for seed in range(CLIPS)}
    rows = pd.read_parquet(tmp_path / "rows")
    reused = rows[(rows.method == "counted") & rows.reused]
    assert set(reused["clip"]) == finished


def test_half_written_files_of_a_killed_run_are_not_taken_for_results(
    suite_folder: Path, uninterrupted: pd.DataFrame, tmp_path: Path
) -> None:
    """The story: a run died between the tracks and the facts of an estimate."""
    assert start(suite_folder, tmp_path).wait() == 0
    estimates = sorted(tmp_path.glob("ledger/estimates/*/*"))
    (estimates[0] / "facts.json").unlink()
    for record in list(tmp_path.glob("ledger/records/*/*.json"))[:3]:
        record.unlink()
    (tmp_path / "rows").unlink()
    assert start(suite_folder, tmp_path).wait() == 0
    pd.testing.assert_frame_equal(table(tmp_path), uninterrupted)
