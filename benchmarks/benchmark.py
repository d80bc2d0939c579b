"""A whole benchmark: build the suite, run the plan, keep the rows, write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import assets
from benchmarks.console import build_suite, progress_bar, read_json, say
from benchmarks.contract import Estimate
from benchmarks.errors import UserError
from benchmarks.ledger import Ledger, write_file, write_json
from benchmarks.options import suggestion
from benchmarks.plan import PACKAGES, Plan, make_plan
from benchmarks.registry import missing_package, source_hash
from benchmarks.rows import Row, frame_of
from benchmarks.workers import Lost, Workers

if TYPE_CHECKING:
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
    started: str
    seconds: float
    workers: int

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
    figures: Collection[str] | None = None,
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
    for line in _what_failed(finished.rows):
        say(line)
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
    figures: Collection[str] | None = None,
) -> bool:
    """Score the stored estimates of a run again, and write its report anew."""
    before = selection_of(read_json(folder / "run.json"))
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


def rewrite_report(
    folder: Path, output: Path, *, ledger: Path, figures: Collection[str] | None = None
) -> None:
    """Write the report of a run anew from its rows, into its own folder or another."""
    suite, _ = selection_of(read_json(folder / "run.json")).load()
    say(str(_write_report(folder, suite, Ledger(ledger), figures, output)))


def _carry_out(plan: Plan, crew: Crew, ledger: Ledger, *, fresh: bool, separate: bool) -> Finished:
    from benchmarks.runner import Runner

    clock, started = time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with crew.hire() as workers, progress_bar(plan.suite.name) as progress:
        runner = Runner(
            plan, ledger, workers, progress=progress, separate=separate, reuse=not fresh
        )
        rows = runner.run()
        count = workers.count
    return Finished(rows, runner, started, time.perf_counter() - clock, count)


def _what_failed(rows: Iterable[Row]) -> list[str]:
    """A line for each reason and the clips that it cost, with the methods."""
    clips: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        if row.status in NOT_DONE:
            clips.setdefault((row.status, row.method, row.reason), {})[row.clip] = None
    methods: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for (status, method, reason), found in clips.items():
        methods.setdefault((status, tuple(found), reason), []).append(method)
    return [
        f"{status}: {', '.join(names)} on {', '.join(found)}: {reason}"
        for (status, found, reason), names in methods.items()
    ]


def _write_run(folder: Path, selection: Selection, plan: Plan, finished: Finished) -> None:
    """The run's own record: what was asked, what it ran on, and every row."""
    from benchmarks.report import write_rows
    from benchmarks.report.receipt import receipt
    from metrics.words import normaliser_version

    cells = {(row.clip, row.method): row for row in finished.rows}.values()
    record = receipt(
        command=["sepbench", *sys.argv[1:]],
        started=finished.started,
        seeds={"bootstrap": 0},
        weights={
            name: assets.asset_hashes(name)
            for choice in plan.choices
            for name in choice.plugin.assets_for(choice.options)
        },
        sources={choice.name: source_hash(choice.plugin) for choice in plan.choices},
        cells_computed=sum(not row.reused and row.method_key != "" for row in cells),
        cells_reused=sum(row.reused for row in cells),
        packages=(*PACKAGES, *_packages_of(plan)),
        seconds=round(finished.seconds, 1),
        workers=finished.workers,
        normaliser=normaliser_version(),
    )
    write_rows(folder, frame_of(finished.rows))
    stored = {**asdict(selection), "data": str(selection.data)}
    write_json(folder / "run.json", {**record, "selection": stored, "estimates": _estimates(plan)})
    _write_failures(folder / "failures.log", finished.runner.failures)


def _packages_of(plan: Plan) -> set[str]:
    """The packages of their own that plugins of this run have, and were found."""
    ready = (choice.plugin for choice in plan.choices if missing_package(choice.plugin) is None)
    return {name for plugin in ready for name in plugin.packages}


def _write_failures(log: Path, failures: Iterable[tuple[str, Lost]]) -> None:
    """Tracebacks, for whoever mends the method."""
    texts = [f"{label}\n{lost.status}: {lost.reason}\n{lost.details}" for label, lost in failures]
    if texts:
        write_file(log, "\n".join(texts).encode())
    else:
        log.unlink(missing_ok=True)


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


def _write_report(
    folder: Path,
    suite: Suite,
    ledger: Ledger,
    figures: Collection[str] | None,
    output: Path | None = None,
) -> Path:
    """The report of the run in ``folder``; ``figures`` are the clips to draw, None for all."""
    import pandas as pd

    from benchmarks.report import ClipTracks, write_report

    record = read_json(folder / "run.json")
    keys = record.pop("estimates")
    rows = pd.read_parquet(folder / "rows.parquet")
    entries = {entry.id: entry for entry in suite.clips}
    for name in figures or ():
        if name not in entries:
            raise UserError(f"--figures: there is no clip {name!r}. {suggestion(name, entries)}")

    def tracks(clip_id: str) -> ClipTracks:
        clip = entries[clip_id].load()
        estimates: dict[str, Estimate] = {
            method: ledger.estimate(key)
            for method, key in keys.get(clip_id, {}).items()
            if ledger.has_estimate(key)
        }
        return ClipTracks(clip.mixture, clip.speech, clip.background, estimates)

    pictured = [clip for clip in keys if figures is None or clip in figures]
    with progress_bar("report") as progress:
        return write_report(
            output or folder, rows, record, tracks, pictured=pictured, progress=progress
        )


def selection_of(record: Mapping[str, Any]) -> Selection:
    """What was asked for in a run, from its ``run.json``."""
    stored = record["selection"]
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return Selection(**{**given, "data": Path(given["data"])})


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
