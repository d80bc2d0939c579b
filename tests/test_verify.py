"""Verifying a run: the same numbers are the same, and whatever is not is said, with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import benchmark, registry, verify
from benchmarks.errors import UserError
from benchmarks.ledger import Ledger
from benchmarks.runs import find_run
from tests.conftest import write_clip

METHODS = ("center-channel", "oracle-irm")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, done once: two clips, two methods, SNR and the costs."""
    root = tmp_path_factory.mktemp("verify")
    for seed, name in enumerate(("one", "two"), start=1):
        write_clip(root / "tiny" / "simple" / name, seed)
    selection = benchmark.Selection(
        str(root / "tiny"), METHODS, metrics=("snr", "run-time"), data=root
    )
    crew = benchmark.Crew(workers=1)
    run, ledger = root / "reports" / "run", root / "reports" / ".ledger"
    assert not benchmark.run(selection, crew, folder=run, ledger=ledger, figures=())
    return run


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A copy of the run, to change, beside the ledger of the first."""
    copy = kept.parent / tmp_path.name
    copy.mkdir()
    for name in ("rows.parquet", "run.json"):
        (copy / name).write_bytes((kept / name).read_bytes())
    return copy


def verified(run: Path, capsys: pytest.CaptureFixture[str], **settings: Any) -> tuple[bool, str]:
    """Whether anything differs, and what was said."""
    given: dict[str, Any] = {"cells": 1, "methods": (), "clips": (), "seed": 0, "workers": 1}
    given |= settings
    capsys.readouterr()
    different = verify.verify(str(run), reports=run.parent, **given)
    return different, " ".join(capsys.readouterr().out.split())


def change_rows(run: Path, change: Any) -> None:
    rows = pd.read_parquet(run / "rows.parquet")
    change(rows)
    rows.to_parquet(run / "rows.parquet")


@pytest.mark.slow
def test_a_run_that_can_be_had_again_is_identical(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in run.parent.rglob("*") if path.is_file())
    different, said = verified(run, capsys, cells=0)
    assert not different
    assert "4 of 4 cells" in said and said.count("the same bytes 4 equal identical") == 4
    assert "Changed since: nothing that the receipt knows" in said
    assert said.endswith("The numbers can be had again: 4 identical.")
    assert before == sorted(path for path in run.parent.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_score_that_moved_is_different_and_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def move(rows: pd.DataFrame) -> None:
        chosen = (rows["metric"] == "snr") & (rows["target"] == "vocals")
        rows.loc[chosen, "value"] = rows.loc[chosen, "value"] + 0.02

    change_rows(run, move)
    record = json.loads((run / "run.json").read_text())
    record["versions"]["numpy"] = "1.0"
    record["sources"]["snr"] = "0" * 64
    (run / "run.json").write_text(json.dumps(record))
    different, said = verified(run, capsys, methods=["oracle-irm"], clips=["one"])
    assert different
    assert "oracle-irm on one: vocals snr: was" in said and "1 of 4 moved different" in said
    assert "Changed since: versions: numpy was 1.0, is" in said
    assert "Changed since: sources: snr" in said
    assert said.endswith("The numbers can NOT be had again: 1 different.")


@pytest.mark.slow
def test_other_bytes_with_the_same_scores_are_told_with_their_distance(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def move(rows: pd.DataFrame) -> None:
        chosen = rows["metric"] == "snr"
        rows.loc[chosen, "value"] = rows.loc[chosen, "value"] + 0.005
        rows["estimate_sha256"] = rows["estimate_sha256"].str.replace("0", "1")

    change_rows(run, move)
    record = json.loads((run / "run.json").read_text())
    ledger = Ledger(run.parent / ".ledger")
    key = record["estimates"]["two"]["center-channel"]
    estimate = ledger.estimate(key)
    louder = estimate.vocals.like(estimate.vocals.samples * 1.001)
    spoilt = type(estimate)(louder, estimate.background)
    ledger.put_estimate("spoilt", spoilt, {})
    record["estimates"]["two"]["center-channel"] = "spoilt"
    (run / "run.json").write_text(json.dumps(record))
    different, said = verified(run, capsys, methods=["center-channel"], clips=["two"])
    assert not different
    assert "dB apart 4 within 0.005 dB (" in said and "same scores" in said


def test_the_draw_is_the_same_for_the_same_seed_and_other_for_another(kept: Path) -> None:
    run = find_run(str(kept), kept.parent)
    every = verify.draw(run, 0, (), (), seed=0)
    assert len(every) == 4
    draws = [verify.draw(run, 2, (), (), seed=seed) for seed in range(10)]
    assert draws == [verify.draw(run, 2, (), (), seed=seed) for seed in range(10)]
    assert all(len(draw) == 2 and set(draw) <= set(every) for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 1


def test_a_method_or_a_clip_that_the_run_lacks_is_refused(kept: Path) -> None:
    run = find_run(str(kept), kept.parent)
    with pytest.raises(UserError, match=r"no estimate of a method 'oracle-irn'.*oracle-irm"):
        verify.draw(run, 1, ["oracle-irn"], (), seed=0)
    with pytest.raises(UserError, match="no estimate of a clip 'three'"):
        verify.draw(run, 1, (), ["three"], seed=0)


def test_a_run_without_its_record_is_refused(run: Path) -> None:
    (run / "run.json").unlink()
    with pytest.raises(UserError, match=r"no run.json"):
        verify.verify(
            str(run), reports=run.parent, cells=1, methods=(), clips=(), seed=0, workers=1
        )


@pytest.mark.slow
def test_a_method_that_gives_no_estimate_any_more_is_different(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is gone since the run."""
    monkeypatch.setattr(
        registry, "missing_package", lambda one: "no such package" if one.name in METHODS else None
    )
    different, said = verified(run, capsys, methods=["oracle-irm"], clips=["one"])
    assert different and "none different" in said
    assert "oracle-irm on one: unavailable: no such package" in said
