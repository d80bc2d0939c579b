"""Verify: whether the numbers of a run can be had again.

Chosen cells are separated, looked at and scored anew, in fresh processes and with nothing reused,
and held against the rows that were kept. Costs are left out: no two runs take the same time.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks import assets
from benchmarks.benchmark import Crew, Selection, selection_of
from benchmarks.console import print_table, progress_bar, say
from benchmarks.errors import UserError
from benchmarks.ledger import Ledger
from benchmarks.options import suggestion
from benchmarks.plan import PACKAGES, Plan, estimate_key
from benchmarks.registry import source_hash
from benchmarks.rows import frame_of
from benchmarks.runs import Run, find_run

if TYPE_CHECKING:
    import pandas as pd

Cell = tuple[str, str]  # clip, method
Outcome = Literal["identical", "same scores", "different"]

SCORE = ("clip", "method", "target", "metric", "judge")
# How far a score may move and still be the same, in its unit: less than a report shows.
TOLERANCE_DB, TOLERANCE = 0.01, 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one cell.

    ``apart_db`` is how strong the difference of the new tracks and the kept ones is beside the
    kept ones; None where they are the same or no longer there. ``moved`` holds a line for each
    score that is not the same.
    """

    clip: str
    method: str
    same_bytes: bool
    apart_db: float | None
    scores: int
    furthest: str
    moved: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        if self.moved:
            return "different"
        return "identical" if self.same_bytes and not self.furthest else "same scores"


def verify(
    given: str,
    *,
    reports: Path,
    cells: int,
    methods: Sequence[str],
    clips: Sequence[str],
    seed: int,
    workers: int,
) -> bool:
    """Re-run some cells of a run and say what came of it. True if any is different.

    Args:
        given: the run's folder, or its name among ``reports``.
        reports: the folder of runs, with the ledger of their estimates.
        cells: how many cells to draw among the chosen ones; 0: all of them.
        methods: the methods to choose from; none: all.
        clips: the clips to choose from; none: all.
        seed: of the draw.
        workers: local processes, each of one thread; 0: one a core.

    Raises:
        UserError: there is no such run, method or clip, or no estimate among the chosen cells.
    """
    run = find_run(given, reports)
    chosen = draw(run, cells, methods, clips, seed)
    plan = _plan(run, chosen)
    say(f"{run.name}: {len(chosen)} of {len(_cells(run))} cells, separated and scored anew.")
    with tempfile.TemporaryDirectory(prefix="sepbench-verify-") as folder:
        made = Ledger(Path(folder))
        rows = _again(plan, chosen, made, Crew(workers=workers))
        both = (Ledger(reports / ".ledger"), made)
        verdicts = [_verdict(cell, run, rows, _apart_db(cell, run, plan, both)) for cell in chosen]
    _show(verdicts, _changes(run, plan, rows))
    return any(verdict.outcome == "different" for verdict in verdicts)


def draw(
    run: Run, cells: int, methods: Sequence[str], clips: Sequence[str], seed: int
) -> list[Cell]:
    """Cells that have an estimate, in the order of their names; the same for the same seed."""
    there = _cells(run)
    for place, names, what in ((0, clips, "clip"), (1, methods, "method")):
        known = sorted({cell[place] for cell in there})
        for name in names:
            if name not in known:
                hint = suggestion(name, known)
                raise UserError(f"{run.name} has no estimate of a {what} {name!r}. {hint}")
    wanted = [
        (clip, method)
        for clip, method in there
        if (not clips or clip in clips) and (not methods or method in methods)
    ]
    if not wanted:
        raise UserError(f"{run.name} has no estimate that could be verified.")
    if not cells or cells >= len(wanted):
        return wanted
    picked = np.random.default_rng(seed).choice(len(wanted), size=cells, replace=False)
    return [wanted[place] for place in sorted(picked)]


def _cells(run: Run) -> list[Cell]:
    rows = run.rows[run.rows["estimate_sha256"].fillna("") != ""]
    pairs = rows[["clip", "method"]].drop_duplicates()
    return sorted((str(clip), str(method)) for clip, method in pairs.itertuples(index=False))


def _plan(run: Run, chosen: Sequence[Cell]) -> Plan:
    """The run's own plan, made smaller: these clips and methods, and its metrics but for costs."""
    if "selection" not in run.record:
        raise UserError(f"{run.name} has no run.json that says what was asked: it can't be re-run.")
    selection: Selection = selection_of(run.record)
    suite, plan = selection.load()
    methods = {method for _, method in chosen}
    metrics = set(run.rows["metric"])
    missing = methods - {choice.name for choice in plan.methods}
    if missing:
        raise UserError(f"{run.name} used {', '.join(sorted(missing))}, which is not here now.")
    again = dataclasses.replace(
        plan,
        suite=suite.select(tuple(sorted({clip for clip, _ in chosen})), ()),
        methods=tuple(choice for choice in plan.methods if choice.name in methods),
        metrics=tuple(
            choice
            for choice in plan.metrics
            if choice.name in metrics and "cost" not in choice.plugin.inputs
        ),
    )
    if not again.metrics:
        raise UserError(f"{run.name} has no scores but costs, which no two runs share.")
    return again


def _again(plan: Plan, chosen: Sequence[Cell], ledger: Ledger, crew: Crew) -> pd.DataFrame:
    """The rows of the chosen cells, made anew."""
    from benchmarks.runner import Runner

    with crew.hire() as workers, progress_bar("verify") as progress:
        runner = Runner(
            plan, ledger, workers, progress=progress, reuse=False, only=frozenset(chosen)
        )
        return frame_of(runner.run())


def _verdict(cell: Cell, run: Run, again: pd.DataFrame, apart_db: float | None) -> Verdict:
    asked = run.rows["metric"].isin(again["metric"])  # not the costs
    before, after = _scores(run.rows[asked], cell), _scores(again, cell)
    lost = [row for row in _of(again, cell).to_dict("records") if not row["metric"]]
    if lost:
        return Verdict(*cell, False, None, 0, "", (f"{lost[0]['status']}: {lost[0]['reason']}",))
    shared = [name for name in before if name in after]
    lines = [_moved(name, before[name], after[name]) for name in shared]
    lines += [f"{name}: is no longer given" for name in before if name not in after]
    same = _hashes(run.rows, cell) == _hashes(again, cell)
    return Verdict(
        *cell,
        same_bytes=same,
        apart_db=None if same else apart_db,
        scores=len(shared),
        furthest=_furthest(before, after, shared),
        moved=tuple(line for line in lines if line),
    )


def _of(rows: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    return rows[(rows["clip"] == cell[0]) & (rows["method"] == cell[1])]


def _scores(rows: pd.DataFrame, cell: Cell) -> dict[str, tuple[str, float | None, str]]:
    """Status, value and unit of each score of a cell, by its name."""
    found = {}
    for row in _of(rows, cell).to_dict("records"):
        name = " ".join(str(row[key]) for key in SCORE[2:] if row[key])
        value = float(row["value"]) if row["status"] == "ok" else None
        found[name] = (str(row["status"]), value, str(row["unit"]))
    return found


def _moved(
    name: str, before: tuple[str, float | None, str], after: tuple[str, float | None, str]
) -> str | None:
    """What to say of a score that is not the same any more."""
    (status, value, unit), (new_status, new_value, _) = before, after
    if value is None or new_value is None:
        return None if status == new_status else f"{name}: was {status}, is {new_status}"
    if _distance(value, new_value) <= _tolerance(unit):
        return None
    return f"{name}: was {value:.4g}, is {new_value:.4g}{_unit(unit)}"


def _furthest(before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]) -> str:
    """The score that moved most beside its tolerance; empty where none moved at all."""
    moves = [
        (_distance(before[name][1], after[name][1]), before[name][2], name)
        for name in names
        if before[name][1] is not None and after[name][1] is not None
    ]
    most = max(moves, key=lambda move: move[0] / _tolerance(move[1]), default=(0.0, "", ""))
    return f"{most[0]:.1g}{_unit(most[1])} ({most[2]})" if most[0] > 0 else ""


def _distance(before: float, after: float) -> float:
    return 0.0 if before == after else abs(after - before)


def _tolerance(unit: str) -> float:
    return TOLERANCE_DB if unit == "dB" else TOLERANCE


def _unit(unit: str) -> str:
    return f" {unit}" if unit not in ("", "1") else ""


def _hashes(rows: pd.DataFrame, cell: Cell) -> set[tuple[str, str]]:
    """Target and SHA-256 of the tracks that were scored."""
    own = _of(rows, cell)[["target", "estimate_sha256"]]
    own = own[own["estimate_sha256"].fillna("") != ""].drop_duplicates()
    return {(str(target), str(sha256)) for target, sha256 in own.itertuples(index=False)}


def _apart_db(cell: Cell, run: Run, plan: Plan, both: tuple[Ledger, Ledger]) -> float | None:
    """How far the new tracks are from the kept ones, where these are still in the ledger."""
    clip, method = cell
    entry = next(entry for entry in plan.suite.clips if entry.id == clip)
    choice = next(choice for choice in plan.methods if choice.name == method)
    keys = (
        run.record.get("estimates", {}).get(clip, {}).get(method, ""),
        estimate_key(entry, choice),
    )
    if not all(ledger.has_estimate(key) for ledger, key in zip(both, keys, strict=True)):
        return None
    before, after = (ledger.estimate(key) for ledger, key in zip(both, keys, strict=True))
    error = energy = 0.0
    for old, new in ((before.vocals, after.vocals), (before.background, after.background)):
        if old.samples.shape != new.samples.shape:
            return None
        kept = old.samples.astype(np.float64)
        error += float(np.sum((new.samples - kept) ** 2))
        energy += float(np.sum(kept**2))
    if error == 0.0 or energy == 0.0:
        return -math.inf if error == 0.0 else math.inf
    return 10 * math.log10(error / energy)


def _changes(run: Run, plan: Plan, again: pd.DataFrame) -> list[str]:
    """What is not as the receipt says, a line each."""
    from benchmarks.report.receipt import hardware, versions

    record = run.record
    used = {name: assets.asset_hashes(name) for c in plan.choices for name in c.plugin.assets}
    now: dict[str, Mapping[str, Any]] = {
        "versions": versions(PACKAGES),
        "hardware": hardware(),
        "weights": used,
        "sources": {choice.name: source_hash(choice.plugin) for choice in plan.choices},
    }
    found = [
        line
        for part, here in now.items()
        for line in _part_changes(part, record.get(part, {}), here)
    ]
    clips = _changed(run.rows, again, "clip", "clip_sha256")
    if clips:
        found.append(f"clips: {', '.join(clips)} sound otherwise")
    if not found and _changed(run.rows, again, "method", "method_key"):
        found.append("harness: its code between a clip and an estimate, or a method's options")
    return found


def _part_changes(part: str, before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Versions with what they were; of hashes, which are not the same."""
    names = [name for name in here if name in before and here[name] != before[name]]
    if part in ("versions", "hardware"):
        return [f"{part}: {name} was {before[name]}, is {here[name]}" for name in names]
    return [f"{part}: {', '.join(names)}"] if names else []


def _changed(before: pd.DataFrame, here: pd.DataFrame, name: str, column: str) -> list[str]:
    """The clips, or the methods, whose hash or key in this column is another one."""
    kept, made = _known(before, name, column), _known(here, name, column)
    return [key for key in made if key in kept and made[key] != kept[key]]


def _known(rows: pd.DataFrame, name: str, column: str) -> dict[str, str]:
    own = rows[rows[column].fillna("") != ""]
    return dict(zip(own[name].astype(str), own[column].astype(str), strict=True))


def _show(verdicts: Sequence[Verdict], changes: Sequence[str]) -> None:
    print_table(
        ("clip", "method", "tracks", "scores", "outcome"),
        [
            (one.clip, one.method, _tracks_in_words(one), _scores_in_words(one), one.outcome)
            for one in verdicts
        ],
    )
    for one in verdicts:
        for line in one.moved:
            say(f"  {one.method} on {one.clip}: {line}")
    say(f"The same: within {TOLERANCE_DB:g} dB, or {TOLERANCE:g} of what has no dB.")
    for line in changes or ["nothing that the receipt knows"]:
        say(f"Changed since: {line}")
    say(_in_short(verdicts))


def _tracks_in_words(one: Verdict) -> str:
    if one.same_bytes:
        return "the same bytes"
    return "other bytes" if one.apart_db is None else f"{one.apart_db:.0f} dB apart"


def _scores_in_words(one: Verdict) -> str:
    if not one.scores:
        return "none"
    if one.moved:
        return f"{len(one.moved)} of {one.scores} moved"
    return f"{one.scores} within {one.furthest}" if one.furthest else f"{one.scores} equal"


def _in_short(verdicts: Sequence[Verdict]) -> str:
    counts = {
        outcome: sum(one.outcome == outcome for one in verdicts)
        for outcome in ("identical", "same scores", "different")
    }
    can = "can" if not counts["different"] else "can NOT"
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return f"The numbers {can} be had again: {told}."
