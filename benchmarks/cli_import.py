"""The verbs of the command line that import data sets: `sepbench suite import ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.options import names_in

import_app = typer.Typer(
    help="Turn a known data set on disk into a suite that `sepbench run` takes.",
    no_args_is_help=True,
)
DataSet = Annotated[Path, typer.Argument(metavar="PATH", help="The folder of the data set.")]
SuiteFolder = Annotated[
    Path | None, typer.Option("-o", "--output", help="The suite's folder. [data/imported/NAME]")
]
Excerpt = Annotated[
    float | None,
    typer.Option(min=1, help="Of each track, from where the target sounds most; else the whole."),
]
Tracks = Annotated[
    int, typer.Option(min=0, help="So many, spread evenly over the data set; 0: all.")
]
TrackSubset = Annotated[
    Literal["test", "train", "valid", "all"] | None,
    typer.Option(help="By default test, or all where there are no subsets."),
]
TrackMixture = Annotated[
    Literal["given", "sum"], typer.Option(help="The data set's own, or the sum of its stems.")
]


@import_app.command("musdb18")
def import_musdb18(
    path: DataSet,
    output: SuiteFolder = None,
    subset: TrackSubset = None,
    excerpt_seconds: Excerpt = None,
    tracks: Tracks = 0,
    mixture: TrackMixture = "given",
) -> None:
    """Import MUSDB18 (`.stem.mp4`) or MUSDB18-HQ: the vocals over drums, bass and other.

    Files are referred to where they hold what a clip needs; the rest is written without loss. An
    import that was stopped goes on where it was.

    Example: `sepbench suite import musdb18 ~/musdb18 --excerpt-seconds 30 --tracks 10`
    """
    from benchmarks import importing

    importing.import_musdb18(
        path,
        output,
        subset=subset,
        excerpt_seconds=excerpt_seconds,
        count=tracks,
        mixture=mixture,
    )


@import_app.command("librimix")
def import_librimix(
    path: DataSet,
    output: SuiteFolder = None,
    subset: Annotated[str, typer.Option(help="test, dev, train-100 or train-360.")] = "test",
    mix: Annotated[
        Literal["mix_clean", "mix_both", "mix_single"],
        typer.Option(help="Talkers; talkers and noise; or one talker and noise."),
    ] = "mix_clean",
    rate: Annotated[
        Literal["16k", "8k"] | None, typer.Option(help="By default 16k where it is there.")
    ] = None,
    mode: Annotated[
        Literal["max", "min"] | None,
        typer.Option(help="As long as the longest talker, the default, or the shortest."),
    ] = None,
    talker: Annotated[int, typer.Option(min=1, help="Who is the speech; all else is not.")] = 1,
    librispeech: Annotated[
        Path | None, typer.Option(help="The folder LibriSpeech, for the words that are said.")
    ] = None,
    tracks: Tracks = 0,
) -> None:
    """Import Libri2Mix or Libri3Mix: one talker, and the mixture less this talker.

    Words are used where a talker is heard to the end, so choose the mode max for them.

    Example: `sepbench suite import librimix ~/Libri2Mix --librispeech ~/LibriSpeech --tracks 50`
    """
    from benchmarks import importing

    choice = importing.Choice(subset, mix, rate, mode, talker, tracks)
    importing.import_librimix(path, output, choice=choice, librispeech=librispeech)


@import_app.command("folder")
def import_folder(
    path: DataSet,
    output: SuiteFolder = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="STEM,...", help="The stems that are the speech.")
    ] = None,
    subset: TrackSubset = None,
    excerpt_seconds: Excerpt = None,
    tracks: Tracks = 0,
    mixture: TrackMixture = "given",
    scenario: Annotated[str, typer.Option(help="simple, music, crowd, or a name of yours.")] = (
        "music"
    ),
    language: Annotated[str, typer.Option(help="Of the words, as a two-letter code.")] = "en",
) -> None:
    """Import tracks with stems: a folder a track, such as `TRACK/vocals.wav`, or MedleyDB.

    The target is `vocals` unless said otherwise; the other stems of a track are summed as its
    background. Of MedleyDB a stem's name is its instrument. `TRACK/transcript.txt` may hold words.

    Example: `sepbench suite import folder ~/MedleyDB --target "male singer,female singer"`
    """
    from benchmarks import importing

    importing.import_tracks(
        path,
        output,
        target=names_in(target) or ("vocals",),
        subset=subset,
        excerpt_seconds=excerpt_seconds,
        count=tracks,
        mixture=mixture,
        scenario=scenario,
        language=language,
    )
