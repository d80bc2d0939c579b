"""The command line: thin verbs. Each parses, calls, and sets the exit code.

Exit codes: 0 all is well, 1 some cells failed, 2 the user's mistake (one line says which).
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from benchmarks import __version__
from benchmarks.cli_import import import_app
from benchmarks.cli_training import train, training_set
from benchmarks.errors import UserError
from benchmarks.options import names_in

FULL, NOT_ALLOWED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)

app = typer.Typer(
    help="Which separation method should I use on my recordings?\n\n"
    "Start with `sepbench run`: it runs the default benchmark and writes a report. "
    "Then clean a video of your own: `sepbench separate talk.mp4 -m spleeter -o cleaned`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
suite_app = typer.Typer(help="Build, check and list suites of clips.", no_args_is_help=True)
assets_app = typer.Typer(invoke_without_command=True)
app.add_typer(suite_app, name="suite")
suite_app.add_typer(import_app, name="import")
app.add_typer(assets_app, name="assets")
doctor_app = typer.Typer(help="Check that the instruments agree.", no_args_is_help=True)
app.add_typer(doctor_app, name="doctor")

DataFolder = Annotated[
    Path, typer.Option("--data", envvar="SEPBENCH_DATA", help="Where built clips are kept.")
]
ReportsFolder = Annotated[Path, typer.Option("--reports", help="Where runs and the ledger are.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="PLUGIN.OPTION=VALUE", help="Set an option; may be repeated."),
]
Methods = Annotated[list[str] | None, typer.Option(metavar="NAME,...", help="Only these methods.")]
Clips = Annotated[list[str] | None, typer.Option(metavar="NAME,...", help="Only these clips.")]
Scenarios = Annotated[
    list[str] | None, typer.Option(metavar="NAME,...", help="Only these scenarios.")
]
Metrics = Annotated[list[str] | None, typer.Option(metavar="NAME,...", help="Only these metrics.")]
Judges = Annotated[
    list[str] | None, typer.Option(metavar="NAME,...", help="Who writes down the words.")
]
Figures = Annotated[
    str, typer.Option(metavar="CLIP,...", help="Whose spectrograms to draw; or all, or none.")
]
DATA, REPORTS = Path("data/raw"), Path("reports")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line and exit code 2, a bug a traceback."""
    try:
        app(prog_name="sepbench")
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno in FULL:
            _fail(f"the disk is full{_at(error)}; what was finished is kept. Free some and repeat.")
        if error.errno in NOT_ALLOWED:
            _fail(f"no permission to write{_at(error)}; choose another folder.")
        raise
    sys.exit(0)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sepbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


@app.command("list", rich_help_panel="Look")
def list_command(
    what: Annotated[Literal["methods", "metrics", "trainers", "suites", "clips"], typer.Argument()],
    suite: Annotated[str, typer.Option(help="Whose clips: a built-in suite or a folder.")] = (
        "everyday"
    ),
    data: DataFolder = DATA,
) -> None:
    """Say what there is: methods, metrics and trainers with their options, suites, or clips.

    Example: `sepbench list methods`
    """
    from benchmarks import console

    console.show(what, suite, data)


@app.command(rich_help_panel="Measure")
def run(
    suite: Annotated[
        str, typer.Argument(help="A built-in suite, or a folder of videos or sound files.")
    ] = "everyday",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder. [REPORTS/SUITE]")
    ] = None,
    methods: Methods = None,
    clips: Clips = None,
    scenarios: Scenarios = None,
    metrics: Metrics = None,
    judges: Judges = None,
    settings: Settings = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Local processes, each of one thread; 0: one a core.")
    ] = 0,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A running Dask scheduler, tcp://host:8786.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one cell may take.")] = 600,
    memory_limit: Annotated[
        str, typer.Option(help="What a local worker may hold, such as 4GiB.")
    ] = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Reuse nothing of earlier runs.")] = False,
    figures: Figures = "all",
    data: DataFolder = DATA,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Run methods on a suite, score them, and write a report. A stopped run goes on where it was.

    Example: `sepbench run --methods nn-filter,spleeter -p nn-filter.width_seconds=3`

    Your own videos: `sepbench run my-videos/`
    """
    from benchmarks import benchmark

    selection = benchmark.Selection(
        suite, names_in(methods), names_in(clips), names_in(scenarios), names_in(metrics),
        names_in(judges), tuple(settings or ()), data,
    )  # fmt: skip
    crew = benchmark.Crew(scheduler, workers, timeout, memory_limit)
    folder = output or reports / selection.run_name
    failed = benchmark.run(
        selection,
        crew,
        folder=folder,
        ledger=reports / ".ledger",
        fresh=fresh,
        figures=_pictured(figures),
    )
    raise typer.Exit(1 if failed else 0)


@app.command(rich_help_panel="Measure")
def score(
    run_folder: Annotated[Path, typer.Argument(help="The folder of an earlier run.")],
    metrics: Metrics = None,
    judges: Judges = None,
    settings: Settings = None,
    workers: Annotated[int, typer.Option(min=0)] = 0,
    figures: Figures = "all",
    reports: ReportsFolder = REPORTS,
) -> None:
    """Score the stored estimates of a run again, by other metrics or judges; separate nothing.

    Example: `sepbench score reports/everyday --judges whisper -p whisper.model=small.en`
    """
    from benchmarks import benchmark

    failed = benchmark.rescore(
        run_folder, names_in(metrics), names_in(judges), tuple(settings or ()),
        crew=benchmark.Crew(workers=workers), ledger=reports / ".ledger",
        figures=_pictured(figures),
    )  # fmt: skip
    raise typer.Exit(1 if failed else 0)


@app.command(rich_help_panel="Measure")
def report(
    run_folder: Annotated[Path, typer.Argument(help="The folder of an earlier run.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it here. [RUN_FOLDER]")
    ] = None,
    figures: Figures = "all",
    reports: ReportsFolder = REPORTS,
) -> None:
    """Write the report of a run anew from its rows.

    Example: `sepbench report reports/everyday --figures market,party -o shared`
    """
    from benchmarks import benchmark

    benchmark.rewrite_report(
        run_folder, output or run_folder, ledger=reports / ".ledger", figures=_pictured(figures)
    )


@app.command(rich_help_panel="Measure")
def compare(
    run_a: Annotated[str, typer.Argument(help="A run: its folder, its rows, or its name.")],
    run_b: Annotated[str, typer.Argument(help="The run to hold against it.")],
    metrics: Metrics = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it as Markdown too.")
    ] = None,
    fail_if_worse: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=TOLERANCE", help="Exit with 1 if so; may be repeated."),
    ] = None,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Put two runs side by side, clip by clip, and say what changed between them.

    A tolerance is in the metric's unit or in percent; a score that is gone counts as worse.

    Example: `sepbench compare before after --fail-if-worse si-sdr=0.1 --fail-if-worse wer=0.01`
    """
    from benchmarks import comparison

    worse = comparison.compare_runs(
        run_a,
        run_b,
        reports=reports,
        metrics=names_in(metrics),
        output=output,
        fail_if_worse=tuple(fail_if_worse or ()),
    )
    raise typer.Exit(1 if worse else 0)


@app.command(rich_help_panel="Measure")
def leaderboard(
    reports: Annotated[Path, typer.Argument(help="The folder of the runs.")] = REPORTS,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page. [REPORTS/leaderboard.md]")
    ] = None,
) -> None:
    """Rank the best score of each method over all runs, for each suite and scenario.

    Example: `sepbench leaderboard`
    """
    from benchmarks import leaderboard

    leaderboard.write_leaderboard(reports, output or reports / "leaderboard.md")


@app.command("verify", rich_help_panel="Measure")
def verify_command(
    run: Annotated[str, typer.Argument(help="A run: its folder, or its name.")],
    cells: Annotated[
        int, typer.Option(min=0, help="How many cells to draw, a method on a clip; 0: all.")
    ] = 3,
    methods: Methods = None,
    clips: Clips = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Local processes; 0: one a core.")] = 0,
    reports: ReportsFolder = REPORTS,
) -> None:
    """Do some cells of a run again, and say whether its numbers can be had again.

    Nothing is reused and nothing is kept. The new tracks are held against the kept ones byte by
    byte, and the scores within what a report shows; what has changed since is told from the
    receipt. Exits with 1 if a score is different.

    Example: `sepbench verify reports/everyday --cells 5 --seed 1`
    """
    from benchmarks import verify

    different = verify.verify(
        run,
        reports=reports,
        cells=cells,
        methods=names_in(methods),
        clips=names_in(clips),
        seed=seed,
        workers=workers,
    )
    raise typer.Exit(1 if different else 0)


@app.command(rich_help_panel="Use", context_settings={"ignore_unknown_options": True})
def separate(
    videos: Annotated[list[str], typer.Argument(help="Videos or sound files, of any length.")],
    method: Annotated[str, typer.Option("-m", "--method", help="See `sepbench list methods`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")],
    settings: Settings = None,
    song: Annotated[
        Path | None, typer.Option(help="The clean song that plays in it, if it is known.")
    ] = None,
    library: Annotated[
        Path | None, typer.Option(help="Or a folder of songs, to find the song among them.")
    ] = None,
    remux: Annotated[
        bool, typer.Option("--remux", help="Also write the video with its cleaned voice.")
    ] = False,
) -> None:
    """Split videos or sound files into `vocals.wav` and `background.wav`.

    The two files are 32-bit float at the input's rate and channels. Several inputs go into a
    folder each. The method's own options, which `sepbench list methods` shows, may be given as
    flags: `--mask-power 3` for `-p spleeter.mask_power=3`.

    Example: `sepbench separate talk.mp4 -m spleeter -o cleaned --remux`
    """
    from benchmarks import own_files
    from benchmarks.options import split_flags

    sources, flags = split_flags(videos)
    failed = own_files.separate(
        [Path(source) for source in sources],
        method,
        output,
        settings=[
            *(settings or ()),
            *(f"{method}.{name}={value}" for name, value in flags.items()),
        ],
        song=song,
        library=library,
        remux=remux,
    )
    raise typer.Exit(1 if failed else 0)


@app.command("identify", rich_help_panel="Use")
def identify_command(
    videos: Annotated[list[Path], typer.Argument(help="Videos or sound files, of any length.")],
    library: Annotated[Path, typer.Option(help="A folder of songs, with folders in it or not.")],
) -> None:
    """Say which songs of a folder play in videos or sound files, where, and how sure that is.

    Five seconds of a song are enough, under speech too. The folder is indexed once, which takes
    about half a second a song, and afterwards only what is new in it; it is not written to. The
    index is kept with the weights, in `SEPBENCH_CACHE` or the user's cache folder.

    Example: `sepbench identify talk.mp4 --library my-songs`
    """
    from benchmarks import identify

    raise typer.Exit(1 if identify.identify(videos, library) else 0)


app.command("train", rich_help_panel="Train", context_settings={"ignore_unknown_options": True})(
    train
)

app.command("training-set", rich_help_panel="Train")(training_set)

SuiteName = Annotated[str, typer.Argument(help="A built-in suite, or a folder of your own.")]


@suite_app.command("build")
def suite_build(
    name: SuiteName = "everyday",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    data: DataFolder = DATA,
) -> None:
    """Build a suite's clips from their recipes; clips that are built already are kept.

    Example: `sepbench suite build everyday`
    """
    from benchmarks import console

    console.build_suite(name, data, workers or os.cpu_count() or 1)


@suite_app.command("check")
def suite_check(name: SuiteName = "everyday", data: DataFolder = DATA) -> None:
    """Check every clip: that it decodes, that its stems fit and sum to it, levels, transcript.

    Example: `sepbench suite check my-videos/`
    """
    from benchmarks import console

    raise typer.Exit(1 if console.check_suite(name, data) else 0)


@suite_app.command("list")
def suite_list() -> None:
    """List the built-in suites.

    Example: `sepbench suite list`
    """
    from benchmarks import console

    console.show("suites", "", DATA)


@assets_app.callback(invoke_without_command=True)
def assets_list(context: typer.Context) -> None:
    """Weights and recordings: list them with status, size, licence and who needs them.

    Example: `sepbench assets`, then `sepbench assets fetch spleeter-2stems`
    """
    if context.invoked_subcommand is None:
        from benchmarks import console

        console.show_assets()


@assets_app.command("fetch")
def assets_fetch(
    names: Annotated[list[str], typer.Argument(help="Assets, as `sepbench assets` lists them.")],
) -> None:
    """Fetch assets into the cache and check their hashes.

    Example: `sepbench assets fetch whisper-tiny-en spleeter-2stems`
    """
    from benchmarks import console

    console.fetch_assets(names)


@assets_app.command("verify")
def assets_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Assets; none: all that are here.")] = (
        None
    ),
) -> None:
    """Hash what is in the cache again and compare.

    Example: `sepbench assets verify`
    """
    from benchmarks import console

    raise typer.Exit(1 if console.verify_assets(names or []) else 0)


@doctor_app.callback()
def _doctor() -> None:
    pass


@doctor_app.command("metrics")
def doctor_metrics(
    references: Annotated[
        list[Path] | None, typer.Option("--reference", help="A true track; may be repeated.")
    ] = None,
    estimates: Annotated[
        list[Path] | None, typer.Option("--estimate", help="Its estimate, in the same order.")
    ] = None,
) -> None:
    """Score one pair with our metrics and with other packages, and explain the differences.

    The first pair is scored; a second one says what interference is, for SIR and SAR. Without
    files, a made-up voice and noise are scored. Packages that are not installed are named.

    Example: `sepbench doctor metrics --reference voice.wav --estimate vocals.wav`
    """
    from benchmarks import doctor

    doctor.compare_metrics(references or [], estimates or [])


def _pictured(figures: str) -> tuple[str, ...] | None:
    """Clips to draw: None for all of them."""
    return None if figures == "all" else () if figures == "none" else names_in([figures])


def _at(error: OSError) -> str:
    return f" at {error.filename}" if error.filename else ""


def _fail(message: str) -> NoReturn:
    typer.secho(f"sepbench: {message}", err=True, fg=typer.colors.RED)
    sys.exit(2)


if __name__ == "__main__":
    main()
