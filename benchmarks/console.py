"""What the verbs print: tables of what there is, progress bars, findings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from benchmarks import assets, registry
from benchmarks.contract import Judge, Method, Plugin, Unavailable
from benchmarks.errors import UserError
from benchmarks.options import kind_in_words, parse_options

console = Console(highlight=False)


def say(text: str) -> None:
    """One line for the user."""
    console.print(escape(text), soft_wrap=True)


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float, float, str], None]]:
    """A bar with an ETA on a terminal; a line at every tenth of the way elsewhere.

    Gives a function to call with what is done, what there is in all, and a label.
    """
    if console.is_terminal:
        with _rich_bar() as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total, label: bar.update(
                task, completed=done, total=total, description=escape(f"{what} {label}")
            )
        return
    tenths = -1

    def line(done: float, total: float, label: str) -> None:
        nonlocal tenths
        reached = int(10 * done / total) if total else 10
        if reached > tenths:
            tenths = reached
            say(f"{what}: {10 * reached} %" + (f" ({label})" if label else ""))

    yield line


def _rich_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )


def show(what: str, suite: str, data: Path) -> None:
    """Print what there is of methods, metrics, trainers, suites or clips."""
    {
        "methods": _show_methods,
        "metrics": _show_metrics,
        "trainers": _show_trainers,
        "suites": _show_suites,
    }.get(what, lambda: _show_clips(suite, data))()


def _show_methods() -> None:
    for method in registry.methods().values():
        _heading(method, f"{method.family}; {_readiness(method)}")
        if method.needs:
            say(f"    needs the clip's {', '.join(method.needs)}")
        if method.opt_in:
            say(f"    only when asked for by name: {method.opt_in}")
        _show_options(method)
    _show_broken()


def _show_metrics() -> None:
    for metric in registry.metrics().values():
        unit = "" if metric.unit in {"", "1"} else f" in {metric.unit}"
        better = "" if metric.better == "neither" else f", {metric.better} is better"
        ready = "" if _readiness(metric) == "ready" else f"; {_readiness(metric)}"
        _heading(metric, f"score{unit}{better}; from {', '.join(metric.inputs)}{ready}")
        if metric.opt_in:
            say(f"    only when asked for by name: {metric.opt_in}")
        _show_options(metric)
    for judge in registry.judges().values():
        _heading(judge, f"judge of words; {_readiness(judge)}")
        _show_options(judge)
    _show_broken()


def _show_trainers() -> None:
    for trainer in registry.trainers().values():
        _heading(trainer, "starts from weights that are published, too" if trainer.assets else "")
        for parameter in trainer.parameters:
            say(
                f"    --{parameter.name.replace('_', '-')} {parameter.default}   "
                f"{parameter.option.meaning} ({kind_in_words(parameter)})"
            )
    _show_broken()


def _heading(plugin: Plugin, facts: str) -> None:
    console.print(f"[bold]{escape(plugin.name)}[/bold]  [dim]{escape(facts)}[/dim]")
    say(f"    {plugin.summary}")
    if plugin.paper:
        console.print(f"    [dim]{escape(plugin.paper)}[/dim]", soft_wrap=True)


def _show_options(plugin: Plugin) -> None:
    for parameter in plugin.parameters:
        say(
            f"    -p {plugin.name}.{parameter.name}={parameter.default}   "
            f"{parameter.option.meaning} ({kind_in_words(parameter)})"
        )


def _readiness(plugin: Plugin) -> str:
    lacking = registry.missing_package(plugin)
    if lacking:
        return f"unavailable: {lacking}"
    if isinstance(plugin, Judge):
        try:
            plugin.checkpoint(parse_options(plugin, {}))
        except Unavailable as error:
            return f"unavailable: {error}"
    needed = plugin.assets_for(parse_options(plugin, {}))
    absent = [name for name in needed if assets.status(name) != "present"]
    if absent:
        size = sum(assets.catalogue()[name].size_bytes for name in absent)
        return f"fetches {', '.join(absent)} at first use, {_megabytes(size)}"
    return "ready"


def _show_broken() -> None:
    for name, reason in registry.broken().items():
        say(f"{name} could not be loaded: {reason}")


def _show_suites() -> None:
    from benchmarks.suite import names_of_suites

    for name in names_of_suites():
        say(f"{name}   run it: sepbench run {name}")
    say("A folder of your own videos or sound files is a suite too: sepbench run FOLDER")


def _show_clips(suite: str, data: Path) -> None:
    from benchmarks.suite import load_suite

    table = _table("scenario", "clip", "title", "known of it")
    for entry in load_suite(suite, data).clips:
        table.add_row(*map(escape, (entry.scenario, entry.id, entry.title, entry.known)))
    console.print(table)


def build_suite(name: str, data: Path, workers: int) -> None:
    """Build a built-in suite with a progress bar."""
    from benchmarks import suite

    with progress_bar(f"building {name}") as progress:
        suite.build(name, data, workers=workers, progress=progress)
    say(f"{name} is built in {data}; check it with: sepbench suite check {name}")


def check_suite(name: str, data: Path) -> bool:
    """Print what is wrong with a suite; True if anything is an error."""
    from benchmarks.suite import check, load_suite

    suite = load_suite(name, data)
    findings = check(suite)
    for finding in findings:
        say(f"{finding.level}: {finding.clip}: {finding.message}")
    errors = sum(finding.level == "error" for finding in findings)
    say(f"{len(suite.clips)} clips, {errors} errors, {len(findings) - errors} warnings")
    return errors > 0


def show_assets() -> None:
    """Print every asset with its status, size, licence and who needs it."""
    needed = _needed_by()
    table = _table("asset", "status", "size", "needed by", "licence, as stated")
    for asset in assets.catalogue().values():
        table.add_row(
            asset.name,
            assets.status(asset.name),
            _megabytes(asset.size_bytes),
            ", ".join(needed.get(asset.name, ["nothing by default"])),
            escape(asset.licence),
        )
    console.print(table)
    say(f"They are kept in {assets.cache_root()}; SEPBENCH_CACHE moves it.")


def fetch_assets(names: Sequence[str]) -> None:
    """Fetch assets, each with a progress bar in megabytes."""
    for name in names:
        with progress_bar(f"fetching {name}") as progress:
            folder = assets.fetch(
                name, lambda done, total: progress(done // 10**6, total // 10**6, "(MB)")
            )
        say(f"{name} is in {folder}")


def verify_assets(names: Sequence[str]) -> bool:
    """Hash assets again; True if any is damaged, or named and absent."""
    chosen = names or [name for name in assets.catalogue() if assets.status(name) != "absent"]
    problems = {name: assets.verify(name) for name in chosen}
    for name, found in problems.items():
        for problem in found or ["its hashes agree"]:
            say(f"{name}: {problem}")
    if not problems:
        say("nothing has been fetched yet; sepbench assets lists what there is")
    return any(problems.values())


def _kind(plugin: Plugin) -> str:
    return type(plugin).__name__.lower()


def _needed_by() -> dict[str, list[str]]:
    from benchmarks.suite import assets_of_suite, names_of_suites

    plugins: list[Plugin] = [
        *registry.methods().values(),
        *registry.metrics().values(),
        *registry.judges().values(),
    ]
    users = [
        (name, plugin.name if isinstance(plugin, Method) else f"{_kind(plugin)} {plugin.name}")
        for plugin in plugins
        for name in plugin.assets
    ]
    users += [(name, f"suite {s}") for s in names_of_suites() for name in assets_of_suite(s)]
    needed: dict[str, list[str]] = {}
    for name, user in users:
        needed.setdefault(name, []).append(user)
    return needed


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on the terminal; its texts stand for themselves."""
    table = _table(*header)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run.

    Raises:
        UserError: it is not there or not JSON.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path.parent} is not the folder of a run: {path.name} is missing or damaged."
        ) from error
    return content
