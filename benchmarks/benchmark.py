"""A whole benchmark: build the suite, run the plan, keep the rows, write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.console import build_suite, progress_bar, read_json, say
from benchmarks.contract import Estimate
from benchmarks.errors import UserError
from benchmarks.ledger import Ledger, write_file, write_json
from benchmarks.plan import Plan, make_plan, versions
from benchmarks.rows import Row, frame_of
from benchmarks.workers import Workers

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.runner import Runner
    from benchmarks.suite import ClipEntry, Suite

NOT_DONE = ("failed", "timed out", "unavailable")


@dataclass(frozen=True)
class Selection:
    """What the user asked for, in the user's words; a run's folder keeps it."""

    suite: str = "everyday"
    methods: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    data: Path = Path("data/raw")

    @property
    def run_name(self) -> str:
        """The suite's name; a partial run gets a folder of its own, lest it hide a whole one."""
        name = Path(self.suite).resolve().name if "/" in self.suite else self.suite
        chosen = (*self.methods, *self.clips, *self.scenarios, *self.metrics, *self.judges)
        return f"{name}-selection" if chosen or self.settings else name

    def load(self) -> tuple[Suite, Plan]:
        """The suite's chosen clips, built if they were not, and the plan."""
        from benchmarks import suite as suites

        if self.suite in suites.names_of_suites() and not suites.is_built(self.suite, self.data):
            build_suite(self.suite, self.data, workers=0)
        suite = suites.load_suite(self.suite, self.data).select(self.clips, self.scenarios)
        plan = make_plan(
            suite,
            methods=self.methods,
            metrics=self.metrics,
            judges=self.judges,
            assignments=self.settings,
        )
        return suite, plan


@dataclass(frozen=True)
class Crew:
    """Who does the work."""

    scheduler: str = ""
    workers: int = 0
    timeout_seconds: float = 600.0
    memory_limit: str = "auto"

    def hire(self) -> Workers:
        """The workers, to be used as a context manager."""
        return Workers(
            scheduler=self.scheduler,
            count=self.workers,
            timeout_seconds=self.timeout_seconds,
            memory_limit=self.memory_limit,
        )


@dataclass(frozen=True)
class Finished:
    """What came of a plan."""

    rows: list[Row]
    runner: Runner
    seconds: float
    workers: int = field(default=0)

    @property
    def failed(self) -> int:
        return sum(row.status in NOT_DONE for row in self.rows)


def run(
    selection: Selection,
    crew: Crew,
    *,
    folder: Path,
    ledger: Path,
    fresh: bool = False,
    figures: bool = True,
    separate: bool = True,
) -> bool:
    """Run a selection and write its report into ``folder``. True if anything failed.

    Raises:
        UserError: a name, an option, a suite or a folder that is not as it should be.
    """
    _make_writable(folder)
    _make_writable(ledger)
    _, plan = selection.load()
    try:
        finished = _carry_out(plan, crew, Ledger(ledger), fresh=fresh, separate=separate)
    except KeyboardInterrupt:
        say("Stopped. What was finished is kept; the same command goes on from here.")
        raise SystemExit(130) from None
    _write_run(folder, selection, plan, finished)
    page = _write_report(folder, plan.suite, Ledger(ledger), figures)
    for label, lost in finished.runner.failures:
        say(f"{lost.status}: {label}: {lost.reason}")
    say(f"{len(finished.rows)} rows in {finished.seconds:.0f} s. The report:")
    say(str(page))
    return finished.failed > 0


def rescore(
    folder: Path,
    metrics: tuple[str, ...],
    judges: tuple[str, ...],
    settings: tuple[str, ...],
    *,
    crew: Crew,
    ledger: Path,
    figures: bool = True,
) -> bool:
    """Score the stored estimates of a run again, and write its report anew."""
    before = _selection_of(folder)
    selection = Selection(
        before.suite,
        before.methods,
        before.clips,
        before.scenarios,
        metrics,
        judges,
        _merged(before.settings, settings),
        before.data,
    )
    return run(selection, crew, folder=folder, ledger=ledger, figures=figures, separate=False)


def rewrite_report(folder: Path, *, ledger: Path, figures: bool = True) -> None:
    """Write the report of a run anew from its rows."""
    suite, _ = _selection_of(folder).load()
    say(str(_write_report(folder, suite, Ledger(ledger), figures)))


def _carry_out(plan: Plan, crew: Crew, ledger: Ledger, *, fresh: bool, separate: bool) -> Finished:
    from benchmarks.runner import Runner

    started = time.perf_counter()
    with crew.hire() as workers, progress_bar(plan.suite.name) as progress:
        runner = Runner(
            plan, ledger, workers, progress=progress, separate=separate, reuse=not fresh
        )
        rows = runner.run()
        count = len(workers.addresses())
    return Finished(rows, runner, time.perf_counter() - started, count)


def _write_run(folder: Path, selection: Selection, plan: Plan, finished: Finished) -> None:
    """The run's own record: what was asked, what it ran on, and every row."""
    from benchmarks.report.receipt import hardware

    frame = frame_of(finished.rows)
    write_file(folder / "rows.parquet", frame.to_parquet(index=False))
    write_file(folder / "rows.csv", frame.to_csv(index=False).encode())
    write_json(
        folder / "run.json",
        {
            "selection": {**asdict(selection), "data": str(selection.data)},
            "command": " ".join(["sepbench", *sys.argv[1:]]),
            "finished": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            "seconds": round(finished.seconds, 1),
            "workers": finished.workers,
            "versions": versions(),
            "hardware": hardware(),
            **_what_was_used(plan),
            "estimates": _estimates(plan),
        },
    )
    log = "".join(
        f"{label}\n{lost.status}: {lost.reason}\n{lost.details}\n"
        for label, lost in finished.runner.failures
    )
    if log:
        write_file(folder / "failures.log", log.encode())
    else:
        (folder / "failures.log").unlink(missing_ok=True)


def _what_was_used(plan: Plan) -> dict[str, Any]:
    from benchmarks import assets
    from benchmarks.registry import source_hash

    choices = (*plan.methods, *plan.metrics, *plan.judges)
    return {
        "plugins": {
            choice.name: {"options": dict(choice.options), "source": source_hash(choice.plugin)}
            for choice in choices
        },
        "weights": {
            name: assets.asset_hashes(name) for choice in choices for name in choice.plugin.assets
        },
        "clips": {entry.id: entry.audio_sha256 for entry in _readable(plan.suite)},
    }


def _estimates(plan: Plan) -> dict[str, dict[str, str]]:
    """Clip, method and the key of the estimate in the ledger."""
    from benchmarks.plan import estimate_key

    return {
        entry.id: {choice.name: estimate_key(entry, choice) for choice in plan.methods}
        for entry in _readable(plan.suite)
    }


def _readable(suite: Suite) -> Iterable[ClipEntry]:
    for entry in suite.clips:
        try:
            _ = entry.audio_sha256
        except (UserError, OSError):
            continue
        yield entry


def _write_report(folder: Path, suite: Suite, ledger: Ledger, figures: bool) -> Path:
    import pandas as pd

    from benchmarks.report import ClipTracks, write_report

    record = read_json(folder / "run.json")
    rows: pd.DataFrame = pd.read_parquet(folder / "rows.parquet")
    entries = {entry.id: entry for entry in suite.clips}

    def tracks(clip_id: str) -> ClipTracks:
        clip = entries[clip_id].load()
        keys = record["estimates"].get(clip_id, {})
        estimates: dict[str, Estimate] = {
            method: ledger.estimate(key) for method, key in keys.items() if ledger.has_estimate(key)
        }
        return ClipTracks(clip.mixture, clip.speech, clip.background, estimates)

    with progress_bar("report") as progress:
        return write_report(
            folder, rows, record, tracks=tracks if figures else None, progress=progress
        )


def _selection_of(folder: Path) -> Selection:
    stored = read_json(folder / "run.json")["selection"]
    return Selection(
        **{
            name: Path(value)
            if name == "data"
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in stored.items()
        }
    )


def _merged(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Settings where the later of two for one option wins."""
    return tuple({text.split("=")[0]: text for text in (*before, *after)}.values())


def _make_writable(folder: Path) -> None:
    """Fail before the work, not after it, when results can't be written."""
    try:
        write_file(folder / ".writable", b"")
        (folder / ".writable").unlink()
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{folder} can't be a folder: a file is in the way.") from error
